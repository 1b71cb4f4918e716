import socket
import stat
import subprocess
import sys
from dataclasses import replace

import pytest

from doublehop.cli.tests.runner import KEYS, doublehop, environment
from doublehop.cli.worker import JOBS, PERIODIC, take_lock
from doublehop.panels.build import STAMP
from doublehop.site.environment import BadEnvironment, read_environment
from doublehop.site.settings import ENVIRONMENT, _database


def test_every_problem_of_the_settings_is_listed_at_once(tmp_path):
    done = doublehop(
        tmp_path, "check", DOUBLEHOP_BASE_URL="panel", DATABASE_URL="mysql://x", DOUBLEHOP_LOG_LEVEL="LOUD"
    )
    assert done.returncode == 78
    for name in (
        "DOUBLEHOP_SECRET_KEY",
        "DOUBLEHOP_VAULT_KEYS",
        "DATABASE_URL",
        "DOUBLEHOP_BASE_URL",
        "DOUBLEHOP_LOG_LEVEL",
    ):
        assert done.stderr.count(f"  - {name} ") == 1
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_one_sentence(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = doublehop(tmp_path, "serve", PORT=str(port), **KEYS)
    assert done.returncode == 78
    assert done.stderr.startswith(f"doublehop: Port {port} on 127.0.0.1 is taken")
    assert "PORT=" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("port", ["0", "70000", "http"])
def test_a_port_that_is_none_is_refused(tmp_path, port):
    done = doublehop(tmp_path, "serve", PORT=port, **KEYS)
    assert done.returncode == 2
    assert "is no port" in done.stderr


def test_a_worker_refuses_a_database_that_is_not_migrated(tmp_path):
    done = doublehop(tmp_path, "worker", **KEYS)
    assert done.returncode == 78
    assert (
        done.stderr == "doublehop: The database is older than this program: run `doublehop migrate` first.\n"
    )


def test_check_says_what_is_missing(tmp_path):
    done = doublehop(tmp_path, "check", **KEYS)
    assert done.returncode == 1
    assert "WRONG  database:" in done.stdout
    assert "run `doublehop migrate`" in done.stdout


def test_an_unreachable_database_is_said_and_not_thrown(tmp_path):
    nowhere = {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none", **KEYS}
    done = doublehop(tmp_path, "check", **nowhere)
    assert done.returncode == 1
    assert "WRONG  database: PostgreSQL cannot be reached" in done.stdout
    for command in ("worker", "migrate", "init"):
        done = doublehop(tmp_path, command, **nowhere)
        assert done.returncode == 1
        assert done.stderr.startswith("doublehop: The database cannot be reached")
        assert "Traceback" not in done.stderr


def test_a_second_lock_names_the_holder(tmp_path):
    path = tmp_path / "worker.lock"
    with take_lock(path, 0), pytest.raises(Exception, match=r"Another worker \(process \d+\)"):
        take_lock(path, 0.3)
    take_lock(path, 0).close()


def test_every_periodic_has_its_job():
    named = {periodic.name for periodic in PERIODIC}
    assert named <= set(JOBS)
    assert "organisations.forget_keys" in named


def test_options_in_the_address_of_the_database_win_over_ours():
    url = "postgres://panel@db.example.net/panel?keepalives_idle=60&sslmode=verify-full"
    options = _database(replace(ENVIRONMENT, database_url=url))["OPTIONS"]
    assert (options["keepalives_idle"], options["sslmode"]) == ("60", "verify-full")
    assert "tcp_keepalives_idle" in options["options"]


def test_raw_values_are_kept_400_days_at_least():
    assert read_environment(KEYS).raw_days == 400
    assert read_environment({**KEYS, "DOUBLEHOP_RAW_DAYS": "800"}).raw_days == 800
    for wrong in ("399", "0", "-1", "ten", "1e3", "100000"):
        with pytest.raises(BadEnvironment, match="DOUBLEHOP_RAW_DAYS must be a number of days from 400"):
            read_environment({**KEYS, "DOUBLEHOP_RAW_DAYS": wrong})


def test_new_keys_differ(tmp_path):
    keys = {doublehop(tmp_path, "new-key", **KEYS).stdout.strip() for _ in range(2)}
    assert {len(key) for key in keys} == {44}
    assert len(keys) == 2


def test_the_web_process_forgets_the_keys_it_has_read(tmp_path):
    """The server copies its environment into every request, so there must be nothing in it to leak."""
    look = "import os; from doublehop.cli import web; web.load_application(); print(sorted(set(web.SECRETS) & set(os.environ)))"
    done = subprocess.run(
        [sys.executable, "-c", look], env=environment(tmp_path, **KEYS), capture_output=True, text=True
    )
    assert done.stdout == "[]\n", done.stderr


@pytest.fixture
def gathered() -> None:
    if not STAMP.exists():
        pytest.skip("the front-end files have not been gathered (make install)")


@pytest.mark.usefixtures("gathered")
def test_init_makes_everything_once(tmp_path):
    person = (
        "--organisation",
        "Northgate Metal",
        "--owner-name",
        "Ines Holt",
        "--owner-email",
        "ines@northgate.example",
    )
    lacking = doublehop(tmp_path, "init", *person)
    assert lacking.returncode == 1
    assert lacking.stderr.rstrip().endswith("give DOUBLEHOP_OWNER_PASSWORD.")
    done = doublehop(tmp_path, "init", *person, DOUBLEHOP_OWNER_PASSWORD="correct-horse-battery")
    assert done.returncode == 0, done.stderr
    kept = (tmp_path / "doublehop.env").read_text()
    for name in ("doublehop.env", "doublehop.sqlite3"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    again = doublehop(
        tmp_path, "init", "--organisation", "Another", DOUBLEHOP_OWNER_PASSWORD="another-password"
    )
    assert again.returncode == 0
    assert "Northgate Metal, left as it is" in again.stdout
    assert (tmp_path / "doublehop.env").read_text() == kept
    with take_lock(tmp_path / "worker.lock", 0):
        second = doublehop(tmp_path, "worker")
    assert second.returncode == 78
    assert second.stderr.startswith("doublehop: Another worker (process ")
    assert second.stderr.count("\n") == 1
    checked = doublehop(tmp_path, "check")
    assert checked.returncode == 1
    assert [line for line in checked.stdout.splitlines() if line.startswith("WRONG")] == [
        "WRONG  worker: has never run: start `doublehop serve`"
    ]
    assert "0 stored secrets" in doublehop(tmp_path, "rotate-keys").stdout
