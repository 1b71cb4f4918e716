"""What is older than it is kept goes, in bites, so that nobody who writes has to wait long."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import islice

from django.db import models

from doublehop.bandwidth import store
from doublehop.bandwidth.models import Chunk, Daily

ROWS_AT_ONCE = 500
DAYS_AT_ONCE = 7
"""Of one port in one run: a clock that is years ahead for a night costs its oldest week, not everything."""
DAILY_KEPT = timedelta(days=3660)
"""Ten years."""
EPOCH = date(1970, 1, 1)


def clear_old(now: datetime, raw_days: int) -> tuple[int, int]:
    """Deletes chunks of days more than ``raw_days`` ago, and daily rows of more than ten years ago: how many of each.

    The oldest days of each port, some at a time: what is left is for the next runs.
    """
    today = now.date()
    return (
        _delete(Chunk, _old_chunks((today - EPOCH).days - raw_days)),
        _delete(Daily, _old_daily(today - DAILY_KEPT)),
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


def _old_daily(oldest: date) -> Iterator[int]:
    rows = Daily.objects.order_by("port_id", "day")
    place = 0
    while (found := rows.filter(port_id__gte=place).values_list("port_id", "day").first()) is not None:
        port_id, day = found
        if day < oldest:
            end = min(oldest, day + timedelta(days=DAYS_AT_ONCE))
            yield from rows.filter(port_id=port_id, day__lt=end).values_list("pk", flat=True)
        place = port_id + 1
