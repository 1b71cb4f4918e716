"""Killed anywhere, nothing is lost and nothing acts twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from doublehop.services.lifecycle import OperationKind

ROOT = Path(__file__).parent.parent.parent
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


def swept(*arguments: str) -> tuple[dict, str]:
    """The figures, and a sentence for each broken promise."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("DATABASE_", "DJANGO_"))}
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.crash", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=880,
    )
    assert done.stdout.startswith("{"), done.stderr[-4000:]
    print(done.stdout)
    return json.loads(done.stdout), done.stderr


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_killed_at_every_commit_and_at_every_boundary_of_a_socket(database):
    figures, broken = swept(database)
    assert figures["broken"] == 0, broken
    deeds = {name.partition("-")[0] for name in figures["boundaries"]}
    # A termination asks no machine: it has no steps and is one transaction.
    assert deeds == set(OperationKind) - {OperationKind.TERMINATE}, (
        "a kind of operation is not among the deeds"
    )
    assert figures["n"] > 500
    assert figures["parked"] > 0


def test_the_sweep_notices_a_step_that_is_not_marked_before_it_is_sent():
    figures, broken = swept("sqlite", "--only", "rescue_start", "--without-mark", "--processes", "1")
    assert figures["broken"] > 0
    assert "twice: ['rescue.start', 'rescue.start']" in broken
