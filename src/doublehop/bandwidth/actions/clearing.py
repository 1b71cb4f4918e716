"""What is older than it is kept goes, in bites, so that nobody who writes has to wait long."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any

from django.db import models
from django.db.models import QuerySet

from doublehop.bandwidth import store
from doublehop.bandwidth.models import Chunk, Daily, GapVolume, Quarantined
from doublehop.bandwidth.slots import SLOTS_PER_DAY, start_of

ROWS_AT_ONCE = 500
DAYS_AT_ONCE = 7
"""Of one port in one run: a clock that is years ahead for a night costs its oldest week, not everything."""
DAILY_KEPT = timedelta(days=3660)
"""Ten years."""
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Cleared:
    """How many rows of each went."""

    chunks: int
    daily: int
    gaps: int
    doubts: int

    def __bool__(self) -> bool:
        return any((self.chunks, self.daily, self.gaps, self.doubts))


def clear_old(now: datetime, raw_days: int) -> Cleared:
    """Deletes chunks, octets of gaps and decided doubts of days more than ``raw_days`` ago, and daily rows of more than ten years ago.

    The oldest days of each port, some at a time: what is left is for the next runs. A doubt that waits for a person stays.
    """
    today = now.date()
    oldest = (today - EPOCH).days - raw_days
    # A gap that ends with the last day may go on in the next: which bill it belongs to is told by both pieces.
    gaps = _oldest(GapVolume.objects.all(), "end_slot", oldest * SLOTS_PER_DAY, DAYS_AT_ONCE * SLOTS_PER_DAY)
    decided = Quarantined.objects.exclude(state=Quarantined.State.OPEN)
    week = timedelta(days=DAYS_AT_ONCE)
    return Cleared(
        _delete(Chunk, _old_chunks(oldest)),
        _delete(Daily, _oldest(Daily.objects.all(), "day", today - DAILY_KEPT, week)),
        _delete(GapVolume, gaps),
        _delete(Quarantined, _oldest(decided, "ended_at", start_of(oldest * SLOTS_PER_DAY), week)),
    )


def _delete(model: type[models.Model], old: Iterator[int]) -> int:
    count = 0
    while some := list(islice(old, ROWS_AT_ONCE)):
        model._default_manager.filter(pk__in=some).delete()
        count += len(some)
    return count


def _old_chunks(oldest: int) -> Iterator[int]:
    """By steps through the key: a question for each port, and none about the days that stay."""
    rows = Chunk.objects.order_by("pk").values_list("pk", flat=True)
    place = 0
    while (found := rows.filter(pk__gte=place).first()) is not None:
        port_id, day = found >> 16, found & 0xFFFF
        if day < oldest:
            end = store.chunk_id(port_id, min(oldest, day + DAYS_AT_ONCE))
            yield from rows.filter(pk__gte=found, pk__lt=end)
        place = store.chunk_id(port_id + 1, 0)


def _oldest(rows: QuerySet[Any], field: str, oldest: Any, week: Any) -> Iterator[int]:
    """Those of each port whose ``field`` is before ``oldest``, and not more than a ``week`` after its first one."""
    rows = rows.order_by("port_id", field)
    place = 0
    while (found := rows.filter(port_id__gte=place).values_list("port_id", field).first()) is not None:
        port_id, begin = found
        if begin < oldest:
            end = min(oldest, begin + week)
            yield from rows.filter(port_id=port_id, **{f"{field}__lt": end}).values_list("pk", flat=True)
        place = port_id + 1
