"""``doublehop restore FILE``: the database becomes the copy, which then sends nothing until a person has confirmed it."""

import argparse
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader

import doublehop
from doublehop.cli import backup, copy_file, facts, postgresql_copy, sqlite_copy, upkeep
from doublehop.cli.copy_file import Facts, Manifest
from doublehop.cli.high_water import HighWater, quarantine_restored
from doublehop.cli.standstill import standstill
from doublehop.cli.stopping import CannotGoOn
from doublehop.fleet.models import Upstream
from doublehop.jobs.queries import SILENT_AFTER, worker_is_silent
from doublehop.organisations import vault
from doublehop.site.environment import Environment

UNCHANGED = "Nothing was changed."


def run(options: argparse.Namespace, environment: Environment) -> int:
    file: Path = options.file.absolute()
    print(f"Checking {file}")
    manifest = copy_file.read(file)
    backup.tell(manifest)
    _refuse_what_does_not_fit(manifest, environment)
    with standstill(environment.data_dir):
        try:
            if environment.is_sqlite:
                _into_sqlite(file, replace=options.replace)
            else:
                _into_postgresql(file, environment, replace=options.replace)
        except (OSError, sqlite3.Error, DatabaseError) as error:
            raise CannotGoOn(f"The copy could not be restored: {upkeep.cause_of(error)}.") from error
        HighWater(environment.data_dir).look()
    _tell_about_keys()
    print(
        "Restored. It is read-only towards the world: no instruction and no mail leaves it until a person confirms."
    )
    print(
        "Next: `doublehop migrate` (page files), `doublehop serve`, look around, then confirm in the admin panel"
    )
    print("or by `doublehop confirm-restore`, which also says what waits.")
    return 0


def _refuse_what_does_not_fit(manifest: Manifest, environment: Environment) -> None:
    ours = backup.SQLITE if environment.is_sqlite else backup.POSTGRESQL
    if manifest.database != ours:
        raise CannotGoOn(
            f"This is a copy of a {manifest.database} database, and DATABASE_URL names a {ours} one. {UNCHANGED}"
        )
    known = {
        f"{app}.{name}" for app, name in MigrationLoader(None, ignore_no_migrations=True).disk_migrations
    }
    if unknown := [name for name in manifest.facts.migrations if name not in known]:
        raise CannotGoOn(
            f"This copy was made by a newer Doublehop ({manifest.product}; this is {doublehop.__version__}): it knows"
            f" {unknown[0]}. Install that release first. {UNCHANGED}"
        )


def _refuse_data(there: Facts | None, *, replace: bool) -> None:
    if replace or (there is not None and not facts.holds_data(there)):
        return
    holds = "holds data" if there is not None else "is there and cannot be read"
    raise CannotGoOn(f"The database {holds}: add --replace to put the copy in its place. {UNCHANGED}")


def _into_sqlite(file: Path, *, replace: bool) -> None:
    final = backup.sqlite_file()
    _refuse_data(sqlite_copy.facts_in(final), replace=replace)
    final.parent.mkdir(parents=True, exist_ok=True)
    with copy_file.beside(final) as folder:
        new = folder / "database"
        manifest = copy_file.read(file, into=new)
        # Finished under another name, quarantine included: there is no moment at which an unmarked copy could be served.
        connection.close()
        connection.settings_dict["NAME"] = str(new)
        try:
            _bring_up(manifest.taken_at)
        finally:
            connection.close()
            connection.settings_dict["NAME"] = str(final)
        aside = _aside(final) if final.exists() else None
        sqlite_copy.put_in_place(new, final, aside)
    if aside is not None:
        print(f"The database that was here is now {aside}")


def _aside(final: Path) -> Path:
    return final.with_name(f"{final.name}.before-restore-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")


def _into_postgresql(file: Path, environment: Environment, *, replace: bool) -> None:
    there = postgresql_copy.facts_now()
    _refuse_data(there, replace=replace)
    _refuse_company()
    if facts.holds_data(there):
        aside = _aside(environment.data_dir / "database")
        kept = aside.with_name(f"{aside.name}.tar")
        backup.make(kept, environment)
        print(f"What was in the database is now in {kept}")
    connection.close()
    with copy_file.beside(environment.data_dir / "database") as folder:
        manifest = copy_file.read(file, into=folder / "database")
        print("Writing the copy into the database")
        postgresql_copy.put_in_place(folder / "database", manifest.taken_at)
    _bring_up(manifest.taken_at)


def _refuse_company() -> None:
    """Processes on other machines: they hold no lock in this data folder."""
    if others := postgresql_copy.other_sessions():
        raise CannotGoOn(
            f"Somebody else uses the database ({', '.join(others)}): stop every worker and web server first. {UNCHANGED}"
        )
    if "jobs_beat" in connection.introspection.table_names() and not worker_is_silent():
        raise CannotGoOn(
            f"A worker gave a sign of life within the last {SILENT_AFTER.total_seconds():.0f} s:"
            f" stop every worker, wait as long, and try again. {UNCHANGED}"
        )


def _bring_up(taken_at: datetime) -> None:
    waiting = upkeep.waiting_migrations()
    if waiting:
        print(f"The copy is of an older release: {len(waiting)} migrations are applied")
    call_command("migrate", verbosity=0, interactive=False)
    quarantine_restored(taken_at)


def _tell_about_keys() -> None:
    """The keys are not in the copy: better noticed now than at the first suspension."""
    sealed = Upstream.objects.exclude(sealed_secrets="").values_list("sealed_secrets", flat=True).first()
    try:
        vault.unseal(sealed or "", row="upstream")
    except vault.VaultClosed:
        print(
            "WRONG  DOUBLEHOP_VAULT_KEYS do not open the passwords in this copy:"
            " put the settings file of the time of the copy back."
        )
