"""The client against an installation that really runs: installed by itself, and with its connections cut."""

import json
import os
import re
import stat
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from doublehop.cli.tests.runner import KEYS, environment, migrated
from doublehop.driver_kit.conformance.fault_proxy import FaultProxy, Mode

pytestmark = pytest.mark.long
ROOT = Path(__file__).parent.parent.parent
REFERENCE = re.compile(r"[0-9A-Z]{3}-[0-9A-Z]{3}")


class House:
    """The process of ``tests.remote.house``: ``house.ask("effects", "web")``."""

    def __init__(self, folder: Path) -> None:
        self._log = (folder / "house.log").open("wb")
        path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.remote.house"],
            cwd=ROOT,
            env=environment(
                migrated(folder),
                DJANGO_SETTINGS_MODULE="tests.settings",
                DOUBLEHOP_LOG_LEVEL="ERROR",
                PYTHONPATH=path,
                **KEYS,
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        try:
            about = self._answer()
        except BaseException:
            self.end()
            raise
        self.port: int = about["port"]
        self.address = f"http://127.0.0.1:{self.port}"
        self.services: dict[str, str] = about["services"]
        self.servers: dict[str, str] = about["servers"]

    def ask(self, what: str, *given: object) -> Any:
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps({"do": what, "with": given}) + "\n")
        self._child.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        assert line, Path(self._log.name).read_text()[-3000:]
        return json.loads(line)

    def end(self) -> None:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.close()
        try:
            self._child.wait(30)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait(10)
        self._child.stdout.close()
        self._log.close()


@dataclass
class Program:
    """A command of its own, in an environment where nothing else of ours is."""

    command: list[str]
    home: Path
    address: str
    token: str

    def run(self, *arguments: str, typed: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        given = {"DOUBLEHOP_API": self.address, "DOUBLEHOP_TOKEN": self.token} if self.token else {}
        done = subprocess.run(
            [*self.command, *arguments],
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), **given, **more},
            cwd=self.home,
            input=typed,
            capture_output=True,
            text=True,
            timeout=90,
        )
        assert "Traceback" not in done.stdout + done.stderr
        assert "dh_" not in done.stdout + done.stderr
        return done

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    there = House(tmp_path_factory.mktemp("house"))
    yield there
    there.end()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The client from its own wheel, in a fresh environment, without any network."""
    folder = tmp_path_factory.mktemp("alone")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
    subprocess.run(build, cwd=ROOT / "client", check=True, capture_output=True, timeout=120)
    (wheel,) = (folder / "dist").glob("doublehop_remote-*-py3-none-any.whl")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=120)
    return [str(python.with_name("doublehop-remote"))]


@pytest.fixture
def program(alone: list[str], house: House, tmp_path: Path) -> Program:
    return Program(alone, tmp_path, house.address, house.ask("token"))


def test_it_is_installed_alone_and_signs_in(program: Program, house: House) -> None:
    text, program.token = program.token, ""
    assert program.run("list", "services").returncode == 4
    done = program.run("login", house.address, typed=f"{text}\n")
    assert done.returncode == 0, done.stderr
    kept = program.home / ".config" / "doublehop" / "remote.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert house.services["web"] in program.run("list", "services").stdout
    assert "Alder Hosting" in program.run("whoami").stdout
    packages = [str(Path(program.command[0]).with_name("python")), "-m", "pip", "list", "--format=json"]
    names = {row["name"] for row in json.loads(subprocess.check_output(packages, timeout=60))}
    assert names - {"pip", "setuptools"} <= {"doublehop-remote", "doublehop_remote"}


def test_each_list_and_each_thing_is_there(program: Program, house: House) -> None:
    for what in ("servers", "services", "clients", "products", "operations", "orders"):
        assert program.json("list", what)["more"] is False, what
    service = program.json("show", "service", house.services["web"])
    assert service["hostname"] == "web.example.org"
    assert program.json("show", "service", "web.example.org") == service
    server = program.json("show", "server", house.servers["web"])
    assert server["id"] == service["server_id"]
    assert program.json("show", "client", "C-1001")["name"] == "Quillfeather Books"
    said = program.run("list", "services").stdout
    assert re.search(rf"{house.services['web']} +active +web\.example\.org", said)
    assert program.run("show", "service", "nobody.example.org").returncode == 3


def test_a_reboot_is_tried_asked_about_done_and_watched(program: Program, house: House) -> None:
    before = house.ask("effects", "web")
    web = house.services["web"]
    tried = program.run("reboot", web, "--dry-run")
    assert tried.returncode == 0
    assert "Send the reboot, once" in tried.stdout
    unanswered = program.run("reboot", web)
    assert (unanswered.returncode, house.ask("effects", "web")) == (8, before)
    done = program.run("reboot", web, "--yes", "--watch")
    assert done.returncode == 0, done.stderr
    reference = REFERENCE.search(done.stdout)
    assert reference is not None
    assert re.search(r"Send the reboot, once: done", done.stdout)
    assert done.stdout.splitlines()[-1].endswith(f"{reference[0]} done")
    assert len(house.ask("effects", "web")) == len(before) + 1
    shown = program.run("show", "operation", reference[0])
    assert "done" in shown.stdout


@pytest.mark.parametrize("mode", [Mode.ANSWER_LOST, Mode.RESET, Mode.CUT])
def test_a_connection_cut_after_sending_makes_one_operation(
    program: Program, house: House, mode: Mode
) -> None:
    before = [row[0] for row in house.ask("operations", "db")]
    with FaultProxy(("127.0.0.1", house.port)) as proxy:
        program.address = proxy.url
        cut: list[bytes] = []

        def twice(request: bytes) -> bool:
            """The first two that truly ask, not those that only try."""
            if not request.startswith(b"POST ") or b"dry_run" in request.split(b"\r\n", 1)[0]:
                return False
            cut.append(request)
            return len(cut) <= 2

        proxy.only = twice
        proxy.mode = mode
        done = program.run("power-on", house.services["db"], "--watch")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("under the same key") == 2
    assert len(cut) == 3
    new = [row for row in house.ask("operations", "db") if row[0] not in before]
    assert [row[1:] for row in new] == [["power_on", "done"]]


def test_an_unknown_outcome_is_neither_done_nor_failed(program: Program, house: House) -> None:
    house.ask("next_is_unknown", "lost")
    done = program.run("reboot", house.services["lost"], "--yes", "--watch")
    assert done.returncode == 6, done.stdout + done.stderr
    assert "unknown" in done.stdout.splitlines()[-1]
    again = program.run("reboot", house.services["lost"], "--yes")
    assert again.returncode == 1
    assert "with --reason" in again.stderr
    house.ask("fine")
    told = ("--reason", "It hangs, seen on the console")
    assert program.run("reboot", house.services["lost"], "--yes", "--watch", *told).returncode == 0


def test_a_service_is_suspended_and_given_back(program: Program, house: House) -> None:
    web = house.services["web"]
    assert program.run("suspend", web, "--yes").returncode == 2
    done = program.run(
        "suspend", web, "--reason", "Invoice 1187", "--client-text", "Pay it.", "--yes", "--watch"
    )
    assert done.returncode == 0, done.stderr
    assert program.json("show", "service", web)["status"] == "suspended"
    refused = program.run("reboot", web, "--yes")
    assert refused.returncode == 1
    assert "code suspended" in refused.stderr
    assert program.run("unsuspend", web, "--watch").returncode == 0
    assert program.json("show", "service", web)["status"] == "active"


def test_a_server_is_attached_and_detached_without_touching_it(program: Program, house: House) -> None:
    waiting, spare = house.services["waiting"], house.servers["spare"]
    assert program.run("attach", waiting, spare, "--dry-run").returncode == 0
    assert program.json("show", "service", waiting)["status"] == "pending"
    assert program.run("attach", waiting, spare).returncode == 0
    assert program.json("show", "service", waiting)["status"] == "active"
    assert program.run("attach", house.services["web"], spare).returncode == 1
    assert program.run("detach", waiting).returncode == 8
    assert program.run("detach", waiting, "--yes").returncode == 0
    assert house.ask("effects", "spare") == []


def test_bandwidth_and_statements(program: Program, house: House) -> None:
    told = program.json("bandwidth", house.services["web"], "--start", "2020-01-01", "--end", "2020-01-03")
    assert told["octets_in"] == 0
    said = program.run("bandwidth", house.services["web"], "--percentile")
    assert said.returncode == 0, said.stderr
    assert "95th percentile" in said.stdout
    assert program.run("statements", house.services["web"]).stdout == "None.\n"
    assert program.run("statements").returncode == 0


def test_a_client_does_what_a_client_may(program: Program, house: House) -> None:
    program.token = house.ask("of_client")
    said = program.run("list", "services")
    assert house.services["web"] in said.stdout
    assert program.run("power-on", house.services["web"], "--watch").returncode == 0
    refused = program.run("suspend", house.services["web"], "--reason", "x", "--yes")
    assert refused.returncode == 4
    assert "code not_allowed" in refused.stderr


def test_the_installation_has_the_same_command(house: House, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "doublehop.cli", "remote"]
    program = Program(command, tmp_path, house.address, house.ask("token"))
    assert house.services["web"] in program.run("list", "services").stdout
    assert "doublehop remote login" in Program(command, tmp_path, "", "").run("list", "services").stderr


# Those that never end are in test_calling, where nobody has to wait for them.
@pytest.mark.parametrize(
    "mode",
    [
        Mode.REFUSE,
        Mode.ANSWER_LOST,
        Mode.CUT,
        Mode.NONSENSE,
        Mode.HTML,
        Mode.DEEP,
        Mode.BOMB,
        Mode.REDIRECT,
        Mode.ERROR_500,
        Mode.MAINTENANCE_503,
        Mode.BUSY_429,
        Mode.LIE,
    ],
)
def test_whatever_comes_back_it_ends_with_a_sentence(
    house: House, tmp_path: Path, program: Program, mode: Mode
) -> None:
    with FaultProxy(("127.0.0.1", house.port)) as proxy:
        program.address = proxy.url
        proxy.mode = mode
        done = program.run("list", "services", "--patience", "0.1")
    assert done.returncode in (5, 70), done.stderr
    assert done.stderr.splitlines()[-2].startswith("doublehop-remote: ")
