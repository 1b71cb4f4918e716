"""Whole processes: a worker notices an old copy that came back by itself, and nothing is restored below what runs."""

import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from doublehop.cli.tests.runner import COMMAND, KEYS, doublehop, environment, migrated
from doublehop.cli.tests.test_backup import DATABASE, MADE, ask
from doublehop.cli.tests.test_supervisor import free_port, within

pytestmark = [pytest.mark.long, pytest.mark.timeout(120)]
MARK = "high-water.json"


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [*COMMAND, *arguments], env=environment(folder, **KEYS), stdin=subprocess.DEVNULL, stderr=log
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


@pytest.fixture
def house(tmp_path):
    settings = {"DJANGO_SETTINGS_MODULE": "doublehop.site.settings", **KEYS}
    subprocess.run([sys.executable, "-c", MADE], env=environment(migrated(tmp_path), **settings), check=True)
    return tmp_path


def test_a_worker_that_starts_on_an_old_copy_sends_nothing(house):
    with running(house, "worker"):
        assert within(20, (house / MARK).exists)
    shutil.copy2(house / DATABASE, house / "old")
    with closing(sqlite3.connect(house / DATABASE)) as opened, opened:
        opened.execute(
            "INSERT INTO journal_entry SELECT id + 10, at, actor_kind, actor_id, actor_label, organisation_id,"
            " organisation_label, verb, target_kind, target_id, target_label, result, sentence, details, server_id,"
            " service_id, client_id FROM journal_entry LIMIT 1"
        )
    before = (house / MARK).read_text()
    with running(house, "worker"):
        assert within(20, lambda: (house / MARK).read_text() != before)
    assert ask(house / DATABASE, "SELECT why FROM organisations_installation") == [("",)]
    shutil.move(house / "old", house / DATABASE)
    with running(house, "worker"):
        assert within(
            20, lambda: ask(house / DATABASE, "SELECT why FROM organisations_installation") == [("behind",)]
        )
    checked = doublehop(house, "check", **KEYS)
    assert "WRONG  restored copy: restored, and nothing is sent" in checked.stdout


def test_nothing_is_restored_below_a_worker_or_a_web_server(house):
    assert doublehop(house, "backup", "night.tar", **KEYS).returncode == 0
    port = free_port()
    for who, arguments in (("worker", ("worker",)), ("web server", ("web", "--port", str(port)))):
        with running(house, *arguments):
            assert within(20, (house / f"{who.split()[0]}.lock").exists)
            if who == "web server":
                assert within(20, lambda: _answers(port))
            refused = doublehop(house, "restore", "night.tar", "--replace", **KEYS)
            assert refused.returncode == 1
            assert f"The {who} of this installation is running" in refused.stderr
    done = doublehop(house, "restore", "night.tar", "--replace", **KEYS)
    assert done.returncode == 0, done.stderr


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/-/healthy", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
