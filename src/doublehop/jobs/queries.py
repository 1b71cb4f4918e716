"""How the workers do, for pages and for `doublehop check`."""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.utils import timezone

from doublehop.jobs.doorbell import doorbell
from doublehop.jobs.models import Beat

SILENT_AFTER = timedelta(seconds=30)


def worker_seen_at() -> datetime | None:
    """When a worker last gave a sign of life."""
    beat = Beat.objects.order_by("-at").first()
    return beat.at if beat else None


def worker_is_silent() -> bool:
    """No worker gives signs of life; one of several is enough."""
    seen = worker_seen_at()
    return seen is None or timezone.now() - seen > SILENT_AFTER


def workers() -> list[str]:
    """Those that give signs of life, as ``host:process id``. One that has just ended is among them for a while."""
    fresh = Beat.objects.filter(at__gte=timezone.now() - SILENT_AFTER)
    return list(fresh.order_by("worker").values_list("worker", flat=True))


def rung(keys: Collection[str]) -> set[str]:
    """Those of ``keys`` whose job waits or runs. For whoever looks after what was forgotten among very many."""
    return doorbell().rung(keys)


def waiting_jobs() -> int:
    """How many are due and wait for a free place."""
    return doorbell().waiting_jobs()
