"""Daily figures of a server, in octets, as both APIs draw them."""

from datetime import UTC, date, datetime, time, timedelta

from django.utils import timezone

from doublehop.bandwidth.queries import daily_totals
from doublehop.leap.fields import Fields
from doublehop.leap.machines import server_id_of
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import BadInput

UNIT = "octets"
USUAL_DAYS = 31
MOST_DAYS = 1100
EARLIEST, LATEST = 946_684_800, 4_102_444_800
"""The years 2000 and 2100: what lies between may be a moment, and is no server's id for a long time."""


def last_days(actor: Actor, given: object, fields: Fields) -> dict[str, object]:
    """The LEAP API knows no dates: the last 31 days, unless ``start`` and ``end`` (Unix) say otherwise."""
    if "start" not in fields and "end" not in fields:
        today = timezone.now().astimezone(UTC).date()
        return _figures(actor, given, today - timedelta(days=USUAL_DAYS - 1), today)
    return between(actor, given, fields.get("start"), fields.get("end"))


def in_either_order(actor: Actor, first: str, second: str, third: str) -> dict[str, object]:
    """start/end/server, as it was last, or server/start/end, as it was first: moments and ids differ in size."""
    if _moment(first) and _moment(second):
        return between(actor, third, first, second)
    if _moment(second) and _moment(third):
        return between(actor, first, second, third)
    raise BadInput("Two moments as Unix timestamps are needed: start/end/serverid.", field="start")


def between(actor: Actor, given: object, start: object, end: object) -> dict[str, object]:
    first, last = _moment(start), _moment(end)
    if not first or not last:
        raise BadInput("Two moments as Unix timestamps are needed: start and end.", field="start")
    if first > last:
        raise BadInput("The end lies before the start.", field="end")
    if last - first > MOST_DAYS * 86400:
        raise BadInput(f"At most {MOST_DAYS} days at once.", field="start")
    return _figures(actor, given, _day(first), _day(last))


def _moment(value: object) -> int:
    """0 for what can be no moment."""
    if isinstance(value, str) and len(value) <= 10 and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return value if EARLIEST <= value < LATEST else 0


def _day(moment: int) -> date:
    return datetime.fromtimestamp(moment, UTC).date()


def _figures(actor: Actor, given: object, first: date, last: date) -> dict[str, object]:
    days = daily_totals(actor, server_id_of(actor, given), first, last)
    return {
        "intotal": sum(day.octets_in for day in days),
        "outtotal": sum(day.octets_out for day in days),
        "dailyusage": [
            {
                "in": day.octets_in,
                "out": day.octets_out,
                "timestamp": int(datetime.combine(day.day, time.min, tzinfo=UTC).timestamp()),
                "date": day.day.isoformat(),
                "complete": day.complete,
                **({"sample": True} if day.sample_history else {}),
            }
            for day in days
        ],
        "unit": UNIT,
    }
