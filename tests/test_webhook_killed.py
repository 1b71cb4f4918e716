"""The worker is ended by kill -9 after an event has arrived and before that is noted: it arrives again under the same
webhook-id, and everything else once."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from doublehop.notices.tests.receiver import OK, is_signed, receiving
from tests.postgresql import passing_postgresql

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]
ROOT = Path(__file__).resolve().parent.parent
EVENTS = 3
PATIENCE_SECONDS = 150


class Installation:
    def __init__(self, folder: Path, **more: str) -> None:
        self._environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "DOUBLEHOP_DATA_DIR": str(folder),
            "DOUBLEHOP_WEBHOOK_NETWORKS": "127.0.0.0/8",
            "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
            **more,
        }

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", *words], cwd=ROOT, env=self._environment, stdout=subprocess.PIPE
        )

    def run(self, *words: str) -> str:
        process = self.start("tests.webhook_killed", *words)
        said, _ = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0
        return said.decode().splitlines()[-1]


def wait_for(what: Callable[[], object], why: str) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < until, why
        time.sleep(0.1)


def end(worker: subprocess.Popen[bytes]) -> None:
    worker.send_signal(signal.SIGKILL)
    worker.communicate(timeout=PATIENCE_SECONDS)


def judge(house: Installation) -> None:
    with receiving(OK) as receiver:
        workers: list[subprocess.Popen[bytes]] = []
        receiver.on_arrival = lambda: end(workers[0]) if len(receiver.got) == 1 else None
        secret = house.run("prepare", f"http://127.0.0.1:{receiver.port}/")
        workers.append(house.start("doublehop.cli", "worker"))
        wait_for(lambda: workers[0].poll() is not None, "the worker sent nothing")
        assert workers[0].wait() == -signal.SIGKILL
        states = {
            row["webhook_id"]: (row["state"], row["attempts"]) for row in json.loads(house.run("check"))
        }
        # A second one may have been under way in the moment of the kill, and be taken in while the states were read.
        arrived = set(receiver.ids)
        unnoted = {one for one in arrived if states[one] == ("waiting", 0)}
        assert receiver.ids[0] in unnoted, "it arrived, and nobody knows"
        workers.append(house.start("doublehop.cli", "worker"))
        try:
            wait_for(lambda: settled(house), "it was not noted")
        finally:
            end(workers[1])
    assert Counter(receiver.ids) == {**dict.fromkeys(states, 1), **dict.fromkeys(unnoted, 2)}
    bodies = {headers["webhook-id"]: body for headers, body in receiver.got}
    for headers, body in receiver.got:
        assert is_signed(secret, headers, body)
        assert body == bodies[headers["webhook-id"]]
    labels = list(dict.fromkeys(event["data"]["target"]["label"] for event in receiver.events))
    assert [label for label in labels if label != labels[0]] == [
        f"Client {number}" for number in range(EVENTS) if f"Client {number}" != labels[0]
    ], "the others in their order"


def settled(house: Installation) -> bool:
    return all(row["state"] == "delivered" for row in json.loads(house.run("check")))


def test_it_arrives_again_under_the_same_id_on_sqlite(tmp_path):
    judge(Installation(tmp_path))


def test_and_on_postgresql(tmp_path):
    with passing_postgresql() as url:
        judge(Installation(tmp_path, DATABASE_URL=url))
