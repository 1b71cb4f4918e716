"""``doublehop worker``: does what takes time. On PostgreSQL any number, on any number of hosts; on SQLite one."""

import argparse
import fcntl
import os
import signal
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from doublehop.bandwidth import collector, totals
from doublehop.bandwidth import upkeep as bandwidth_upkeep
from doublehop.cli import lifeline, metrics, upkeep
from doublehop.cli.arrivals import ENDING
from doublehop.cli.high_water import HighWater
from doublehop.cli.stopping import CANNOT_START, WRONG, CannotGoOn
from doublehop.fleet import work as fleet_work
from doublehop.fleet.turns import share_turns
from doublehop.jobs.engine import Engine, JobFunction
from doublehop.notices import work as notices_work
from doublehop.organisations import work as organisations_work
from doublehop.services import counting as services_counting
from doublehop.services import upkeep as services_upkeep
from doublehop.services import work as services_work
from doublehop.site.environment import Environment

JOBS: dict[str, JobFunction] = {
    **organisations_work.JOBS,
    **notices_work.JOBS,
    **fleet_work.JOBS,
    **services_work.JOBS,
    **services_upkeep.JOBS,
    **services_counting.JOBS,
    **collector.JOBS,
    **totals.JOBS,
    **bandwidth_upkeep.JOBS,
}
PERIODIC = (
    *organisations_work.PERIODIC,
    *notices_work.PERIODIC,
    *fleet_work.PERIODIC,
    *services_work.PERIODIC,
    *services_upkeep.PERIODIC,
    *services_counting.PERIODIC,
    *collector.PERIODIC,
    *totals.PERIODIC,
    *bandwidth_upkeep.PERIODIC,
)
GRACE_SECONDS = 9.0
"""A job that runs longer after the request to end is given up; its rows say how the next worker goes on."""
LOOK_EVERY_SECONDS = 1.0


def run(options: argparse.Namespace, environment: Environment) -> int:
    # Before any thread: they inherit it, and the signals wait for this thread.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    if options.lifeline is not None:
        lifeline.end_with_pipe(options.lifeline)
    upkeep.refuse_old_database()
    share_turns()
    engine = Engine(JOBS, PERIODIC)
    with ExitStack() as held:
        if engine.one_per_installation:
            held.enter_context(take_lock(environment.data_dir / "worker.lock", options.patience))
        # Before the engine runs, which would take up at once what an old copy shows as open.
        high_water = HighWater(environment.data_dir)
        high_water.look()
        metrics.serve(environment)
        return _work(engine, high_water)


def take_lock(path: Path, patience_seconds: float) -> IO[str]:
    """Held until closed, or until this process ends in any way. Raises CannotGoOn when another worker holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+")
    until = time.monotonic() + patience_seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < until:
                time.sleep(0.2)
                continue
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise CannotGoOn(
                f"Another worker (process {holder}) already serves {path.parent}; one is enough.",
                exit_code=CANNOT_START,
            ) from None
        break
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _work(engine: Engine, high_water: HighWater) -> int:
    thread = threading.Thread(target=engine.run, name="engine", daemon=True)
    thread.start()
    while thread.is_alive():
        if signal.sigtimedwait(ENDING, LOOK_EVERY_SECONDS) is None:
            high_water.look_now_and_then()
            continue
        engine.stop()
        thread.join(GRACE_SECONDS)
        if thread.is_alive():
            engine.give_up()
            # Python would wait for the threads of the pool; the supervisor would not.
            os._exit(0)
        return 0
    return WRONG
