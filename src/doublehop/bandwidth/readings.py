"""From counter readings of one port to octets between two moments. Pure: no database, no clock.

Where the truth is not known the answer is a lower bound or a reason, never a guess: what is counted here is never above
what flowed. This is the definition; ``bandwidth.packed`` does the same for many ordinary ports at once.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from doublehop.bandwidth.slots import DAY_MS, SLOT_MS, Gap, Interval, Part, advance

UPTIME_WRAP = 1 << 32
CLOCK_SLACK_MS = 60_000
LATEST_MS = DAY_MS
"""A reading that arrives longer than that after a newer one is not taken in any more."""
FASTEST_BPS = 1_600_000_000_000
"""Stands in for the speed of a port that does not tell it: no port is faster."""


class Reason(StrEnum):
    """Why a reading gave no octets. The texts end the sentence "not counted: …" for staff."""

    DUPLICATE = "the same reading again"
    LATE = "it arrived more than a day after a later one"
    NONSENSE = "values that no counter can have"
    BEHIND = "the device's clock is behind an earlier reading, so ours was wrong"
    CLOCK = "the device's clock and ours disagree"
    REBOOTED = "the device has just restarted"
    DISCONTINUITY = "the device says that its counters jumped"
    AMBIGUOUS = "32-bit counters are too small for this speed"
    OTHER_DEVICE = "another device answered"
    OTHER_PORT = "another port answers under this name"
    BACKWARDS = "the counters went backwards"
    IMPLAUSIBLE = "more than the port can carry"


_KEEPS_BASELINE = frozenset({Reason.DUPLICATE, Reason.NONSENSE, Reason.BEHIND})
DOUBTFUL = frozenset({Reason.OTHER_DEVICE, Reason.OTHER_PORT, Reason.BACKWARDS, Reason.IMPLAUSIBLE})
"""What is not guessed and not dropped: a person decides."""


@dataclass(frozen=True)
class Reading:
    """One port, once. ``uptime_cs`` is the device's clock in 1/100 s (wraps at 2^32); ``speed_bps`` 0 = not known.

    ``device`` and ``ident`` are digests of who the device and the port say they are; ``ident``, ``boots`` and
    ``engine_s`` 0 = not known.
    """

    device: int
    taken_ms: int
    uptime_cs: int
    octets_in: int
    octets_out: int
    bits: int = 64
    speed_bps: int = 0
    discontinuity: int = 0
    ident: int = 0
    boots: int = 0
    engine_s: int = 0


@dataclass(frozen=True)
class Unused:
    """No octets from this reading. ``new_baseline``: the next one is measured from it all the same.

    ``octets_in`` and ``octets_out``: of a doubtful one, what it would have been.
    """

    reason: Reason
    octets_in: int = 0
    octets_out: int = 0

    @property
    def new_baseline(self) -> bool:
        return self.reason not in _KEEPS_BASELINE

    @property
    def counts_as_discarded(self) -> bool:
        return self.reason is not Reason.DUPLICATE

    @property
    def is_doubtful(self) -> bool:
        return self.reason in DOUBTFUL


class _NotCounted(Exception):
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


# ---------------------------------------------------------------- two readings -> one interval


def deltas(previous: Reading, current: Reading) -> Interval | Unused:
    """What flowed between two readings of one port, of which ours of ``current`` is not the earlier one."""
    try:
        _check(previous, current)
        return _measure(previous, current)
    except _NotCounted as why:
        if why.reason not in DOUBTFUL:
            return Unused(why.reason)
        return Unused(
            why.reason,
            _would_be(previous.octets_in, current.octets_in, why.reason),
            _would_be(previous.octets_out, current.octets_out, why.reason),
        )


def _would_be(before: int, after: int, reason: Reason) -> int:
    if after >= before:
        return after - before
    return after if reason is Reason.BACKWARDS else 0


def _check(previous: Reading, current: Reading) -> None:
    counters = (current.octets_in, current.octets_out)
    if (
        not all(0 <= value < 1 << current.bits for value in counters)
        or not 0 <= current.uptime_cs < UPTIME_WRAP
    ):
        raise _NotCounted(Reason.NONSENSE)
    if current.device != previous.device:
        raise _NotCounted(Reason.OTHER_DEVICE)
    if current.uptime_cs == previous.uptime_cs and current.boots == previous.boots:
        same = counters == (previous.octets_in, previous.octets_out)
        raise _NotCounted(Reason.DUPLICATE if same else Reason.NONSENSE)


def _measure(previous: Reading, current: Reading) -> Interval:
    ours = current.taken_ms - previous.taken_ms
    since_boot = current.engine_s * 1000 or current.uptime_cs * 10
    if current.boots and current.boots < previous.boots:
        raise _NotCounted(Reason.BEHIND)
    if current.boots and previous.boots and current.boots > previous.boots:
        return _restarted(previous, current, min(since_boot, ours))
    device = _device_ms(previous, current)
    if device is not None and abs(device - ours) <= _slack(ours):
        return _continued(previous, current, ours)
    if since_boot <= ours + CLOCK_SLACK_MS:
        return _restarted(previous, current, min(since_boot, ours))
    if device is None or device > UPTIME_WRAP * 5:
        # Half of the way round: it is not the device's clock that leapt 248 days.
        raise _NotCounted(Reason.BEHIND)
    if device > ours:
        raise _NotCounted(Reason.CLOCK)
    # Up since before the previous reading, so it was our clock that went forward, or the answer is an old one: the device's
    # clock is believed for how long it was, and nobody knows when.
    return replace(_continued(previous, current, device), start_ms=previous.taken_ms, of_no_slot=True)


def _device_ms(previous: Reading, current: Reading) -> int | None:
    """How far the device's clock went on; None when it went back. The engine's seconds tell a wrap from a restart."""
    uptime = (current.uptime_cs - previous.uptime_cs) % UPTIME_WRAP * 10
    if not (current.engine_s and previous.engine_s):
        return uptime
    engine = (current.engine_s - previous.engine_s) * 1000
    if engine < 0:
        return None
    return uptime if abs(engine - uptime) <= 2000 else engine


def _slack(elapsed_ms: int) -> int:
    return CLOCK_SLACK_MS + elapsed_ms // 50


def _continued(previous: Reading, current: Reading, elapsed_ms: int) -> Interval:
    if current.ident and previous.ident and current.ident != previous.ident:
        raise _NotCounted(Reason.OTHER_PORT)
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
    if current.ident and previous.ident and current.ident != previous.ident:
        raise _NotCounted(Reason.OTHER_PORT)
    if since_boot_ms <= 0:
        raise _NotCounted(Reason.REBOOTED)
    if current.discontinuity:
        # They jumped since the restart as well: nobody says from what they went on.
        raise _NotCounted(Reason.DISCONTINUITY)
    possible = _capacity(current.speed_bps or FASTEST_BPS, since_boot_ms)

    def at_least(before: int, after: int) -> int:
        # Counters that survived the restart grew by the difference, others by all they show: the smaller is certain.
        least = after - before if after >= before else after
        return least if least <= possible else 0

    # Those that survived may have grown before the restart.
    return Interval(
        previous.taken_ms,
        current.taken_ms,
        at_least(previous.octets_in, current.octets_in),
        at_least(previous.octets_out, current.octets_out),
        of_no_slot=True,
    )


def _capacity(speed_bps: int, elapsed_ms: int) -> int:
    """The octets that a port can carry, with 2 % for clocks that run differently."""
    return speed_bps * elapsed_ms * 102 // (8 * 1000 * 100)


# ---------------------------------------------------------------- a port through all of its readings


@dataclass(frozen=True)
class Standing:
    """How far a port has been followed: the reading that the next one is measured from, and the slot that still runs."""

    reading: Reading
    open: Part


@dataclass(frozen=True)
class Step:
    """What one more reading brought."""

    standing: Standing
    measured: tuple[Part, ...] = ()
    gaps: tuple[Gap, ...] = ()
    unused: Unused | None = None


def follow(standing: Standing | None, reading: Reading) -> Step:
    """Readings are followed in the order of their times, whatever the order in which they arrived (``in_order``)."""
    if standing is None:
        return Step(Standing(reading, Part(reading.taken_ms // SLOT_MS)))
    result = deltas(standing.reading, reading)
    unused = result if isinstance(result, Unused) else None
    if unused is not None and not unused.new_baseline:
        return Step(standing, unused=unused)
    moved = advance(standing.open, None if isinstance(result, Unused) else result, reading.taken_ms)
    # A port that says nothing of itself this once is still the one that it was.
    known = reading if reading.ident else replace(reading, ident=standing.reading.ident)
    return Step(Standing(known, moved.open), moved.measured, moved.gaps, unused)


def in_order(readings: Iterable[Reading]) -> list[Reading]:
    """Each once, by our time, then by the device's."""
    return sorted(set(readings), key=lambda one: (one.taken_ms, one.boots, one.engine_s, one.uptime_cs))
