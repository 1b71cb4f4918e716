from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doublehop.bandwidth.charts import Slots
from doublehop.bandwidth.contract import Contract, Cut, Method, Period, Unit, period_of
from doublehop.bandwidth.money import cut_to_minor_units
from doublehop.bandwidth.reckoning import Hours, pooled, reckon

FIRST = 1000
START = datetime(2026, 11, 1, tzinfo=UTC)
MONTH = period_of(Contract(), START)


def a_period(slots):
    return Period(START, START, FIRST, FIRST + slots, "a short one")


def some_slots(values, first=FIRST):
    """``None``: not measured although it should have been."""
    known = [value or (0, 0) for value in values]
    return Slots(
        first,
        np.array([one[0] for one in known], dtype=np.int64),
        np.array([one[1] for one in known], dtype=np.int64),
        np.array([value is not None for value in values], dtype=bool),
        np.ones(len(values), dtype=bool),
    )


values = st.lists(st.none() | st.tuples(st.integers(0, 10**13), st.integers(0, 10**13)), max_size=120)
prices = st.decimals(0, 1000, places=4)


def naive_quantity(contract, slots, pairs, gap):
    known = [(pair or (0, 0)) for pair in pairs] + [(0, 0)] * (slots - len(pairs))
    left_out = (floor if contract.cut is Cut.FLOOR else ceil)(Fraction(slots, 20))
    sides = {
        "in": [a for a, _ in known],
        "out": [b for _, b in known],
        "sum": [a + b for a, b in known],
    }
    kind, what = contract.method.value.split("_")
    if kind == "p95":
        figures = {name: sorted(side, reverse=True)[left_out] for name, side in sides.items()}
        scale = Fraction(8, 300) / (10**6 if contract.unit is Unit.DECIMAL else 1024**2)
    else:
        extra = {"in": gap[0], "out": gap[1], "sum": sum(gap)}
        figures = {name: sum(side) + extra[name] for name, side in sides.items()}
        scale = Fraction(1, 10**9 if contract.unit is Unit.DECIMAL else 1024**3)
    return (max(figures["in"], figures["out"]) if what == "max" else figures[what]) * scale


@given(
    values,
    st.integers(0, 60),
    st.sampled_from(Method),
    st.sampled_from(Unit),
    st.sampled_from(Cut),
    st.none() | prices,
    prices,
    st.tuples(st.integers(0, 10**15), st.integers(0, 10**15)),
)
def test_it_is_the_naive_one(pairs, missing, method, unit, cut, included, price, gap):
    slots = len(pairs) + missing + 2
    contract = Contract(method, unit, cut=cut, commit=included, allowance=included, price=price)

    result = reckon(contract, a_period(slots), some_slots(pairs), gap)

    quantity = naive_quantity(contract, slots, pairs, gap)
    over = max(Fraction(0), quantity - Fraction(included or 0))
    assert (result.quantity, result.over) == (quantity, over)
    assert result.amount == Decimal(floor(over * Fraction(price) * 100)) / 100
    assert (result.slots, result.expected) == (slots, len(pairs))
    assert result.measured == sum(pair is not None for pair in pairs)


@given(values.filter(bool), values)
def test_no_figure_falls_when_more_is_known(pairs, more):
    filled = [pair or (more[place] if place < len(more) else None) for place, pair in enumerate(pairs)]
    period = a_period(len(pairs) + 10)
    for method in Method:
        one = Contract(method, price=Decimal(3))
        less, known = reckon(one, period, some_slots(pairs)), reckon(one, period, some_slots(filled))
        assert less.quantity <= known.quantity
        assert less.amount <= known.amount


def test_the_deciding_slot_is_the_433rd_highest_of_a_month():
    busy = [(place, 8640 - place) for place in range(8640)]

    result = reckon(Contract(Method.P95_IN), MONTH, some_slots(busy, MONTH.first))

    assert (result.discard, result.discarded, result.lowest_discarded) == (432, 432, 8639 - 431)
    assert result.deciding_slot == MONTH.first + 8639 - 432
    assert result.p95_in == 8639 - 432


def test_of_equal_slots_the_earlier_are_left_out_and_the_next_decides():
    result = reckon(Contract(Method.P95_OUT), a_period(40), some_slots([(0, 7)] * 40))

    assert (result.discard, result.deciding_slot) == (2, FIRST + 2)


def test_nothing_decides_where_the_95th_is_zero():
    result = reckon(Contract(), a_period(100), some_slots([(9, 9)] * 3))

    assert (result.p95_in, result.deciding_slot, result.discard, result.discarded) == (0, None, 5, 3)


def test_the_larger_direction_is_billed_and_not_the_larger_of_each_slot():
    in_then_out = [(10, 0)] * 5 + [(0, 8)] * 5 + [(0, 0)] * 90
    result = reckon(
        Contract(Method.P95_MAX), a_period(100), some_slots([(10, 0)] * 6 + [(0, 8)] * 7 + [(0, 0)] * 87)
    )

    assert (result.p95_in, result.p95_out, result.direction) == (10, 8, "in")
    assert reckon(Contract(Method.P95_MAX), a_period(100), some_slots(in_then_out)).p95_in == 0


def test_a_29_day_month_discards_417_or_418():
    february = period_of(Contract(), datetime(2028, 2, 3, tzinfo=UTC))
    nothing = some_slots([], february.first)

    assert reckon(Contract(), february, nothing).discard == 417
    assert reckon(Contract(cut=Cut.CEIL), february, nothing).discard == 418


def test_pooled_services_are_summed_slot_by_slot_before_they_are_ranked():
    """Two servers that are busy at different times never need twice the rate."""
    early = some_slots([(100, 0)] * 10 + [(0, 0)] * 10)
    late = some_slots([(0, 0)] * 10 + [(100, 0)] * 10)

    result = reckon(Contract(Method.P95_IN), a_period(20), pooled(a_period(20), [early, late]))

    assert result.p95_in == 100
    assert result.volume_in == 2000


def test_what_is_unknown_of_one_in_a_pool_is_zero_and_not_measured():
    one, other = some_slots([(5, 5)] * 4), some_slots([(7, 7), None, (7, 7), (7, 7)])

    both = pooled(a_period(4), [one, other])

    assert both.octets_in.tolist() == [12, 5, 12, 12]
    assert both.measured.tolist() == [True, False, True, True]


def test_below_98_percent_staff_look_at_it():
    assert not reckon(Contract(), a_period(100), some_slots([(1, 1)] * 98 + [None] * 2)).is_thin
    assert reckon(Contract(), a_period(100), some_slots([(1, 1)] * 97 + [None] * 3)).is_thin
    assert reckon(Contract(), a_period(100), some_slots([])).coverage is None


def test_sample_history_is_counted_and_never_owed():
    contract = Contract(Method.VOLUME_SUM, price=Decimal(5))
    result = reckon(contract, a_period(1), some_slots([(10**9, 10**9)]), sample_history=True)

    assert (result.over, result.amount) == (2, 0)


def test_totals_of_others_give_volumes_and_no_95th():
    contract = Contract(Method.VOLUME_OUT, allowance=Decimal(1), price=Decimal(2))
    volume = reckon(contract, MONTH, some_slots([]), (0, 3 * 10**9), hours=Hours(48, 47))
    rate = reckon(Contract(Method.P95_OUT, price=Decimal(2)), MONTH, some_slots([]), (0, 3 * 10**9))

    assert (volume.quantity, volume.amount, volume.coverage) == (3, Decimal("4.00"), Fraction(47, 48))
    assert volume.is_thin
    assert (rate.quantity, rate.amount, rate.coverage) == (0, 0, None)


def test_slots_and_hours_count_for_the_coverage_by_their_time():
    contract = Contract(Method.VOLUME_SUM)
    result = reckon(contract, a_period(100), some_slots([(1, 1)] * 24), (1, 1), hours=Hours(2, 1))
    assert (result.coverage, result.volume_in) == (Fraction(36, 48), 25)


@pytest.mark.parametrize(
    ("currency", "amount"), [("USD", "1.99"), ("JPY", "1"), ("KWD", "1.999"), ("CLF", "1.9999")]
)
def test_money_is_cut_to_its_smallest_coin_and_never_rounded_up(currency, amount):
    assert str(cut_to_minor_units(Fraction(199999, 100000), currency)) == amount
