"""``python -m tests.workers.counting worker`` is ``doublehop worker`` with a few jobs more, which note when they ran.

``python -m tests.workers.counting ring NAME LANES FIRST LAST`` rings for them. Each run is one line, appended to ``ledger`` in
the data folder: what, key, process id, time.
"""

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import django

django.setup()

from doublehop.cli import worker  # noqa: E402
from doublehop.cli.main import main  # noqa: E402
from doublehop.jobs.actions import ring  # noqa: E402
from doublehop.jobs.engine import Periodic  # noqa: E402

LEDGER = Path(os.environ["DOUBLEHOP_DATA_DIR"]) / "ledger"
LONG_SECONDS = 60.0
"""Much longer than a worker that is asked to end waits for."""
TICK_SECONDS = 1


def note(what: str, key: object) -> None:
    with LEDGER.open("ab", buffering=0) as ledger:
        ledger.write(f"{what} {key} {os.getpid()} {time.time():.3f}\n".encode())


def lasting(seconds: float, what: str, key: object) -> None:
    note(f"{what}-begun", key)
    time.sleep(seconds)
    note(f"{what}-ended", key)


def count(payload: Mapping[str, Any]) -> None:
    note("count", payload["n"])


def short(payload: Mapping[str, Any]) -> None:
    lasting(0.2, "short", payload["n"])


def long(payload: Mapping[str, Any]) -> None:
    """The first time only: whoever takes over ends at once."""
    begun = LEDGER.exists() and f"long-begun {payload['n']} " in LEDGER.read_text()
    lasting(0.0 if begun else LONG_SECONDS, "long", payload["n"])


def tick(payload: Mapping[str, Any]) -> None:
    note("tick", "-")


def long_tick(payload: Mapping[str, Any]) -> None:
    lasting(2.5 * TICK_SECONDS, "long-tick", "-")


JOBS = {
    "test.count": count,
    "test.short": short,
    "test.long": long,
    "test.tick": tick,
    "test.long_tick": long_tick,
}
PERIODIC = (Periodic("test.tick", TICK_SECONDS), Periodic("test.long_tick", TICK_SECONDS))


def work() -> int:
    worker.JOBS.update(JOBS)
    worker.PERIODIC = (*worker.PERIODIC, *PERIODIC)  # type: ignore[assignment]
    return main(["worker"])


def ring_for(name: str, lanes: int, first: int, last: int) -> None:
    for n in range(first, last + 1):
        ring(f"test.{name}", key=f"{name}:{n}", payload={"n": n}, lane=f"lane:{n % lanes}")


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        sys.exit(work())
    ring_for(sys.argv[2], *(int(word) for word in sys.argv[3:]))
