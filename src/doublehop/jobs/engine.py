"""What answers the doorbell: the words of jobs, and the limits that hold in every worker.

Two runners stand behind ``Engine``: threads around a table (``table``), and Procrastinate (``postgresql``). Both run jobs
at least once: one claimed by a process that died is claimed again. What a job does must therefore be decided by the rows
it is about, never by the fact that it was called.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from doublehop.jobs.doorbell import doorbell

JobFunction = Callable[[Mapping[str, Any]], None]

THREADS = 16
THREADS_PER_LANE = 2
URGENT_THREADS_PER_LANE = 4
"""Places beyond those, in each lane, for urgent work alone. Each waits most of its time for an answer from far away: with three
in all, ten thousand suspensions would use two thirds of the calls that an upstream 60 ms away allows (`make bench`)."""
BEAT_EVERY_SECONDS = 10.0
LONGEST_BACKOFF_SECONDS = 300
RUNG_AGAIN_SECONDS = 2
"""After a failure during which somebody rang again: there may be news, so it waits no longer."""


def pause_after(attempts: int) -> int:
    """Seconds until a job that has failed ``attempts`` times before, and now again, is tried once more."""
    return min(LONGEST_BACKOFF_SECONDS, 1 << min(attempts + 1, 10))


@dataclass(frozen=True)
class Periodic:
    """Runs on the worker every ``every_seconds`` of the clock (a multiple since 1970, so slots are hit exactly).

    Each tick runs once, however many workers there are. One that finds the previous one still running is left out.
    """

    name: str
    every_seconds: int


class Engine:
    """Claims due jobs and runs them. ``functions`` holds every job and periodic by name."""

    def __init__(self, functions: Mapping[str, JobFunction], periodics: tuple[Periodic, ...] = ()) -> None:
        unknown = [periodic.name for periodic in periodics if periodic.name not in functions]
        if unknown:
            raise ValueError(f"periodic jobs without a function: {unknown}")
        self._runner = doorbell().Runner(functions, periodics)

    @property
    def one_per_installation(self) -> bool:
        """Whether a second worker must be refused."""
        return self._runner.one_per_installation

    def run(self) -> None:
        """Until ``stop``: claims and runs. Ends after the running jobs have ended."""
        self._runner.run()

    def stop(self) -> None:
        """From any thread: nothing more is claimed."""
        self._runner.stop()

    def give_up(self) -> None:
        """The process ends now, whatever runs: others may take up its jobs at once."""
        self._runner.give_up()

    def drain(self, timeout_seconds: float = 30.0) -> None:
        """Runs what is due, in this thread, until nothing is: for tests and for one-shot commands. Raises TimeoutError."""
        self._runner.drain(timeout_seconds)
