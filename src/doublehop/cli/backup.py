"""``doublehop backup FILE``: the database in one file, taken while everything runs; ``--check`` verifies such a file."""

import argparse
import sqlite3
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

import doublehop
from doublehop.cli import copy_file, facts, postgresql_copy, sqlite_copy, upkeep
from doublehop.cli.copy_file import Manifest
from doublehop.cli.stopping import CannotGoOn
from doublehop.site.environment import Environment

SQLITE, POSTGRESQL = "sqlite", "postgresql"


def run(options: argparse.Namespace, environment: Environment) -> int:
    target: Path = options.file.absolute()
    if options.check:
        tell(copy_file.read(target))
        print(f"{target} is whole.")
        return 0
    tell(make(target, environment, overwrite=options.overwrite))
    print(f"Backup: {target}")
    print(
        "Without the keys: keep a copy of the settings file (doublehop.env, with DOUBLEHOP_VAULT_KEYS) in another place."
        " Without it the stored passwords of machines cannot be read."
    )
    return 0


def make(target: Path, environment: Environment, *, overwrite: bool = False) -> Manifest:
    """Nothing stands under ``target`` before all of it does. Raises CannotGoOn."""
    if target.is_dir() or not target.parent.is_dir():
        raise CannotGoOn(f"{target} cannot be written: name a file in a folder that exists.")
    if target.exists() and not overwrite:
        raise _there_already(target)
    try:
        with copy_file.beside(target) as folder:
            database = folder / "database"
            taken_at = timezone.now()
            print("Copying the database")
            if environment.is_sqlite:
                found = sqlite_copy.copy_out(sqlite_file(), database, print)
            else:
                found = postgresql_copy.copy_out(database)
            print("Packing")
            kind = SQLITE if environment.is_sqlite else POSTGRESQL
            manifest = copy_file.write(
                folder,
                target,
                database,
                product=doublehop.__version__,
                taken_at=taken_at,
                kind=kind,
                facts=found,
            )
            copy_file.put_in_place(folder, target, overwrite=overwrite)
    except FileExistsError:
        raise _there_already(target) from None
    except (OSError, sqlite3.Error) as error:
        raise CannotGoOn(f"No backup was made: {_cause(error)}.") from error
    except DatabaseError as error:
        raise CannotGoOn(f"No backup was made: {upkeep.cause_of(error)}.") from error
    return manifest


def sqlite_file() -> Path:
    return Path(settings.DATABASES["default"]["NAME"]).absolute()


def tell(manifest: Manifest) -> None:
    kind = "SQLite" if manifest.database == SQLITE else "PostgreSQL"
    print(f"Taken {manifest.taken_at:%Y-%m-%d %H:%M:%S %Z} by Doublehop {manifest.product}, from {kind}")
    rows = ", ".join(
        f"{count:,} {facts.MAIN_TABLES.get(table, table)}" for table, count in manifest.facts.counts.items()
    )
    print(f"Rows: {rows or 'none'}")
    print(f"Database part: {manifest.size:,} octets, SHA-256 {manifest.sha256}")


def _there_already(target: Path) -> CannotGoOn:
    return CannotGoOn(f"{target} is there already: choose another name, or add --overwrite.")


def _cause(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or upkeep.cause_of(error)
