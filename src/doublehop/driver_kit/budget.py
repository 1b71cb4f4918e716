"""How often an upstream may be asked: never more than its budget allows in any window, and not at all while it rests.

A *turn* is the right to make one call. Turns are kept by account (driver, endpoint and account joined to a key). Within one
process :class:`OwnKeeper` keeps them; an installation of several processes hands in a keeper that all of them share
(``use_keeper``).
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from doublehop.driver_kit.contract import Budget
from doublehop.driver_kit.errors import Busy

LATE_SHARE = 0.025
"""Of a window: so much later than its turn a call may leave. That much of the allowance is left unused, so that calls which
bunch up on their way to the wire still stay within it."""
LOOKED_AT_AFTER_SECONDS = 0.25
"""Who waited longer for a turn looks whether the account rests meanwhile; a shorter wait is like a call under way."""
SHORTEST_REST_SECONDS = 1.0
LONGEST_REST_SECONDS = 3600.0
"""After so long we ask once more, whatever an upstream said: a slip in its header must not stop an account for a year."""


@dataclass(frozen=True)
class Pace:
    """The generic cell rate algorithm, without a clock. All times and lengths are seconds.

    A turn every ``interval``; who was idle may be ``ahead`` of that; a call that leaves more than ``late`` after its turn
    has lost it. Together: never more than ``Budget.calls`` leave in any half-open window of ``Budget.per_seconds``.
    """

    interval: float
    ahead: float
    late: float

    @classmethod
    def of(cls, budget: Budget) -> "Pace":
        late = budget.per_seconds * LATE_SHARE
        interval = (budget.per_seconds + late) / (budget.calls - budget.burst + 1)
        return cls(interval, (budget.burst - 1) * interval, late)

    def book(self, following: float, now: float) -> tuple[float, float]:
        """(when the call may leave, ``following`` of the next one). ``following`` is what the booking before answered."""
        return max(now, following - self.ahead), max(now, following) + self.interval


class Turn(NamedTuple):
    """What a keeper answers: ``booked``, and the turn comes in ``seconds``; or not, and a turn is likely after ``seconds``."""

    booked: bool
    seconds: float
    resting: bool = False
    """Not booked because the account rests."""


class Keeper(Protocol):
    """Keeps the turns of accounts, for everybody who shares it. Called from any thread; never raises."""

    def book(self, key: str, pace: Pace, patience_seconds: float) -> Turn:
        """Books the next turn when it comes within ``patience_seconds``; otherwise books nothing."""
        ...

    def resting_seconds(self, key: str) -> float:
        """How long the account still rests; 0 when it does not."""
        ...

    def rest(self, key: str, pace: Pace, seconds: float) -> None:
        """Nobody gets a turn for so long, and afterwards no burst makes up for it."""
        ...


class OwnKeeper:
    """The turns of this process alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._following: dict[str, float] = {}
        self._rests_until: dict[str, float] = {}

    def book(self, key: str, pace: Pace, patience_seconds: float) -> Turn:
        with self._lock:
            now = self._clock()
            resting = self._rests_until.get(key, now) - now
            if resting > 0:
                return Turn(False, resting, resting=True)
            at, following = pace.book(self._following.get(key, now), now)
            if at - now > patience_seconds:
                return Turn(False, at - now)
            self._following[key] = following
            return Turn(True, at - now)

    def resting_seconds(self, key: str) -> float:
        with self._lock:
            now = self._clock()
            return max(0.0, self._rests_until.get(key, now) - now)

    def rest(self, key: str, pace: Pace, seconds: float) -> None:
        with self._lock:
            until = self._clock() + seconds
            self._rests_until[key] = until
            self._following[key] = max(self._following.get(key, until), until + pace.ahead)


class Meter:
    """One account's turns, and a limit of calls that run together in this process."""

    def __init__(self, budget: Budget, key: str = "", keeper: Keeper | None = None) -> None:
        self.budget = budget
        self._key = key
        self._keeper = keeper or OwnKeeper()
        self._pace = Pace.of(budget)
        self._running = threading.BoundedSemaphore(budget.at_once)

    @contextmanager
    def turn(self, wait_seconds: float) -> Iterator[None]:
        """Waits at most ``wait_seconds`` for a turn, then raises Busy with the time at which one is likely."""
        until = time.monotonic() + wait_seconds
        if not self._running.acquire(timeout=wait_seconds):
            raise Busy("too many calls to this upstream at once", retry_at=_in(self._pace.interval))
        try:
            self._wait_for_turn(until)
            yield
        finally:
            self._running.release()

    def rest(self, until: datetime) -> None:
        """The upstream asked for patience: the whole account rests until then, within bounds."""
        self._keeper.rest(self._key, self._pace, bounded_rest((until - datetime.now(UTC)).total_seconds()))

    def _wait_for_turn(self, until: float) -> None:
        while True:
            asked_at = time.monotonic()
            turn = self._keeper.book(self._key, self._pace, max(0.0, until - asked_at))
            if turn.resting:
                raise _rests(turn.seconds)
            if not turn.booked:
                raise Busy("the request budget of this upstream is used up", retry_at=_in(turn.seconds))
            time.sleep(turn.seconds)
            if turn.seconds > LOOKED_AT_AFTER_SECONDS:
                resting = self._keeper.resting_seconds(self._key)
                if resting:
                    raise _rests(resting)
            # Woken too late, or told too late by a slow keeper: together with the turns after it this call could be one
            # too many. Counted from the question on, whatever the way to the keeper took.
            if time.monotonic() - asked_at - turn.seconds <= self._pace.late:
                return


def bounded_rest(seconds: float) -> float:
    return min(max(seconds, SHORTEST_REST_SECONDS), LONGEST_REST_SECONDS)


def _rests(seconds: float) -> Busy:
    return Busy("this upstream asked for patience, and rests until then", retry_at=_in(seconds), rests=True)


def _in(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=max(seconds, 0.02))


class _Meters:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keeper: Keeper = OwnKeeper()
        self._known: dict[str, Meter] = {}

    def use_keeper(self, keeper: Keeper) -> None:
        with self._lock:
            self._keeper = keeper
            self._known.clear()

    def meter_for(self, key: str, budget: Budget) -> Meter:
        with self._lock:
            meter = self._known.get(key)
            if meter is None or meter.budget != budget:
                meter = self._known[key] = Meter(budget, key, self._keeper)
            return meter


_meters = _Meters()


def use_keeper(keeper: Keeper) -> None:
    """From now on all meters of this process share the turns that ``keeper`` keeps. For the start of a process."""
    _meters.use_keeper(keeper)


def meter_for(key: str, budget: Budget) -> Meter:
    """The one meter of ``key`` (driver, endpoint and account joined) in this process."""
    return _meters.meter_for(key, budget)
