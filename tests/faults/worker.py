"""A worker whose time is moved by hand: what waits is met when its time has come, and nobody sleeps for it."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from doublehop.jobs.engine import Engine
from doublehop.jobs.models import Job
from tests.stage import JOBS, run_jobs

MOST_ROUNDS = 200


def take_over() -> None:
    """A new worker begins, and ends at once: what a dead one had claimed is free again."""
    engine = Engine(JOBS)
    engine.stop()
    engine.run()


def work_until_quiet(clock: Any) -> None:
    """Until no job is left. ``clock`` is what ``time_machine.travel`` gave."""
    for _ in range(MOST_ROUNDS):
        run_jobs()
        waiting = _next()
        if waiting is None:
            return
        clock.shift(max(timedelta(0), waiting.run_at - timezone.now()))
    raise AssertionError(f"never quiet: {list(Job.objects.values('key', 'attempts', 'last_error'))}")


def work_for(clock: Any, span: timedelta) -> None:
    """What becomes due within that time, which has passed afterwards."""
    until = timezone.now() + span
    for _ in range(MOST_ROUNDS):
        run_jobs()
        waiting = _next()
        if waiting is None or waiting.run_at > until:
            clock.shift(max(timedelta(0), until - timezone.now()))
            return
        clock.shift(max(timedelta(0), waiting.run_at - timezone.now()))
    raise AssertionError(f"too much to do: {list(Job.objects.values('key', 'attempts', 'last_error'))}")


def _next() -> Job | None:
    return Job.objects.filter(claimed_at__isnull=True).order_by("run_at").first()
