"""Nobody outlives the process that started it, however that one ended.

The parent keeps the writing end of a pipe open and never writes. When it ends, even by ``kill -9``, the kernel closes
that end, and the child waiting at the other wakes up.
"""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time
from collections.abc import Callable

GRACE_SECONDS = 10.0


def end_with_pipe(descriptor: int) -> None:
    """Ends this process when the other end of the pipe ``descriptor`` is closed."""
    _when(lambda: os.read(descriptor, 1))


def end_with_parent_process() -> None:
    """Ends this process when the one that made it through ``multiprocessing`` ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        _when(lambda: multiprocessing.connection.wait([parent.sentinel]))


def _when(returns: Callable[[], object]) -> None:
    threading.Thread(target=_follow, args=(returns,), name="lifeline", daemon=True).start()


def _follow(returns: Callable[[], object]) -> None:
    returns()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(1)
