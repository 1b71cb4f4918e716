"""Databases that are copied from one another, on SQLite and on PostgreSQL. Nobody is connected to what is copied."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import psycopg

from tests.postgresql import passing_postgresql


class Databases(Protocol):
    """``url`` is of the first, empty one, named ``first``. A name is what Django calls NAME."""

    url: str
    first: str

    def copy(self, source: str, name: str) -> str: ...
    def drop(self, name: str) -> None: ...


class Files:
    """SQLite, one file each."""

    def __init__(self, folder: Path) -> None:
        self.first = str(folder / "first.sqlite3")
        self.url = f"sqlite:{self.first}"
        self._folder = folder

    def copy(self, source: str, name: str) -> str:
        target = str(self._folder / f"{name}.sqlite3")
        for end in ("", "-wal"):
            if Path(source + end).exists():
                shutil.copyfile(source + end, target + end)
        return target

    def drop(self, name: str) -> None:
        for end in ("", "-wal", "-shm"):
            Path(name + end).unlink(missing_ok=True)


class Postgres:
    """Databases of one server, each made from a template."""

    first = "first"

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._do("CREATE DATABASE first")
        self.url = urlsplit(uri)._replace(path=f"/{self.first}").geturl()

    def copy(self, source: str, name: str) -> str:
        self._do(f'CREATE DATABASE "{name}" TEMPLATE "{source}" STRATEGY wal_log')
        return name

    def drop(self, name: str) -> None:
        self._do(f'DROP DATABASE "{name}" WITH (FORCE)')

    def _do(self, *statements: str) -> None:
        """Over a connection of its own: a forked process shares none."""
        with psycopg.connect(self._uri, autocommit=True) as admin:
            for statement in statements:
                admin.execute(statement)  # type: ignore[arg-type]


def _scratch() -> tempfile.TemporaryDirectory[str]:
    """In memory where the system offers it: what is proven is the order of commits, and nobody cuts the power here."""
    memory = Path("/dev") / "shm"
    return tempfile.TemporaryDirectory(prefix="doublehop-", dir=memory if memory.is_dir() else None)


@contextmanager
def sqlite() -> Iterator[Databases]:
    with _scratch() as folder:
        yield Files(Path(folder))


@contextmanager
def postgresql() -> Iterator[Databases]:
    """Needs no system package, runs as root too, listens on a socket in its folder only."""
    with passing_postgresql() as url:
        yield Postgres(url)
