"""Brings the database and the page files to this version, and knows whether they are."""

from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import OperationalError

from doublehop.cli.stopping import CANNOT_START, CannotGoOn

VENDOR_STAMP = Path(__file__).resolve().parent.parent / "panels" / "static" / "vendor" / "stamp.json"


def waiting_migrations() -> list[str]:
    """Names such as ``fleet.0002_more``, in the order in which they would run. Raises OperationalError."""
    executor = MigrationExecutor(connection)
    return [
        f"{migration.app_label}.{migration.name}"
        for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())
    ]


def refuse_old_database() -> None:
    if _waiting_or_stop():
        raise CannotGoOn(
            "The database is older than this program: run `doublehop migrate` first.", exit_code=CANNOT_START
        )


def _waiting_or_stop() -> list[str]:
    try:
        return waiting_migrations()
    except OperationalError as error:
        raise CannotGoOn(f"The database cannot be reached: {cause_of(error)}.") from error


def cause_of(error: Exception) -> str:
    """The first line of what the database's library says; the others give hints that fit elsewhere."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def bring_up_to_date() -> None:
    waiting = _waiting_or_stop()
    call_command("migrate", verbosity=0, interactive=False)
    print(f"Database: {len(waiting)} migrations applied" if waiting else "Database: up to date")
    if not VENDOR_STAMP.exists():
        raise CannotGoOn(
            "The front-end files have not been gathered yet: run `python -m doublehop.panels.build` first."
        )
    call_command("collectstatic", verbosity=0, interactive=False)
    print(f"Page files: in {settings.STATIC_ROOT}")


def page_files_are_there() -> bool:
    return (Path(settings.STATIC_ROOT) / "staticfiles.json").exists()
