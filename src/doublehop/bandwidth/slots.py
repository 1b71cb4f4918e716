"""The grid of slots, and how octets between two moments fall into it. Pure: no database, no clock.

A slot is a fixed interval of 300 s of UTC, numbered from 1970. Moments are milliseconds since 1970, octets integers,
and everything speaks from the server's side.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

SLOT_SECONDS = 300
SLOT_MS = SLOT_SECONDS * 1000
SLOTS_PER_DAY = 288
DAY_MS = SLOT_MS * SLOTS_PER_DAY

ENOUGH_MS = SLOT_MS * 9 // 10
"""A slot counts as measured when so much of it was covered; polls a few seconds off the grid must not open gaps."""
LONGEST_MS = SLOT_MS * 3 // 2
"""A longer interval says nothing about single slots: one poll was missed, and an average may be above what was so."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Interval:
    """Octets that flowed between two moments, both of our clock, their distance of the device's.

    ``of_no_slot``: more may have flowed, or not just then. They are certain for all of the time, for no slot of it: spread
    evenly they could lift one above what was so.
    """

    start_ms: int
    end_ms: int
    octets_in: int
    octets_out: int
    of_no_slot: bool = False

    @property
    def says_nothing_of_slots(self) -> bool:
        return self.of_no_slot or self.end_ms - self.start_ms > LONGEST_MS


# ---------------------------------------------------------------- the grid


def to_ms(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def from_ms(moment_ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=moment_ms)


def slot_of(moment: datetime) -> int:
    """The slot that holds ``moment``; its own first moment is inside, the next slot's is not."""
    return to_ms(moment) // SLOT_MS


def start_of(slot: int) -> datetime:
    return EPOCH + timedelta(seconds=slot * SLOT_SECONDS)


def clear_from(moment: datetime) -> int:
    """The first slot that holds nothing of what flowed before ``moment``, whenever the readings about it were taken.

    The octets of an interval are spread over all slots that it touches, so one that holds the moment carries them to the other
    side of it: by less than ``LONGEST_MS``, for those that are longer count for no slot.
    """
    return -(-(to_ms(moment) + LONGEST_MS) // SLOT_MS)


def clear_until(moment: datetime) -> int:
    """The slot after the last one that holds nothing of what flowed since ``moment``; see :func:`clear_from`."""
    return (to_ms(moment) - LONGEST_MS) // SLOT_MS


# ---------------------------------------------------------------- intervals -> slots


@dataclass(frozen=True)
class Part:
    """Octets of one slot, and how many milliseconds of it they stand for."""

    slot: int
    octets_in: int = 0
    octets_out: int = 0
    covered_ms: int = 0

    def plus(self, other: "Part") -> "Part":
        return Part(
            self.slot,
            self.octets_in + other.octets_in,
            self.octets_out + other.octets_out,
            min(SLOT_MS, self.covered_ms + other.covered_ms),
        )


@dataclass(frozen=True)
class Gap:
    """Octets that are certain for the slots ``first <= slot < end`` of one day together, and for none of them alone."""

    first: int
    end: int
    octets_in: int
    octets_out: int


@dataclass(frozen=True)
class Advance:
    """What became certain: slots, and ``gaps`` whose octets belong to no single slot."""

    measured: tuple[Part, ...]
    gaps: tuple[Gap, ...]
    open: Part
    """The slot that is still running, with what is known of it."""


def advance(open_part: Part, interval: Interval | None, at_ms: int) -> Advance:
    """Goes on to ``at_ms``, the time of the newest reading. No octet is lost or counted twice on the way."""
    slots = {open_part.slot: open_part}
    gaps: list[Gap] = []
    if interval is not None and interval.says_nothing_of_slots:
        gaps = list(gaps_of(interval))
        if gaps[0].first == open_part.slot and open_part.covered_ms < ENOUGH_MS:
            begun = slots.pop(open_part.slot)
            octets_in, octets_out = gaps[0].octets_in + begun.octets_in, gaps[0].octets_out + begun.octets_out
            gaps[0] = Gap(gaps[0].first, gaps[0].end, octets_in, octets_out)
    elif interval is not None:
        for part in split(interval, SLOT_MS):
            slots[part.slot] = slots.get(part.slot, Part(part.slot)).plus(part)
    last = at_ms // SLOT_MS
    now_open = slots.pop(last, Part(last))
    measured = []
    for part in slots.values():
        if part.covered_ms >= ENOUGH_MS:
            measured.append(part)
        elif part.covered_ms:
            gaps.append(Gap(part.slot, part.slot + 1, part.octets_in, part.octets_out))
    return Advance(tuple(measured), tuple(gaps), now_open)


def gaps_of(interval: Interval) -> Iterator[Gap]:
    """One for each UTC day that the interval touches, pro rata."""
    end_slot = -(-interval.end_ms // SLOT_MS)
    for part in split(interval, DAY_MS):
        day_ends = (part.slot // SLOTS_PER_DAY + 1) * SLOTS_PER_DAY
        yield Gap(part.slot, min(day_ends, end_slot), part.octets_in, part.octets_out)


def wholly_within(gaps: Iterable[Gap], first: int, end: int) -> list[Gap]:
    """Those of one port whose octets flowed between the two slots for sure.

    A gap is kept in pieces, one for each day: those that meet at midnight belong together, and nobody knows how much of them
    flowed on which side. ``gaps`` must hold what reaches over the edges, too.
    """
    together: list[list[Gap]] = []
    for gap in sorted(gaps, key=lambda one: (one.first, one.end)):
        if together and gap.first == together[-1][-1].end and gap.first % SLOTS_PER_DAY == 0:
            together[-1].append(gap)
        else:
            together.append([gap])
    return [gap for some in together if first <= some[0].first and some[-1].end <= end for gap in some]


def split(interval: Interval, step_ms: int) -> Iterator[Part]:
    """Pro rata over the pieces of a grid of ``step_ms``, in whole octets; their sum is exactly the interval's."""
    whole = interval.end_ms - interval.start_ms
    start, done_in, done_out = interval.start_ms, 0, 0
    while start < interval.end_ms:
        end = min(interval.end_ms, (start // step_ms + 1) * step_ms)
        passed = end - interval.start_ms
        until_in = interval.octets_in * passed // whole
        until_out = interval.octets_out * passed // whole
        yield Part(start // SLOT_MS, until_in - done_in, until_out - done_out, end - start)
        start, done_in, done_out = end, until_in, until_out
