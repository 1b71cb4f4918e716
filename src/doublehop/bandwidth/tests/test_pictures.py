"""What people see: the right numbers, only their own, and gaps as gaps."""

import json
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st
from tests.cast import a_cast

from doublehop.bandwidth import charts, sample, sheets, slots
from doublehop.bandwidth.actions import pack_days, write_sample_history
from doublehop.bandwidth.models import Block, Daily
from doublehop.bandwidth.queries import chart, chart_data, csv_rows, daily_table
from doublehop.bandwidth.spans import Kind, between, named
from doublehop.bandwidth.tests.switch import MBIT, T0, Switch, permit
from doublehop.journal.models import Entry
from doublehop.organisations.refusals import BadInput, NotHere

pytestmark = pytest.mark.django_db
FIVE = timedelta(minutes=5)
DAY_END = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def cast():
    return a_cast()


@pytest.fixture
def switch(cast):
    return Switch(cast.provider)


def sold(cast, server, *, since, until=None):
    """To Alder long ago, and to its client in the time given."""
    if not server.permissions.filter(organisation=cast.alder).exists():
        permit(server, since=T0 - timedelta(days=300), organisation=cast.alder, given_by=cast.provider)
    return permit(server, since=since, until=until, client=cast.quillfeather, given_by=cast.alder)


def test_a_month_to_date(cast, switch):
    end = switch.run(T0, [10, 20, None, None, None, 90, 30, 40])
    seen = chart(cast.ines, switch.server.pk, "month", points=9000, now=end)
    assert (seen.start, seen.end) == (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert seen.step_seconds == 300
    assert seen.outward[-9:] == (None, 10.0, 20.0, None, None, None, None, 30.0, 40.0)
    assert seen.inward[-2:] == (6.0, 8.0)
    assert len(seen.outward) == (end - seen.start) // FIVE
    assert seen.octets_out == (10 + 20 + 30 + 40) * MBIT
    assert (seen.highest, seen.highest_at) == (40.0, T0 + 7 * FIVE)
    assert seen.last_value_at == end
    assert seen.missing == 4
    assert seen.gaps == ((T0 + 2 * FIVE, T0 + 6 * FIVE),)
    assert not seen.has_sample_history
    (row,) = seen.rows
    assert (row.label, row.measured, row.of, row.complete, row.highest) == ("Mon 23 Nov", 4, 8, False, 40.0)
    # Of the many slots of the month that were never measured, 5 % are left out, and these few with them.
    assert seen.p95 == 0.0


def test_what_flowed_in_a_gap_counts_for_its_day(cast, switch):
    switch.run(T0 - timedelta(hours=13), [1] * (13 * 12))
    end = switch.run(T0, [10, None, None, None, 90])
    for span in ("month", "year"):
        seen = chart(cast.ines, switch.server.pk, span, points=9000, now=end)
        assert seen.octets_out == (13 * 12 + 10 + 90) * MBIT
        assert seen.missing == 4
    assert chart(cast.ines, switch.server.pk, "month", points=9000, now=end).highest == 10.0


def test_the_percentile_so_far_leaves_out_a_twentieth(cast, switch):
    end = switch.run(T0, [*([100] * 13), *([60] * 50), *([5] * 210)])
    now = T0 + timedelta(days=1)
    seen = chart(cast.ines, switch.server.pk, "day", points=288, now=now)
    assert seen.missing == 288 - 273
    # floor(0.05 * 288) = 14 are left out: the 13 of 100 Mbit/s and one of 60.
    assert seen.p95 == 60.0
    assert end < now


def test_the_slot_whose_round_is_on_its_way_is_not_missing(cast, switch):
    end = switch.run(T0, [10, 10]) + FIVE
    assert chart(cast.ines, switch.server.pk, "day", points=288, now=end + timedelta(seconds=1)).missing == 0
    assert chart(cast.ines, switch.server.pk, "day", points=288, now=end + FIVE).missing == 2


def test_a_day_has_hours_and_a_year_months(cast, switch):
    end = switch.run(T0, [10] * 24)
    hours = daily_table(cast.ines, switch.server.pk, "day", now=end)
    assert [(row.label, row.measured, row.of) for row in hours] == [
        ("23 Nov, 13:00", 12, 12),
        ("23 Nov, 12:00", 12, 12),
    ]
    year = chart(cast.ines, switch.server.pk, "year", points=400, now=end)
    assert year.start == datetime(2025, 12, 1, tzinfo=UTC)
    assert [(row.label, row.measured, row.of) for row in year.rows] == [("November 2026", 24, 24)]
    assert year.outward[-1] == 10.0
    assert set(year.outward[:-1]) == {None}
    assert (year.p95, year.highest, year.last_value_at) == (None, 10.0, end)
    assert year.octets_out == 240 * MBIT


def test_all_three_spans_and_the_csv_say_the_same(cast, switch):
    end = switch.run(T0, [10, 20, 30, 40])
    totals = set()
    for span in ("day", "month", "year"):
        seen = chart(cast.ines, switch.server.pk, span, points=100, now=end)
        lines = csv_rows(cast.ines, switch.server.pk, span, now=end)
        totals |= {
            seen.octets_out,
            sum(row.octets_out for row in seen.rows),
            sum(line[7] for line in lines[1:]),
        }
        assert lines[0] == sheets.TABLE_HEAD
        assert len(json.dumps(chart_data(seen))) > 100
    assert totals == {100 * MBIT}


def test_csv_of_every_value(cast, switch):
    end = switch.run(T0, [10, None, None, None, 20, 30])
    lines = csv_rows(cast.ines, switch.server.pk, "month", every_value=True, now=end)
    assert lines[1] == ("2026-11-23 12:00", 2 * MBIT, 10 * MBIT, 2.0, 10.0)
    assert lines[2] == ("2026-11-23 12:05", "", "", "", "")
    assert len(lines) == 7


def test_nothing_yet(cast, switch):
    for span in ("day", "month", "year"):
        seen = chart(cast.ines, switch.server.pk, span, points=100, now=T0)
        assert seen.is_empty
        assert (seen.p95, seen.highest, seen.missing, seen.rows, seen.gaps) == (None, None, 0, (), ())
        assert set(seen.outward) == {None}


def test_the_first_moment_of_a_month(cast, switch):
    assert (
        chart(cast.ines, switch.server.pk, "month", points=100, now=datetime(2026, 12, 1, tzinfo=UTC)).outward
        == ()
    )


@pytest.mark.parametrize("span", ["day", "week", "month", "year"])
def test_few_questions_to_the_database(cast, switch, span, django_assert_num_queries):
    write_sample_history(switch.upstream.pk, end=T0)
    pack_days(T0)
    of_a_day, of_more = (6, 9) if connection.vendor == "sqlite" else (4, 5)
    with django_assert_num_queries(of_a_day if span == "day" else of_more):
        chart(cast.ines, switch.server.pk, span, points=1500, now=T0)


def test_another_span_is_refused(cast, switch):
    with pytest.raises(BadInput):
        chart(cast.ines, switch.server.pk, "decade", points=100, now=T0)


def test_a_week_and_any_span(cast, switch):
    end = switch.run(T0, [10, 20, 30, None, None, 40, 50])
    week = chart(cast.ines, switch.server.pk, "week", points=9000, now=end)
    assert (week.end - week.start, week.octets_out) == (timedelta(days=7), 110 * MBIT)
    part = between(T0 + FIVE, T0 + 9 * FIVE, end, ZoneInfo("Asia/Kathmandu"))
    seen = chart(cast.ines, switch.server.pk, part, points=288, now=end)
    assert seen.outward == (20.0, 30.0, None, None, None, 50.0)
    assert seen.octets_out == sum(row.octets_out for row in seen.rows) == 100 * MBIT
    assert [row.label for row in seen.rows] == ["23 Nov, 18:00", "23 Nov, 17:50"], (
        "hours of a zone with quarters"
    )
    lines = csv_rows(cast.ines, switch.server.pk, part, now=end)
    assert lines[0][0] == "Period (Asia/Kathmandu)"
    assert lines[1][0] == "2026-11-23 17:50 +0545"
    assert len(csv_rows(cast.ines, switch.server.pk, part, every_value=True, now=end)) == 7


def test_days_of_another_zone(cast, switch):
    switch.run(T0 - timedelta(hours=13), [1] * 24)
    end = datetime(2026, 11, 23, 12, tzinfo=UTC)
    utc = chart(cast.ines, switch.server.pk, "month", points=9, now=end)
    berlin = chart(
        cast.ines, switch.server.pk, named(Kind.MONTH, end, ZoneInfo("Europe/Berlin")), points=9, now=end
    )
    assert [row.octets_out // MBIT for row in utc.rows] == [12, 12]
    assert [(row.label, row.octets_out // MBIT) for row in berlin.rows] == [("Mon 23 Nov", 24)]
    assert utc.octets_out == berlin.octets_out


def test_thinning_hides_no_peak(cast, switch):
    end = switch.run(T0, [1, 1, 90, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    seen = chart(cast.ines, switch.server.pk, "month", points=400, now=end)
    assert max(value for value in seen.outward if value is not None) < 20
    assert max(value for value in seen.top if value is not None) == seen.highest == 90.0
    assert chart(cast.ines, switch.server.pk, "day", points=288, now=end).top == ()
    year = chart(cast.ines, switch.server.pk, "year", points=400, now=end)
    assert year.top[-1] == 90.0


def test_what_is_kept_by_days_only_is_drawn_by_days(cast, switch):
    """Older than the 5-minute values that are kept: the volumes are there, the 95th is not made up."""
    write_sample_history(switch.upstream.pk, days=395, raw_days=35, end=T0)
    june = named(Kind.MONTH, T0, of=date(2026, 6, 3))
    seen = chart(cast.ines, switch.server.pk, june, points=1500, now=T0)
    assert seen.by_days
    assert (seen.p95, len(seen.rows), len(seen.outward), seen.missing) == (None, 30, 30, 0)
    stored = Daily.objects.filter(day__month=6, day__year=2026)
    assert seen.octets_out == sum(row.octets_out for row in stored)
    assert seen.octets_out == sum(line[7] for line in csv_rows(cast.ines, switch.server.pk, june, now=T0)[1:])
    assert len(csv_rows(cast.ines, switch.server.pk, june, every_value=True, now=T0)) == 31
    assert not chart(cast.ines, switch.server.pk, "month", points=1500, now=T0).by_days
    day = chart(cast.ines, switch.server.pk, named(Kind.DAY, T0, of=date(2026, 6, 3)), points=288, now=T0)
    assert (day.by_days, len(day.rows)) == (True, 1)
    long = chart(cast.ines, switch.server.pk, between(june.start, T0, T0), points=400, now=T0)
    assert (long.by_days, len(long.rows)) == (True, 6)


# ---------------------------------------------------------------- whose


def test_what_is_not_theirs_is_not_there(cast, switch):
    for actor in (cast.rosa, cast.tam, cast.mara, cast.lena):
        with pytest.raises(NotHere):
            chart(actor, switch.server.pk, "month", points=100, now=T0)
        with pytest.raises(NotHere):
            csv_rows(actor, switch.server.pk, "month", every_value=True, now=T0)


def test_a_client_sees_only_its_own_time(cast, switch):
    """Attached inside the second slot: it and those about it belong to nobody, what was before is another's."""
    sold(cast, switch.server, since=T0 + FIVE + timedelta(seconds=10))
    end = switch.run(T0, [10, 20, 30, 40, 50])
    for span in ("day", "month"):
        seen = chart(cast.mara, switch.server.pk, span, points=9000, now=end)
        assert [value for value in seen.outward if value is not None] == [40.0, 50.0]
        assert seen.octets_out == 90 * MBIT
        assert (seen.missing, seen.gaps) == (0, ())
    year = chart(cast.mara, switch.server.pk, "year", points=400, now=end)
    assert (year.octets_out, year.highest, year.rows[0].of) == (90 * MBIT, 50.0, 2)
    assert chart(cast.ines, switch.server.pk, "month", points=9000, now=end).octets_out == 150 * MBIT
    assert len(csv_rows(cast.mara, switch.server.pk, "day", every_value=True, now=end)) == 3


def test_an_earlier_time_of_the_same_client_is_cut_at_its_end(cast, switch):
    sold(cast, switch.server, since=T0 - timedelta(days=1), until=T0 + 4 * FIVE + timedelta(seconds=10))
    sold(cast, switch.server, since=T0 + 6 * FIVE)
    end = switch.run(T0, [10, 20, 30, 40, 50, 60, 70, 80, 90])
    seen = chart(cast.mara, switch.server.pk, "day", points=288, now=end)
    assert [value for value in seen.outward if value is not None] == [10.0, 20.0, 90.0]


def test_rights_written_anew_without_a_pause_cut_nothing(cast, switch):
    changed = T0 + 2 * FIVE + timedelta(seconds=10)
    sold(cast, switch.server, since=T0 - timedelta(days=1), until=changed)
    sold(cast, switch.server, since=changed)
    end = switch.run(T0, [10, 20, 30, 40])
    seen = chart(cast.mara, switch.server.pk, "day", points=288, now=end)
    assert [value for value in seen.outward if value is not None] == [10.0, 20.0, 30.0, 40.0]


def test_the_percentile_of_a_client_counts_its_own_slots(cast, switch):
    sold(cast, switch.server, since=T0 - timedelta(minutes=10))
    end = switch.run(T0, [10] * 20)
    assert chart(cast.mara, switch.server.pk, "month", points=100, now=end).p95 == 10.0


def test_after_a_port_moved_neither_server_has_the_others_octets(cast, switch):
    other = Switch(cast.provider, names=("eth9",), name="Rack B").server
    end = switch.run(T0, [10, 10])
    switch.port.server = other
    switch.port.save()
    end = switch.run(end + FIVE, [70, 80])
    for server, expected in ((switch.server, [10.0, 10.0]), (other, [80.0])):
        seen = chart(cast.ines, server.pk, "day", points=288, now=end)
        assert [value for value in seen.outward if value is not None] == expected
        assert chart(cast.ines, server.pk, "year", points=400, now=end).octets_out == sum(expected) * MBIT


# ---------------------------------------------------------------- thinning


@given(
    values=st.lists(st.one_of(st.none(), st.integers(0, 10**12)), max_size=300),
    step=st.sampled_from(charts.STEPS),
)
def test_thinning_keeps_averages(values, step):
    octets = np.array([value or 0 for value in values], dtype=np.int64)
    measured = np.array([value is not None for value in values], dtype=bool)
    for place, point in enumerate(charts.thin(octets, measured, step)):
        group = [value for value in values[place * step : (place + 1) * step] if value is not None]
        assert point == (charts.rate(sum(group) / len(group)) if group else None)


@pytest.mark.parametrize(
    ("span", "points"), [("month", 1500), ("month", 400), ("day", 400), ("year", 400), ("year", 50)]
)
def test_never_more_points_than_asked(cast, switch, span, points):
    now = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
    seen = chart(cast.ines, switch.server.pk, span, points=points, now=now)
    assert len(seen.outward) <= points
    assert len(seen.outward) > points / 4


# ---------------------------------------------------------------- sample history


def test_sample_history_is_made_up_plausible_and_labelled(cast, switch):
    write_sample_history(switch.upstream.pk, seed=3, end=T0)
    seen = chart(cast.ines, switch.server.pk, "month", points=1500, now=T0)
    assert seen.has_sample_history
    assert seen.missing == sample.GAP_SLOTS
    assert len(seen.gaps) == 1
    assert 10 < seen.p95 < 400
    year = chart(cast.ines, switch.server.pk, "year", points=400, now=T0)
    assert len(year.rows) == 12
    assert year.rows[0].octets_out == seen.octets_out
    assert None not in year.outward
    entry = Entry.objects.get(verb="bandwidth.sample_history")
    assert "sample history" in entry.sentence


def test_sample_history_is_the_same_every_time_and_leaves_what_was_measured(cast, switch):
    end = switch.run(T0, [10, 20])
    measured = list(Block.objects.values())
    for _ in range(2):
        write_sample_history(switch.upstream.pk, days=40, raw_days=2, end=end)
    first = list(Daily.objects.order_by("pk").values())
    assert [row for row in Block.objects.values() if row in measured] == measured
    Daily.objects.all().delete()
    write_sample_history(switch.upstream.pk, days=40, raw_days=2, end=end)
    again = Daily.objects.order_by("pk").values()
    assert [row["octets_out"] for row in again] == [row["octets_out"] for row in first]


def test_after_the_sample_real_values_follow(cast, switch):
    write_sample_history(switch.upstream.pk, days=40, end=T0)
    end = switch.run(T0, [10, 20])
    seen = chart(cast.ines, switch.server.pk, "day", points=288, now=end)
    assert seen.outward[-2:] == (10.0, 20.0)
    assert None not in seen.outward
    assert seen.has_sample_history
    today = chart(cast.ines, switch.server.pk, "month", points=288, now=end).rows[0]
    assert (today.measured, today.complete) == (slots.slot_of(end) % 288, True)
