"""Copies of a SQLite database: taken while the installation runs, and put back in one move."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from doublehop.cli.copy_file import Facts, flush_folder, link
from doublehop.cli.facts import facts_of
from doublehop.cli.stopping import CannotGoOn

PAGES_AT_ONCE = 4096
WAIT_SECONDS = 20.0
_SIDE_FILES = ("-wal", "-shm")
Say = Callable[[str], None]


def copy_out(source: Path, to: Path, say: Say) -> Facts:
    """By SQLite's own backup, from one moment: what is written meanwhile is not in it. Raises CannotGoOn."""
    if not source.exists():
        raise CannotGoOn(f"There is no database {source} yet.")
    with closing(_open(source)) as original, closing(_open(to)) as copy:
        # Held open, this transaction keeps the moment: without it every write from outside would begin the copy anew.
        original.execute("BEGIN")
        original.execute("SELECT count(*) FROM sqlite_master").fetchone()
        told = 0

        def progress(_status: int, remaining: int, total: int) -> None:
            nonlocal told
            done = 100 * (total - remaining) // total if total else 100
            if remaining and done >= told + 10:
                told = done
                say(f"Copying the database: {done} %")

        original.backup(copy, pages=PAGES_AT_ONCE, progress=progress, sleep=0)
        # One file, without its -wal beside it.
        copy.execute("PRAGMA journal_mode=DELETE")
        verdict = str(copy.execute("PRAGMA quick_check(1)").fetchone()[0])
        if verdict != "ok":
            raise CannotGoOn(f"The database is damaged, so no backup was made of it. SQLite says: {verdict}")
        return _facts(copy)


def facts_in(path: Path) -> Facts | None:
    """None when there is a file that SQLite cannot read."""
    if not path.exists():
        return Facts("", {}, 0, [])
    try:
        with closing(_open(path)) as opened:
            return _facts(opened)
    except sqlite3.DatabaseError:
        return None


def put_in_place(new: Path, final: Path, aside: Path | None) -> None:
    """``new`` becomes ``final`` in one move; what was there stays under the name ``aside``, or goes when that is None."""
    with new.open("rb+") as file:
        os.fsync(file.fileno())
    if final.exists():
        _settle(final)
        if aside is not None:
            link(final, aside)
    for ending in _SIDE_FILES:
        # Of another database: SQLite would play it into the new one.
        left = Path(f"{final}{ending}")
        if left.exists():
            left.rename(f"{aside or new}{ending}")
    new.replace(final)
    flush_folder(final.parent)


def _settle(path: Path) -> None:
    """Moves what stands in the -wal file into the database itself, which removes that file."""
    try:
        with closing(_open(path)) as opened:
            opened.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.DatabaseError:
        return  # not one that SQLite can read: it is kept as it is


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)


def _facts(opened: sqlite3.Connection) -> Facts:
    tables = [str(row[0]) for row in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return facts_of(lambda statement: opened.execute(statement).fetchall(), tables)
