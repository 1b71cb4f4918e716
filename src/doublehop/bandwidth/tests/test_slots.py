"""The arithmetic of slots: never above the truth, nothing lost where the truth is known."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doublehop.bandwidth.readings import UPTIME_WRAP, Reading, Reason, Unused, deltas, follow, in_order
from doublehop.bandwidth.slots import (
    DAY_MS,
    SLOT_MS,
    SLOTS_PER_DAY,
    Gap,
    Interval,
    Part,
    advance,
    gaps_of,
    split,
    wholly_within,
)

START = 5_000_000 * SLOT_MS
GIGABIT = 1_000_000_000


def reading(seconds, octets_in=0, octets_out=0, *, uptime_s=1_000_000, **changes):
    """A reading ``seconds`` after START of a device that had been up for ``uptime_s`` then."""
    fields = {"speed_bps": GIGABIT, **changes}
    return Reading(
        1,
        START + round(seconds * 1000),
        round((uptime_s + seconds) * 100) % UPTIME_WRAP,
        octets_in,
        octets_out,
        **fields,
    )


def reason(previous, current):
    result = deltas(previous, current)
    return result.reason if isinstance(result, Unused) else None


def test_two_readings_give_what_flowed_between_them():
    result = deltas(reading(0, 1000, 50), reading(300, 4000, 70))
    assert result == Interval(START, START + SLOT_MS, 3000, 20)


def test_a_later_reading_with_the_same_counters_is_a_valid_zero():
    assert deltas(reading(0, 7, 7), reading(300, 7, 7)) == Interval(START, START + SLOT_MS, 0, 0)


def test_the_same_reading_again_vanishes():
    first = reading(0, 1000, 1000)
    result = deltas(first, replace(first, taken_ms=first.taken_ms + 300_000))
    assert result == Unused(Reason.DUPLICATE)
    assert not result.new_baseline
    assert not result.counts_as_discarded


def test_a_cached_uptime_with_other_counters_is_nonsense():
    first = reading(0, 1000, 1000)
    assert reason(first, replace(first, taken_ms=first.taken_ms + 300_000, octets_in=2000)) is Reason.NONSENSE


def test_a_reading_whose_device_time_lies_before_had_a_wrong_time_of_ours():
    behind = replace(reading(300, 5000), taken_ms=START + 900_000)
    result = deltas(reading(600, 9000), behind)
    assert result == Unused(Reason.BEHIND)
    assert not result.new_baseline


def test_our_clock_that_went_back_begins_anew():
    before = reading(0, 1000)
    after = replace(reading(3900, 2000), taken_ms=START + 300_000)
    result = deltas(before, after)
    assert result == Unused(Reason.CLOCK)
    assert result.new_baseline


def test_our_clock_that_went_forward_does_not_make_more_octets_plausible():
    after = replace(reading(300, 30_000), taken_ms=START + 3_900_000)
    assert deltas(reading(0), after) == Interval(START, START + 3_900_000, 30_000, 0, of_no_slot=True)
    too_many = GIGABIT // 8 * 700
    assert reason(reading(0), replace(after, octets_in=too_many)) is Reason.IMPLAUSIBLE


def test_an_old_answer_after_a_missed_poll_says_nothing_of_slots():
    """It looks like a clock of ours that went forward: what it tells flowed before the missed poll."""
    old = replace(reading(300, 30_000), taken_ms=START + 600_000)
    result = advance(Part(START // SLOT_MS), deltas(reading(0), old), old.taken_ms)
    assert (result.measured, sum(gap.octets_in for gap in result.gaps)) == ((), 30_000)


def test_a_wrap_of_the_uptime_is_no_reboot():
    near_the_end = UPTIME_WRAP // 100 - 100
    before, after = reading(0, 1000, uptime_s=near_the_end), reading(300, 4000, uptime_s=near_the_end)
    assert after.uptime_cs < before.uptime_cs
    assert deltas(before, after) == Interval(START, START + SLOT_MS, 3000, 0)


def test_after_a_reboot_what_the_new_counters_show_is_certain():
    before = reading(0, 10**15, 10**15)
    after = replace(reading(300, 5000, 6000), uptime_cs=100 * 100)
    assert deltas(before, after) == Interval(START, START + 300_000, 5000, 6000, of_no_slot=True)


def test_after_a_reboot_counters_that_survived_are_not_counted_whole():
    before = reading(0, 10_000, 10_000)
    after = replace(reading(300, 12_000, 10**15), uptime_cs=100 * 100)
    assert deltas(before, after) == Interval(START, START + 300_000, 2000, 0, of_no_slot=True)


def test_a_reboot_hidden_by_a_long_pause_is_seen():
    """The uptime is larger than before and yet shorter than the time that passed."""
    before = replace(reading(0, 5000), uptime_cs=3600 * 100)
    after = replace(reading(5 * 3600, 9000), uptime_cs=2 * 3600 * 100)
    assert deltas(before, after) == Interval(START, START + 5 * 3_600_000, 4000, 0, of_no_slot=True)


def test_counters_that_jumped_after_a_restart_are_not_counted():
    before = reading(0, 10_000, 10_000)
    after = replace(reading(300, 12_000, 12_000), uptime_cs=100 * 100, discontinuity=50 * 100)
    assert reason(before, after) is Reason.DISCONTINUITY


def test_what_flowed_before_a_restart_is_not_put_into_the_slot_after_it():
    """Quiet until the restart, busy after it: a fault-free poller sees fewer octets in the seconds of the next slot."""
    before = reading(8, 10**9)
    after = replace(reading(308, 208_000), uptime_cs=208 * 100)
    result = advance(Part(START // SLOT_MS), deltas(before, after), after.taken_ms)
    assert (result.measured, result.open) == ((), Part(START // SLOT_MS + 1))
    assert sum(gap.octets_in for gap in result.gaps) == 208_000


def test_a_restart_this_very_moment_gives_nothing():
    assert reason(reading(0, 10), replace(reading(300), uptime_cs=0)) is Reason.REBOOTED


def test_a_device_that_was_up_much_longer_than_it_can_be_is_not_believed():
    assert reason(reading(0, 10), replace(reading(300, 20), uptime_cs=200_000_000)) is Reason.CLOCK


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"discontinuity": 77}, Reason.DISCONTINUITY),
        ({"bits": 32}, Reason.DISCONTINUITY),
        ({"device": 2}, Reason.OTHER_DEVICE),
        ({"octets_in": 0}, Reason.BACKWARDS),
        ({"octets_in": -1}, Reason.NONSENSE),
        ({"octets_in": 2**64}, Reason.NONSENSE),
        ({"octets_in": 10**14}, Reason.IMPLAUSIBLE),
        ({"octets_in": 10**18, "speed_bps": 0}, Reason.IMPLAUSIBLE),
    ],
)
def test_what_is_doubtful_is_named_and_not_counted(change, expected):
    assert reason(reading(0, 1000), replace(reading(300, 2000), **change)) is expected


def test_a_wrap_of_64_bits_is_not_guessed():
    assert reason(reading(0, 2**64 - 10), reading(300, 10)) is Reason.BACKWARDS
    result = deltas(reading(0, 2**64 - 1000), reading(300, 2**64 - 1))
    assert isinstance(result, Interval)
    assert result.octets_in == 999


@given(
    before=st.integers(0, 2**32 - 1),
    flowed=st.integers(0, 100_000_000 * 300 // 8),
    seconds=st.integers(1, 300),
)
def test_32_bits_wrap_once_where_the_port_is_slow_enough(before, flowed, seconds):
    flowed = flowed * seconds // 300
    after = (before + flowed) % 2**32
    ports = {"bits": 32, "speed_bps": 100_000_000}
    result = deltas(reading(0, before, **ports), reading(seconds, after, **ports))
    assert isinstance(result, Interval)
    assert result.octets_in == flowed


@pytest.mark.parametrize("speed", [0, GIGABIT])
def test_32_bits_on_a_quick_port_are_not_used(speed):
    ports = {"bits": 32, "speed_bps": speed}
    assert reason(reading(0, 100, **ports), reading(300, 200, **ports)) is Reason.AMBIGUOUS


def test_32_bits_are_not_taken_for_wrapped_when_the_device_may_have_restarted():
    ports = {"bits": 32, "speed_bps": 10_000_000, "uptime_s": 30}
    before = reading(0, 1_000_000, **ports)
    after = replace(reading(300, 500, **ports), uptime_cs=290 * 100)
    assert reason(before, after) is Reason.BACKWARDS


# ---------------------------------------------------------------- splitting


@given(
    start=st.integers(START, START + DAY_MS),
    length=st.integers(1, 3 * DAY_MS),
    octets_in=st.integers(0, 2**63),
    octets_out=st.integers(0, 2**63),
    step=st.sampled_from([SLOT_MS, DAY_MS]),
)
def test_splitting_keeps_every_octet(start, length, octets_in, octets_out, step):
    parts = list(split(Interval(start, start + length, octets_in, octets_out), step))
    assert sum(part.octets_in for part in parts) == octets_in
    assert sum(part.octets_out for part in parts) == octets_out
    assert sum(part.covered_ms for part in parts) == length
    assert min(min(part.octets_in, part.octets_out) for part in parts) >= 0


def test_an_interval_off_the_grid_is_split_pro_rata():
    parts = list(split(Interval(START + 200_000, START + 500_000, 300, 600), SLOT_MS))
    slot = START // SLOT_MS
    assert parts == [Part(slot, 100, 200, 100_000), Part(slot + 1, 200, 400, 200_000)]


def test_a_slot_is_complete_when_the_next_one_has_begun():
    slot = START // SLOT_MS
    first = advance(Part(slot, 0, 0, 0), None, START + 2000)
    assert first.open == Part(slot)
    second = advance(first.open, Interval(START + 2000, START + 302_000, 3000, 300), START + 302_000)
    assert second.measured == (Part(slot, 2980, 298, 298_000),)
    assert second.open == Part(slot + 1, 20, 2, 2000)


def test_a_slot_of_which_too_little_was_seen_counts_for_the_day_only():
    slot = START // SLOT_MS
    result = advance(Part(slot), Interval(START + 200_000, START + 300_000, 50, 5), START + 300_000)
    assert result.measured == ()
    assert result.gaps == (Gap(slot, slot + 1, 50, 5),)
    assert result.open == Part(slot + 1)


def test_the_octets_of_a_missed_round_belong_to_no_slot():
    """Spread evenly they could lift a percentile above what was so."""
    slot = START // SLOT_MS
    begun = Part(slot, 7, 7, 2000)
    missed = advance(begun, Interval(START + 2000, START + 602_000, 200, 200), START + 602_000)
    assert (missed.measured, missed.open) == ((), Part(slot + 2))
    assert missed.gaps == (Gap(slot, slot + 3, 207, 207),)


def test_of_an_outage_over_the_edge_of_a_period_nothing_is_counted_on_either_side():
    midnight = START // DAY_MS * DAY_MS + 2 * DAY_MS
    edge = midnight // SLOT_MS
    pieces = list(gaps_of(Interval(midnight - 2 * DAY_MS + 7, midnight + DAY_MS - 7, 900, 900)))
    assert len(pieces) == 3
    inside = Gap(edge + 20, edge + 23, 5, 5)
    assert wholly_within([inside, *pieces], edge, edge + SLOTS_PER_DAY) == [inside]
    assert wholly_within([inside, *pieces], edge - 2 * SLOTS_PER_DAY, edge) == []
    assert wholly_within(pieces, edge - 2 * SLOTS_PER_DAY, edge + SLOTS_PER_DAY) == pieces


@pytest.mark.parametrize(
    ("before", "after"),
    [({"boots": 3, "engine_s": 10**6}, {"boots": 3, "engine_s": 10**6 + 300})],
)
def test_the_engines_seconds_tell_a_wrap_of_the_uptime_from_a_restart(before, after):
    first = replace(reading(0, 1000), uptime_cs=UPTIME_WRAP - 100, **before)
    assert deltas(first, replace(reading(300, 4000), uptime_cs=29_900, **after)) == Interval(
        START, START + SLOT_MS, 3000, 0
    )


def test_another_port_under_the_same_name_is_a_doubt():
    result = deltas(reading(0, 1000, ident=5), reading(300, 4000, ident=6))
    assert result == Unused(Reason.OTHER_PORT, 3000, 0)
    assert result.is_doubtful


def test_a_port_that_says_nothing_of_itself_once_is_remembered():
    silent = follow(follow(None, reading(0, ident=5)).standing, reading(300))
    assert follow(silent.standing, reading(600, ident=6)).unused == Unused(Reason.OTHER_PORT)


def test_readings_are_put_in_order_and_kept_once():
    one, two = reading(0), reading(300)
    assert in_order([two, one, two]) == [one, two]


# ---------------------------------------------------------------- the whole way, against an oracle

EVENTS = st.sampled_from(["flow", "flow", "flow", "flow", "miss", "reboot", "repeat", "jitter"])


@given(
    events=st.lists(st.tuples(EVENTS, st.integers(0, GIGABIT // 8 * 300)), min_size=2, max_size=40),
    began_at=st.sampled_from([0, 2**40, 2**64 - 2**36]),
)
def test_whatever_happens_the_volume_is_never_above_the_truth(events, began_at):
    """A switch with an exact ledger, read every 300 s; reboots zero its counters, some rounds are missed or repeated."""
    true, counter, uptime, clock = 0, began_at, 10**6, 0.0
    continuous = began_at + sum(octets for _, octets in events) < 2**64
    step, counted = follow(None, reading(0, counter)), 0
    for event, octets in events:
        clock += 300
        true += octets
        counter += octets
        if event == "reboot":
            continuous = False
            # Half of the octets before the restart, half after it.
            counter, uptime = octets // 2, 150 - clock
        if event == "miss":
            continue
        shown = reading(clock + (1.7 if event == "jitter" else 0), counter % 2**64, uptime_s=uptime)
        for _ in range(2 if event == "repeat" else 1):
            step = follow(step.standing, shown)
            counted += sum(part.octets_in for part in (*step.measured, *step.gaps))
        assert counted + step.standing.open.octets_in <= true
        if continuous:
            assert counted + step.standing.open.octets_in == true
