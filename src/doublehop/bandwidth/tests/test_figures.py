"""What is shown of figures that an upstream counted by itself, and to whom."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from tests.cast import PASSWORD, a_cast

from doublehop.bandwidth import sheets
from doublehop.bandwidth.actions import note_fetch_failure, write_sample_history
from doublehop.bandwidth.models import Fetching, Total
from doublehop.bandwidth.queries import chart, chart_data, csv_rows, daily_table, daily_totals, has_bandwidth
from doublehop.bandwidth.tests.provider import DAY, GB, NOON, day, midnight, write
from doublehop.bandwidth.tests.switch import MBIT, T0, Switch, permit
from doublehop.driver_kit.contract import TrafficTotal
from doublehop.fleet.models import Server, Upstream
from doublehop.organisations.actions import add_tandem_user
from doublehop.organisations.actor import Actor, ActorKind
from doublehop.organisations.refusals import BadInput, NotHere

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
FIRST, LAST = NOON.date() - timedelta(days=400), NOON.date()


@pytest.fixture
def cast():
    return a_cast()


@pytest.fixture
def server(cast):
    upstream = Upstream.objects.create(
        organisation=cast.provider, name="Far", driver="memory", endpoint="far"
    )
    return Server.objects.create(
        upstream=upstream, external_id="web", label="web", capabilities=["power", "traffic"]
    )


def sold(cast, server, *, since, until=None, organisation=None, client=None):
    """To Alder and its client, or to whoever is named."""
    permit(server, since=since, until=until, organisation=organisation or cast.alder, given_by=cast.provider)
    permit(
        server,
        since=since,
        until=until,
        client=client or cast.quillfeather,
        given_by=organisation or cast.alder,
    )


def days_of(actor, server, first=FIRST, last=LAST, now=NOON):
    return daily_totals(actor, server.pk, first, last, now=now)


# ---------------------------------------------------------------- by day


def test_days_in_order_missing_ones_left_out_and_the_open_one_not_complete(cast, server):
    write(server, day(3), day(1), day(0, octets_out=4 * GB, octets_in=2 * GB))
    assert [(one.day, one.octets_in, one.octets_out, one.complete) for one in days_of(cast.ines, server)] == [
        (date(2026, 11, 20), GB, 10 * GB, True),
        (date(2026, 11, 22), GB, 10 * GB, True),
        (date(2026, 11, 23), 2 * GB, 4 * GB, False),
    ]
    only = days_of(cast.ines, server, date(2026, 11, 22), date(2026, 11, 22))
    assert [one.day for one in only] == [date(2026, 11, 22)]
    assert days_of(cast.ines, server, NOON.date(), FIRST) == []
    assert len(days_of(cast.ines, server, date.min, date.max)) == 3


def test_hours_are_added_up_and_a_lost_hour_is_said(cast, server):
    start = midnight(NOON) - DAY
    hours = [TrafficTotal(start + n * HOUR, start + (n + 1) * HOUR, GB, 2 * GB) for n in range(-24, 24)]
    write(server, *hours[:30], *hours[31:])
    first, second = days_of(cast.ines, server)
    assert (first.octets_in, first.octets_out, first.complete) == (24 * GB, 48 * GB, True)
    assert (second.octets_in, second.octets_out, second.complete) == (23 * GB, 46 * GB, False)


def test_a_day_that_the_other_side_did_not_wholly_count_is_not_complete(cast, server):
    start = midnight(NOON) - 2 * DAY
    told = (86400, 86100, 0, None, 99_999)
    write(
        server,
        *(
            TrafficTotal(start - n * DAY, start - (n - 1) * DAY, GB, GB, counted_seconds=seconds)
            for n, seconds in enumerate(told)
        ),
    )
    found = days_of(cast.ines, server)
    assert [(one.complete, one.counted_seconds) for one in reversed(found)] == [
        (True, 86400),
        (False, 86100),
        (False, 0),
        (True, 86400),
        (True, 86400),
    ]


@pytest.mark.parametrize("offset", [-6, 2])
def test_a_day_of_another_zone_keeps_its_date(cast, server, offset):
    begins = datetime(2026, 11, 20, tzinfo=UTC) - offset * HOUR
    write(
        server, TrafficTotal(begins, begins + DAY, GB, GB), TrafficTotal(begins + DAY, begins + 2 * DAY, 5, 5)
    )
    assert [(one.day.day, one.octets_in) for one in days_of(cast.ines, server)] == [(20, GB), (21, 5)]


def test_two_sources_of_one_day_are_never_added_up(cast, server):
    write(server, day(2), day(1), source="old")
    write(server, day(1, octets_out=7 * GB), source="new", read_at=NOON + HOUR)
    assert [one.octets_out for one in days_of(cast.ines, server)] == [10 * GB, 7 * GB]


def test_where_there_are_slots_the_days_come_from_them(cast):
    switch = Switch(cast.provider)
    switch.run(T0 - timedelta(hours=13), [1] * (37 * 12))
    write(switch.server, day(1, octets_out=999 * GB), day(0, octets_out=999 * GB))
    now = T0 + DAY
    days = daily_totals(cast.ines, switch.server.pk, FIRST, now.date(), now=now)
    assert [(one.day.day, one.octets_out, one.complete, one.counted_seconds) for one in days] == [
        (22, 12 * MBIT, False, 12 * 300),
        (23, 288 * MBIT, True, 86400),
        (24, 144 * MBIT, False, 144 * 300),
    ]
    assert chart(cast.ines, switch.server.pk, "month", points=99, now=now).provided is None


def test_a_day_that_a_window_cuts_counts_what_lies_inside(cast):
    switch = Switch(cast.provider)
    sold(cast, switch.server, since=T0 + timedelta(seconds=1))
    switch.run(T0 - timedelta(hours=13), [1] * (30 * 12))
    now = T0 + timedelta(hours=17)
    (first, second) = daily_totals(cast.mara, switch.server.pk, FIRST, now.date(), now=now)
    assert (first.octets_out, first.complete) == (142 * MBIT, False)
    assert (second.octets_out, second.complete) == (60 * MBIT, False)


def test_few_questions_for_more_than_a_year(cast, server, django_assert_max_num_queries):
    sold(cast, server, since=NOON - 380 * DAY)
    write(server, *(day(n) for n in range(400)))
    for actor, count in ((cast.ines, 400), (cast.mara, 380)):
        with django_assert_max_num_queries(7):
            assert len(days_of(actor, server)) == count
    switch = Switch(cast.provider)
    switch.run(T0, [1] * 6)
    with django_assert_max_num_queries(7):
        assert len(days_of(cast.ines, switch.server, now=T0 + HOUR)) == 1


# ---------------------------------------------------------------- whose


def test_another_clients_days_are_never_shown(cast, server):
    sold(cast, server, since=NOON - 20 * DAY, until=NOON - 10 * DAY)
    sold(
        cast,
        server,
        since=NOON - 10 * DAY + HOUR,
        organisation=cast.birch,
        client=cast.juniper,
    )
    # Alder has it again beside Birch's client: what the page of Alder's staff shows is what was Alder's.
    permit(server, since=NOON - DAY, organisation=cast.alder, given_by=cast.provider)
    write(server, *(day(n, octets_out=n * GB) for n in range(30)))
    assert [one.octets_out // GB for one in days_of(cast.lena, server)] == [*range(9, -1, -1)]
    assert [one.octets_out // GB for one in days_of(cast.rosa, server)] == [*range(19, 10, -1), 0]
    assert len(days_of(cast.ines, server)) == 30
    for actor in (cast.mara,):
        with pytest.raises(NotHere):
            days_of(actor, server)
        with pytest.raises(NotHere):
            has_bandwidth(actor, server.pk)
        with pytest.raises(NotHere):
            chart(actor, server.pk, "month", points=99, now=NOON)


@pytest.mark.parametrize("span", ["month", "year"])
def test_charts_and_files_are_cut_like_the_days(cast, server, span):
    sold(cast, server, since=NOON - 5 * DAY)
    write(server, *(day(n, octets_out=n * GB) for n in range(30)))
    seen = chart(cast.mara, server.pk, span, points=400, now=NOON)
    assert [value for value in seen.outward if value is not None] == [4, 3, 2, 1, 0]
    assert seen.octets_out == 10 * GB
    assert sum(line[5] for line in csv_rows(cast.mara, server.pk, span, now=NOON)[1:]) == 10 * GB
    assert (seen.missing, seen.gaps) == (0, ())
    every = csv_rows(cast.mara, server.pk, "month", every_value=True, now=NOON)
    assert sum(line[3] for line in every[1:]) == 10 * GB


def test_a_day_from_its_very_first_moment_is_seen_whole(cast, server):
    sold(cast, server, since=midnight(NOON) - 2 * DAY)
    write(server, day(3), day(2), day(1))
    assert len(days_of(cast.mara, server)) == 2


def test_a_tandem_user_sees_its_own_time_and_no_source(cast, server):
    person = add_tandem_user(cast.rosa, name="Nil Ferrer", email="nil@alder.example", password=PASSWORD)
    nil = Actor(ActorKind.TANDEM, "Nil Ferrer", cast.alder.pk, cast.alder.name, tandem_user_id=person.pk)
    sold(cast, server, since=NOON - 9 * DAY)
    row = permit(server, since=NOON - 3 * DAY, client=cast.juniper, given_by=cast.alder)
    row.client, row.tandem_user = None, person
    row.save()
    write(server, *(day(n) for n in range(9)))
    assert [one.day.day for one in days_of(nil, server)] == [21, 22, 23]
    assert chart(nil, server.pk, "month", points=99, now=NOON).provided.source == ""


def test_only_the_owner_reads_whose_figures_they_are_and_why_they_fail(cast, server):
    sold(cast, server, since=NOON - 9 * DAY)
    write(server, day(1), source="Dropzone", unit="octets")
    note_fetch_failure(server.pk, "no answer from 192.0.2.9")
    own = chart(cast.ines, server.pk, "month", points=99, now=NOON).provided
    assert (own.source, own.unit, own.failure_text) == ("Dropzone", "octets", "no answer from 192.0.2.9")
    for actor in (cast.rosa, cast.mara):
        seen = chart(actor, server.pk, "month", points=99, now=NOON)
        assert (seen.provided.source, seen.provided.unit, seen.provided.failure_text) == ("", "", "")
        assert seen.provided.read_at == NOON
        assert "Dropzone" not in json.dumps(chart_data(seen)) + str(
            csv_rows(actor, server.pk, "month", every_value=True, now=NOON)
        )


# ---------------------------------------------------------------- the chart


def test_a_month_by_day(cast, server):
    write(server, day(5), day(4), day(2, octets_out=250 * GB), day(0, octets_out=GB))
    seen = chart(cast.ines, server.pk, "month", points=1500, now=NOON)
    assert (seen.start, seen.end) == (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert (seen.unit, seen.step_seconds) == ("GB", 86400)
    assert seen.outward == (*[None] * 17, 10, 10, None, 250, None, 1)
    assert seen.inward[-1] == 1
    assert (seen.octets_in, seen.octets_out) == (4 * GB, 271 * GB)
    assert (seen.p95, seen.highest, seen.highest_at) == (None, None, None)
    assert seen.gaps == ((day(3).start, day(2).start), (day(1).start, day(0).start))
    assert seen.missing == 2
    assert seen.last_value_at == NOON
    assert [(row.label, row.in_gb, row.out_gb, row.complete) for row in seen.rows] == [
        ("Mon 23 Nov", 1, 1, False),
        ("Sat 21 Nov", 1, 250, True),
        ("Thu 19 Nov", 1, 10, True),
        ("Wed 18 Nov", 1, 10, True),
    ]
    assert (chart_data(seen)["provided"], chart_data(seen)["unit"]) == (True, "GB")


def test_a_year_by_month_and_a_missing_day_is_said(cast, server):
    write(server, *(day(n) for n in range(1, 60) if n != 30), day(0, octets_out=GB))
    seen = chart(cast.ines, server.pk, "year", points=1500, now=NOON)
    assert [(row.label, row.out_gb, row.measured, row.of) for row in seen.rows] == [
        ("November 2026", 221, 22, 23),
        ("October 2026", 300, 30, 31),
        ("September 2026", 60, 6, 6),
    ]
    assert len(seen.outward) == 358
    assert seen.outward.count(None) == 358 - 59
    thin = chart(cast.ines, server.pk, "year", points=50, now=NOON)
    assert len(thin.outward) <= 50
    assert thin.step_seconds == 8 * 86400
    assert set(thin.outward[-5:-1]) == {10}


def test_days_that_were_not_asked_for_yet_are_no_gaps(cast, server):
    write(server, day(12), day(2), day(1))
    Fetching.objects.update(read_until=day(5).start, read_at=day(0).start + HOUR)
    seen = chart(cast.ines, server.pk, "month", points=1500, now=NOON)
    assert seen.gaps == ((day(5).start, day(2).start),)
    Fetching.objects.all().delete()
    assert chart(cast.ines, server.pk, "month", points=1500, now=NOON).gaps == ()


def test_a_day_by_the_hour_where_there_are_hours(cast, server):
    now = NOON + timedelta(minutes=20)
    hours = [
        TrafficTotal(NOON - n * HOUR, NOON - (n - 1) * HOUR, GB, n * GB) for n in range(40) if n not in (0, 3)
    ]
    write(server, *hours, read_at=now)
    seen = chart(cast.ines, server.pk, "day", points=1500, now=now)
    assert (seen.start, seen.end) == (NOON - 23 * HOUR, NOON + HOUR)
    assert seen.provided.hourly
    assert seen.step_seconds == 3600
    assert seen.outward[-5:] == (4, None, 2, 1, None)
    assert seen.gaps == ((NOON - 3 * HOUR, NOON - 2 * HOUR),)
    assert [row.label for row in seen.rows[:2]] == ["23 Nov, 11:00", "23 Nov, 10:00"]
    assert chart(cast.ines, server.pk, "day", points=99, now=NOON).end == NOON


def test_a_day_where_there_are_only_days(cast, server):
    write(server, day(1), day(0, octets_out=GB))
    seen = chart(cast.ines, server.pk, "day", points=1500, now=NOON)
    assert seen.is_empty
    assert (seen.provided.hourly, seen.rows, seen.octets_out, seen.gaps) == (False, (), 0, ())
    assert csv_rows(cast.ines, server.pk, "day", now=NOON) == [sheets.FIGURES_HEAD]
    with pytest.raises(BadInput):
        chart(cast.ines, server.pk, "decade", points=99, now=NOON)


@pytest.mark.parametrize("span", ["day", "month", "year"])
def test_nothing_yet(cast, server, span):
    seen = chart(cast.ines, server.pk, span, points=100, now=NOON)
    assert seen.is_empty
    assert (seen.rows, seen.gaps, seen.missing, seen.provided.read_at) == ((), (), 0, None)
    assert set(seen.outward) <= {None}
    first = midnight(NOON).replace(day=1)
    assert chart(cast.ines, server.pk, "month", points=100, now=first).outward == ()


def test_the_file_says_the_same_as_the_page(cast, server):
    write(server, day(2), day(1), day(0, octets_out=GB))
    rows = daily_table(cast.ines, server.pk, "month", now=NOON)
    lines = csv_rows(cast.ines, server.pk, "month", now=NOON)
    assert lines[0] == sheets.FIGURES_HEAD
    assert lines[1] == ("2026-11-21 00:00", 1, 10, "yes", GB, 10 * GB)
    assert lines[-1] == ("2026-11-23 00:00", 1, 1, "no", GB, GB)
    assert [line[5] for line in lines[1:]] == [row.octets_out for row in reversed(rows)]
    every = csv_rows(cast.ines, server.pk, "month", every_value=True, now=NOON)
    assert every[1] == ("2026-11-21 00:00", "2026-11-22 00:00", GB, 10 * GB, "yes")


def test_figures_that_were_made_up_at_the_other_side_say_so(cast, server):
    write(server, day(3), replace(day(2), sample_history=True), day(1))
    assert [one.sample_history for one in days_of(cast.ines, server)] == [False, True, False]
    for span, marked in (("day", False), ("month", True), ("year", True)):
        seen = chart(cast.ines, server.pk, span, points=99, now=NOON)
        assert (seen.has_sample_history, chart_data(seen)["sample"]) == (marked, marked)
    write(server, day(2), read_at=NOON + HOUR)
    assert not Total.objects.filter(sample_history=True).exists()
    switch = Switch(cast.provider)
    write_sample_history(switch.upstream.pk, days=3, end=NOON)
    assert {one.sample_history for one in days_of(cast.ines, switch.server)} == {True}


# ---------------------------------------------------------------- whether there is anything


def test_what_has_bandwidth(cast, server):
    assert has_bandwidth(cast.ines, server.pk)
    server.capabilities = ["power"]
    server.save()
    assert not has_bandwidth(cast.ines, server.pk)
    write(server, day(1))
    assert has_bandwidth(cast.ines, server.pk)
    assert has_bandwidth(cast.ines, Switch(cast.provider).server.pk)
    with pytest.raises(NotHere):
        has_bandwidth(cast.tam, server.pk)


def test_totals_stay_when_the_machine_goes_to_somebody_else(cast, server):
    sold(cast, server, since=NOON - 9 * DAY, until=NOON - 4 * DAY)
    write(server, *(day(n) for n in range(9)))
    later = replace(day(0), start=NOON + DAY, end=NOON + 2 * DAY)
    write(server, later, read_at=NOON + 3 * DAY)
    assert Total.objects.count() == 10
    with pytest.raises(NotHere):
        days_of(cast.mara, server)
    sold(cast, server, since=NOON - 2 * DAY)
    assert [one.day.day for one in days_of(cast.mara, server)] == [15, 16, 17, 18, 22, 23]
