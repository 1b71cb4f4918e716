"""What a period will come to: the rest of it drawn many times from days that were measured. Pure.

Nobody knows the rest. So whole days that were are put where days are still to come, again and again; each time the level
goes up and down from week to week as it did before. The answer is the middle of what comes out, with the range that holds
nine of ten draws. The same input gives the same answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from doublehop.bandwidth.charts import Slots
from doublehop.bandwidth.contract import Contract, Method, Period, Unit
from doublehop.bandwidth.figures import Piece
from doublehop.bandwidth.reckoning import discard_of, gigabytes, mbits
from doublehop.bandwidth.slots import SLOT_SECONDS, SLOTS_PER_DAY, slot_of

ENOUGH_DAYS = 3
"""So many whole days have to be known; before, there is no forecast."""
KNOWN_SHARE = 90
"""Per cent of a day's slots that have to be measured for it to be drawn."""
DAYS_BACK = 28
"""Older days say little about the next ones."""
DRAWS = 100
WEEK = 7
FEW_WEEKLY = 8
"""With fewer changes from week to week known, ``USUAL_CHANGES`` are thought possible as well."""
USUAL_CHANGES = (0.9, 1.0, 1.1)
MOST_CHANGE = 2.0
"""A week that carried more than twice as much as the one before (or less than half) is taken for that."""
_SEED = 20261126
_SIDES: dict[str, tuple[str, ...]] = {"in": ("in",), "out": ("out",), "sum": ("sum",), "max": ("in", "out")}


@dataclass(frozen=True)
class Forecast:
    """At the end of the period, in the contract's unit (Mbit/s or GB). ``low`` to ``high`` holds nine of ten draws."""

    likely: Fraction
    low: Fraction
    high: Fraction
    days: int
    """How many measured days it was drawn from."""


@dataclass(frozen=True)
class BurstLeft:
    """``slots`` may still be above the commit before the 95th rises above it; ``used`` of ``allowed`` were already."""

    slots: int
    used: int
    allowed: int

    @property
    def minutes(self) -> int:
        return self.slots * SLOT_SECONDS // 60


def burst_left(contract: Contract, period: Period, slots: Slots) -> BurstLeft | None:
    """None where there is no commit. ``slots`` are those of the period so far."""
    if contract.method.is_volume or not contract.commit:
        return None
    scale = 10**6 if contract.unit is Unit.DECIMAL else 2**20
    most = int(Fraction(contract.commit) * scale * SLOT_SECONDS / 8)
    sides = _sides(contract.method, *_counted(slots))
    above = [int((side > most).sum()) for side in sides]
    allowed = discard_of(contract.cut, period.slots)
    used = max(above)
    return BurstLeft(max(0, allowed - used), used, allowed)


def forecast(
    contract: Contract, period: Period, so_far: Slots, known: Slots, gap_volume: tuple[int, int] = (0, 0)
) -> Forecast | None:
    """``so_far`` and ``gap_volume``: the period until now, as ``reckon`` counts it. ``known``: days before now to draw from,
    of the same service; they may lie before the period.

    None while too few days are known, and when nothing of the period is left.
    """
    elapsed = min(period.slots, so_far.first + so_far.measured.size - period.first)
    days = _days(known)
    if len(days) < ENOUGH_DAYS or elapsed >= period.slots:
        return None
    sides = _sides(contract.method, *_counted(so_far))
    draws = _Draws(days, (period.first + elapsed) // SLOTS_PER_DAY, period.slots - elapsed)
    if contract.method.is_volume:
        gaps = _sides(contract.method, *(np.array(octets, dtype=np.int64) for octets in gap_volume))
        used = [int(side.sum() + gap) for side, gap in zip(sides, gaps, strict=True)]
        ends = _volumes(contract, used, days, draws)
    else:
        ends = _percentiles(contract, period, sides, days, draws)
    low, likely, high = (int(one) for one in np.quantile(ends, (0.05, 0.5, 0.95)))
    in_unit = gigabytes if contract.method.is_volume else mbits
    return Forecast(
        in_unit(likely, contract.unit), in_unit(low, contract.unit), in_unit(high, contract.unit), len(days)
    )


def spread(pieces: Sequence[Piece], first: int) -> Slots:
    """What an upstream counted by the hour or day as slots from ``first`` on, each figure evenly over its own.

    Good for the volume of days, and for nothing that depends on when within a day it flowed. It ends where the figures do.
    """
    places = [(slot_of(one.start), slot_of(one.known_until), one) for one in pieces]
    places = [(begin, end, one) for begin, end, one in places if first <= begin < end]
    size = max((end for _, end, _ in places), default=first) - first
    octets_in, octets_out = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    covered = np.zeros(size, dtype=bool)
    for begin, end, one in places:
        where = slice(begin - first, end - first)
        covered[where] = True
        for octets, column in ((one.octets_in, octets_in), (one.octets_out, octets_out)):
            column[where] += octets // (end - begin)
            column[end - first - 1] += octets % (end - begin)
    return Slots(first, octets_in, octets_out, covered, covered)


def _counted(slots: Slots) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What the bill counts, also of slots that were measured in part; the rest as zero."""
    return slots.octets_in * slots.expected, slots.octets_out * slots.expected


def _sides(
    method: Method, octets_in: NDArray[np.int64], octets_out: NDArray[np.int64]
) -> list[NDArray[np.int64]]:
    """What the method looks at; of the larger of two, both."""
    sides = {"in": octets_in, "out": octets_out, "sum": octets_in + octets_out}
    return [sides[name] for name in _SIDES[method.value.rpartition("_")[2]]]


@dataclass(frozen=True)
class _Days:
    """Whole days of UTC, one a row; ``numbers`` count them from 1970."""

    numbers: NDArray[np.int64]
    octets_in: NDArray[np.int64]
    octets_out: NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.octets_in.shape[0])

    def sides(self, method: Method) -> list[NDArray[np.int64]]:
        return _sides(method, self.octets_in, self.octets_out)


def _days(known: Slots) -> _Days:
    """The days that were measured nearly whole, the newest ``DAYS_BACK`` of them."""
    skip = -known.first % SLOTS_PER_DAY
    count = max(0, known.measured.size - skip) // SLOTS_PER_DAY
    piece = slice(skip, skip + count * SLOTS_PER_DAY)
    measured = known.measured[piece].reshape(-1, SLOTS_PER_DAY)
    good = measured.sum(axis=1) * 100 >= KNOWN_SHARE * SLOTS_PER_DAY
    octets_in, octets_out = (side[piece].reshape(-1, SLOTS_PER_DAY)[good] for side in _counted(known))
    numbers = ((known.first + skip) // SLOTS_PER_DAY + np.arange(count))[good]
    return _Days(numbers[-DAYS_BACK:], octets_in[-DAYS_BACK:], octets_out[-DAYS_BACK:])


class _Draws:
    """Which known day stands for each day to come, and at which level, in each draw."""

    def __init__(self, days: _Days, first: int, slots_left: int) -> None:
        chance = np.random.default_rng(_SEED)
        self.left = slots_left
        self.to_come = -(-slots_left // SLOTS_PER_DAY)
        columns = [chance.choice(_alike(days, first + number), DRAWS) for number in range(self.to_come)]
        self.day = np.stack(columns, axis=1)
        levels = _levels(days)
        changes = _changes(levels)
        # The level of now is that of three days ago, the middle of the last week.
        weeks = -(-(self.to_come + 3) // WEEK)
        drawn = np.log(changes)[chance.integers(0, changes.size, size=(DRAWS, weeks))]
        walked = np.cumsum(np.repeat(drawn / WEEK, WEEK, axis=1), axis=1)[:, 3 : 3 + self.to_come]
        self.level = np.exp(walked) * (levels[-1] / levels)[self.day]


def _alike(days: _Days, number: int) -> NDArray[np.int64]:
    """The known days that may stand for one to come: those of its weekday, where two weeks are known."""
    same = np.flatnonzero(days.numbers % WEEK == number % WEEK)
    return same if len(days) >= 2 * WEEK and same.size > 1 else np.arange(len(days))


def _levels(days: _Days) -> NDArray[np.float64]:
    """What an ordinary day of its week carried, for each known day: the middle of the seven days up to it; never zero."""
    totals = (days.octets_in.sum(axis=1) + days.octets_out.sum(axis=1)).astype(float)
    first = np.median(totals[:WEEK])
    ends = range(WEEK, totals.size)
    later = [np.median(totals[end - WEEK + 1 : end + 1]) for end in ends]
    levels: NDArray[np.float64] = np.maximum(1.0, np.array([first] * min(WEEK, totals.size) + later))
    return levels


def _changes(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """From one week to the next, as they were."""
    seen = levels[2 * WEEK - 1 :] / levels[WEEK - 1 : -WEEK] if levels.size >= 2 * WEEK else np.empty(0)
    known = np.clip(seen, 1 / MOST_CHANGE, MOST_CHANGE)
    return known if known.size >= FEW_WEEKLY else np.concatenate([known, USUAL_CHANGES])


def _volumes(contract: Contract, used: list[int], days: _Days, draws: _Draws) -> NDArray[np.float64]:
    """``used`` until now. The last day counts with the part of it that is left."""
    shares = draws.level.copy()
    shares[:, -1] *= (draws.left - (draws.to_come - 1) * SLOTS_PER_DAY) / SLOTS_PER_DAY
    ends = [
        so_far + (day.sum(axis=1)[draws.day] * shares).sum(axis=1)
        for so_far, day in zip(used, days.sides(contract.method), strict=True)
    ]
    return np.asarray(np.max(ends, axis=0), dtype=np.float64)


def _percentiles(
    contract: Contract, period: Period, sides: list[NDArray[np.int64]], days: _Days, draws: _Draws
) -> NDArray[np.float64]:
    """The 95th of the whole period in each draw; slots that nobody measured stay zero."""
    discard = discard_of(contract.cut, period.slots)
    ends = []
    for so_far, day in zip(sides, days.sides(contract.method), strict=True):
        # Only the highest few can decide: of what was, no more than these are looked at.
        kept = np.sort(so_far)[-(discard + 1) :].astype(float)
        rest = (day[draws.day] * draws.level[:, :, None]).reshape(DRAWS, -1)[:, : draws.left]
        both = np.concatenate([np.broadcast_to(kept, (DRAWS, kept.size)), rest], axis=1)
        place = both.shape[1] - 1 - discard
        ends.append(np.partition(both, place, axis=1)[:, place] if place >= 0 else np.zeros(DRAWS))
    return np.asarray(np.max(ends, axis=0), dtype=np.float64)
