"""The box in the foreground: prepares what is missing, starts emulators and two installations, shows the sign-ins.

The first installation is a provider's: it owns the emulated machines, and its resellers and their clients live in it.
The second is one reseller's own, which knows the provider only through the LEAP and Dropzone APIs, over real HTTP.
"""

import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path

from doublehop.box.children import CannotGoOn
from doublehop.box.installation import Installation, refuse_taken
from doublehop.box.memory import Memory, fingerprint, keep, recall, write_private
from doublehop.box.progress import step

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
LOOK_EVERY_SECONDS = 0.5
OWN = "own"
"""The folder of the reseller's own installation, below the box's."""
WHO = {
    "provider": "Northgate Metal, owns the machines",
    "reseller": "Alder Hosting, sells them on",
    "other_reseller": "Birch Cloud, another one",
    "client": "Quillfeather Books, client of Alder",
    "other_client": "Juniper Analytics, client of Birch",
    "tandem": "Alder Hosting's Tandem user",
}
WHO_OF_OWN = {"staff": "Alder Hosting, at home", "client": "Lantern Studio, its client"}


class Ended(BaseException):
    """A signal asked the box to end. Not an error, and not to be caught by accident."""


class Box:
    """``parent`` is the process id that the box ends with, or 0."""

    def __init__(self, data_dir: Path, port: int, *, parent: int = 0) -> None:
        self._folder = data_dir.absolute()
        self._parent = parent
        self._remembered = self._folder / "box.json"
        self._provider = Installation(self._folder, port)
        self._own = Installation(self._folder / OWN, port + 1)

    def run(self) -> int:
        """Until a signal asks to end, then 0. Raises CannotGoOn."""
        for installation in (self._provider, self._own):
            refuse_taken(installation.port)
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
                for installation in (self._own, self._provider):
                    installation.children.end()
        return 0

    def _take(self, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotGoOn(f"Another box is running in {self._folder}; end that one first.") from error

    def _prepare(self) -> None:
        with step(3, "Front-end files"):
            self._provider.children.finish(
                "-m", "doublehop.panels.build", trouble="The front-end files could not be made"
            )
        self._memory = self._begin()
        with step(4, "Databases and page files"):
            self._prepare_installations()
        with step(5, "Emulators of machines and switch"):
            self._emulators, line = self._provider.children.keep_emulators(
                "-m",
                "doublehop.box.keeper",
                str(self._folder / "box"),
                str(self._memory.port("bmc_url")),
                str(self._memory.port("switch")),
            )
        with step(6, "The provider's installation"):
            self._fill(json.loads(line))
            self._serving = [self._provider.serve()]
        with step(7, "A reseller's own installation"):
            self._fill_own()
            self._serving.append(self._own.serve())

    def _begin(self) -> Memory:
        """What is remembered. A first start that was broken off begins again; a real installation is not touched."""
        memory = recall(self._remembered)
        if memory is None:
            if self._provider.has_database:
                raise CannotGoOn(
                    f"{self._folder} holds an installation that is no demo; "
                    "give another folder in DOUBLEHOP_DATA_DIR, or move that one away."
                )
            memory = Memory()
            keep(self._remembered, memory)
        if not memory.sign_ins or not self._provider.has_database:
            self._provider.forget()
            memory = Memory(addresses=memory.addresses)
        if not memory.own or not self._own.has_database:
            self._own.forget()
            memory.own, memory.prepared = {}, ""
        return memory

    def _prepare_installations(self) -> None:
        wanted = fingerprint()
        both = (self._provider, self._own)
        if self._memory.prepared != wanted or not all(one.has_page_files for one in both):
            for one in both:
                one.make()
            self._memory.prepared = wanted
            keep(self._remembered, self._memory)
        for one in both:
            one.learn_settings()

    def _fill(self, addresses: dict[str, str]) -> None:
        if not self._memory.sign_ins:
            cast = self._provider.fill("seed", addresses, trouble="The cast could not be made")
            self._memory.sign_ins = cast["sign_ins"]
            self._memory.leap, self._memory.tandem = cast["leap"], cast["tandem"]
        elif addresses != self._memory.addresses:
            self._provider.fill("readdress", addresses, trouble="The emulators moved, and the demo could not")
        self._memory.addresses = addresses
        keep(self._remembered, self._memory)

    def _fill_own(self) -> None:
        """The provider answers already: everything in here is asked of it over HTTP."""
        given = {
            "endpoint": self._provider.base_url,
            "leap": self._memory.leap,
            "tandem": self._memory.tandem,
            "staff": self._memory.sign_ins["reseller"],
        }
        if not self._memory.own:
            self._memory.own = self._own.fill(
                "own", given, trouble="The reseller's own cast could not be made"
            )
        elif self._memory.own_asks != self._provider.base_url:
            self._own.fill("move", given, trouble="The provider moved, and the reseller could not follow")
        self._memory.own_asks = self._provider.base_url
        keep(self._remembered, self._memory)

    def _run(self) -> None:
        self._write_demo()
        self._show()
        while all(one.poll() is None for one in (*self._serving, self._emulators)):
            if self._parent and os.getppid() != self._parent:
                raise Ended
            time.sleep(LOOK_EVERY_SECONDS)
        ended = "The emulators" if self._emulators.poll() is not None else "An installation"
        raise CannotGoOn(f"{ended} ended.")

    def _write_demo(self) -> None:
        memory, base = self._memory, self._provider.base_url
        demo = {
            "base_url": base,
            **{part: _person(one, self._provider.port) for part, one in memory.sign_ins.items()},
            "leap": {"endpoint": f"{base}/leap/api.php", "dropzone": f"{base}/dropzone/", **memory.leap},
            "tandem": _person(memory.tandem, self._provider.port),
            "own_installation": {
                "base_url": self._own.base_url,
                **{part: _person(one, self._own.port) for part, one in memory.own.items()},
            },
        }
        write_private(self._folder / "demo.json", json.dumps(demo, indent=2))

    def _show(self) -> None:
        memory = self._memory
        everybody = {**memory.sign_ins, "tandem": memory.tandem}
        print(f"\nDoublehop runs at {self._provider.base_url}  (Ctrl-C ends it). Sign in there as:\n")
        _table([(WHO.get(part, part), one, self._provider.port) for part, one in everybody.items()])
        print(
            f"\nThe reseller's own installation, which reaches its machines through the provider's API, runs at "
            f"{self._own.base_url}:\n"
        )
        _table([(WHO_OF_OWN.get(part, part), one, self._own.port) for part, one in memory.own.items()])
        print(f"\nThe same, with the LEAP account, in {self._folder / 'demo.json'}.")
        print(
            f"What the machines are told, they write into {self._folder / 'box' / 'bmc.log'}.\n", flush=True
        )


def _person(one: dict[str, str], port: int) -> dict[str, str]:
    return {
        "email": one["email"],
        "password": one["password"],
        "brand_url": f"http://{one['host']}:{port}",
    }


def _table(people: list[tuple[str, dict[str, str], int]]) -> None:
    rows = [(who, one["email"], one["password"], f"http://{one['host']}:{port}") for who, one, port in people]
    heads = ("Who", "E-mail", "Password", "Under their own name")
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    for row in [heads, *rows]:
        print("  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


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
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65535):
        raise CannotGoOn(
            f"PORT={text} cannot be used: a number from 1 to 65534 is needed, and the next is used too."
        )
    return int(text)


def _end(number: int, frame: object) -> None:
    raise Ended
