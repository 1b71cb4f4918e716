"""``doublehop backup``, ``restore`` and ``confirm-restore`` as people call them, on SQLite."""

import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from doublehop.cli import copy_file, restore, sqlite_copy
from doublehop.cli.copy_file import Facts, Manifest
from doublehop.cli.standstill import serve, standstill
from doublehop.cli.stopping import CannotGoOn
from doublehop.cli.tests.runner import DATABASE, KEYS, doublehop, environment, migrated, several
from doublehop.cli.worker import take_lock
from doublehop.site.environment import read_environment

MADE = """
import django; django.setup()
from django.core.management import call_command
from doublehop.bandwidth.models import Block, Chunk, Daily
from doublehop.organisations.actor import SYSTEM
from doublehop.organisations.models import Brand, Organisation
from doublehop.organisations import record
call_command("migrate", verbosity=0)
Block.objects.create(pk=1 << 32, records=bytes(20))
Chunk.objects.create(pk=1 << 16, packed=bytes(40))
Daily.objects.create(port_id=1, day="2026-11-23")
root = Organisation.objects.create(name="Northgate Metal", path="/1/")
Brand.objects.create(organisation=root, name=root.name)
record.write(SYSTEM, "probe", ("probe", 1), target_label="before the copy")
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An installation with an organisation and a line in its journal, and its backup."""
    folder = tmp_path_factory.mktemp("made")
    settings = {"DJANGO_SETTINGS_MODULE": "doublehop.site.settings", **KEYS}
    subprocess.run([sys.executable, "-c", MADE], env=environment(migrated(folder), **settings), check=True)
    made, there, checked = several(
        folder, ["backup", "night.tar"], ["backup", "night.tar"], ["backup", "--check", "night.tar"], **KEYS
    )
    assert made[0] == 0, made[1]
    assert "Without the keys" in made[1]
    assert there[0] == 1
    assert "is there already" in there[1]
    assert checked[0] == 0
    assert "1 organisations" in checked[1]
    return folder


@pytest.fixture
def house(made, tmp_path):
    """A copy of it to do anything with."""
    for path in made.iterdir():
        shutil.copy2(path, tmp_path / path.name)
    return tmp_path


def ask(path: Path, statement: str):
    with closing(sqlite3.connect(path)) as opened:
        return opened.execute(statement).fetchall()


def test_a_restored_copy_is_as_it_was_and_waits_for_its_confirmation(house):
    before = house / "before"
    shutil.copy2(house / DATABASE, before)
    with closing(sqlite3.connect(house / DATABASE)) as opened, opened:
        opened.execute("UPDATE organisations_organisation SET name = 'Renamed since'")
    refused, restored, asked, confirmed, once_more = several(
        house,
        ["restore", "night.tar"],
        ["restore", "night.tar", "--replace"],
        ["confirm-restore"],
        ["confirm-restore", "--drop-mails"],
        ["confirm-restore", "--drop-mails"],
        **KEYS,
    )
    assert refused[0] == 1
    assert "The database holds data: add --replace" in refused[1]
    assert restored[0] == 0, restored[1]
    assert asked[0] == 1
    assert "0 operations called off" in asked[1]
    assert confirmed[0] == 0, confirmed[1]
    assert "Nothing waits to be confirmed" in once_more[1]

    octets = ("bandwidth_block", "bandwidth_chunk", "bandwidth_daily")
    for table in ("organisations_organisation", "organisations_brand", "django_migrations", *octets):
        everything = f"SELECT * FROM {table}"  # noqa: S608
        assert ask(house / DATABASE, everything) == ask(before, everything)
    assert ask(house / DATABASE, "SELECT why, confirmed_at IS NULL FROM organisations_installation") == [
        ("restored", 0)
    ]
    (aside,) = house.glob(f"{DATABASE}.before-restore-*Z")
    assert ask(aside, "SELECT name FROM organisations_organisation") == [("Renamed since",)]
    assert not list(house.glob("*-wal")) + list(house.glob(".*.part"))

    assert ask(house / DATABASE, "SELECT verb FROM journal_entry ORDER BY id DESC LIMIT 2") == [
        ("installation.confirmed",),
        ("installation.quarantined",),
    ]


def test_a_copy_of_an_older_release_is_brought_up_to_date_and_waits_too(house):
    """Its tables know nothing of a quarantine yet."""
    before = subprocess.run(
        [sys.executable, "-m", "django", "migrate", "organisations", "0003"],
        env=environment(house, DJANGO_SETTINGS_MODULE="doublehop.site.settings", **KEYS),
        capture_output=True,
        text=True,
    )
    assert before.returncode == 0, before.stderr
    assert doublehop(house, "backup", "old.tar", **KEYS).returncode == 0
    assert copy_file.read(house / "old.tar").facts.installation == ""
    # An empty machine needs no --replace.
    (house / DATABASE).unlink()
    done = doublehop(house, "restore", "old.tar", **KEYS)
    assert done.returncode == 0, done.stderr
    assert "older release" in done.stdout
    assert ask(house / DATABASE, "SELECT why FROM organisations_installation") == [("restored",)]
    assert ask(house / DATABASE, "SELECT name FROM organisations_organisation") == [("Northgate Metal",)]


@pytest.mark.parametrize(
    ("database", "migrations", "says"),
    [
        ("postgresql", [], "a copy of a postgresql database, and DATABASE_URL names a sqlite one"),
        (
            "sqlite",
            ["fleet.0001_initial", "fleet.0999_tomorrow"],
            r"newer Doublehop \(9\.0; .*fleet\.0999_tomorrow",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, database, migrations, says):
    given = {"DOUBLEHOP_DATA_DIR": str(tmp_path), **KEYS}
    manifest = Manifest("9.0", None, database, Facts("", {}, 0, migrations), "", 0)
    with pytest.raises(CannotGoOn, match=says):
        restore._refuse_what_does_not_fit(manifest, read_environment(given))


def test_nothing_is_restored_below_a_running_worker_or_web_server(tmp_path):
    with take_lock(tmp_path / "worker.lock", 0), pytest.raises(CannotGoOn, match=r"The worker .* is running"):
        standstill(tmp_path).__enter__()
    first, second = serve(tmp_path), serve(tmp_path)
    with pytest.raises(CannotGoOn, match=r"The web server .* is running"):
        standstill(tmp_path).__enter__()
    first.close()
    second.close()
    with standstill(tmp_path):
        with pytest.raises(CannotGoOn, match="being restored"):
            serve(tmp_path)
        with pytest.raises(CannotGoOn, match="Another worker"):
            take_lock(tmp_path / "worker.lock", 0)


def test_a_copy_is_of_one_moment_while_others_write(tmp_path):
    """Each write changes both tables: a copy in which they differ would be of two moments."""
    source = tmp_path / DATABASE
    with closing(sqlite3.connect(source, isolation_level=None)) as opened:
        opened.executescript(
            "PRAGMA journal_mode=WAL; CREATE TABLE one (n INTEGER, padding BLOB); CREATE TABLE two (n INTEGER);"
            "INSERT INTO one VALUES (0, NULL); INSERT INTO two VALUES (0);"
        )
        # Some 40 MB: more than one bite of the copying.
        opened.execute(
            "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 400)"
            " INSERT INTO one SELECT 0, zeroblob(100000) FROM c"
        )
    enough, written = threading.Event(), 0

    def write() -> None:
        nonlocal written
        with closing(sqlite3.connect(source, isolation_level=None, timeout=20)) as opened:
            while not enough.is_set():
                opened.executescript(
                    "BEGIN IMMEDIATE; UPDATE one SET n = n + 1; UPDATE two SET n = n + 1; COMMIT;"
                )
                written += 1

    writer = threading.Thread(target=write)
    writer.start()
    told: list[str] = []
    try:
        for number in range(3):
            before = written
            sqlite_copy.copy_out(source, tmp_path / f"copy{number}", told.append)
            copy = tmp_path / f"copy{number}"
            assert ask(copy, "SELECT min(n) = max(n) AND max(n) = (SELECT n FROM two) FROM one") == [(1,)]
            assert ask(copy, "PRAGMA integrity_check") == [("ok",)]
            assert before <= ask(copy, "SELECT n FROM two")[0][0] <= written
    finally:
        enough.set()
        writer.join()
    assert written > 3
    assert any("%" in line for line in told)

    def write_once(_line: str) -> None:
        with closing(sqlite3.connect(source, isolation_level=None, timeout=20)) as opened:
            opened.executescript(
                "BEGIN IMMEDIATE; UPDATE one SET n = n + 1; UPDATE two SET n = n + 1; COMMIT;"
            )

    # A write between two bites neither gets into the copy nor makes it begin anew, which on a busy day would not end.
    before = ask(source, "SELECT n FROM two")
    sqlite_copy.copy_out(source, tmp_path / "last", write_once)
    assert ask(tmp_path / "last", "SELECT n FROM two") == before
    assert ask(source, "SELECT n FROM two") > before


def test_a_damaged_database_makes_no_backup(house):
    with (house / DATABASE).open("rb+") as file:
        file.seek(8192 + 20)
        file.write(b"\xff" * 3000)
    done = doublehop(house, "backup", "bad.tar", **KEYS)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert not (house / "bad.tar").exists()


def test_the_log_of_another_database_is_not_played_into_the_copy(house):
    """Found beside it after a crash: SQLite would trust it."""
    with closing(sqlite3.connect(house / DATABASE, isolation_level=None)) as opened:
        opened.execute("PRAGMA journal_mode=WAL")
        opened.execute("UPDATE organisations_organisation SET name = 'Only in the log'")
        crashed = house / "crashed"
        crashed.mkdir()
        for ending in ("", "-wal", "-shm"):
            shutil.copy2(f"{house / DATABASE}{ending}", crashed)
    new = crashed / "new"
    shutil.copy2(house / DATABASE, new)
    with closing(sqlite3.connect(new)) as opened, opened:
        opened.execute("UPDATE organisations_organisation SET name = 'The copy'")
    sqlite_copy.put_in_place(new, crashed / DATABASE, crashed / "aside")
    assert ask(crashed / DATABASE, "SELECT name FROM organisations_organisation") == [("The copy",)]
    assert ask(crashed / "aside", "SELECT name FROM organisations_organisation") == [("Only in the log",)]
