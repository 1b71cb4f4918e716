import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from doublehop.bandwidth.percentile import ninety_fifth


def naive(values, slots):
    ranked = sorted([*values, *[0] * (slots - len(values))], reverse=True)
    return ranked[slots * 5 // 100] if ranked else 0


@given(st.lists(st.integers(0, 2**62), max_size=300), st.integers(0, 200))
def test_it_is_the_naive_one(values, missing):
    slots = len(values) + missing
    assert ninety_fifth(np.array(values, dtype=np.int64), slots) == naive(values, slots)


def test_of_a_month_the_433rd_highest_counts():
    assert ninety_fifth(np.arange(1, 8641), 8640) == 8640 - 432
