"""Keeps a few child processes running: starts them, starts them again when they crash, ends them together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from doublehop.cli.arrivals import ENDING, Arrivals
from doublehop.cli.stopping import CANNOT_START, WRONG

GRACE_SECONDS = 10.0
STEADY_SECONDS = 60.0
"""A child that ran for so long has its earlier crashes forgiven."""
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
FOREVER = 3600.0


@dataclass(frozen=True)
class Part:
    """``command`` gets ``--lifeline N`` added: a pipe that closes when the supervisor ends."""

    name: str
    command: tuple[str, ...]


@dataclass
class _Child:
    part: Part
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    crashes: int = 0
    start_at: float = field(default_factory=time.monotonic)


class Supervisor:
    def __init__(self, parts: Sequence[Part]) -> None:
        self._children = [_Child(part) for part in parts]
        self._exit_code: int | None = None

    def run(self) -> int:
        """Until a signal asks to end (answers 0), or a part says that starting it again is no use (its exit code)."""
        self._lifeline, keep_open = os.pipe()
        with Arrivals(*ENDING, signal.SIGCHLD) as arrivals:
            try:
                self._keep_running(arrivals)
            finally:
                killed = self._end_all(arrivals)
                os.close(self._lifeline)
                os.close(keep_open)
        return WRONG if killed and not self._exit_code else self._exit_code or 0

    def _keep_running(self, arrivals: Arrivals) -> None:
        while self._exit_code is None:
            for child in self._children:
                if child.process is None and time.monotonic() >= child.start_at:
                    self._start(child)
            waiting = [child.start_at for child in self._children if child.process is None]
            until = min(waiting, default=time.monotonic() + FOREVER)
            if any(number in ENDING for number in arrivals.wait(until - time.monotonic())):
                self._exit_code = 0
                return
            for child in self._children:
                self._look_at(child)

    def _start(self, child: _Child) -> None:
        child.started_at = time.monotonic()
        child.process = subprocess.Popen(
            [*child.part.command, "--lifeline", str(self._lifeline)],
            stdin=subprocess.DEVNULL,
            pass_fds=(self._lifeline,),
            # A group of its own: Ctrl-C reaches only the supervisor, and what a child started ends with it.
            process_group=0,
        )

    def _look_at(self, child: _Child) -> None:
        if child.process is None or child.process.poll() is None:
            return
        code, pid = child.process.returncode, child.process.pid
        child.process = None
        _signal_group(pid, signal.SIGKILL)
        if code == CANNOT_START:
            self._exit_code = code
            return
        if time.monotonic() - child.started_at > STEADY_SECONDS:
            child.crashes = 0
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**child.crashes)
        child.crashes += 1
        child.start_at = time.monotonic() + pause
        _say(f"{child.part.name} ended unexpectedly ({_how(code)}); it starts again in {pause:g} s.")

    def _end_all(self, arrivals: Arrivals) -> bool:
        """Asks nicely, waits, kills what is left. Answers whether something had to be killed."""
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            process.terminate()
        until = time.monotonic() + GRACE_SECONDS
        while any(process.poll() is None for process in running) and time.monotonic() < until:
            if any(number in ENDING for number in arrivals.wait(until - time.monotonic())):
                break  # asked a second time: no more patience
        killed = any(process.poll() is None for process in running)
        for process in running:
            _signal_group(process.pid, signal.SIGKILL)
            process.wait()
        return killed


def _signal_group(pid: int, kind: signal.Signals) -> None:
    try:
        os.killpg(pid, kind)
    except ProcessLookupError:
        return


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _say(text: str) -> None:
    print(f"doublehop: {text}", file=sys.stderr, flush=True)
