"""Deeds in processes of their own, forked from a warm one that has no threads and no connections."""

import gc
import os
import pickle
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection

LIVES_SECONDS = 30


@dataclass(frozen=True)
class End:
    """``killed``: by SIGKILL, as planned. Otherwise ``answer`` is what the deed returned."""

    killed: bool
    answer: Any = None


@dataclass(frozen=True)
class Process:
    """A forked process that is under way."""

    pid: int
    said: int

    def end(self) -> End:
        """Waits for it. What the deed raised is raised here, as text."""
        with os.fdopen(self.said, "rb") as said:
            answer = said.read()
        _, status = os.waitpid(self.pid, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            return End(killed=True)
        assert answer, f"a process ended with {status}"
        fine, value = pickle.loads(answer)  # noqa: S301 (written by our own child)
        assert fine, value
        return End(killed=False, answer=value)


def begin(deed: Callable[[], Any], database: str, *, seconds: int = LIVES_SECONDS) -> Process:
    """``deed`` in a process of its own, on that database, for at most so long."""
    source, sink = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(source)
        _live(deed, database, sink, seconds)
    os.close(sink)
    return Process(pid, source)


def in_a_process(deed: Callable[[], Any], database: str) -> End:
    return begin(deed, database).end()


def stand_on(database: str) -> None:
    """This process speaks to the database of that name from its next connection on."""
    settings.DATABASES["default"]["NAME"] = database
    connection.settings_dict["NAME"] = database


def _live(deed: Callable[[], Any], database: str, sink: int, seconds: int) -> None:
    signal.alarm(seconds)
    gc.disable()
    try:
        stand_on(database)
        answer = (True, deed())
        connection.close()
    except BaseException:  # noqa: BLE001 (told to the parent)
        answer = (False, traceback.format_exc())
    with os.fdopen(sink, "wb") as told:
        told.write(pickle.dumps(answer))
    os._exit(0)
