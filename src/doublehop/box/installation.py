"""One installation of the box: its folder, its port, the processes it needs, and whether it answers."""

import http.client
import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from doublehop.box.children import CannotGoOn, Children, clean_environment

HEALTHY_WITHIN_SECONDS = 60.0
DATABASE = "doublehop.sqlite3"
HIGH_WATER = "high-water.json"
"""How far the worker had come: it would take a new database for an old copy."""


class Installation:
    """``folder`` holds its database, settings and page files; it listens on loopback only."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.base_url = f"http://127.0.0.1:{port}"
        self.children = Children(clean_environment(folder, port))

    @property
    def has_database(self) -> bool:
        return (self.folder / DATABASE).exists()

    @property
    def has_page_files(self) -> bool:
        return (self.folder / "static" / "staticfiles.json").exists()

    def forget(self) -> None:
        """A first start that was broken off begins again."""
        for path in (*self.folder.glob(DATABASE + "*"), self.folder / HIGH_WATER):
            path.unlink(missing_ok=True)

    def make(self) -> None:
        """Database and page files, up to date."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.children.finish(
            "-m", "doublehop.cli", "init", "--without-owner", trouble="The database could not be made"
        )

    def learn_settings(self) -> None:
        self.children.learn(read_settings(self.folder / "doublehop.env"))

    def fill(self, what: str, given: dict[str, Any], *, trouble: str) -> dict[str, Any]:
        """Runs one of box.fill's deeds in this installation; JSON in, JSON out."""
        said = self.children.finish(
            "-m", "doublehop.box.fill", what, given=json.dumps(given), trouble=trouble
        )
        lines = said.splitlines()
        answer: dict[str, Any] = json.loads(lines[-1]) if lines else {}
        return answer

    def serve(self) -> subprocess.Popen[str]:
        """Started and answering. Raises CannotGoOn."""
        serving = self.children.keep_serving("-m", "doublehop.cli", "serve", "--port", str(self.port))
        until = time.monotonic() + HEALTHY_WITHIN_SECONDS
        while not is_healthy(self.port):
            if serving.poll() is not None or time.monotonic() > until:
                raise CannotGoOn("The installation does not start; what it said stands above.")
            time.sleep(0.1)
        return serving


def read_settings(path: Path) -> dict[str, str]:
    """The lines that ``doublehop init`` wrote: NAME=VALUE, without quotes."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError as error:
            raise CannotGoOn(
                f"Port {port} cannot be used ({error.strerror}); two ports in a row are needed, "
                f"try PORT={port % 65000 + 10}."
            ) from error


def is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/-/healthy")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
