"""A day of a port in few octets: nothing is lost, and unknown stays unknown."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doublehop.bandwidth import chunk

MOST = (1 << 63) - 1
days = st.tuples(
    st.integers(0, 2**32),
    st.sampled_from([0, 1, 255, 256, 65_535, 10**9, 2**32, 2**40, MOST]),
    st.sampled_from([0.0, 0.01, 0.5, 1.0]),
)


def a_day(seed, highest, gaps):
    chance = np.random.default_rng(seed)
    inward, out = chance.integers(0, highest, (2, 288), endpoint=True)
    # Now and then slow, so that something is worth deflating.
    if seed % 2:
        out = np.sort(out)
    return inward, out, chance.random(288) >= gaps


@given(st.lists(days, min_size=1, max_size=4))
def test_what_is_unpacked_is_what_was_packed(some):
    made = [a_day(*one) for one in some]
    # Every second day has no chunk.
    chunks = [(2 * place, chunk.pack(*one)) for place, one in enumerate(made)]
    octets, measured = chunk.unpack(chunks, days=2 * len(made))
    for place, (inward, out, known) in enumerate(made):
        assert (octets[0, 2 * place] == inward * known).all()
        assert (octets[1, 2 * place] == out * known).all()
        assert (measured[2 * place] == known).all()
    assert not measured[1::2].any()
    assert not octets[:, 1::2].any()


def test_an_idle_day_takes_next_to_nothing_and_was_measured_all_the_same():
    nothing = np.zeros(288, dtype=np.int64)
    packed = chunk.pack(nothing, nothing, nothing == 0)
    assert len(packed) == chunk.HEAD
    assert chunk.unpack([(0, packed)], days=1)[1].all()


def test_what_changes_slowly_is_deflated_and_noise_is_not():
    chance = np.random.default_rng(7)
    noise = chance.integers(0, 2**32, 288)
    slow = np.full(288, 7 * 2**32) + chance.integers(0, 2**16, 288)
    known = np.ones(288, dtype=bool)
    assert len(chunk.pack(noise, noise, known)) == chunk.HEAD + 2 * 288 * 4
    assert len(chunk.pack(slow, slow, known)) < chunk.HEAD + 2 * 288 * 2 + 100


def test_a_format_of_the_future_is_not_guessed_at():
    with pytest.raises(chunk.BadChunk):
        chunk.unpack([(0, bytes((chunk.FORMAT + 1, 0, 0)) + bytes(36))], days=1)


def test_a_chunk_that_was_cut_short_is_no_day():
    chance = np.random.default_rng(7)
    packed = chunk.pack(*chance.integers(0, 10**9, (2, 288)), np.ones(288, dtype=bool))
    for end in (chunk.HEAD, len(packed) // 2, len(packed) - 1):
        with pytest.raises(ValueError):
            chunk.unpack([(0, packed[:end])], days=1)
