"""How far this installation has come, written down outside its database: an old copy put back is noticed by that.

The file in the data folder holds the installation's UUID and its newest journal line. A database that is behind it, or
another one, is a copy, and goes into quarantine (organisations.installation). A machine without the file knows nothing.
"""

import json
import os
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import structlog
from django.db import DatabaseError, close_old_connections, transaction

from doublehop.cli import postgresql_copy
from doublehop.journal.models import Entry
from doublehop.organisations.actions.installation import this_installation
from doublehop.organisations.models import Installation
from doublehop.services.actions import restored

NAME = "high-water.json"
LOOK_EVERY_SECONDS = 10.0
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Mark:
    installation: str
    restores: int
    journal: int


class HighWater:
    """Kept by a worker, in its data folder: looks when the worker starts, and every LOOK_EVERY_SECONDS."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / NAME
        self._next = 0.0

    def look_now_and_then(self) -> None:
        """The database is noticed to have lost its newest changes while the worker runs, too. Never raises."""
        if time.monotonic() < self._next:
            return
        try:
            close_old_connections()
            self.look()
        except (DatabaseError, OSError):
            log.exception("how far this installation has come could not be written down")

    def look(self) -> None:
        """Puts an old copy into quarantine, and writes down how far the database has come."""
        self._next = time.monotonic() + LOOK_EVERY_SECONDS
        self._finish_restore()
        known, why = self._read(), None
        row, newest = this_installation(), Entry.objects.order_by("-pk").first()
        if known is not None:
            why = _why(known, row, newest.pk if newest is not None else 0)
        elif self._path.exists():
            why = Installation.Why.UNREADABLE
        if why is not None:
            row = restored.begin(why, copy_taken_at=newest.at if newest is not None else None)
            log.error("the database is not the one that was worked with last", why=why.value)
        self._write(known, row)

    def _finish_restore(self) -> None:
        """One that was interrupted after its last commit."""
        if (taken_at := postgresql_copy.unfinished_restore()) is not None:
            quarantine_restored(taken_at)

    def _read(self) -> Mark | None:
        try:
            told = json.loads(self._path.read_text(encoding="utf-8"))
            return Mark(str(told["installation"]), int(told["restores"]), int(told["journal"]))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _write(self, known: Mark | None, row: Installation) -> None:
        newest = Entry.objects.order_by("-pk").values_list("pk", flat=True).first()
        mark = Mark(row.uuid.hex, row.restores, newest or 0)
        if mark == known:
            return
        # A name of its own: several workers may keep the same file.
        beside = self._path.with_name(f"{NAME}.{os.getpid()}")
        with beside.open("w", encoding="utf-8") as file:
            json.dump(asdict(mark), file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)


def _why(known: Mark, row: Installation, newest: int) -> Installation.Why | None:
    if known.installation != row.uuid.hex:
        return Installation.Why.OTHER
    if known.restores < row.restores:
        return None  # written before a restore that everybody knows of
    if known.restores > row.restores or known.journal > newest:
        return Installation.Why.BEHIND
    return None


@transaction.atomic
def quarantine_restored(taken_at: datetime) -> None:
    restored.begin(Installation.Why.RESTORED, copy_taken_at=taken_at)
    if postgresql_copy.unfinished_restore() is not None:
        postgresql_copy.finished_restore()
