"""What each worker does by the clock: says that it lives, rings for periodics, takes over from workers that are gone."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import structlog
from django.db import close_old_connections, connection

from doublehop.jobs.actions import beat
from doublehop.jobs.engine import BEAT_EVERY_SECONDS, Periodic
from doublehop.jobs.postgresql import rows

log = structlog.get_logger(__name__)

HEARTBEAT_EVERY_SECONDS = 5.0
GONE_AFTER_SECONDS = 20.0
"""A worker without a heartbeat for so long is taken for dead."""
RESCUE_EVERY_SECONDS = 5.0
"""With the two above: what a dead host was doing goes on elsewhere within 25 seconds."""


@dataclass
class Duty:
    every_seconds: float
    do: Callable[[], None]
    due: float = 0.0
    """In seconds since 1970; the first time at once."""


class Timekeeper:
    """A thread of its own: it must go on when every place is taken."""

    def __init__(self, periodics: tuple[Periodic, ...]) -> None:
        self._duties = [
            Duty(BEAT_EVERY_SECONDS, beat),
            Duty(BEAT_EVERY_SECONDS, rows.take_over_table),
            Duty(RESCUE_EVERY_SECONDS, partial(rows.rescue, GONE_AFTER_SECONDS)),
            *(Duty(one.every_seconds, partial(rows.tick, one.name, one.every_seconds)) for one in periodics),
        ]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="timekeeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self.look(time.time())
                until = min(duty.due for duty in self._duties)
                self._stop.wait(max(0.0, until - time.time()))
        finally:
            connection.close()

    def look(self, now: float) -> None:
        """Everything that is due; ``now`` in seconds since 1970."""
        close_old_connections()
        for duty in self._duties:
            if now < duty.due:
                continue
            duty.due = (now // duty.every_seconds + 1) * duty.every_seconds
            try:
                duty.do()
            except Exception:
                # The next turn tries again; the others must not wait for it.
                log.exception("a duty of the worker failed")
                close_old_connections()
