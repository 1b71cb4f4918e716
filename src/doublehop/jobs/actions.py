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
) -> None:
    """Asks that the job ``name`` runs, at least once, not before ``delay_seconds`` from now.

    Ringing a waiting key again only brings it forward; ringing a running one makes it run once more afterwards.
    Jobs of one ``lane`` share a small number of threads, so one slow upstream never holds up another.
    """
    run_at = timezone.now() + timedelta(seconds=delay_seconds)
    job, new = Job.objects.get_or_create(
        key=key,
        defaults={
            "name": name,
            "payload": dict(payload or {}),
            "lane": lane,
            "run_at": run_at,
            "urgent": urgent,
        },
    )
    if new:
        return
    same = Job.objects.filter(pk=job.pk)
    if job.claimed_at is not None:
        sooner = run_at if not job.rung_again else min(run_at, job.run_at)
        same.update(rung_again=True, run_at=sooner)
    else:
        same.update(run_at=min(run_at, job.run_at), urgent=urgent or job.urgent)
