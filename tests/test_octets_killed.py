"""Ended by kill -9 while rounds are written and days are packed: no acknowledged round is lost, none is half there, no figure changes."""

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from random import SystemRandom

import pytest

from tests.octets_killed import DAYS
from tests.postgresql import passing_postgresql

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]
ROOT = Path(__file__).resolve().parent.parent
KILLS = 7
KILLS_AT_MOST = 4 * KILLS
"""The moments are of chance: it goes on until packing was met on its way often enough."""
MET_ON_ITS_WAY = 3
ROUNDS_AT_MOST = 12
PATIENCE_SECONDS = 60
CHANCE = SystemRandom()


class Installation:
    def __init__(self, folder: Path, **more: str) -> None:
        self._environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "DOUBLEHOP_DATA_DIR": str(folder),
            "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
            **more,
        }

    def start(self, what: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.octets_killed", what],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
        )

    def run(self, what: str) -> bytes:
        process = self.start(what)
        said, _ = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0
        return said

    def check(self) -> dict:
        return json.loads(self.run("check").splitlines()[-1])


def line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], PATIENCE_SECONDS)[0], "it says nothing"
    return process.stdout.readline()


def kill(process: subprocess.Popen[bytes], within: float) -> list[bytes]:
    """After a moment of chance, wherever it is then; what it had said by then."""
    try:
        process.wait(CHANCE.uniform(0, within))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    return said.splitlines()


def judge(house: Installation) -> None:
    house.run("prepare")
    before = house.check()
    assert (before["each_once"], before["right"], before["packed_days"]) == (True, True, 0)
    acknowledged, packed = before["newest"], [0]
    while len(packed) <= KILLS or (len(set(packed)) <= MET_ON_ITS_WAY and len(packed) <= KILLS_AT_MOST):
        writer, packer = house.start("write"), house.start("pack")
        for _ in range(CHANCE.randint(1, ROUNDS_AT_MOST)):
            acknowledged = max(acknowledged, int(line(writer)))
        line(packer)
        kill(packer, within=0.15)
        acknowledged = max([acknowledged, *map(int, kill(writer, within=0.05))])
        seen = house.check()
        assert (seen["each_once"], seen["right"], seen["days_right"]) == (True, True, True), seen
        assert seen["newest"] >= acknowledged
        # Beyond what was acknowledged there is at most the round whose answer was lost.
        assert seen["newest"] <= acknowledged + 1
        packed.append(seen["packed_days"])
    assert len(set(packed)) > MET_ON_ITS_WAY, "it was killed only before and after"
    assert house.run("pack")
    after = house.check()
    assert (after["each_once"], after["right"], after["days_right"]) == (True, True, True)
    assert after["packed_days"] >= DAYS
    assert after["blocks"] < 2 * 288


def test_nothing_is_lost_or_twice_on_sqlite(tmp_path):
    judge(Installation(tmp_path))


def test_nor_on_postgresql(tmp_path):
    with passing_postgresql() as url:
        judge(Installation(tmp_path, DATABASE_URL=url))
