"""A real worker collects over the edges of slots; ended by kill -9 within a round, nothing is lost that was written, and nothing half there."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

from doublehop.cli.tests.runner import KEYS, environment
from tests.postgresql import new_database, passing_postgresql
from tests.workers.collecting import FASTER

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
ROOT = Path(__file__).resolve().parent.parent.parent
SLOT_SECONDS = 300 / FASTER
ASKED_WITHIN_SECONDS = 2 * SLOT_SECONDS + 60
"""A worker's start, and two edges."""
FREE_WITHIN_SECONDS = 25 + 2 * SLOT_SECONDS + 60
"""What a killed worker held is taken over (jobs.postgresql.timekeeper), the slot that it had claimed ends, another begins."""
GROWS = 3_000_000


class Switch:
    """Counts one step with each answer. ``held``: it is asked, and says nothing."""

    def __init__(self) -> None:
        self._door = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._door.getsockname()[1]}"
        self.answers = 0
        self.asked = 0
        self.held = False
        self._silent: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                asked, _ = self._door.accept()
                self.asked += 1
                if self.held:
                    self._silent.append(asked)
                    continue
                self.answers += 1
                count = self.answers * GROWS
                with asked, suppress(OSError):
                    asked.sendall(json.dumps({"in": count, "out": count // 3}).encode() + b"\n")

    def close(self) -> None:
        self._door.close()
        for one in self._silent:
            one.close()


class House:
    def __init__(self, folder: Path, switch: Switch, url: str | None) -> None:
        self.folder, self.switch = folder, switch
        more = {"DATABASE_URL": url} if url else {}
        self._environment = environment(
            folder,
            DJANGO_SETTINGS_MODULE="doublehop.site.settings",
            DOUBLEHOP_LOG_LEVEL="WARNING",
            PYTHONPATH=os.pathsep.join([str(ROOT), str(ROOT / "src")]),
            COLLECTING_SWITCH=switch.address,
            COLLECTING_BEGAN=str(time.time()),
            **KEYS,
            **more,
        )
        self.worker: subprocess.Popen[bytes] | None = None

    def run(self, what: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "tests.workers.collecting", what],
            env=self._environment, cwd=ROOT, capture_output=True, text=True, timeout=240,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def check(self) -> dict:
        return json.loads(self.run("check").splitlines()[-1])

    def start(self) -> None:
        with (self.folder / "worker.log").open("ab") as log:
            self.worker = subprocess.Popen(
                [sys.executable, "-m", "tests.workers.collecting", "worker"],
                env=self._environment, cwd=ROOT, stdout=log, stderr=log,
            )  # fmt: skip

    def kill(self) -> None:
        assert self.worker is not None
        with suppress(ProcessLookupError):
            self.worker.send_signal(signal.SIGKILL)
        self.worker.wait(20)

    def wait(self, is_so: Callable[[], bool], seconds: float) -> float:
        begin = time.monotonic()
        while not is_so():
            assert time.monotonic() - begin < seconds, (self.folder / "worker.log").read_text()[-3000:]
            time.sleep(0.05)
        return time.monotonic() - begin

    def wait_for_answers(self, more: int, seconds: float) -> float:
        wanted = self.switch.answers + more
        return self.wait(lambda: self.switch.answers >= wanted, seconds)


@pytest.fixture(params=["sqlite", "postgresql"])
def house(request, tmp_path) -> Iterator[House]:
    switch = Switch()
    with passing_postgresql() if request.param == "postgresql" else nullcontext() as server:
        made = House(tmp_path, switch, new_database(server, "collecting") if server else None)
        try:
            made.run("prepare")
            yield made
        finally:
            if made.worker is not None:
                made.kill()
            switch.close()


def test_a_worker_collects_over_edges_and_loses_nothing_when_it_is_killed(house):
    # ---- two slots that follow each other, by the clock of a real worker
    house.start()
    house.wait_for_answers(4, 2 * ASKED_WITHIN_SECONDS + 3 * SLOT_SECONDS)
    house.wait(lambda: house.check()["readings"] >= 4, 60)
    first = house.check()
    slots = first["slots"]
    assert any(slot + 1 in slots for slot in slots), slots
    assert first["whole"]

    # ---- ended while the switch's answer is awaited
    house.switch.held = True
    asked = house.switch.asked
    house.wait(lambda: house.switch.asked > asked, ASKED_WITHIN_SECONDS)
    house.kill()
    house.switch.held = False
    waiting = house.check()
    assert set(slots) <= set(waiting["slots"])
    assert waiting["claimed"] > waiting["until_slot"], "claimed, and not read"
    exact(waiting)
    house.start()
    took = house.wait_for_answers(2, FREE_WITHIN_SECONDS + SLOT_SECONDS)
    print(f"asked again, twice, {took:.1f} s after the new worker's start; a slot has {SLOT_SECONDS:.0f} s")

    # ---- ended in the midst of a transaction that writes a round
    (house.folder / "die-writing").touch()
    worker = house.worker
    house.wait(lambda: worker.poll() is not None, ASKED_WITHIN_SECONDS)
    assert worker.returncode == -signal.SIGKILL
    assert (house.folder / "died-writing").exists()
    torn = house.check()
    assert set(waiting["slots"]) <= set(torn["slots"])
    assert torn["shown"] < house.switch.answers * GROWS, "what was on its way is not there"
    exact(torn)
    house.start()
    house.wait_for_answers(2, FREE_WITHIN_SECONDS + SLOT_SECONDS)
    house.wait(lambda: house.check()["shown"] >= (house.switch.answers - 1) * GROWS, 60)
    after = house.check()
    assert set(torn["slots"]) <= set(after["slots"])
    exact(after)


def exact(told: dict) -> None:
    """Whole slots, and every octet from the first answer to the last one that was written down."""
    assert told["whole"]
    assert told["out"] == told["shown"] - GROWS, told
