"""How often an upstream may be asked. One meter per upstream account in this process."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from doublehop.driver_kit.contract import Budget
from doublehop.driver_kit.errors import Busy


class Meter:
    """A token bucket (a minute's worth may be used in one burst) and a limit of calls that run together."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._lock = threading.Lock()
        self._running = threading.BoundedSemaphore(budget.at_once)
        self._tokens = float(budget.per_minute)
        self._filled_at = time.monotonic()

    @contextmanager
    def turn(self, wait_seconds: float) -> Iterator[None]:
        """Waits at most ``wait_seconds`` for a place, then raises Busy with the time at which one is likely."""
        until = time.monotonic() + wait_seconds
        self._take_token(until)
        if not self._running.acquire(timeout=max(0.0, until - time.monotonic())):
            raise Busy("too many calls to this upstream at once", retry_at=_in(wait_seconds))
        try:
            yield
        finally:
            self._running.release()

    def _take_token(self, until: float) -> None:
        with self._lock:
            now = time.monotonic()
            per_second = self.budget.per_minute / 60
            self._tokens = min(self.budget.per_minute, self._tokens + (now - self._filled_at) * per_second)
            self._filled_at = now
            missing_seconds = max(0.0, (1 - self._tokens) / per_second)
            if now + missing_seconds > until:
                raise Busy("the request budget of this upstream is used up", retry_at=_in(missing_seconds))
            # Taken before it is there: whoever comes next waits behind us.
            self._tokens -= 1
        if missing_seconds:
            time.sleep(missing_seconds)


def _in(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=max(seconds, 0.1))


_meters: dict[str, Meter] = {}
_meters_lock = threading.Lock()


def meter_for(key: str, budget: Budget) -> Meter:
    """The one meter of ``key`` (driver, endpoint and account joined) in this process; a changed budget starts anew."""
    with _meters_lock:
        meter = _meters.get(key)
        if meter is None or meter.budget != budget:
            meter = _meters[key] = Meter(budget)
        return meter
