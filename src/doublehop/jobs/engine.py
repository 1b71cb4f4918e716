"""Threads that answer the doorbell on SQLite: one process, several lanes.

At least once: a job claimed by a process that died is claimed again at the next start. What a job does must therefore
be decided by the rows it is about, never by the fact that it was called.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from django.db import Error as DatabaseFault
from django.db import close_old_connections, transaction
from django.utils import timezone

from doublehop.jobs.models import Beat, Job

JobFunction = Callable[[Mapping[str, Any]], None]
log = structlog.get_logger(__name__)

THREADS = 16
THREADS_PER_LANE = 2
LOOK_EVERY_SECONDS = 0.2
BEAT_EVERY_SECONDS = 10.0
LONGEST_BACKOFF_SECONDS = 300
RUNG_AGAIN_SECONDS = 2
"""After a failure during which somebody rang again: there may be news, so it waits no longer."""


@dataclass(frozen=True)
class Periodic:
    """Runs on the worker every ``every_seconds`` of the clock (a multiple since 1970, so slots are hit exactly).

    A tick that finds the previous one still running is left out.
    """

    name: str
    every_seconds: int


class Engine:
    """Claims due jobs and runs them. ``functions`` holds every job and periodic by name."""

    def __init__(self, functions: Mapping[str, JobFunction], periodics: tuple[Periodic, ...] = ()) -> None:
        unknown = [periodic.name for periodic in periodics if periodic.name not in functions]
        if unknown:
            raise ValueError(f"periodic jobs without a function: {unknown}")
        self._functions = functions
        self._due = {periodic: time.time() for periodic in periodics}
        # Periodics have places of their own: what was claimed never waits behind one.
        self._pool = ThreadPoolExecutor(max_workers=THREADS + len(periodics), thread_name_prefix="job")
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._busy_lanes: Counter[str] = Counter()
        self._busy_periodics: set[str] = set()
        self._unfinished: list[int] = []
        """Jobs whose end could not be written down: to be taken up again as soon as the database answers."""
        self._next_beat = 0.0

    def run(self) -> None:
        """Until ``stop``: looks for work, gives a sign of life. Ends after the running jobs have ended."""
        Job.objects.filter(claimed_at__isnull=False).update(claimed_at=None)
        while not self._stop.is_set():
            try:
                self.look(time.time())
            except DatabaseFault:
                log.exception("the database does not answer")
                close_old_connections()
            self._stop.wait(LOOK_EVERY_SECONDS)
        self._pool.shutdown(wait=True)

    def look(self, now: float) -> None:
        """One round; ``now`` in seconds since 1970."""
        if now >= self._next_beat:
            Beat.objects.update_or_create(worker="worker", defaults={"at": timezone.now()})
            self._next_beat = now + BEAT_EVERY_SECONDS
        while self._unfinished:
            Job.objects.filter(pk=self._unfinished[0]).update(claimed_at=None)
            self._unfinished.pop(0)
        self._start_periodics(now)
        self.start_due()

    def stop(self) -> None:
        self._stop.set()

    def start_due(self) -> int:
        """Claims what is due and has a free place in its lane; answers with how many were started."""
        started = 0
        due = Job.objects.filter(claimed_at__isnull=True, run_at__lte=timezone.now())
        # Left out here and not below: a long queue of one lane must not hide what waits in the others.
        with self._lock:
            crowded = [lane for lane, busy in self._busy_lanes.items() if busy >= THREADS_PER_LANE]
            closed = [lane for lane in crowded if self._busy_lanes[lane] > THREADS_PER_LANE]
        due = due.exclude(lane__in=closed).exclude(lane__in=crowded, urgent=False)
        for job in due.order_by("-urgent", "run_at")[:200]:
            with self._lock:
                full = sum(self._busy_lanes.values()) >= THREADS
                if full:
                    break
                # A place is kept for urgent work (suspend, unsuspend) even in a full lane.
                if self._busy_lanes[job.lane] >= THREADS_PER_LANE + (1 if job.urgent else 0):
                    continue
                self._busy_lanes[job.lane] += 1
            if not Job.objects.filter(pk=job.pk, claimed_at__isnull=True).update(claimed_at=timezone.now()):
                self._leave(job.lane)
                continue
            self._pool.submit(self._run_job, job)
            started += 1
        return started

    def drain(self, timeout_seconds: float = 30.0) -> None:
        """Runs what is due, in this thread, until nothing is: for tests and for one-shot commands."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            job = (
                Job.objects.filter(claimed_at__isnull=True, run_at__lte=timezone.now())
                .order_by("-urgent", "run_at")
                .first()
            )
            if job is None:
                return
            Job.objects.filter(pk=job.pk).update(claimed_at=timezone.now())
            self._run(job)
        raise TimeoutError("jobs still due")

    def _run_job(self, job: Job) -> None:
        try:
            close_old_connections()
            self._run(job)
        except Exception:
            log.exception("a job's end could not be written down", job=job.key)
            self._unfinished.append(job.pk)
        finally:
            self._leave(job.lane)

    def _leave(self, lane: str) -> None:
        with self._lock:
            self._busy_lanes[lane] -= 1

    def _run(self, job: Job) -> None:
        try:
            self._functions[job.name](job.payload)
        except Exception as error:
            log.exception("job failed", job=job.key)
            self._postpone(job, type(error).__name__)
        else:
            self._finish(job)

    @staticmethod
    def _finish(job: Job) -> None:
        with transaction.atomic():
            if not Job.objects.filter(pk=job.pk, rung_again=True).update(
                rung_again=False, claimed_at=None, attempts=0, last_error=""
            ):
                Job.objects.filter(pk=job.pk).delete()

    @staticmethod
    def _postpone(job: Job, error: str) -> None:
        wait = min(LONGEST_BACKOFF_SECONDS, 2 ** min(job.attempts + 1, 10))
        if Job.objects.filter(pk=job.pk, rung_again=True).exists():
            wait = RUNG_AGAIN_SECONDS
        Job.objects.filter(pk=job.pk).update(
            claimed_at=None,
            rung_again=False,
            attempts=job.attempts + 1,
            last_error=error,
            run_at=timezone.now() + timedelta(seconds=wait),
        )

    def _start_periodics(self, now: float) -> None:
        for periodic, due in self._due.items():
            if now < due or periodic.name in self._busy_periodics:
                continue
            self._due[periodic] = (now // periodic.every_seconds + 1) * periodic.every_seconds
            self._busy_periodics.add(periodic.name)
            self._pool.submit(self._run_periodic, periodic.name)

    def _run_periodic(self, name: str) -> None:
        try:
            close_old_connections()
            self._functions[name]({})
        except Exception:
            log.exception("periodic failed", job=name)
        finally:
            self._busy_periodics.discard(name)
