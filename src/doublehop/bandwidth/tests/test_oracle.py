"""The traffic oracle on some days of some switches, and that it notices each way to count wrong. Its months: ``tests/proofs``."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from doublehop.bandwidth import chunk, packed, readings, reckoning, slots
from doublehop.bandwidth.readings import Reason
from doublehop.bandwidth.slots import SLOTS_PER_DAY
from doublehop.bandwidth.tests.oracle import Stack, Tally
from doublehop.bandwidth.tests.traffic import Nature, Period, Trouble, a_device

DAYS = Period(20_000 * SLOTS_PER_DAY, SLOTS_PER_DAY)
NATURES = (Nature.CONTINUOUS, Nature.CONTINUOUS, Nature.BROKEN_OFF, *[Nature.TROUBLED] * 4)
PORTS = 3


def a_stack(seed: int) -> Stack:
    devices = [
        a_device(
            seed * 100 + number,
            DAYS,
            range(1 + PORTS * number, 1 + PORTS * (number + 1)),
            nature=nature,
            often=8,
            narrow=0.25,
        )
        for number, nature in enumerate(NATURES)
    ]
    return Stack.of(devices, seed)


def judged(stack: Stack) -> Tally:
    tally = Tally()
    stack.judge(tally)
    return tally


@pytest.fixture(scope="module")
def stacks() -> list[Stack]:
    """On which nothing is wrong as long as nobody meddles."""
    found = [a_stack(seed) for seed in range(1, 7)]
    assert [judged(one).wrong for one in found] == [[]] * len(found)
    return found


def noticed(stack: Stack) -> bool:
    """A figure that fits nothing may also break what reckons with it."""
    try:
        return bool(judged(stack).wrong)
    except (IndexError, OverflowError):
        return True


@pytest.mark.parametrize("seed", range(1, 4))
def test_never_above_the_truth_and_nothing_missing_where_it_is_known(seed):
    found = judged(a_stack(seed))
    assert found.wrong == []
    assert found.exact > PORTS
    assert found.measured > 0.4 * found.slots
    rare = {Trouble.UPTIME_WRAP, Trouble.EDGE, Trouble.REPLACED, Trouble.WRAP_64, Trouble.OTHER_CARD}
    assert [trouble for trouble in Trouble if not found.happened[trouble] and trouble not in rare] == []


# ---------------------------------------------------------------- what the oracle has to notice

Patch = pytest.MonkeyPatch


def also(patch: Patch, module: object, name: str, change: Callable) -> None:
    """Puts ``change(what was there, *arguments)`` in its place."""
    true = getattr(module, name)
    patch.setattr(module, name, lambda *some, **more: change(true, *some, **more))


def alike(*names: str) -> Callable:
    """Two readings are compared as if these fields had not changed."""

    def change(true, previous, current, *more):
        same = {name: getattr(previous, name) for name in names}
        return true(previous, replace(current, **same), *more)

    return change


def every_fall_is_a_wrap(patch: Patch) -> None:
    patch.setattr(readings, "_grown", lambda before, after, *, may_wrap: (after - before) % 2**64)
    patch.setattr(readings, "_capacity", lambda speed, elapsed: 2**70)


def a_wrap_counts_twice(patch: Patch) -> None:
    def change(true, before, after, *, may_wrap):
        return true(before, after, may_wrap=may_wrap) + (1 << 32 if after < before else 0)

    also(patch, readings, "_grown", change)
    patch.setattr(readings, "_capacity", lambda speed, elapsed: 2**31)


def a_wrap_is_forgotten(patch: Patch) -> None:
    patch.setattr(readings, "_grown", lambda before, after, *, may_wrap: max(0, after - before))


def a_restart_counts_everything(patch: Patch) -> None:
    def change(true, previous, current, since):
        return true(replace(previous, octets_in=2**64, octets_out=2**64), current, since)

    also(patch, readings, "_restarted", change)


def a_restart_is_put_into_slots(patch: Patch) -> None:
    def change(true, previous, current, since):
        return replace(true(previous, current, since), start_ms=current.taken_ms - since, of_no_slot=False)

    also(patch, readings, "_restarted", change)


def a_jump_after_a_restart_is_believed(patch: Patch) -> None:
    also(
        patch,
        readings,
        "_restarted",
        lambda true, old, new, since: true(old, replace(new, discontinuity=0), since),
    )


def an_old_answer_is_put_into_slots(patch: Patch) -> None:
    also(patch, slots, "advance", lambda true, part, interval, at: true(part, interval, at))
    true = readings._measure

    def change(previous, current):
        found = true(previous, current)
        return replace(
            found, start_ms=max(found.start_ms, current.taken_ms - slots.SLOT_MS), of_no_slot=False
        )

    patch.setattr(readings, "_measure", change)


def a_wrap_of_the_uptime_is_a_restart(patch: Patch) -> None:
    def change(true, previous, current):
        return None if current.uptime_cs < previous.uptime_cs else true(previous, current)

    also(patch, readings, "_device_ms", change)


def no_reading_is_ever_twice(patch: Patch) -> None:
    def change(true, standing, reading):
        step = true(standing, reading)
        again = step.unused is not None and step.unused.reason is Reason.DUPLICATE
        return (
            replace(step, gaps=(slots.Gap(standing.open.slot, standing.open.slot + 1, 10**9, 10**9),))
            if again
            else step
        )

    also(patch, packed, "follow", change)


def gaps_are_filled(patch: Patch) -> None:
    patch.setattr(slots, "LONGEST_MS", 10**12)


def a_gap_is_worth_the_last_value(patch: Patch) -> None:
    def change(true, part, interval, at):
        found = true(part, interval, at)
        filled = tuple(
            slots.Part(slot, gap.octets_in, gap.octets_out, slots.SLOT_MS)
            for gap in found.gaps
            for slot in range(gap.first, gap.end)
            if slot < at // slots.SLOT_MS
        )
        return replace(found, measured=(*found.measured, *filled))

    also(patch, readings, "advance", change)


def half_a_slot_is_a_slot(patch: Patch) -> None:
    patch.setattr(slots, "split", lambda interval, step: _all_in_the_last(interval, step))


def _all_in_the_last(interval, step):
    yield slots.Part((interval.end_ms - 1) // slots.SLOT_MS, interval.octets_in, interval.octets_out, step)


def the_open_slot_is_forgotten(patch: Patch) -> None:
    def change(true, standing, now):
        found = true(standing, now)
        found.standing["open_in"] = 0
        return found

    also(patch, packed, "step", change)


def plausible_is_anything(patch: Patch) -> None:
    patch.setattr(
        readings, "_capacity", lambda speed, elapsed: 2**70 if speed > 10**8 else speed * elapsed // 8000
    )


def outages_are_cut_at_midnight(patch: Patch) -> None:
    def within(gaps, first, end):
        return [gap for gap in gaps if first <= gap.first and gap.end <= end]

    patch.setattr(slots, "wholly_within", within)


def only_measured_slots_are_ranked(patch: Patch) -> None:
    def change(true, octets, count, discard=None):
        known = octets[octets > 0]
        return true(known, known.size, known.size * 5 // 100)

    also(patch, reckoning, "ninety_fifth", change)


def one_slot_too_few_is_left_out(patch: Patch) -> None:
    also(
        patch,
        reckoning,
        "ninety_fifth",
        lambda true, octets, count, discard: true(octets, count, discard - 1),
    )


def a_pool_is_ranked_port_by_port(patch: Patch) -> None:
    def change(true, period, members):
        found = true(period, members)
        if len(members) < 2:
            return found
        ranked = [np.sort(one.part(period.first, period.end_slot).octets_out) for one in members]
        return replace(found, octets_out=np.sum(ranked, axis=0))

    also(patch, reckoning, "pooled", change)


def a_chunk_turns_in_and_out_round(patch: Patch) -> None:
    also(patch, chunk, "pack", lambda true, inward, out, measured: true(out, inward, measured))


def a_chunk_loses_its_last_slot(patch: Patch) -> None:
    def change(true, inward, out, measured):
        return true(inward, out, measured & (np.arange(measured.size) < measured.size - 1))

    also(patch, chunk, "pack", change)


def the_quick_way_takes_any_port(patch: Patch) -> None:
    """What is the same for all is looked at, the ports are not."""

    def change(true, standing, now):
        same = now.copy()
        for name in ("ident", "discontinuity", "device", "boots"):
            same[name] = standing[name]
        return true(standing, same)

    also(patch, packed, "_ordinary", change)


SABOTAGES: dict[str, Callable[[Patch], None]] = {
    "a discontinuity is overlooked": lambda patch: also(
        patch, readings, "_continued", alike("discontinuity")
    ),
    "another port is taken for this one": lambda patch: also(patch, readings, "_continued", alike("ident")),
    **{
        one.__name__.replace("_", " "): one
        for one in (
            every_fall_is_a_wrap,
            a_wrap_counts_twice,
            a_wrap_is_forgotten,
            a_restart_counts_everything,
            a_restart_is_put_into_slots,
            a_jump_after_a_restart_is_believed,
            an_old_answer_is_put_into_slots,
            a_wrap_of_the_uptime_is_a_restart,
            no_reading_is_ever_twice,
            gaps_are_filled,
            a_gap_is_worth_the_last_value,
            half_a_slot_is_a_slot,
            the_open_slot_is_forgotten,
            plausible_is_anything,
            outages_are_cut_at_midnight,
            only_measured_slots_are_ranked,
            one_slot_too_few_is_left_out,
            a_pool_is_ranked_port_by_port,
            a_chunk_turns_in_and_out_round,
            a_chunk_loses_its_last_slot,
            the_quick_way_takes_any_port,
        )
    },
}


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_it_is_noticed_that(sabotage, stacks, monkeypatch):
    SABOTAGES[sabotage](monkeypatch)
    assert any(noticed(one) for one in stacks)
