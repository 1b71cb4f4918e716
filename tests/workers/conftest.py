"""A PostgreSQL from a wheel, one database, and as many workers as a test wants."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from doublehop.cli.tests.runner import KEYS, environment
from tests.postgresql import new_database, passing_postgresql

ROOT = Path(__file__).resolve().parent.parent.parent
START_WITHIN_SECONDS = 40.0


@dataclass(frozen=True)
class Line:
    what: str
    key: str
    pid: int
    at: float


@dataclass
class Installation:
    """``url`` of its database; ``folder`` holds the ledger of what ran."""

    url: str
    folder: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        return environment(
            self.folder,
            DJANGO_SETTINGS_MODULE="doublehop.site.settings",
            DATABASE_URL=self.url,
            DOUBLEHOP_LOG_LEVEL="WARNING",
            PYTHONPATH=os.pathsep.join([str(ROOT), str(ROOT / "src")]),
            **KEYS,
        )

    def run(self, *words: str) -> None:
        done = subprocess.run(
            [sys.executable, *words],
            env=self.environment(),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=90,
        )
        assert done.returncode == 0, done.stderr[-2000:]

    def ring(self, name: str, *, lanes: int = 1, first: int = 1, last: int = 1) -> None:
        self.run("-m", "tests.workers.counting", "ring", name, str(lanes), str(first), str(last))

    def start(self) -> subprocess.Popen[bytes]:
        """A worker that has begun to work."""
        with (self.folder / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "tests.workers.counting", "worker"],
                env=self.environment(),
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        self.workers.append(worker)
        self.wait(lambda: f":{worker.pid}" in " ".join(self.beats()), START_WITHIN_SECONDS)
        return worker

    def sql(self, statement: str) -> list[tuple]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def beats(self) -> list[str]:
        return [worker for (worker,) in self.sql("SELECT worker FROM jobs_beat")]

    def left(self) -> int:
        """Rows of jobs, but those of periodics."""
        return self.sql("SELECT count(*) FROM procrastinate_jobs WHERE queue_name LIKE 'lane:%'")[0][0]

    def lines(self, what: str) -> list[Line]:
        ledger = self.folder / "ledger"
        words = [line.split() for line in ledger.read_text().splitlines()] if ledger.exists() else []
        return [Line(one, key, int(pid), float(at)) for one, key, pid, at in words if one == what]

    def ran(self, what: str) -> Counter[str]:
        return Counter(line.key for line in self.lines(what))

    def log(self) -> str:
        return (self.folder / "worker.log").read_text()[-3000:]

    def wait(self, is_so: Callable[[], bool], seconds: float) -> float:
        """How long it took, in seconds."""
        begin = time.monotonic()
        while not is_so():
            assert time.monotonic() - begin < seconds, self.log()
            time.sleep(0.05)
        return time.monotonic() - begin

    def end(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGKILL)
            worker.wait(10)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an empty database that is up to date."""
    with passing_postgresql() as url:
        url = new_database(url, "workers")
        Installation(url, tmp_path_factory.mktemp("home")).run("manage.py", "migrate", "-v", "0")
        yield url


@pytest.fixture
def installation(database: str, tmp_path: Path) -> Iterator[Installation]:
    there = Installation(database, tmp_path)
    there.sql(
        "DELETE FROM procrastinate_jobs; DELETE FROM procrastinate_workers; DELETE FROM jobs_beat; DELETE FROM jobs_tick"
    )
    yield there
    there.end()
