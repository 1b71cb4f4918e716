"""Two commands on a fresh machine: a clone in a new place, `make run`, and nothing left behind afterwards."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from doublehop.box.emulators import free_pair
from doublehop.cli.tests.test_supervisor import alive_below, within
from tests.needs import need_program

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
ROOT = Path(__file__).resolve().parent.parent
FIRST_SECONDS = 300
AGAIN_SECONDS = 40
"""Eight when nothing else runs; here other tests do."""
PEOPLE = {"provider", "reseller", "other_reseller", "client", "other_client", "tandem"}


def settings(folder: Path, **more: str) -> dict[str, str]:
    """What a newcomer's shell has; packages already fetched on this machine may be used again."""
    foreign = ("DOUBLEHOP_", "DATABASE_URL", "DJANGO_", "PYTEST_", "PORT", "VIRTUAL_ENV", "MAKE", "MFLAGS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    beside = str(Path(sys.executable).parent)
    kept["PATH"] = os.pathsep.join(part for part in kept["PATH"].split(os.pathsep) if part != beside)
    kept["PIP_CACHE_DIR"] = os.environ.get("PIP_CACHE_DIR") or str(Path.home() / ".cache" / "pip")
    kept["NPM_CONFIG_CACHE"] = os.environ.get("NPM_CONFIG_CACHE") or str(Path.home() / ".npm")
    return kept | {"HOME": str(folder / "home"), "MARK_OF_THIS_TEST": str(folder)} | more


class Clone:
    """A fresh clone with what is not committed yet laid over it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = folder / "clone"
        self.port = free_pair()
        self.mark = f"MARK_OF_THIS_TEST={folder}"
        (folder / "home").mkdir()
        git = need_program("git")
        subprocess.run([git, "clone", "--quiet", str(ROOT), str(self.place)], check=True)
        listed = [git, "-C", str(ROOT), "ls-files", "-z", "--modified", "--others", "--exclude-standard"]
        for name in subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split("\0"):
            if name and (ROOT / name).is_file():
                (self.place / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.place / name)

    def start(self, **more: str) -> subprocess.Popen[str]:
        with (self.folder / "make.log").open("w") as log:
            return subprocess.Popen(
                [need_program("make"), "run", f"PORT={self.port}"],
                cwd=self.place,
                env=settings(self.folder, **more),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def said(self) -> str:
        return (self.folder / "make.log").read_text()

    def healthy(self) -> bool:
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.port}/-/healthy", trust_env=False, timeout=2)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and "Ctrl-C" in self.said()

    def run_until_healthy(self, seconds: float) -> tuple[subprocess.Popen[str], float]:
        begin = time.monotonic()
        make = self.start()
        assert within(seconds, lambda: self.healthy() or make.poll() is not None)
        assert make.poll() is None, self.said()
        return make, time.monotonic() - begin

    def left(self) -> dict[int, list[str]]:
        return {pid: words for pid, words in alive_below(self.mark).items() if pid != os.getpid()}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    clone = Clone(tmp_path_factory.mktemp("fresh"))
    try:
        yield clone
    finally:
        for pid in clone.left():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def end(clone: Clone, make: subprocess.Popen[str]) -> None:
    """Ctrl-C, as the terminal sends it: to the whole foreground process group."""
    os.killpg(make.pid, signal.SIGINT)
    make.wait(20)
    assert clone.left() == {}


def test_the_whole_way(clone):
    """In one test because each step stands on the one before."""
    taken_port_is_said_before_anything_starts(clone)
    first_start_makes_everything(clone)
    second_start_is_quick_and_keeps_everything(clone)
    nobody_outlives_a_killed_make(clone)


def taken_port_is_said_before_anything_starts(clone: Clone) -> None:
    with socket.create_server(("127.0.0.1", clone.port)):
        make = clone.start()
        assert make.wait(30) != 0
    assert f"Port {clone.port} is taken" in clone.said()
    assert not (clone.place / ".venv").exists()


def first_start_makes_everything(clone: Clone) -> None:
    make, took = clone.run_until_healthy(FIRST_SECONDS)
    print(f"first start: {took:.0f} s")
    assert len(clone.left()) >= 11, "make, box, emulators and their keeper, twice supervisor, web and worker"
    path = clone.place / "var" / "demo.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    demo = json.loads(path.read_text())
    assert demo["base_url"] == f"http://127.0.0.1:{clone.port}"
    assert set(demo) - {"base_url", "leap", "own_installation"} == PEOPLE
    assert set(demo["leap"]) == {
        "endpoint",
        "dropzone",
        "username",
        "client_id",
        "password",
        "api_key",
        "pin",
    }
    own = demo["own_installation"]
    assert own["base_url"] == f"http://127.0.0.1:{clone.port + 1}"
    assert httpx.get(f"{own['base_url']}/-/healthy", trust_env=False).status_code == 200
    for person in PEOPLE:
        assert demo[person]["email"] in clone.said()
        assert demo[person]["password"] in clone.said()
    asked = subprocess.run(
        [clone.place / ".venv" / "bin" / "doublehop", "check", "--ask-upstreams"],
        cwd=clone.place,
        env=settings(clone.folder),
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert asked.returncode == 0, asked.stdout + asked.stderr
    assert "ok     upstream Rack A1: answered" in asked.stdout
    end(clone, make)


def second_start_is_quick_and_keeps_everything(clone: Clone) -> None:
    before = (clone.place / "var" / "demo.json").read_text()
    make, took = clone.run_until_healthy(AGAIN_SECONDS)
    print(f"second start: {took:.1f} s")
    assert (clone.place / "var" / "demo.json").read_text() == before
    end(clone, make)


def nobody_outlives_a_killed_make(clone: Clone) -> None:
    make, _ = clone.run_until_healthy(AGAIN_SECONDS)
    make.kill()
    make.wait(10)
    assert within(20, lambda: clone.left() == {}), clone.left()


def test_a_missing_venv_package_is_one_sentence(tmp_path):
    """Debian without python3-venv has no ensurepip; only root could mend that, and this Python is not Debian's to mend."""
    clone = Clone(tmp_path)
    (tmp_path / "no-venv").mkdir()
    (tmp_path / "no-venv" / "ensurepip.py").write_text("raise ImportError\n")
    (tmp_path / "no-venv" / "sitecustomize.py").write_text("import os\nos.geteuid = lambda: 1000\n")
    make = clone.start(PYTHONPATH=str(tmp_path / "no-venv"))
    assert make.wait(60) != 0
    sentences = [line for line in clone.said().splitlines() if "make: ***" not in line and "..." not in line]
    assert len(sentences) == 1
    assert "python3-venv" in sentences[0] or "-venv is missing" in sentences[0]
