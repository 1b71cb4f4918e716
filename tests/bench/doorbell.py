"""From asking to sent, on both databases; how several workers share one; what an idle worker costs."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from doublehop.drivers.singlehop.fake.place import Machine, Quirks
from doublehop.drivers.singlehop.fake.server import FakeProvider
from tests.bench import scratch
from tests.bench.serving import cpu_seconds
from tests.postgresql import new_database, postgresql

PROVIDERS = 8
MACHINES = 15
SAMPLES = 25
WORKERS = (1, 2, 4)
IDLE_SECONDS = 8.0


class Provider(FakeProvider):
    """Many machines, and no figures of traffic: reading them would use up what may be asked in a minute."""

    def __init__(self, number: int) -> None:
        super().__init__(Quirks(dropzone_at="", php_faults=("getServerBandwidth",)))
        self.machines = {
            str(n): Machine(str(n), f"m{n}.example.org", f"192.0.{number}.{n}")
            for n in range(1, MACHINES + 1)
        }


@dataclass
class Installation:
    home: Path
    url: str

    def environment(self) -> dict[str, str]:
        return scratch.environment(self.home) | {"DATABASE_URL": self.url}

    def run(self, *words: str) -> Any:
        self.home.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [sys.executable, *words], env=self.environment(), capture_output=True, text=True, timeout=120
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-3000:])
        return json.loads(done.stdout.splitlines()[-1]) if done.stdout else None

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def workers(self, count: int) -> Iterator[list[int]]:
        """Process ids; they may still be starting."""
        with (self.home / "worker.log").open("ab") as log:
            running = [
                subprocess.Popen(
                    [sys.executable, "-m", "tests.bench.unpaced"],
                    env=self.environment(),
                    stdout=log,
                    stderr=log,
                )
                for _ in range(count)
            ]
        try:
            yield [one.pid for one in running]
        finally:
            for one in running:
                one.terminate()
            for one in running:
                one.wait(20)


def report(folder: Path) -> None:
    home = folder / "doorbell"
    home.mkdir()
    with ExitStack() as open_now:
        server = open_now.enter_context(postgresql(home))
        sqlite = Installation(home / "sqlite", f"sqlite:{home / 'sqlite' / 'doublehop.sqlite3'}")
        postgres = Installation(home / "postgresql", new_database(server, "doublehop"))
        postmaster = int((home / "data" / "postmaster.pid").read_text().split()[0])
        for one in (sqlite, postgres):
            one.run("manage.py", "migrate", "-v", "0")
        idle(sqlite, postgres, postmaster)
        providers = [open_now.enter_context(Provider(number)) for number in range(2 * PROVIDERS)]
        half = {"SQLite": (sqlite, providers[:PROVIDERS]), "PostgreSQL": (postgres, providers[PROVIDERS:])}
        for installation, own in half.values():
            installation.run("-m", "tests.bench.operations", "fill", *(one.url for one in own))
        latency(
            {name: installation for name, (installation, _) in half.items()}, new_database(server, "noop")
        )
        sharing(postgres, providers[PROVIDERS:])


def idle(sqlite: Installation, postgres: Installation, postmaster: int) -> None:
    with sqlite.workers(1) as (first,), postgres.workers(1) as (second,):
        time.sleep(6)
        pids = {"SQLite": first, "PostgreSQL": second, "its database": postmaster}
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        time.sleep(IDLE_SECONDS)
        shares = {name: (cpu_seconds(pid) - before[name]) / IDLE_SECONDS * 100 for name, pid in pids.items()}
    print(f"\nIdle worker, share of a core over {IDLE_SECONDS:.0f} s: " + _list(shares, "{:.1f} %"))


def latency(installations: dict[str, Installation], noop_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.noop", noop_url, str(SAMPLES)],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    noop: list[float] = json.loads(done.stdout)
    print(f"\nA bare Procrastinate no-op, from deferring to its begin:  {_spread(noop)}")
    print(f"A suspension, {SAMPLES} one by one, and how many times the no-op's p50:")
    for name, installation in installations.items():
        with installation.workers(1):
            time.sleep(4)
            took = installation.run("-m", "tests.bench.operations", "one_by_one", str(SAMPLES))
        for what, figures in (
            ("from asking to sent", [stored + sent for stored, sent in took]),
            ("from stored to sent", [sent for _, sent in took]),
        ):
            times = statistics.median(figures) / statistics.median(noop)
            print(f"  {name:10} {what}  {_spread(figures)}  {times:5.1f}")


def _spread(figures: list[float]) -> str:
    worst = statistics.quantiles(figures, n=100, method="inclusive")[98]
    return f"p50 {statistics.median(figures):6.1f} ms  p99 {worst:6.1f} ms"


def sharing(postgres: Installation, providers: list[Provider]) -> None:
    print(
        f"\n{PROVIDERS * MACHINES} suspensions at {PROVIDERS} providers, PostgreSQL, {os.cpu_count()} cores"
    )
    base = 0.0
    for count, kind in zip(WORKERS, ("suspend", "unsuspend", "suspend"), strict=True):
        before = [len(one.ledger) for one in providers]
        asked = postgres.run("-m", "tests.bench.operations", "ask", kind)
        postgres.sql(
            "UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 h' WHERE status = 'todo'"
        )
        postgres.sql("DELETE FROM jobs_beat")
        with postgres.workers(count):
            while postgres.sql("SELECT count(*) FROM jobs_beat") != [(count,)]:
                time.sleep(0.1)
            postgres.sql("UPDATE procrastinate_jobs SET scheduled_at = NULL WHERE status = 'todo'")
            found = postgres.run("-m", "tests.bench.operations", "wait", kind)
        base = base or found["per_second"]
        effects = Counter(
            (number, *line) for number, one in enumerate(providers) for line in one.ledger[before[number] :]
        )
        twice = sum(1 for times in effects.values() if times > 1)
        print(
            f"{count} worker{'s' if count > 1 else ' '}  {found['per_second']:6.1f} {kind}s a second "
            f"({found['per_second'] / base:.2f} times one)   done {found['done']} of {asked}, "
            f"in the ledger {sum(effects.values())}, sent twice {twice}"
        )


def _list(values: dict[str, float], form: str) -> str:
    return ", ".join(f"{name} {form.format(value)}" for name, value in values.items())
