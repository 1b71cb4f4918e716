"""Nothing of the installation runs: asked, and held, while its database is replaced."""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from doublehop.cli.stopping import CANNOT_START, CannotGoOn

WORKER_LOCK = "worker.lock"
WEB_LOCK = "web.lock"


def serve(data_dir: Path) -> IO[str]:
    """A web process says that it runs, until the file is closed. Any number may. Raises CannotGoOn during a restore."""
    data_dir.mkdir(parents=True, exist_ok=True)
    file = (data_dir / WEB_LOCK).open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise CannotGoOn(
            "The database is being restored; start again when that is done.", exit_code=CANNOT_START
        ) from None
    return file


@contextmanager
def standstill(data_dir: Path) -> Iterator[None]:
    """Neither worker nor web of this data folder runs, and none starts. Raises CannotGoOn when one does."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        for name, who in ((WORKER_LOCK, "worker"), (WEB_LOCK, "web server")):
            file = held.enter_context((data_dir / name).open("a+"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CannotGoOn(
                    f"The {who} of this installation is running: stop it first. Nothing was changed."
                ) from None
        yield
