"""Procrastinate's rows through Django's connection: whoever rings does so in a transaction of their own."""

import json
import time
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

import structlog
from django.db import connection, transaction
from django.utils import timezone

from doublehop.jobs.models import Job, Tick
from doublehop.jobs.postgresql import statements

log = structlog.get_logger(__name__)


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
    with connection.cursor() as cursor:
        cursor.execute(
            statements.RING if hurry else statements.RING_IF_NOT_THERE,
            {
                "lane": lane,
                "name": name,
                "priority": int(urgent) + int(urgent and delay_seconds < 0),
                "key": key,
                "payload": json.dumps(dict(payload)),
                "at": timezone.now() + timedelta(seconds=delay_seconds) if delay_seconds > 0 else None,
            },
        )


def rung(keys: Collection[str]) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(statements.RUNG, {"keys": list(keys)})
        return {key for (key,) in cursor.fetchall()}


def waiting_jobs() -> int:
    with connection.cursor() as cursor:
        cursor.execute(statements.WAITING)
        return int(cursor.fetchone()[0])


@transaction.atomic
def tick(name: str, every_seconds: int) -> None:
    """Rings for a periodic, if no worker has done so for this tick. Left out while the previous one waits or runs.

    The stamp only grows, so a host whose clock is behind repeats nothing.
    """
    stamp = int(time.time()) // every_seconds * every_seconds
    Tick.objects.get_or_create(name=name, defaults={"stamp": 0})
    if not Tick.objects.filter(name=name, stamp__lt=stamp).update(stamp=stamp):
        return
    place = statements.TICK_MARK + name
    ring(name, key=place, payload={}, lane=place, delay_seconds=0, urgent=False, hurry=False)


def rescue(silent_seconds: float) -> None:
    """Frees the jobs of workers that gave no sign of life for so long."""
    with connection.cursor() as cursor:
        cursor.execute(statements.RESCUE, {"silent": silent_seconds})
        for key, _ in cursor.fetchall():
            log.warning("a job of a worker that is gone is taken over", job=key)


@transaction.atomic
def take_over_table() -> None:
    """What was rung for before this installation had Procrastinate, or since by a program of the release before."""
    rows = list(Job.objects.select_for_update(skip_locked=True))
    for row in rows:
        # One that was claimed was left behind: the release before had one worker, and it is this one's predecessor.
        wait = 0.0 if row.claimed_at else (row.run_at - timezone.now()).total_seconds()
        ring(
            row.name,
            key=row.key,
            payload=row.payload,
            lane=row.lane,
            delay_seconds=wait,
            urgent=row.urgent,
            hurry=True,
        )
    Job.objects.filter(pk__in=[row.pk for row in rows]).delete()


def register_worker() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT worker_id FROM procrastinate_register_worker_v1()")
        return int(cursor.fetchone()[0])


def unregister_worker(worker_id: int) -> None:
    """Its running jobs belong to nobody then, and are taken over at once."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT procrastinate_unregister_worker_v1(%s)", [worker_id])


def claim(worker_id: int) -> dict[str, Any] | None:
    """The next due job of any lane: ``id``, ``task_name``, ``args``, ``lock``, ``attempts``."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, task_name, args, lock, attempts FROM procrastinate_fetch_job_v2(NULL, %s)",
            [worker_id],
        )
        names = [column.name for column in cursor.description]
        job = dict(zip(names, cursor.fetchone(), strict=True))
    if job["id"] is None:
        return None
    # Django leaves JSON to its own fields.
    return {**job, "args": json.loads(job["args"])}


def end(statement: str, **values: Any) -> None:
    """``statements.FINISH`` or ``statements.POSTPONE``."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
