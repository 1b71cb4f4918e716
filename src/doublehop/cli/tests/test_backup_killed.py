"""kill -9 at every touch of a file and every program started: what is left is the old or the new, never a half."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from doublehop.cli.tests.runner import KEYS, KILLED, doublehop, environment, migrated
from doublehop.cli.tests.test_backup import MADE

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
SETTINGS = {"DJANGO_SETTINGS_MODULE": "doublehop.site.settings", **KEYS}
RENAMED = "import django; django.setup()\nfrom doublehop.organisations.models import Organisation\nOrganisation.objects.update(name='Renamed since')"


def python(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], env=environment(folder, **SETTINGS), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture
def house(tmp_path):
    python(migrated(tmp_path), "-c", MADE)
    assert doublehop(tmp_path, "backup", "night.tar", **KEYS).returncode == 0
    python(tmp_path, "-c", RENAMED)
    (tmp_path / "pristine").mkdir()
    for name in ("doublehop.sqlite3", "night.tar"):
        shutil.move(tmp_path / name, tmp_path / "pristine" / name)
    return tmp_path


def swept(folder: Path, *arguments: str) -> list[dict]:
    """One line for each way to die, and a last one for the run that nobody killed."""
    lines = python(folder, "-c", KILLED, *arguments).splitlines()
    runs = [json.loads(line) for line in lines]
    assert [run["killed"] for run in runs] == [True] * (len(runs) - 1) + [False]
    assert runs[-1]["code"] == 0
    return runs


def test_a_backup_that_is_killed_leaves_no_half_file(house):
    runs = swept(house, "backup", str(house / "new.tar"))
    assert len(runs) > 8
    assert {run["file"] for run in runs} == {"none", "whole"}
    assert runs[-1]["file"] == "whole"


def test_a_restore_that_is_killed_leaves_the_old_database_or_the_copy_in_quarantine(house):
    runs = swept(house, "restore", str(house / "night.tar"), "--replace")
    assert len(runs) > 15
    left = {(run["name"], run["quarantined"]) for run in runs}
    assert left == {("Renamed since", False), ("Northgate Metal", True)}
    assert runs[-1]["name"] == "Northgate Metal"
