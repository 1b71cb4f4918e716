"""Ringing the doorbell, and the worker's sign of life. The caller's transaction decides whether it rang."""

import os
import socket
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from doublehop.jobs.doorbell import doorbell
from doublehop.jobs.models import Beat

FORGET_BEATS_AFTER = timedelta(hours=1)
"""Of workers that are gone. While somebody works, nobody asks for them; when nobody does, the last one stays."""


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
    A negative delay of an urgent one: as if it had been due for so long, so it comes before others that are as urgent.
    ``hurry`` False leaves a job that is there already as it is: for whoever only looks after what was forgotten.
    """
    doorbell().ring(
        name,
        key=key,
        payload=dict(payload or {}),
        lane=lane,
        delay_seconds=delay_seconds,
        urgent=urgent,
        hurry=hurry,
    )


def beat() -> None:
    """This process works. Each has a row of its own, by host and process id."""
    now = timezone.now()
    worker = f"{socket.gethostname()[:60]}:{os.getpid()}"
    Beat.objects.update_or_create(worker=worker, defaults={"at": now})
    Beat.objects.filter(at__lt=now - FORGET_BEATS_AFTER).exclude(worker=worker).delete()
