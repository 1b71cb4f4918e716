"""Which time a chart shows: the last day or week, a calendar month, a year, or from any moment to any other. Pure.

Days, weeks and months are those of a named zone. A span ends where it was asked to end, also when that lies in the future.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from doublehop.bandwidth.slots import SLOT_SECONDS, SLOTS_PER_DAY, slot_of, start_of
from doublehop.organisations.refusals import BadInput

DAY = timedelta(days=1)
SHORTEST = timedelta(minutes=30)
LONGEST = timedelta(days=3660)
BY_HOURS = timedelta(days=3)
"""Up to so long the table has hours."""
BY_SLOTS = timedelta(days=100)
"""Up to so long lines are made of 5-minute values, and the table has days; beyond it days make the lines, months the table."""
_FIRST_YEAR, _LAST_YEAR = 2000, 2100
_UTC = ZoneInfo("UTC")
_WRITTEN = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII)


class Kind(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"
    ANY = "any"


class Grain(StrEnum):
    """What a line of the table stands for."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True)
class Span:
    """``start`` to ``end`` are moments in UTC; ``zone`` says whose days and clocks are meant.

    ``of`` is the day by which a calendar span was asked for; None: the one that now belongs to (day and week: the last 24 hours, the last 7 days).
    """

    kind: Kind
    start: datetime
    end: datetime
    zone: ZoneInfo = _UTC
    of: date | None = None

    @property
    def first(self) -> int:
        return slot_of(self.start)

    @property
    def end_slot(self) -> int:
        """The slot after the last."""
        return -(-int(self.end.timestamp()) // SLOT_SECONDS)

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    @property
    def grain(self) -> Grain:
        if self.length <= BY_HOURS:
            return Grain.HOUR
        return Grain.DAY if self.is_by_slots else Grain.MONTH

    @property
    def is_by_slots(self) -> bool:
        return self.kind is not Kind.YEAR and self.length <= BY_SLOTS

    def address(self, home: ZoneInfo = _UTC) -> dict[str, str]:
        """The names and values by which ``asked`` finds it again, where ``home`` is the zone of who names none."""
        if self.kind is Kind.ANY:
            found = {"span": "any", "from": self.local(self.start), "to": self.local(self.end)}
        else:
            found = {"span": self.kind.value, **({"at": self.of.isoformat()} if self.of else {})}
        return found if self.zone.key == home.key else {**found, "zone": self.zone.key}

    def local(self, moment: datetime) -> str:
        """As a form writes it: ``2026-11-23T14:05``."""
        return f"{moment.astimezone(self.zone):%Y-%m-%dT%H:%M}"


def named(kind: Kind, now: datetime, zone: ZoneInfo = _UTC, of: date | None = None) -> Span:
    """A day, week (from Monday), month, or the twelve months that end with the one of ``of``. Without it, the present one."""
    today = now.astimezone(zone).date()
    day = of or today
    if of is None and kind in (Kind.DAY, Kind.WEEK):
        end = start_of(slot_of(now))
        return Span(kind, end - (DAY if kind is Kind.DAY else 7 * DAY), end, zone)
    if kind is Kind.DAY:
        first, last = day, day + DAY
    elif kind is Kind.WEEK:
        first = day - timedelta(days=day.weekday())
        last = first + 7 * DAY
    else:
        month = day.replace(day=1)
        first, last = month, _months(month, 1)
        if kind is Kind.YEAR:
            first = _months(month, -11)
            last = min(last, today + DAY)
    return Span(kind, midnight(first, zone), midnight(last, zone), zone, of)


def between(start: datetime, end: datetime, now: datetime, zone: ZoneInfo = _UTC) -> Span:
    """Any two moments, on full five minutes. Raises BadInput for what is too short, too long, or has not begun."""
    begins, ends = start_of(slot_of(start)), start_of(-(-int(end.timestamp()) // SLOT_SECONDS))
    if ends <= begins:
        raise BadInput("The end must be later than the beginning.", field="to")
    if begins >= now:
        raise BadInput("The beginning lies in the future: nothing is known of it yet.", field="from")
    if ends - begins < SHORTEST:
        raise BadInput("Choose at least 30 minutes.", field="to")
    if ends - begins > LONGEST:
        raise BadInput("Choose at most ten years.", field="from")
    return Span(Kind.ANY, begins, ends, zone)


def asked(values: Mapping[str, str], now: datetime, *, zone: ZoneInfo = _UTC) -> Span:
    """The span of an address or a form: ``span``, ``at``, ``from``, ``to``, ``zone``; nothing said: this month in ``zone``.

    ``from`` and ``to`` are dates (``to`` with the whole day) or dates with a time, in that zone where they name no other. Raises BadInput.
    """
    zone = zone_of(values.get("zone", "")) if values.get("zone") else zone
    word = values.get("span", "")
    if word == Kind.ANY:
        start = _moment(values.get("from", ""), zone, "from", is_end=False)
        return between(start, _moment(values.get("to", ""), zone, "to", is_end=True), now, zone)
    if word and word not in list(Kind):
        raise BadInput("Choose day, week, month, year, or from and to.", field="span")
    kind = Kind(word) if word else Kind.MONTH
    at = values.get("at", "")
    if not at:
        return named(kind, now, zone)
    day = _moment(at, zone, "at", is_end=False).astimezone(zone).date()
    if day > now.astimezone(zone).date():
        raise BadInput("That day lies in the future: nothing is known of it yet.", field="at")
    return named(kind, now, zone, day)


def zone_of(name: str) -> ZoneInfo:
    """A zone by its IANA name. Raises BadInput."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise BadInput("Write a time zone such as Europe/Berlin, or UTC.", field="zone") from error


# ---------------------------------------------------------------- other spans from one


def earlier(span: Span, now: datetime) -> Span:
    """The span before it, of the same kind."""
    if span.kind is Kind.ANY:
        return replace(span, start=span.start - span.length, end=span.start)
    day = span.start.astimezone(span.zone).date()
    if span.of is None and span.kind in (Kind.DAY, Kind.WEEK):
        day = now.astimezone(span.zone).date()
    return named(span.kind, now, span.zone, _day_before(span, day))


def _day_before(span: Span, day: date) -> date:
    if span.kind is Kind.DAY:
        return day - DAY
    if span.kind is Kind.WEEK:
        return day - timedelta(days=day.weekday()) - 7 * DAY
    return _months(day.replace(day=1), -1)


def later(span: Span, now: datetime) -> Span | None:
    """The span after it; None where nothing of it has begun."""
    if span.end >= now or (span.of is None and span.kind is not Kind.ANY):
        return None
    if span.kind is Kind.ANY:
        return replace(span, start=span.end, end=span.end + span.length)
    following = span.end.astimezone(span.zone).date()
    if span.kind is Kind.YEAR:
        following = _months(following, 11)
    found = named(span.kind, now, span.zone, following)
    return named(span.kind, now, span.zone) if found.end > now else found


def closer(span: Span, now: datetime) -> Span | None:
    """Its middle half; of one that is not over, the half that ends now. None where it is short already."""
    half = start_of(slot_of(start_of(0) + span.length / 2)) - start_of(0)
    if half < SHORTEST:
        return None
    end = min(span.end, start_of(slot_of(now)))
    start = end - half if end < span.end else span.start + (span.length - half) / 2
    start = start_of(slot_of(max(start, span.start)))
    return Span(Kind.ANY, start, start + half, span.zone)


def wider(span: Span, now: datetime) -> Span | None:
    """Twice as long around the same middle, but not into the future. None where it is as long as may be."""
    if span.length * 2 > LONGEST:
        return None
    end = min(span.end + span.length / 2, start_of(slot_of(now)))
    end = start_of(slot_of(max(end, min(span.end, now))))
    return Span(Kind.ANY, end - 2 * span.length, end, span.zone)


def inside(span: Span, start: datetime, grain: Grain) -> Span | None:
    """The day or month that a line of its table stands for; None for an hour."""
    if grain is Grain.HOUR:
        return None
    kind = Kind.DAY if grain is Grain.DAY else Kind.MONTH
    return named(kind, start, span.zone, start.astimezone(span.zone).date())


# ---------------------------------------------------------------- days and moments


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The beginning of a day of a zone, in UTC."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def whole_days(span: Span) -> Span:
    """The same days of UTC: what is only known by day is known by its days. At least one."""
    start = start_of(round(span.first / SLOTS_PER_DAY) * SLOTS_PER_DAY)
    end = start_of(round(span.end_slot / SLOTS_PER_DAY) * SLOTS_PER_DAY)
    return replace(span, start=start, end=max(end, start + DAY), zone=_UTC)


def days_between(start: datetime, end: datetime, zone: ZoneInfo) -> list[datetime]:
    """The midnights of a zone after ``start`` and before ``end``."""
    day = start.astimezone(zone).date() + DAY
    found = []
    while (moment := midnight(day, zone)) < end:
        found.append(moment)
        day += DAY
    return found


def _months(first: date, number: int) -> date:
    count = first.year * 12 + first.month - 1 + number
    return date(count // 12, count % 12 + 1, 1)


def _moment(text: str, zone: ZoneInfo, field: str, *, is_end: bool) -> datetime:
    text = text.strip()
    try:
        if not _WRITTEN.fullmatch(text) or not _FIRST_YEAR <= int(text[:4]) < _LAST_YEAR:
            raise ValueError
        if len(text) == len("2026-11-23"):
            day = date.fromisoformat(text)
            return midnight(day + DAY if is_end else day, zone)
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(
            "Write a date such as 2026-11-23, or a date and time such as 2026-11-23 14:00.", field=field
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
