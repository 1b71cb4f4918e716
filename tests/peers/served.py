"""Starts houses, asks them, ends them. Knows no Django, so that a driver's own test may use it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from doublehop.cli.tests.runner import KEYS, environment, migrated

ROOT = Path(__file__).parents[2]


class Served:
    """The process of ``tests.peers.house`` in a folder: ``house.ask("effects", "web")``. Its port stays when it is started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        migrated(self.folder)
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def start(self) -> None:
        self._log = (self.folder / "house.log").open("ab")
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.peers.house", str(self.port)],
            cwd=ROOT,
            env=environment(
                self.folder,
                DJANGO_SETTINGS_MODULE="tests.settings",
                DOUBLEHOP_LOG_LEVEL="ERROR",
                PYTHONPATH=os.pathsep.join([str(ROOT), str(ROOT / "src")]),
                **KEYS,
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        try:
            self.port = self._answer()["port"]
        except BaseException:
            self.end()
            raise

    @property
    def is_running(self) -> bool:
        return self._child.poll() is None

    def ask(self, what: str, *given: object) -> Any:
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps({"do": what, "with": given}) + "\n")
        self._child.stdin.flush()
        return self._answer()

    def kill(self) -> None:
        """As when the power fails."""
        self._child.send_signal(signal.SIGKILL)
        self._child.wait(20)
        self._close()

    def end(self) -> None:
        if self._child.poll() is None:
            assert self._child.stdin is not None
            self._child.stdin.close()
            try:
                self._child.wait(30)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait(10)
        self._close()

    def _answer(self) -> Any:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        assert line, Path(self._log.name).read_text()[-3000:]
        return json.loads(line)

    def _close(self) -> None:
        for stream in (self._child.stdin, self._child.stdout, self._log):
            if stream is not None and not stream.closed:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue
