"""The box in the foreground: prepares what is missing, starts the emulators and the installation, shows the sign-ins."""

import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from doublehop.box.children import CannotGoOn, Children, clean_environment
from doublehop.box.memory import Memory, fingerprint, keep, recall, write_private
from doublehop.box.progress import step

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
HEALTHY_WITHIN_SECONDS = 60.0
LOOK_EVERY_SECONDS = 0.5
DATABASE = "doublehop.sqlite3"
WHO = {
    "provider": "Northgate Metal, owns the machines",
    "reseller": "Alder Hosting, sells them on",
    "other_reseller": "Birch Cloud, another one",
    "client": "Quillfeather Books, client of Alder",
    "other_client": "Juniper Analytics, client of Birch",
}


class Ended(BaseException):
    """A signal asked the box to end. Not an error, and not to be caught by accident."""


class Box:
    """``parent`` is the process id that the box ends with, or 0."""

    def __init__(self, data_dir: Path, port: int, *, parent: int = 0) -> None:
        self._folder = data_dir.absolute()
        self._port = port
        self._parent = parent
        self._base_url = f"http://127.0.0.1:{port}"
        self._remembered = self._folder / "box.json"
        self._children = Children(clean_environment(self._folder, port))

    def run(self) -> int:
        """Until a signal asks to end, then 0. Raises CannotGoOn."""
        refuse_taken(self._port)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / "box.lock").open("a") as lock:
            self._take(lock.fileno())
            for kind in ENDING:
                signal.signal(kind, _end)
            try:
                self._prepare()
                self._run()
            except Ended:
                print("\nEnding ...", flush=True)
            finally:
                for kind in ENDING:
                    signal.signal(kind, signal.SIG_IGN)
                self._children.end()
        return 0

    def _take(self, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotGoOn(f"Another box is running in {self._folder}; end that one first.") from error

    def _prepare(self) -> None:
        with step(3, "Front-end files"):
            self._children.finish(
                "-m", "doublehop.panels.build", trouble="The front-end files could not be made"
            )
        self._memory = self._begin()
        with step(4, "Database and page files"):
            self._prepare_installation()
        with step(5, "Emulators of machines and switch"):
            self._emulators, line = self._children.keep_emulators(
                "-m",
                "doublehop.box.keeper",
                str(self._folder / "box"),
                str(self._memory.port("bmc_url")),
                str(self._memory.port("switch")),
            )
        with step(6, "The cast of the demo"):
            self._fill(json.loads(line))

    def _begin(self) -> Memory:
        """What is remembered. A first start that was broken off begins again; a real installation is not touched."""
        database = self._folder / DATABASE
        memory = recall(self._remembered)
        if memory is None:
            if database.exists():
                raise CannotGoOn(
                    f"{self._folder} holds an installation that is no demo; "
                    "give another folder in DOUBLEHOP_DATA_DIR, or move that one away."
                )
            memory = Memory()
            keep(self._remembered, memory)
        if not memory.sign_ins or not database.exists():
            for path in self._folder.glob(DATABASE + "*"):
                path.unlink()
            memory = Memory(addresses=memory.addresses)
        return memory

    def _prepare_installation(self) -> None:
        wanted = fingerprint()
        page_files = self._folder / "static" / "staticfiles.json"
        if self._memory.prepared != wanted or not page_files.exists():
            self._children.finish(
                "-m", "doublehop.cli", "init", "--without-owner", trouble="The database could not be made"
            )
            self._memory.prepared = wanted
            keep(self._remembered, self._memory)
        self._children.learn(read_settings(self._folder / "doublehop.env"))

    def _fill(self, addresses: dict[str, str]) -> None:
        fill = ("-m", "doublehop.box.fill")
        if not self._memory.sign_ins:
            said = self._children.finish(
                *fill, "seed", given=json.dumps(addresses), trouble="The cast could not be made"
            )
            self._memory.sign_ins = json.loads(said.splitlines()[-1])
        elif addresses != self._memory.addresses:
            self._children.finish(
                *fill,
                "readdress",
                given=json.dumps(addresses),
                trouble="The emulators moved, and the demo could not",
            )
        self._memory.addresses = addresses
        keep(self._remembered, self._memory)

    def _run(self) -> None:
        serving = self._children.keep_serving("-m", "doublehop.cli", "serve", "--port", str(self._port))
        self._wait_until_healthy(serving)
        self._write_demo()
        self._show()
        while serving.poll() is None and self._emulators.poll() is None:
            if self._parent and os.getppid() != self._parent:
                raise Ended
            time.sleep(LOOK_EVERY_SECONDS)
        raise CannotGoOn("The installation ended." if serving.poll() is not None else "The emulators ended.")

    def _wait_until_healthy(self, serving: subprocess.Popen[str]) -> None:
        until = time.monotonic() + HEALTHY_WITHIN_SECONDS
        while not is_healthy(self._port):
            if serving.poll() is not None or time.monotonic() > until:
                raise CannotGoOn("The installation does not start; what it said stands above.")
            time.sleep(0.1)

    def _write_demo(self) -> None:
        people = {
            part: {
                "email": sign_in["email"],
                "password": sign_in["password"],
                "brand_url": f"http://{sign_in['host']}:{self._port}",
            }
            for part, sign_in in self._memory.sign_ins.items()
        }
        text = json.dumps({"base_url": self._base_url, **people}, indent=2)
        write_private(self._folder / "demo.json", text)

    def _show(self) -> None:
        rows = [
            (WHO.get(part, part), one["email"], one["password"], f"http://{one['host']}:{self._port}")
            for part, one in self._memory.sign_ins.items()
        ]
        heads = ("Who", "E-mail", "Password", "Under their own name")
        widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
        print(f"\nDoublehop runs at {self._base_url}  (Ctrl-C ends it). Sign in there as:\n")
        for row in [heads, *rows]:
            print(
                "  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
            )
        print(f"\nThe same in {self._folder / 'demo.json'}.")
        print(
            f"What the machines are told, they write into {self._folder / 'box' / 'bmc.log'}.\n", flush=True
        )


def main(arguments: list[str]) -> int:
    """``--end-with-parent``: also when whoever started the box is gone, as ``make`` after ``kill -9``."""
    parent = os.getppid() if "--end-with-parent" in arguments else 0
    data_dir = Path(os.environ.get("DOUBLEHOP_DATA_DIR") or "var")
    try:
        return Box(data_dir, read_port(os.environ.get("PORT") or "8000"), parent=parent).run()
    except CannotGoOn as error:
        print(error, file=sys.stderr)
        return 1


def read_port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 65535):
        raise CannotGoOn(f"PORT={text} is no port: a number from 1 to 65535 is needed.")
    return int(text)


def refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError as error:
            raise CannotGoOn(
                f"Port {port} cannot be used ({error.strerror}); try PORT={port % 65535 + 1}."
            ) from error


def read_settings(path: Path) -> dict[str, str]:
    """The lines that ``doublehop init`` wrote: NAME=VALUE, without quotes."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/-/healthy")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _end(number: int, frame: object) -> None:
    raise Ended
