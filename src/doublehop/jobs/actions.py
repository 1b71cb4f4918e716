"""Ringing the doorbell. The caller's transaction decides whether it rang."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from doublehop.jobs.models import Job


@transaction.atomic
def ring(
    name: str,
    *,
    key: str,
    payload: Mapping[str, Any] | None = None,
    lane: str = "main",
    delay_seconds: float = 0.0,
    urgent: bool = False,
    hurry: bool = True,
) -> None:
    """Asks that the job ``name`` runs, at least once, not before ``delay_seconds`` from now.

    Ringing a waiting key again only brings it forward; ringing a running one makes it run once more afterwards.
    Jobs of one ``lane`` share a small number of threads, so one slow upstream never holds up another.
    ``hurry`` False leaves a job that is there already as it is: for whoever only looks after what was forgotten.
    """
    run_at = timezone.now() + timedelta(seconds=delay_seconds)
    # Locked: a job that ends at this very moment would take the ring with it.
    job, new = Job.objects.select_for_update().get_or_create(
        key=key,
        defaults={
            "name": name,
            "payload": dict(payload or {}),
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
