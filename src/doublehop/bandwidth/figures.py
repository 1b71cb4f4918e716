"""What an upstream counted by itself, added up by hour or by day. Pure. Another kind than slots, never mixed with them.

A figure belongs to the UTC hour or day that holds its middle, so that a day of another time zone keeps its date.
What nobody counted is not there: never zero.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from doublehop.bandwidth.slots import EPOCH

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Piece:
    """One figure as it came."""

    start: datetime
    end: datetime
    octets_in: int
    octets_out: int
    source: str
    unit: str
    read_at: datetime
    sample_history: bool = False
    """Made up, and said so: marked wherever it is shown."""
    counted_seconds: int | None = None
    """As the other side says; None: all of its time."""

    @property
    def counted(self) -> timedelta:
        """Of how much of its time. Never more than there is."""
        whole = self.end - self.start
        return whole if self.counted_seconds is None else min(whole, timedelta(seconds=self.counted_seconds))

    @property
    def is_over(self) -> bool:
        """It was read when its time had passed."""
        return self.end <= self.read_at

    @property
    def known_until(self) -> datetime:
        return min(self.end, self.read_at)


@dataclass(frozen=True)
class Figure:
    """An hour or a day."""

    start: datetime
    octets_in: int
    octets_out: int
    complete: bool
    known_until: datetime
    sample_history: bool = False
    counted: timedelta = timedelta(0)
    """Of how much of it."""


def floor(moment: datetime, step: timedelta) -> datetime:
    """The beginning of the UTC hour or day that holds ``moment``."""
    return EPOCH + (moment.astimezone(UTC) - EPOCH) // step * step


def place_of(piece: Piece, step: timedelta) -> datetime:
    return floor(piece.start + (piece.end - piece.start) / 2, step)


def is_hourly(pieces: Sequence[Piece]) -> bool:
    """One figure alone may be a day that has only begun."""
    return len(pieces) > 1 and max(one.end - one.start for one in pieces) <= 2 * HOUR


def of_one_source(pieces: Iterable[Piece]) -> list[Piece]:
    """Of each day only what came from the source that was read last: two accounts of one day must not be added up."""
    by_day: dict[datetime, list[Piece]] = defaultdict(list)
    for piece in pieces:
        by_day[place_of(piece, DAY)].append(piece)
    kept: list[Piece] = []
    for group in by_day.values():
        newest = max(group, key=lambda one: one.read_at).source
        kept.extend(one for one in group if one.source == newest)
    return sorted(kept, key=lambda one: one.start)


def by_step(pieces: Iterable[Piece], step: timedelta) -> dict[datetime, Figure]:
    """Figures by the beginning of their hour or day. ``pieces`` are of one source a day."""
    groups: dict[datetime, list[Piece]] = defaultdict(list)
    for piece in pieces:
        groups[place_of(piece, step)].append(piece)
    return {start: _figure(start, group, step) for start, group in groups.items()}


def _figure(start: datetime, group: Sequence[Piece], step: timedelta) -> Figure:
    lengths = [one.end - one.start for one in group]
    # A day that lost its hour of summer time is whole nevertheless.
    whole = sum(lengths, timedelta(0)) >= step or max(lengths) >= step * 23 / 24
    return Figure(
        start,
        sum(one.octets_in for one in group),
        sum(one.octets_out for one in group),
        whole and all(one.is_over and one.counted == one.end - one.start for one in group),
        max(one.known_until for one in group),
        any(one.sample_history for one in group),
        sum((one.counted for one in group), timedelta(0)),
    )


def in_order(
    figures: Mapping[datetime, Figure], start: datetime, end: datetime, step: timedelta
) -> list[Figure | None]:
    """One place for every hour or day from ``start`` on; None where there is no figure."""
    count = max(0, -((start - end) // step))
    return [figures.get(start + number * step) for number in range(count)]
