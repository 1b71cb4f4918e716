"""How the worker does, for pages and for `doublehop check`."""

from datetime import datetime, timedelta

from django.utils import timezone

from doublehop.jobs.models import Beat, Job

SILENT_AFTER = timedelta(seconds=30)


def worker_seen_at() -> datetime | None:
    """When a worker last gave a sign of life."""
    beat = Beat.objects.order_by("-at").first()
    return beat.at if beat else None


def worker_is_silent() -> bool:
    seen = worker_seen_at()
    return seen is None or timezone.now() - seen > SILENT_AFTER


def waiting_jobs() -> int:
    return Job.objects.filter(claimed_at__isnull=True, run_at__lte=timezone.now()).count()
