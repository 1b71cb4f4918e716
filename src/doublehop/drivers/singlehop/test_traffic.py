"""Daily figures, in whatever unit and shape they come."""

from datetime import UTC, datetime, timedelta

import pytest

from doublehop.driver_kit.errors import (
    BadAnswer,
)
from doublehop.drivers.singlehop.fake.bench import opened, provider

DROPZONE = {"leap_at": ""}
OLD_DROPZONE = {"ours": False, "leap_at": ""}
DAY = timedelta(days=1)


def today():
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def usage(*days, **more):
    return {"success": "1", "data": {"dailyusage": list(days), **more}}


def day(ago, coming, going, **more):
    return {"in": coming, "out": going, "timestamp": int((today() - ago * DAY).timestamp()), **more}


def read(usage_answer, unit="GB", days=10):
    canned = {"/server/bandwidth": usage_answer}
    with provider(**OLD_DROPZONE, canned=canned) as there, opened(there, bandwidth_unit=unit) as upstream:
        traffic = upstream.server("12").traffic
        found = traffic.read(today() - days * DAY, today() + DAY)
        return [(one.octets_in, one.octets_out) for one in found], traffic.unit


def test_days_are_read_in_order_and_today_is_not_over():
    with provider() as there, opened(there) as upstream:
        traffic = upstream.server("12").traffic
        assert traffic.unit == "octets"
        found = traffic.read(today() - 5 * DAY, today() + DAY)
        assert [one.start for one in found] == [today() - ago * DAY for ago in (5, 4, 3, 2, 1)]
        assert all(one.end - one.start == DAY for one in found)
        assert (found[-1].octets_in, found[-1].octets_out) == (1001, 2001)


@pytest.mark.parametrize(
    ("figure", "unit", "octets"),
    [
        (2, "GB", 2_000_000_000),
        ("1,250.5", "MB", 1_250_500_000),
        ("12.5 GB", "kB", 12_500_000_000),
        (1.5e3, "octets", 1500),
        ("7", "kB", 7000),
    ],
)
def test_a_figure_means_its_unit(figure, unit, octets):
    found, said = read(usage(day(1, figure, 0)), unit)
    assert found == [(octets, 0)]
    assert said == unit


def test_the_unit_that_is_told_outranks_the_setting():
    assert read(usage(day(1, 5, 6), unit="MB"), "GB") == ([(5_000_000, 6_000_000)], "MB")


def test_figures_that_no_port_carries_are_in_another_unit():
    with pytest.raises(BadAnswer, match="cannot be in GB"):
        read(usage(day(1, 5_000_000_000, 1)))


def test_days_that_cannot_be_read_are_left_out():
    days = (day(3, "?", 1), day(2, -1, 1), {"in": 1, "out": 1}, 7, None, day(1, 4, 5), {"date": "no day"})
    assert read(usage(*days), "octets")[0] == [(4, 5)]
    with pytest.raises(BadAnswer, match="none of the daily figures"):
        read(usage(day(1, "?", "?")))
    with pytest.raises(BadAnswer, match="no daily figures"):
        read({"success": "1", "data": {"intotal": 7}})


def test_days_may_be_a_map_and_carry_a_date_instead_of_a_moment():
    yesterday = (today() - DAY).strftime("%Y-%m-%d")
    answer = {"success": "1", "data": {"dailyusage": {yesterday: {"in": "4", "out": "5"}}}}
    assert read(answer, "octets")[0] == [(4, 5)]


def test_made_up_history_stays_marked():
    canned = {"/server/bandwidth": usage(day(2, 1, 1, sample=True), day(1, 1, 1))}
    with provider(**DROPZONE, canned=canned) as there, opened(there) as upstream:
        found = upstream.server("12").traffic.read(today() - 5 * DAY, today())
        assert [one.sample_history for one in found] == [True, False]
