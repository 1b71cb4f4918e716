"""How much one caller may ask in a minute. Generous: it stops a program gone mad, not a busy one.

Counted in the memory of each web process, because a row for each request would cost more than most requests. An installation
of several web processes grants up to as many times the limit.
"""

import threading
import time
from dataclasses import dataclass

from django.http import HttpRequest

from doublehop.organisations.actor import Actor
from doublehop.organisations.once import caller_of

PER_MINUTE = 3_000
WINDOW_SECONDS = 60


@dataclass(frozen=True)
class Standing:
    remaining: int
    reset_seconds: int
    """Until everything may be asked again."""


class TooManyRequests(Exception):
    def __init__(self, standing: Standing) -> None:
        super().__init__("too many requests")
        self.standing = standing


class Counter:
    """Fixed windows, the same for all callers: the whole table is forgotten with each, so it never grows beyond one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._window = 0
        self._counts: dict[str, int] = {}

    def count(self, caller: str, now: float) -> Standing:
        """Raises TooManyRequests for what is beyond."""
        window, into = divmod(int(now), WINDOW_SECONDS)
        with self._lock:
            if window != self._window:
                self._window, self._counts = window, {}
            asked = self._counts.get(caller, 0) + 1
            self._counts[caller] = asked
        standing = Standing(max(0, self._most - asked), WINDOW_SECONDS - into)
        if asked > self._most:
            raise TooManyRequests(standing)
        return standing


_COUNTER = Counter(PER_MINUTE)


def admit(request: HttpRequest, actor: Actor) -> None:
    """Counts one request of whoever came in. What is left goes into the headers of the answer (``around``)."""
    try:
        standing = _COUNTER.count(caller_of(actor), time.time())
    except TooManyRequests as refused:
        request.api_standing = refused.standing  # type: ignore[attr-defined]
        raise
    request.api_standing = standing  # type: ignore[attr-defined]
