"""A command ended by kill -9 before every touch of its files and every program that it starts, one run for each.

Run by ``runner.KILLED`` with the command's arguments; prints one JSON line per run: what was left. DOUBLEHOP_DATA_DIR/pristine
holds what each run begins with; on PostgreSQL the organisation is renamed before each run.
"""

import json
import os
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connection

from doublehop.cli import copy_file, postgresql_copy
from doublehop.cli.high_water import HighWater
from doublehop.cli.main import main as doublehop
from doublehop.cli.stopping import CannotGoOn
from doublehop.organisations.installation import in_quarantine
from doublehop.organisations.models import Organisation

FOLDER = Path(os.environ["DOUBLEHOP_DATA_DIR"])
EVENTS = {
    "open",
    "os.chmod",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "probe",
    "sqlite3.connect",
    "subprocess.Popen",
}
MOST_RUNS = 200
SINCE = "Renamed since"


def main(arguments: list[str]) -> None:
    _probe_after()
    for number in range(1, MOST_RUNS):
        _begin()
        connection.close()
        ended = _run(number, lambda: doublehop(arguments))
        print(json.dumps({"killed": os.WIFSIGNALED(ended), "code": ended, **_left()}), flush=True)
        if not os.WIFSIGNALED(ended):
            return
    raise SystemExit("it never ends")


def _probe_after() -> None:
    """Another moment to die at: a program has ended, and its result is not used yet."""
    run = postgresql_copy._run

    def probed(*args: Any, **more: Any) -> None:
        run(*args, **more)
        sys.audit("probe", str(FOLDER))

    postgresql_copy._run = probed


def _run(number: int, command: Callable[[], int]) -> int:
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    seen = 0

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal seen
        if event in EVENTS and (event == "subprocess.Popen" or str(FOLDER) in str(args[:2])):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 1)
    os._exit(command())


def _begin() -> None:
    for path in FOLDER.iterdir():
        if path.name == "pristine":
            continue
        with suppress(NotADirectoryError):
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
    for path in (FOLDER / "pristine").iterdir():
        shutil.copy2(path, FOLDER / path.name)
    if connection.vendor == "postgresql":
        _wait_until_alone()
        with connection.cursor() as cursor:
            cursor.execute("UPDATE organisations_organisation SET name = %s", [SINCE])
            cursor.execute("DELETE FROM organisations_installation")
            cursor.execute("DELETE FROM jobs_beat")
            cursor.execute("DROP TABLE IF EXISTS doublehop_restored")


def _left() -> dict[str, Any]:
    """``file``: the new backup, "none", "whole" or what is wrong. ``name``, ``quarantined``: of the database."""

    new, file = FOLDER / "new.tar", "none"
    if new.exists():
        try:
            copy_file.read(new)
            file = "whole"
        except CannotGoOn as error:
            file = str(error)
    return {"file": file, **(_in_sqlite() if connection.vendor == "sqlite" else _in_postgresql())}


def _in_sqlite() -> dict[str, Any]:
    database = FOLDER / "doublehop.sqlite3"
    if not database.exists():
        return {"name": "no database", "quarantined": False}
    with closing(sqlite3.connect(database)) as opened:
        return {
            "name": opened.execute("SELECT name FROM organisations_organisation").fetchone()[0],
            "quarantined": bool(
                opened.execute("SELECT count(*) FROM organisations_installation WHERE why <> ''").fetchone()[
                    0
                ]
            ),
        }


def _in_postgresql() -> dict[str, Any]:
    """After the next start of a worker: that is when an interrupted restore is finished."""

    _wait_until_alone()
    call_command("migrate", verbosity=0)
    HighWater(FOLDER).look()
    left = {"name": Organisation.objects.get().name, "quarantined": in_quarantine()}
    connection.close()
    return left


def _wait_until_alone() -> None:
    """psql outlives whoever started it by the moment in which it notices."""

    until = time.monotonic() + 20
    while postgresql_copy.other_sessions() and time.monotonic() < until:
        time.sleep(0.05)
