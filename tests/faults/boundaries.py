"""Where a process may die: before and after every commit, every connect, every write and every read of a socket, and in
the middle of writing an instruction.

Found by watching, not listed: what is committed or sent anew tomorrow counts by itself.
"""

import functools
import os
import signal
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from doublehop.driver_kit.wire import WatchedStream, Wire

_WRITES = ("INSERT", "UPDATE", "DELETE")


class Boundaries:
    """Counts what it passes; at number ``die_at`` the process is killed as by ``kill -9``."""

    def __init__(self, die_at: int | None = None) -> None:
        self.passed: list[str] = []
        self._die_at = die_at

    def passes(self, name: str) -> None:
        if len(self.passed) == self._die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.passed.append(name)

    def watch(self) -> None:
        """From now on, until this process ends."""
        self._around(BaseDatabaseWrapper, "_commit", "commit")
        self._around(Wire, "connect_tcp", "connect")
        self._around(WatchedStream, "write", "write", begin=self._half)
        self._around(WatchedStream, "read", "read")
        self._around(WatchedStream, "close", "close")
        connection.execute_wrappers.append(self._statement)

    def _half(self, write: Callable[..., Any], stream: Any, buffer: bytes, *more: Any, **others: Any) -> None:
        if len(buffer) < 2 or buffer.startswith(b"GET "):
            return
        if len(self.passed) == self._die_at:
            write(stream, buffer[: len(buffer) // 2], *more, **others)
        self.passes("in the middle of a write")

    def _around(self, owner: type, method: str, name: str, begin: Callable[..., None] | None = None) -> None:
        original: Callable[..., Any] = getattr(owner, method)

        @functools.wraps(original)
        def watched(*args: Any, **kwargs: Any) -> Any:
            self.passes(f"before {name}")
            if begin is not None:
                begin(original, *args, **kwargs)
            answer = original(*args, **kwargs)
            self.passes(f"after {name}")
            return answer

        setattr(owner, method, watched)

    def _statement(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        """Outside a transaction each statement is its own commit."""
        if connection.in_atomic_block or not sql.lstrip().upper().startswith(_WRITES):
            return execute(sql, params, many, context)
        self.passes("before commit")
        answer = execute(sql, params, many, context)
        self.passes("after commit")
        return answer
