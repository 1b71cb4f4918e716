"""``doublehop check``: what is missing or wrong, one line each. Exit code 1 when anything is."""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import DatabaseError, connection
from django.utils import timezone

from doublehop.cli import env_file, upkeep
from doublehop.fleet.actions.upstreams import lane_of
from doublehop.fleet.models import Upstream
from doublehop.fleet.queries import upstreams_visible_to
from doublehop.jobs.actions import ring
from doublehop.jobs.queries import waiting_jobs, worker_is_silent, worker_seen_at, workers
from doublehop.journal.models import Entry
from doublehop.organisations.actor import SYSTEM
from doublehop.organisations.installation import in_quarantine
from doublehop.organisations.models import Organisation
from doublehop.site.environment import Environment

CLOCK_MAY_DIFFER = timedelta(seconds=5)
ANSWER_WITHIN_SECONDS = 60.0
OPEN_TO_OTHERS = 0o077


@dataclass(frozen=True)
class Finding:
    about: str
    fine: bool
    text: str


def run(options: argparse.Namespace, environment: Environment) -> int:
    findings = []
    for finding in _all(environment, ask_upstreams=options.ask_upstreams):
        print(f"{'ok   ' if finding.fine else 'WRONG'}  {finding.about}: {finding.text}", flush=True)
        findings.append(finding)
    wrong = sum(not finding.fine for finding in findings)
    print(f"{wrong} of {len(findings)} need attention." if wrong else "Everything is fine.")
    return 1 if wrong else 0


def _all(environment: Environment, *, ask_upstreams: bool) -> Iterator[Finding]:
    yield from _settings(environment)
    database = _database(environment)
    yield database
    yield _page_files()
    if not database.fine:
        return
    yield _organisation()
    yield _copy()
    yield from _clock(environment)
    yield _worker()
    yield from _upstreams(ask=ask_upstreams)


def _settings(environment: Environment) -> Iterator[Finding]:
    """Missing and wrong values were complained about before anything was loaded."""
    yield Finding("settings", True, f"complete; people find it at {environment.base_url}")
    path = env_file.path_of(os.environ)
    if path.exists() and path.stat().st_mode & OPEN_TO_OTHERS:
        yield Finding("settings", False, f"{path} can be read by others: chmod 600 {path}")


def _database(environment: Environment) -> Finding:
    kind = "SQLite" if environment.is_sqlite else "PostgreSQL"
    try:
        waiting = upkeep.waiting_migrations()
    except DatabaseError as error:
        return Finding("database", False, f"{kind} cannot be reached: {upkeep.cause_of(error)}")
    if waiting:
        return Finding("database", False, f"{len(waiting)} migrations are waiting: run `doublehop migrate`")
    return Finding("database", True, f"{kind}, reachable, up to date")


def _page_files() -> Finding:
    if upkeep.page_files_are_there():
        return Finding("page files", True, "there")
    return Finding("page files", False, "missing: run `doublehop migrate`")


def _organisation() -> Finding:
    root = Organisation.objects.filter(parent=None).first()
    if root is None:
        return Finding("organisation", False, "none yet: run `doublehop init`")
    return Finding("organisation", True, root.name)


def _copy() -> Finding:
    if in_quarantine():
        text = "restored, and nothing is sent: `doublehop confirm-restore` says what waits"
        return Finding("restored copy", False, text)
    return Finding("restored copy", True, "nothing waits to be confirmed")


def _clock(environment: Environment) -> Iterator[Finding]:
    """Suspensions, bills and "sent at" are as right as this machine's clock."""
    for name, there in (("database server", _database_time()), ("file system", _file_time(environment))):
        apart = abs(timezone.now() - there)
        if apart > CLOCK_MAY_DIFFER:
            seconds = apart.total_seconds()
            yield Finding("clock", False, f"{seconds:.0f} s apart from the {name}: set both by NTP")
            return
    newest = Entry.objects.order_by("-pk").values_list("at", flat=True).first()
    if newest is not None and newest > timezone.now() + CLOCK_MAY_DIFFER:
        yield Finding("clock", False, f"behind the newest line of the journal ({newest:%Y-%m-%d %H:%M} UTC)")
        return
    yield Finding(
        "clock", True, f"{timezone.now():%Y-%m-%d %H:%M:%S} UTC, agrees with database and file system"
    )


def _database_time() -> datetime:
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        found: datetime = cursor.fetchone()[0]
    return found


def _file_time(environment: Environment) -> datetime:
    with tempfile.NamedTemporaryFile(dir=environment.data_dir) as file:
        return datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, tz=timezone.get_current_timezone())


def _worker() -> Finding:
    seen = worker_seen_at()
    if seen is None:
        return Finding("worker", False, "has never run: start `doublehop serve`")
    if worker_is_silent():
        return Finding("worker", False, f"no sign of life for {_age(seen)}: is `doublehop serve` running?")
    names = workers()
    others = f" (the last of {len(names)}: {', '.join(names)})" if len(names) > 1 else ""
    return Finding("worker", True, f"alive {_age(seen)} ago{others}, {waiting_jobs()} jobs are due")


def _upstreams(*, ask: bool) -> Iterator[Finding]:
    rows = upstreams_visible_to(SYSTEM).order_by("pk")
    asked_at = None
    if ask and not worker_is_silent():
        asked_at = timezone.now()
        _ask(list(rows), asked_at)
    elif ask:
        yield Finding("upstreams", False, "cannot be asked: no worker is running")
    for row in rows.all():
        yield _upstream(row, asked_at)
    if not rows:
        yield Finding("upstreams", True, "none yet")


def _ask(rows: list[Upstream], asked_at: datetime) -> None:
    """Through the same queue as the button *Test connection*, so that it proves the whole way."""
    for row in rows:
        ring(
            "fleet.test",
            key=f"test:{row.pk}",
            payload={"upstream_id": row.pk},
            lane=lane_of(row.pk),
            urgent=True,
        )
    until = time.monotonic() + ANSWER_WITHIN_SECONDS
    answered = Upstream.objects.filter(pk__in=[row.pk for row in rows], tested_at__gte=asked_at)
    while answered.count() < len(rows) and time.monotonic() < until:
        time.sleep(0.3)


def _upstream(row: Upstream, asked_at: datetime | None) -> Finding:
    about = f"upstream {row.name}"
    if asked_at is not None and (row.tested_at is None or row.tested_at < asked_at):
        return Finding(about, False, f"no answer within {ANSWER_WITHIN_SECONDS:.0f} s")
    if row.tested_at is None:
        return Finding(about, False, "never tested: press Test connection, or use --ask-upstreams")
    troubles = [f"{what}: {seen}" for what, fine, seen in row.test_report if not fine]
    if troubles:
        return Finding(about, False, f"tested {_age(row.tested_at)} ago; " + "; ".join(troubles))
    if row.failing_since is not None:
        return Finding(about, False, f"failing for {_age(row.failing_since)}: {row.failure_text}")
    armed = "armed" if row.armed else "observes only"
    return Finding(about, True, f"answered {_age(row.tested_at)} ago; {armed}")


def _age(then: datetime) -> str:
    seconds = max(0, int((timezone.now() - then).total_seconds()))
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
