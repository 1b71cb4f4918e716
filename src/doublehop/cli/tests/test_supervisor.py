"""Whole processes: these take seconds."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from doublehop.cli.tests.runner import COMMAND, doublehop, environment
from doublehop.panels.build import STAMP

pytestmark = pytest.mark.long


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def alive_below(mark: str) -> dict[int, list[str]]:
    """Every process whose environment holds ``mark``, found in /proc: pid -> command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark.encode() in (entry / "environ").read_bytes():
                command = (entry / "cmdline").read_bytes().decode().split("\0")
                if (entry / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
                    found[int(entry.name)] = command
        except OSError:
            continue
    return found


def within(seconds: float, is_so) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if is_so():
            return True
        time.sleep(0.1)
    return False


class Serving:
    """``doublehop serve`` for a fresh installation."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.mark = f"DOUBLEHOP_DATA_DIR={folder}"
        self.log = folder / "serve.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "serve", "--port", str(self.port)],
                env=environment(folder),
                cwd=folder,
                stdout=log,
                stderr=log,
            )

    def healthy(self) -> bool:
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.port}/-/healthy", trust_env=False, timeout=2)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and answer.text == "ok\n"

    def others(self) -> dict[int, list[str]]:
        return {
            pid: words
            for pid, words in alive_below(self.mark).items()
            if pid not in {self.process.pid, os.getpid()}
        }

    def child(self, name: str) -> int:
        """The main process of a part: of those with its name, the one whose parent is the supervisor."""
        for pid, words in self.others().items():
            parent = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]
            if name in words and int(parent) == self.process.pid:
                return pid
        raise AssertionError(f"{name} does not run: {self.log.read_text()}")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    made = doublehop(folder, "init", "--without-owner")
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture
def serving(installed: Path, tmp_path: Path) -> Iterator[Serving]:
    if not STAMP.exists():
        pytest.skip("the front-end files have not been gathered (make install)")
    shutil.copytree(installed, tmp_path, dirs_exist_ok=True)
    running = Serving(tmp_path)
    try:
        assert within(30, running.healthy), running.log.read_text()
        assert within(10, lambda: len(running.others()) == 3)
        yield running
    finally:
        for pid in [*running.others(), running.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        running.process.wait(10)


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_everything_when_asked(serving, kind):
    begin = time.monotonic()
    serving.process.send_signal(kind)
    assert serving.process.wait(15) == 0
    assert time.monotonic() - begin < 12
    assert serving.others() == {}


def test_it_starts_a_killed_web_server_again(serving):
    before = serving.child("web")
    os.kill(before, signal.SIGKILL)
    assert within(5, lambda: before not in serving.others())
    assert within(20, serving.healthy)
    assert serving.child("web") != before
    assert "web ended unexpectedly (killed by SIGKILL)" in serving.log.read_text()


def test_it_starts_a_killed_worker_again(serving):
    before = serving.child("worker")
    os.kill(before, signal.SIGKILL)
    assert within(5, lambda: before not in serving.others())
    assert within(20, lambda: any("worker" in words for words in serving.others().values()))
    assert serving.child("worker") != before
    assert serving.healthy()


def test_nobody_outlives_a_killed_supervisor(serving):
    serving.process.kill()
    assert within(15, lambda: serving.others() == {})


def test_a_second_worker_ends_with_one_sentence(serving):
    done = doublehop(serving.log.parent, "worker")
    assert done.returncode == 78
    assert done.stderr.startswith("doublehop: Another worker (process ")
    assert serving.healthy()


def test_check_finds_everything_but_the_organisation(serving):
    done = doublehop(serving.log.parent, "check", "--ask-upstreams")
    assert [line for line in done.stdout.splitlines() if line.startswith("WRONG")] == [
        "WRONG  organisation: none yet: run `doublehop init`"
    ]
