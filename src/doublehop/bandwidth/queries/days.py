"""Volumes of a server by UTC day, for programs."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.utils import timezone

from doublehop.bandwidth import charts
from doublehop.bandwidth.figures import DAY, by_step
from doublehop.bandwidth.queries.sight import Days, Sight, read_slots, see, slot_of_day
from doublehop.bandwidth.queries.totals import only_totals, pieces_seen
from doublehop.bandwidth.slots import SLOT_SECONDS, SLOTS_PER_DAY, start_of
from doublehop.organisations.actor import Actor

LONGEST_AGO = timedelta(days=3660)
"""Nothing is kept from before: whoever asks for the beginning of time is answered from here on."""


@dataclass(frozen=True)
class DayTotal:
    """``complete``: the day is over, and all of it was counted and may be seen; ``counted_seconds``: of how much of it that is so.
    ``sample_history``: made up, never billed."""

    day: date
    octets_in: int
    octets_out: int
    complete: bool
    counted_seconds: int
    sample_history: bool = False


def daily_totals(
    actor: Actor, server_id: int, first: date, last: date, *, now: datetime | None = None
) -> list[DayTotal]:
    """What came in and went out on each day from ``first`` to ``last``, oldest first. Raises NotHere.

    From slots, or, where the actor has none to see, from what the upstream counted. Days of which nothing is known are
    left out. Of a day that is cut by a window only what lies inside is counted.
    """
    moment = now or timezone.now()
    sight = see(actor, server_id, moment)
    today = moment.astimezone(UTC).date()
    since, until = max(first, today - LONGEST_AGO), min(last, today)
    if since > until:
        return []
    if only_totals(actor, server_id, sight):
        return _from_totals(sight, server_id, since, until)
    return _from_slots(sight, since, until)


def _from_totals(sight: Sight, server_id: int, first: date, last: date) -> list[DayTotal]:
    begin, end = _begin(first), _begin(last) + DAY
    found = by_step(pieces_seen(sight, server_id, begin, end), DAY)
    return [
        DayTotal(
            start.date(),
            figure.octets_in,
            figure.octets_out,
            figure.complete,
            int(min(figure.counted, figure.known_until - start).total_seconds()),
            figure.sample_history,
        )
        for start, figure in sorted(found.items())
    ]


def _begin(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)


def _from_slots(sight: Sight, first: date, last: date) -> list[DayTotal]:
    begin, end = slot_of_day(first), min(slot_of_day(last) + SLOTS_PER_DAY, sight.horizon)
    days = Days(sight, begin, end)
    found = (_day(sight, days, start, end) for start in range(begin, end, SLOTS_PER_DAY))
    return [day for day in found if day is not None]


def _day(sight: Sight, days: Days, start: int, end: int) -> DayTotal | None:
    if not sight.touching(start, min(start + SLOTS_PER_DAY, end)):
        return None
    day = start_of(start).date()
    volume = days.whole(start)
    if volume is not None:
        if not volume.covered_ms:
            return None
        whole = volume.slots >= SLOTS_PER_DAY
        counted = min(volume.slots, SLOTS_PER_DAY) * SLOT_SECONDS
        return DayTotal(day, volume.octets_in, volume.octets_out, whole, counted, days.is_sample(start))
    row = charts.row_of(read_slots(sight, start, min(start + SLOTS_PER_DAY, end)), "")
    if not row.measured:
        return None
    counted = row.measured * SLOT_SECONDS
    return DayTotal(day, row.octets_in, row.octets_out, False, counted, days.is_sample(start))
