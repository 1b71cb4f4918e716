"""The rooms' own tests once more, on a real PostgreSQL from a wheel."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgresql import passing_postgresql

ROOMS = ("jobs", "journal", "organisations", "notices", "fleet", "bandwidth", "services", "leap", "api")


ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "doublehop"


def passes_on_postgresql(*wanted):
    with passing_postgresql() as url:
        environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, wanted)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=1140,
        )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_rooms_hold_on_postgresql():
    passes_on_postgresql(*(SOURCE / room for room in ROOMS))


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_no_route_of_the_api_breaks_on_postgresql():
    """Which refuses signs that SQLite keeps."""
    passes_on_postgresql("-m", "long", "-k", "no_route", SOURCE / "api" / "tests" / "test_schemathesis.py")
