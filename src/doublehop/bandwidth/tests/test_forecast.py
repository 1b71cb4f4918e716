"""What a period will come to: nothing before enough is known, a range that is honest, and burst time that holds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doublehop.bandwidth.charts import Slots
from doublehop.bandwidth.contract import Contract, Cut, Method, Unit, period_of
from doublehop.bandwidth.figures import Piece
from doublehop.bandwidth.forecast import burst_left, forecast, spread
from doublehop.bandwidth.reckoning import reckon
from doublehop.bandwidth.slots import SLOTS_PER_DAY

MBIT = 1_000_000 // 8 * 300
NOVEMBER = period_of(Contract(), datetime(2026, 11, 10, tzinfo=UTC))


def slots(out, first=NOVEMBER.first, inward=None):
    out = np.array(out, dtype=np.int64)
    inward = np.zeros_like(out) if inward is None else np.array(inward, dtype=np.int64)
    there = np.ones(out.size, dtype=bool)
    return Slots(first, inward, out, there, there)


def days(*rates):
    return slots(np.repeat([int(rate * MBIT) for rate in rates], SLOTS_PER_DAY))


def test_figures_of_an_upstream_are_spread_over_their_time_and_lose_no_octet():
    start, day = NOVEMBER.start, timedelta(days=1)
    read = start + 1.5 * day

    def piece(number, octets):
        return Piece(start + number * day, start + (number + 1) * day, octets, 7, "theirs", "GB", read)

    seen = spread([piece(-1, 5), piece(0, 10**9 + 1), piece(1, 1001)], NOVEMBER.first)

    assert seen.measured.size == SLOTS_PER_DAY * 3 // 2
    assert seen.octets_in[:SLOTS_PER_DAY].sum() == 10**9 + 1
    assert seen.octets_in[SLOTS_PER_DAY:].sum() == 1001
    assert (seen.octets_out.sum(), seen.measured.all()) == (14, True)
    assert spread([], NOVEMBER.first).measured.size == 0


def test_there_is_none_before_three_days_are_known():
    contract = Contract(Method.P95_OUT)
    assert forecast(contract, NOVEMBER, days(10, 10), days(10, 10)) is None
    assert forecast(contract, NOVEMBER, days(10, 10, 10), days(10, 10, 10)).days == 3


def test_and_none_of_a_period_that_is_over():
    whole = days(*([10] * 30))
    assert forecast(Contract(), NOVEMBER, whole, whole) is None


def test_days_that_were_hardly_measured_are_not_drawn():
    seen = days(10, 10, 10)
    holes = seen.measured.copy()
    holes[100:140] = False
    assert forecast(Contract(), NOVEMBER, seen, replace(seen, measured=holes)) is None


def test_what_was_measured_in_part_counts_as_in_the_bill():
    seen = days(30, 30)
    partly = replace(seen, measured=np.zeros_like(seen.measured))
    contract = Contract(Method.P95_OUT, commit=Decimal(20))
    assert burst_left(contract, NOVEMBER, partly) == burst_left(contract, NOVEMBER, seen)
    quiet = days(1, 1, 1)
    assert forecast(contract, NOVEMBER, partly, quiet) == forecast(contract, NOVEMBER, seen, quiet)


@pytest.mark.parametrize(
    ("method", "gap"),
    [(Method.VOLUME_IN, 3), (Method.VOLUME_OUT, 7), (Method.VOLUME_SUM, 10), (Method.VOLUME_MAX, 7)],
)
def test_octets_of_no_slot_are_used_as_well(method, gap):
    seen = days(*([10] * 22))
    seen = replace(seen, octets_in=seen.octets_out)
    without = forecast(Contract(method), NOVEMBER, seen, seen)
    with_gaps = forecast(Contract(method), NOVEMBER, seen, seen, (3 * 10**9, 7 * 10**9))
    assert float(with_gaps.likely - without.likely) == pytest.approx(gap)


def test_of_a_95th_they_are_no_part():
    seen = days(*([10] * 22))
    assert forecast(Contract(), NOVEMBER, seen, seen, (10**15, 10**15)) == forecast(
        Contract(), NOVEMBER, seen, seen
    )


def test_a_steady_server_goes_on_as_it_was():
    seen = days(*([10] * 22))
    rate = forecast(Contract(Method.P95_MAX), NOVEMBER, seen, seen)
    assert rate.low == rate.likely == rate.high == 10
    volume = forecast(Contract(Method.VOLUME_OUT), NOVEMBER, seen, seen)
    assert volume.low == volume.high == pytest.approx(10 * MBIT * 8640 / 10**9)


def test_of_few_weeks_it_is_not_known_how_steady_they_are():
    seen = days(*([10] * 5))
    rate = forecast(Contract(Method.P95_MAX), NOVEMBER, seen, seen)
    assert rate.low <= rate.likely < rate.high < 15


def test_what_grew_goes_on_growing():
    seen = days(*(10 * 1.02**day for day in range(28)))
    rate = forecast(
        Contract(Method.VOLUME_OUT), NOVEMBER, seen.part(0, NOVEMBER.first + 10 * SLOTS_PER_DAY), seen
    )
    flat = 10 * MBIT / 10**9 * SLOTS_PER_DAY * (sum(1.02**day for day in range(10)) + 20 * 1.02**27)
    assert rate.likely > flat


def test_a_restless_one_has_a_range_and_the_same_answer_twice():
    seen = days(1, 2, 1, 30, 3, 2)
    first = forecast(Contract(Method.VOLUME_SUM), NOVEMBER, seen, seen)
    assert first.low < first.likely < first.high
    assert forecast(Contract(Method.VOLUME_SUM), NOVEMBER, seen, seen) == first


def test_what_was_burst_already_counts():
    """Two days at 100 Mbit/s are more than the 36 hours that are left out: however quiet the rest, the 95th is there."""
    seen = days(100, 100, 1, 1, 1)
    quiet = replace(seen.part(NOVEMBER.first + 2 * SLOTS_PER_DAY, NOVEMBER.first + 5 * SLOTS_PER_DAY))
    assert forecast(Contract(Method.P95_OUT), NOVEMBER, seen, quiet).low == 100


@settings(max_examples=40, deadline=None)
@given(
    rates=st.lists(st.integers(0, 40), min_size=1, max_size=2000),
    method=st.sampled_from([Method.P95_IN, Method.P95_OUT, Method.P95_MAX, Method.P95_SUM]),
    cut=st.sampled_from(Cut),
    unit=st.sampled_from(Unit),
)
def test_burst_time_is_just_what_may_be_used(rates, method, cut, unit):
    """All of it above the commit, and the 95th is not above; one slot more, and it is."""
    contract = Contract(method, unit, commit=Decimal(20), cut=cut)
    out = [rate * MBIT for rate in rates]
    seen = slots(out, inward=out[::-1])
    left = burst_left(contract, NOVEMBER, seen)
    assert left.slots == max(0, left.allowed - left.used)
    room = NOVEMBER.slots - len(out)
    for more, is_over in ((left.slots, left.used > left.allowed), (left.slots + 1, True)):
        if more > room:
            continue
        after = slots(out + [90 * MBIT] * more, inward=out[::-1] + [90 * MBIT] * more)
        reckoned = reckon(contract, NOVEMBER, after)
        assert (reckoned.over > 0) == is_over


def test_there_is_no_burst_time_without_a_commit():
    assert burst_left(Contract(), NOVEMBER, days(10)) is None
    assert burst_left(Contract(Method.VOLUME_OUT, allowance=Decimal(9)), NOVEMBER, days(10)) is None
