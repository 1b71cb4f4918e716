"""Which time a chart shows: calendar spans of a zone, any other, and the ways from one to the next."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doublehop.bandwidth import spans
from doublehop.bandwidth.spans import Grain, Kind, asked, named
from doublehop.organisations.refusals import BadInput

NOW = datetime(2026, 11, 25, 14, 7, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def at(day, hour=0, month=11):
    return datetime(2026, month, day, hour, tzinfo=UTC)


def test_without_a_word_it_is_this_month():
    seen = asked({}, NOW)
    assert (seen.kind, seen.start, seen.end, seen.grain) == (Kind.MONTH, at(1), at(1, month=12), Grain.DAY)
    home = asked({"span": ""}, NOW, zone=BERLIN)
    assert (home.start, home.end) == (at(31, 23, month=10), at(30, 23))


def test_the_last_day_and_week_end_with_the_last_full_five_minutes():
    day, week = named(Kind.DAY, NOW), named(Kind.WEEK, NOW)
    assert day.end == week.end == datetime(2026, 11, 25, 14, 5, tzinfo=UTC)
    assert (day.length, week.length) == (timedelta(days=1), timedelta(days=7))
    assert (day.grain, week.grain) == (Grain.HOUR, Grain.DAY)


def test_calendar_spans_are_those_of_the_zone():
    assert asked({"span": "week", "at": "2026-11-18"}, NOW).start == at(16)
    day = asked({"span": "day", "at": "2026-10-25", "zone": "Europe/Berlin"}, NOW)
    assert day.length == timedelta(hours=25), "summer time ended"
    year = asked({"span": "year", "at": "2026-08-02"}, NOW)
    assert (year.start.date(), year.end.date()) == (date(2025, 9, 1), date(2026, 9, 1))


@pytest.mark.parametrize(
    ("since", "until", "start", "end"),
    [
        ("2026-11-01", "2026-11-02", at(1), at(3)),
        ("2026-11-01T10:00", "2026-11-01 12:30:00", at(1, 10), at(1, 12) + timedelta(minutes=30)),
        ("2026-11-01T10:00+02:00", "2026-11-01T12:00Z", at(1, 8), at(1, 12)),
        ("2026-11-01T10:02", "2026-11-01T11:01", at(1, 10), at(1, 11) + timedelta(minutes=5)),
    ],
)
def test_any_span(since, until, start, end):
    seen = asked({"span": "any", "from": since, "to": until}, NOW)
    assert (seen.start, seen.end) == (start, end)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"span": "decade"}, "span"),
        ({"span": "any", "from": "2026-11-02", "to": "2026-11-01"}, "to"),
        ({"span": "any", "from": "2026-11-01 10:00", "to": "2026-11-01 10:10"}, "to"),
        ({"span": "any", "from": "2026-11-26", "to": "2026-11-27"}, "from"),
        ({"span": "any", "from": "2016-01-01", "to": "2026-11-01"}, "from"),
        ({"span": "any", "from": "0001-01-01", "to": "2026-11-01"}, "from"),
        ({"span": "any", "from": "2026-02-30", "to": "2026-11-01"}, "from"),
        ({"span": "any", "from": "2026-11-01"}, "to"),
        ({"span": "day", "at": "2026-11-26"}, "at"),
        ({"span": "day", "at": "yesterday"}, "at"),
        ({"span": "day", "zone": "Europe/Nowhere"}, "zone"),
        ({"span": "day", "zone": "../../etc/passwd"}, "zone"),
        ({"span": "day", "zone": "Europe"}, "zone"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field(values, field):
    with pytest.raises(BadInput) as refused:
        asked(values, NOW)
    assert refused.value.field == field


def test_earlier_and_later_walk_the_calendar():
    month = named(Kind.MONTH, NOW)
    before = spans.earlier(month, NOW)
    assert (before.start, before.end) == (at(1, month=10), at(1))
    assert spans.later(before, NOW) == month
    assert spans.later(month, NOW) is None
    yesterday = spans.earlier(named(Kind.DAY, NOW), NOW)
    assert (yesterday.start, yesterday.end) == (at(24), at(25))
    assert spans.later(yesterday, NOW) == named(Kind.DAY, NOW)
    assert spans.earlier(named(Kind.WEEK, NOW), NOW).start == at(16)
    year = spans.earlier(named(Kind.YEAR, NOW), NOW)
    assert year.end == datetime(2025, 12, 1, tzinfo=UTC)
    assert spans.later(year, NOW) == named(Kind.YEAR, NOW)


def test_any_span_moves_by_its_own_length():
    seen = spans.between(at(10), at(12), NOW)
    assert spans.earlier(seen, NOW).start == at(8)
    following = spans.later(seen, NOW)
    assert (following.start, following.end) == (at(12), at(14))


def test_closer_and_wider():
    seen = spans.between(at(10), at(14), NOW)
    middle = spans.closer(seen, NOW)
    assert (middle.start, middle.end) == (at(11), at(13))
    assert spans.wider(middle, NOW) == seen
    assert spans.closer(spans.between(at(10), at(10) + timedelta(minutes=35), NOW), NOW) is None
    assert spans.closer(named(Kind.MONTH, NOW), NOW).end == datetime(2026, 11, 25, 14, 5, tzinfo=UTC)
    assert spans.wider(named(Kind.MONTH, NOW), NOW).end <= NOW


@given(
    kind=st.sampled_from([Kind.DAY, Kind.WEEK, Kind.MONTH, Kind.YEAR]),
    ago=st.integers(0, 900),
    zone=st.sampled_from(
        ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]
    ),
    steps=st.lists(st.sampled_from(["earlier", "later", "closer", "wider"]), max_size=6),
)
def test_every_span_is_found_again_by_its_address_and_holds_its_bounds(kind, ago, zone, steps):
    zone = ZoneInfo(zone)
    seen = named(kind, NOW, zone, NOW.astimezone(zone).date() - timedelta(days=ago))
    for step in steps:
        seen = getattr(spans, step)(seen, NOW) or seen
    assert seen.start < seen.end
    assert seen.start < NOW
    assert seen.length <= spans.LONGEST + timedelta(days=1)
    again = asked(seen.address(), NOW)
    # A clock that is put back shows the same time twice: its second hour is asked for by its distance from UTC.
    if seen.kind is not Kind.ANY:
        assert again == seen
    assert abs(again.start - seen.start) <= timedelta(hours=1)


def test_days_of_utc_keep_their_names():
    berlin = named(Kind.YEAR, NOW, BERLIN, date(2026, 10, 3))
    assert spans.whole_days(berlin).start == datetime(2025, 11, 1, tzinfo=UTC)
    assert spans.whole_days(spans.between(at(10, 13), at(10, 15), NOW)).length == timedelta(days=1)
