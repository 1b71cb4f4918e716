"""Deeds of truly the same moment, in threads of their own."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections


@pytest.fixture
def shared_by_threads(cast, tmp_path, monkeypatch):
    """The database as an installation has it. That of the tests is in memory on SQLite, where threads trip over each other:
    it goes on as a file."""
    if connection.vendor == "sqlite":
        path = tmp_path / "copy.sqlite3"
        copy = sqlite3.connect(path)
        connection.connection.backup(copy)
        copy.close()
        monkeypatch.setitem(connections.settings["default"], "NAME", str(path))


def together(*deeds):
    """What each of them answered, or the exception with which it ended."""
    start = threading.Barrier(len(deeds))

    def go(deed):
        try:
            start.wait(30)
            return deed()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(deeds)) as pool:
        asked = [pool.submit(go, deed) for deed in deeds]
        return [one.exception(60) or one.result() for one in asked]
