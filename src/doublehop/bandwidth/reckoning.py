"""From the slots of a period to what is owed: exact integers and fractions, rounded once. Pure: no database, no clock.

What was not measured is zero, and the number of slots is the calendar's: so no figure is ever above the truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from doublehop.bandwidth.charts import Slots
from doublehop.bandwidth.contract import Contract, Cut, Method, Period, Unit
from doublehop.bandwidth.money import cut_to_minor_units
from doublehop.bandwidth.percentile import ninety_fifth
from doublehop.bandwidth.slots import SLOT_SECONDS, SLOTS_PER_DAY

ENOUGH_COVERAGE = Fraction(98, 100)
"""Below it a person looks before the figure is used."""
SLOTS_PER_HOUR = SLOTS_PER_DAY // 24

_PERCENTILES = {
    Method.P95_IN: ("in",),
    Method.P95_OUT: ("out",),
    Method.P95_SUM: ("sum",),
    Method.P95_MAX: ("in", "out"),
}


@dataclass(frozen=True)
class Hours:
    """Of machines whose upstream counts by itself: in how many hours it should have, and in how many it has."""

    expected: int = 0
    counted: int = 0


NO_HOURS = Hours()


@dataclass(frozen=True)
class Reckoned:
    """Volumes in octets, 95ths in octets per slot. ``quantity`` and ``over`` in the contract's unit, exact.

    ``direction`` is *in*, *out* or *sum*: what the quantity was taken from. What is said of the discarded slots and the deciding one is
    empty for volumes.
    """

    slots: int
    """N."""
    expected: int
    """Slots in which there was a server that could be measured."""
    measured: int
    volume_in: int
    volume_out: int
    """Both with ``gap_in`` and ``gap_out``, which belong to no single slot."""
    gap_in: int
    gap_out: int
    quantity: Fraction
    over: Fraction
    amount: Decimal
    """In the contract's currency, cut to its minor units, never rounded up."""
    direction: str
    p95_in: int = 0
    p95_out: int = 0
    p95_sum: int = 0
    discard: int = 0
    """How many slots are left out at the top."""
    discarded: int = 0
    """How many of these hold any octets."""
    lowest_discarded: int | None = None
    """The smallest of them, in octets per slot."""
    deciding_slot: int | None = None
    """The one whose value is the 95th; of equal ones the later ones decide. None where the 95th is zero."""
    hours: Hours = NO_HOURS

    @property
    def coverage(self) -> Fraction | None:
        """None: there was no server in any slot, and no whole day for totals."""
        return coverage(self.expected, self.measured, self.hours)

    @property
    def is_thin(self) -> bool:
        """Too little was measured: staff look at it. Nobody is suspended for it."""
        return self.coverage is not None and self.coverage < ENOUGH_COVERAGE


def coverage(slots: int, measured: int, hours: Hours = NO_HOURS) -> Fraction | None:
    """Of slots and hours together, by their time."""
    expected = slots + SLOTS_PER_HOUR * hours.expected
    return Fraction(measured + SLOTS_PER_HOUR * hours.counted, expected) if expected else None


def discard_of(cut: Cut, slots: int) -> int:
    """5 % of ``slots``, down or up to a whole number."""
    return slots * 5 // 100 if cut is Cut.FLOOR else -(-slots * 5 // 100)


def mbits(octets_per_slot: int, unit: Unit = Unit.DECIMAL) -> Fraction:
    """Mbit/s (binary: Mibit/s), exact."""
    return Fraction(octets_per_slot * 8, SLOT_SECONDS * (10**6 if unit is Unit.DECIMAL else 2**20))


def gigabytes(octets: int, unit: Unit = Unit.DECIMAL) -> Fraction:
    """GB (binary: GiB), exact."""
    return Fraction(octets, 10**9 if unit is Unit.DECIMAL else 2**30)


def pooled(period: Period, members: Sequence[Slots]) -> Slots:
    """The sum per slot, over the whole period. A slot is measured when it was of every member that had a server in it.

    What is known of a slot counts even where another member is unknown, which then is zero: still never above the truth.
    """
    octets_in, octets_out = _zeros(period.slots), _zeros(period.slots)
    expected, missing = np.zeros(period.slots, dtype=bool), np.zeros(period.slots, dtype=bool)
    for whole in members:
        one = whole.part(period.first, period.end_slot)
        place = slice(one.first - period.first, one.first - period.first + one.expected.size)
        octets_in[place] += np.where(one.expected, one.octets_in, 0)
        octets_out[place] += np.where(one.expected, one.octets_out, 0)
        expected[place] |= one.expected
        missing[place] |= one.expected & ~one.measured
    return Slots(period.first, octets_in, octets_out, expected & ~missing, expected)


def reckon(
    contract: Contract,
    period: Period,
    slots: Slots,
    gap_volume: tuple[int, int] = (0, 0),
    *,
    hours: Hours = NO_HOURS,
    sample_history: bool = False,
) -> Reckoned:
    """``gap_volume``: octets in and out that flowed in the period and belong to no single slot; they count as volume only.
    What an upstream counted over ``hours`` or days is among them.

    ``slots`` may be shorter than the period; the rest is zero. ``sample_history``: made up, and so nothing is owed.
    """
    known = pooled(period, [slots])
    volumes = (int(known.octets_in.sum()) + gap_volume[0], int(known.octets_out.sum()) + gap_volume[1])
    sides = {"in": known.octets_in, "out": known.octets_out, "sum": known.octets_in + known.octets_out}
    discard = discard_of(contract.cut, period.slots)
    p95 = {name: ninety_fifth(side, period.slots, discard) for name, side in sides.items()}
    quantity, direction = _quantity(contract, volumes, p95)
    over = max(Fraction(0), quantity - Fraction(contract.included))
    rank = None if contract.method.is_volume else _rank(sides[direction], p95[direction], discard)
    return Reckoned(
        period.slots,
        int(known.expected.sum()),
        int(known.measured.sum()),
        *volumes,
        *gap_volume,
        quantity,
        over,
        cut_to_minor_units(Fraction(0 if sample_history else contract.price) * over, contract.currency),
        direction,
        p95["in"],
        p95["out"],
        p95["sum"],
        discard if rank else 0,
        rank.discarded if rank else 0,
        rank.lowest_discarded if rank else None,
        None if rank is None or rank.deciding is None else period.first + rank.deciding,
        hours,
    )


def share_of(contract: Contract, quantity: Fraction) -> Fraction | None:
    """The used part of the commit or the allowance, 1 = all of it; None where nothing is included."""
    return quantity / Fraction(contract.included) if contract.included else None


@dataclass(frozen=True)
class _Rank:
    discarded: int
    lowest_discarded: int | None
    deciding: int | None


def _quantity(contract: Contract, volumes: tuple[int, int], p95: dict[str, int]) -> tuple[Fraction, str]:
    if contract.method.is_volume:
        by_name = {"in": volumes[0], "out": volumes[1], "sum": sum(volumes)}
        names = {
            Method.VOLUME_IN: ("in",),
            Method.VOLUME_OUT: ("out",),
            Method.VOLUME_SUM: ("sum",),
            Method.VOLUME_MAX: ("in", "out"),
        }[contract.method]
        direction = max(names, key=lambda name: by_name[name])
        return gigabytes(by_name[direction], contract.unit), direction
    direction = max(_PERCENTILES[contract.method], key=lambda name: p95[name])
    return mbits(p95[direction], contract.unit), direction


def _rank(side: NDArray[np.int64], value: int, discard: int) -> _Rank:
    """``value`` is what is left at the top. Of equal slots the earlier are left out: so it is settled which ones are."""
    above = side[side > value]
    equal_left_out = discard - above.size
    if value == 0:
        return _Rank(above.size, int(above.min()) if above.size else None, None)
    lowest = value if equal_left_out else int(above.min()) if above.size else None
    return _Rank(discard, lowest, int(np.flatnonzero(side == value)[equal_left_out]))


def _zeros(size: int) -> NDArray[np.int64]:
    return np.zeros(size, dtype=np.int64)
