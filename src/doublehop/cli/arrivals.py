"""Signals as something to wait for: handlers only note, the loop decides."""

import os
import select
import signal
from types import FrameType, TracebackType
from typing import Self

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Arrivals:
    """Within ``with``: ``wait`` returns early when a signal came, and says which."""

    def __init__(self, *kinds: signal.Signals) -> None:
        self._kinds = kinds
        self._noted: list[int] = []

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._before = {kind: signal.signal(kind, self._note) for kind in self._kinds}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)

    def wait(self, seconds: float) -> list[int]:
        if not self._noted and select.select([self._read], [], [], max(0.0, seconds))[0]:
            os.read(self._read, 4096)
        noted, self._noted = self._noted, []
        return noted

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted.append(number)
