"""The rooms' own tests once more, on a real PostgreSQL from a wheel."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgresql import passing_postgresql

ROOMS = ("jobs", "journal", "organisations", "notices", "fleet", "bandwidth", "services", "leap", "api")


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_rooms_hold_on_postgresql():
    root = Path(__file__).parent.parent
    with passing_postgresql() as url:
        environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"}
        rooms = [str(root / "src" / "doublehop" / room) for room in ROOMS]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *rooms],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=1140,
        )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
