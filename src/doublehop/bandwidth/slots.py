"""From counter readings to octets per slot. Pure: no database, no clock.

A slot is a fixed interval of 300 s of UTC, numbered from 1970. Moments are milliseconds since 1970, octets integers,
and everything speaks from the server's side. Where the truth is not known the answer is a lower bound or a reason,
never a guess: what is counted here is never above what flowed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

SLOT_SECONDS = 300
SLOT_MS = SLOT_SECONDS * 1000
SLOTS_PER_DAY = 288
DAY_MS = SLOT_MS * SLOTS_PER_DAY

ENOUGH_MS = SLOT_MS * 9 // 10
"""A slot counts as measured when so much of it was covered; polls a few seconds off the grid must not open gaps."""
LONGEST_MS = 2 * SLOT_MS + 30_000
"""A longer interval says nothing about single slots (one poll may be missed, with its jitter)."""
UPTIME_WRAP = 1 << 32
CLOCK_SLACK_MS = 60_000
LATEST_MS = DAY_MS
"""No reading arrives later than that: an older time means that our clock was wrong before."""
FASTEST_BPS = 1_600_000_000_000
"""Stands in for the speed of a port that does not tell it: no port is faster."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Reason(StrEnum):
    """Why a reading gave no octets. The texts end the sentence "not counted: …" for staff."""

    DUPLICATE = "the same reading again"
    LATE = "it arrived after a later one"
    NONSENSE = "values that no counter can have"
    OTHER_DEVICE = "another device answered"
    CLOCK = "the device's clock and ours disagree"
    REBOOTED = "the device has just restarted"
    DISCONTINUITY = "the device says that its counters jumped"
    BACKWARDS = "the counters went backwards"
    AMBIGUOUS = "32-bit counters are too small for this speed"
    IMPLAUSIBLE = "more than the port can carry"


_KEEPS_BASELINE = frozenset({Reason.DUPLICATE, Reason.LATE, Reason.NONSENSE})


@dataclass(frozen=True)
class Reading:
    """One port, once. ``uptime_cs`` is the device's clock in 1/100 s (wraps at 2^32); ``speed_bps`` 0 = not known."""

    device: str
    taken_ms: int
    uptime_cs: int
    octets_in: int
    octets_out: int
    bits: int = 64
    speed_bps: int = 0
    discontinuity: int = 0


@dataclass(frozen=True)
class Interval:
    """Octets that flowed between two moments, both of our clock, their distance of the device's."""

    start_ms: int
    end_ms: int
    octets_in: int
    octets_out: int


@dataclass(frozen=True)
class Unused:
    """No octets from this reading. ``new_baseline``: the next one is still measured from it."""

    reason: Reason

    @property
    def new_baseline(self) -> bool:
        return self.reason not in _KEEPS_BASELINE

    @property
    def counts_as_discarded(self) -> bool:
        return self.reason is not Reason.DUPLICATE


class _NotCounted(Exception):
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


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


# ---------------------------------------------------------------- two readings -> one interval


def deltas(previous: Reading, current: Reading) -> Interval | Unused:
    """What flowed between two readings of one port, in the order in which they arrived."""
    try:
        _check_order(previous, current)
        return _measure(previous, current)
    except _NotCounted as why:
        return Unused(why.reason)


def _check_order(previous: Reading, current: Reading) -> None:
    counters = (current.octets_in, current.octets_out)
    if (
        not all(0 <= value < 1 << current.bits for value in counters)
        or not 0 <= current.uptime_cs < UPTIME_WRAP
    ):
        raise _NotCounted(Reason.NONSENSE)
    if current.device != previous.device:
        raise _NotCounted(Reason.OTHER_DEVICE)
    if current.uptime_cs == previous.uptime_cs:
        same = counters == (previous.octets_in, previous.octets_out)
        raise _NotCounted(Reason.DUPLICATE if same else Reason.NONSENSE)
    if current.taken_ms <= previous.taken_ms:
        clock_was_wrong = (
            current.uptime_cs > previous.uptime_cs or previous.taken_ms - current.taken_ms > LATEST_MS
        )
        raise _NotCounted(Reason.CLOCK if clock_was_wrong else Reason.LATE)


def _measure(previous: Reading, current: Reading) -> Interval:
    ours = current.taken_ms - previous.taken_ms
    device = (current.uptime_cs - previous.uptime_cs) % UPTIME_WRAP * 10
    since_boot = current.uptime_cs * 10
    if abs(device - ours) <= _slack(ours):
        return _continued(previous, current, device)
    if current.uptime_cs < previous.uptime_cs or since_boot < ours:
        return _restarted(previous, current, min(since_boot, ours))
    if device > ours:
        raise _NotCounted(Reason.CLOCK)
    # Up since before the previous reading, so it was our clock that went forward: the device's is believed.
    return _continued(previous, current, device)


def _slack(elapsed_ms: int) -> int:
    return CLOCK_SLACK_MS + elapsed_ms // 50


def _continued(previous: Reading, current: Reading, elapsed_ms: int) -> Interval:
    if current.discontinuity != previous.discontinuity or current.bits != previous.bits:
        raise _NotCounted(Reason.DISCONTINUITY)
    if current.bits == 32 and _capacity(current.speed_bps or FASTEST_BPS, elapsed_ms) >= 1 << 32:
        raise _NotCounted(Reason.AMBIGUOUS)
    # A wrap may only be concluded where a restart is out of question: within the slack of the clocks it is not.
    may_wrap = current.bits == 32 and _slack(elapsed_ms) <= previous.uptime_cs * 10 <= current.uptime_cs * 10
    octets = [
        _grown(before, after, may_wrap=may_wrap)
        for before, after in (
            (previous.octets_in, current.octets_in),
            (previous.octets_out, current.octets_out),
        )
    ]
    # One slot more than the time that passed: devices cache their counters.
    if max(octets) > _capacity(current.speed_bps or FASTEST_BPS, elapsed_ms + SLOT_MS):
        raise _NotCounted(Reason.IMPLAUSIBLE)
    return Interval(current.taken_ms - elapsed_ms, current.taken_ms, octets[0], octets[1])


def _grown(before: int, after: int, *, may_wrap: bool) -> int:
    if after >= before:
        return after - before
    if may_wrap:
        return after - before + (1 << 32)
    raise _NotCounted(Reason.BACKWARDS)


def _restarted(previous: Reading, current: Reading, since_boot_ms: int) -> Interval:
    if since_boot_ms <= 0:
        raise _NotCounted(Reason.REBOOTED)
    possible = _capacity(current.speed_bps or FASTEST_BPS, since_boot_ms)

    def at_least(before: int, after: int) -> int:
        # Counters that survived the restart grew by the difference, others by all they show: the smaller is certain.
        least = after - before if after >= before else after
        return least if least <= possible else 0

    return Interval(
        current.taken_ms - since_boot_ms,
        current.taken_ms,
        at_least(previous.octets_in, current.octets_in),
        at_least(previous.octets_out, current.octets_out),
    )


def _capacity(speed_bps: int, elapsed_ms: int) -> int:
    """The octets that a port can carry, with 2 % for clocks that run differently."""
    return speed_bps * elapsed_ms * 102 // (8 * 1000 * 100)


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
class Advance:
    """What became certain: slots, and ``loose`` octets that belong to a day but to no measured slot of it."""

    measured: tuple[Part, ...]
    loose: tuple[Part, ...]
    open: Part
    """The slot that is still running, with what is known of it."""


def advance(open_part: Part, interval: Interval | None, at_ms: int) -> Advance:
    """Goes on to ``at_ms``, the time of the newest reading. No octet is lost or counted twice on the way.

    An interval longer than LONGEST_MS leaves its slots unmeasured, but its octets are exact and count by the day.
    """
    slots = {open_part.slot: open_part}
    loose: list[Part] = []
    if interval is not None and interval.end_ms - interval.start_ms > LONGEST_MS:
        loose.extend(split(interval, DAY_MS))
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
            loose.append(part)
    return Advance(tuple(measured), tuple(loose), now_open)


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
