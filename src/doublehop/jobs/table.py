"""The doorbell of an installation with one worker: a table, and threads that look at it."""

import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import structlog
from django.db import Error as DatabaseFault
from django.db import close_old_connections, connection, transaction
from django.utils import timezone

from doublehop.jobs.actions import beat
from doublehop.jobs.engine import (
    BEAT_EVERY_SECONDS,
    RUNG_AGAIN_SECONDS,
    THREADS,
    THREADS_PER_LANE,
    URGENT_THREADS_PER_LANE,
    JobFunction,
    Periodic,
    pause_after,
)
from doublehop.jobs.models import Job

log = structlog.get_logger(__name__)

LOOK_EVERY_SECONDS = 0.2
GLANCE_EVERY_SECONDS = 0.02
"""Whether anybody wrote to the database: SQLite answers that from memory, a look is made only then."""


def ring(
    name: str,
    *,
    key: str,
    payload: Mapping[str, Any],
    lane: str,
    delay_seconds: float,
    urgent: bool,
    hurry: bool,
) -> None:
    """As ``actions.ring`` says, which gives the transaction."""
    run_at = timezone.now() + timedelta(seconds=delay_seconds)
    # Locked: a job that ends at this very moment would take the ring with it.
    job, new = Job.objects.select_for_update().get_or_create(
        key=key,
        defaults={
            "name": name,
            "payload": dict(payload),
            "lane": lane,
            "run_at": run_at,
            "urgent": urgent,
        },
    )
    if new or not hurry:
        return
    if job.claimed_at is None or job.rung_again:
        run_at = min(run_at, job.run_at)
    Job.objects.filter(pk=job.pk).update(
        run_at=run_at, rung_again=job.claimed_at is not None, urgent=urgent or job.urgent
    )


def rung(keys: Collection[str]) -> set[str]:
    return {key for key in Job.objects.values_list("key", flat=True).iterator() if key in keys}


def waiting_jobs() -> int:
    return Job.objects.filter(claimed_at__isnull=True, run_at__lte=timezone.now()).count()


def _version() -> int:
    """Changes when another connection has written. Elsewhere than on SQLite always 0."""
    if connection.vendor != "sqlite":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA data_version")
        return int(cursor.fetchone()[0])


class Runner:
    """One process, several lanes. It begins by taking up what another left, so there must be no second one."""

    one_per_installation = True

    def __init__(self, functions: Mapping[str, JobFunction], periodics: tuple[Periodic, ...] = ()) -> None:
        self._functions = functions
        self._due = {periodic: time.time() for periodic in periodics}
        # Periodics have places of their own: what was claimed never waits behind one.
        self._pool = ThreadPoolExecutor(max_workers=THREADS + len(periodics), thread_name_prefix="job")
        self._stop = threading.Event()
        self._news = threading.Event()
        """A place became free, or it is time to stop."""
        self._lock = threading.Lock()
        self._busy_lanes: Counter[str] = Counter()
        self._busy_periodics: set[str] = set()
        self._unfinished: list[int] = []
        """Jobs whose end could not be written down: to be taken up again as soon as the database answers."""
        self._next_beat = 0.0

    def run(self) -> None:
        Job.objects.filter(claimed_at__isnull=False).update(claimed_at=None)
        while not self._stop.is_set():
            try:
                seen = _version()
                self.look(time.time())
                self._wait_for_news(seen)
            except DatabaseFault:
                log.exception("the database does not answer")
                close_old_connections()
                self._stop.wait(LOOK_EVERY_SECONDS)
        self._pool.shutdown(wait=True)

    def _wait_for_news(self, seen: int) -> None:
        """At most until the next look is due. ``seen`` is the version of the database before the last one."""
        until = time.monotonic() + LOOK_EVERY_SECONDS
        while not self._news.wait(GLANCE_EVERY_SECONDS) and time.monotonic() < until:
            if _version() != seen:
                break
        self._news.clear()

    def look(self, now: float) -> None:
        """One round; ``now`` in seconds since 1970."""
        if now >= self._next_beat:
            beat()
            self._next_beat = now + BEAT_EVERY_SECONDS
        while self._unfinished:
            Job.objects.filter(pk=self._unfinished[0]).update(claimed_at=None)
            self._unfinished.pop(0)
        self._start_periodics(now)
        self.start_due()

    def stop(self) -> None:
        self._stop.set()
        self._news.set()

    def give_up(self) -> None:
        """The next worker takes up everything at its start."""

    def start_due(self) -> int:
        """Claims what is due and has a free place in its lane; answers with how many were started."""
        started = 0
        due = Job.objects.filter(claimed_at__isnull=True, run_at__lte=timezone.now())
        # Left out here and not below: a long queue of one lane must not hide what waits in the others.
        with self._lock:
            crowded = [lane for lane, busy in self._busy_lanes.items() if busy >= THREADS_PER_LANE]
            most = THREADS_PER_LANE + URGENT_THREADS_PER_LANE
            closed = [lane for lane in crowded if self._busy_lanes[lane] >= most]
        due = due.exclude(lane__in=closed).exclude(lane__in=crowded, urgent=False)
        for job in due.order_by("-urgent", "run_at")[: 2 * THREADS]:
            with self._lock:
                full = sum(self._busy_lanes.values()) >= THREADS
                if full:
                    break
                # Places are kept for urgent work (suspend, unsuspend) even in a full lane.
                if self._busy_lanes[job.lane] >= (most if job.urgent else THREADS_PER_LANE):
                    continue
                self._busy_lanes[job.lane] += 1
            if not Job.objects.filter(pk=job.pk, claimed_at__isnull=True).update(claimed_at=timezone.now()):
                self._leave(job.lane)
                continue
            self._pool.submit(self._run_job, job)
            started += 1
        return started

    def drain(self, timeout_seconds: float = 30.0) -> None:
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
        self._news.set()

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
        wait = pause_after(job.attempts)
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
