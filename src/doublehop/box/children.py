"""The processes that the box starts, and their end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

GRACE_SECONDS = 14.0
"""``doublehop serve`` gives its own children ten."""


class CannotGoOn(Exception):
    """One sentence, perhaps followed by what a program said."""


class Children:
    """``environment`` is what they all get. Each leads a process group; ``end`` leaves none of them behind."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._running: list[subprocess.Popen[str]] = []

    def learn(self, values: Mapping[str, str]) -> None:
        """More environment for those that start from now on."""
        self._environment.update(values)

    def finish(self, *arguments: str, trouble: str, given: str = "") -> str:
        """Runs ``python ARGUMENTS`` to its end and answers with its output. Raises CannotGoOn with its last words."""
        process = self._start(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        output, complaints = process.communicate(given)
        self._running.remove(process)
        if process.returncode:
            raise CannotGoOn(f"{trouble}; it said:\n{(output + complaints).strip()[-3000:]}")
        return output

    def keep_emulators(self, *arguments: str) -> tuple[subprocess.Popen[str], str]:
        """Starts one that speaks a line when it is ready. Closing its input is its end."""
        process = self._start(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise CannotGoOn("The emulators do not start.")
        return process, line

    def keep_serving(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts one that ends when the box does, told by a pipe."""
        reading, self._lifeline = os.pipe()
        process = self._start(
            (*arguments, "--lifeline", str(reading)), stdin=subprocess.DEVNULL, pass_fds=(reading,)
        )
        os.close(reading)
        return process

    def end(self) -> None:
        """The last started first, so that the installation is gone before its machines."""
        until = time.monotonic() + GRACE_SECONDS
        for process in reversed(self._running):
            process.terminate()
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            _kill_group(process.pid)
        self._running.clear()

    def _start(
        self,
        arguments: tuple[str, ...],
        *,
        stdin: int,
        stdout: int | IO[str] | None = None,
        stderr: int | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env=self._environment,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=pass_fds,
            text=True,
            process_group=0,
        )
        self._running.append(process)
        return process


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def clean_environment(data_dir: Path, port: int) -> dict[str, str]:
    """Ours without the settings of any other installation; nothing of the box is ever reached from outside."""
    foreign = ("DOUBLEHOP_", "DATABASE_URL", "DJANGO_", "GRANIAN_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {
        "DOUBLEHOP_DATA_DIR": str(data_dir),
        "DOUBLEHOP_BASE_URL": f"http://127.0.0.1:{port}",
        "DOUBLEHOP_SHARED_HOSTS": "127.0.0.1,localhost",
        # So that webhooks of the provider can be tried with a receiver on this machine.
        "DOUBLEHOP_WEBHOOK_NETWORKS": "127.0.0.0/8",
        # The emulators and the other installation are on this machine, for the provider's resellers too.
        "DOUBLEHOP_UPSTREAM_NETWORKS": "127.0.0.0/8",
        "DOUBLEHOP_LOG_LEVEL": os.environ.get("DOUBLEHOP_LOG_LEVEL", "WARNING"),
    }
