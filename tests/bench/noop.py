"""``python -m tests.bench.noop URL N``: a bare Procrastinate on an empty database, from deferring to the begin of a job that does
nothing; as JSON, milliseconds. ``noop URL`` alone is its worker, which prints when each job began.
"""

import asyncio
import json
import subprocess
import sys
import time

from procrastinate import App, PsycopgConnector, SyncPsycopgConnector

PACE_SECONDS = 0.05


def begin() -> None:
    print(f"{time.time():.6f}", flush=True)


async def work(url: str) -> None:
    app = App(connector=PsycopgConnector(conninfo=url))
    app.task(name="begin")(begin)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        print("ready", flush=True)
        await app.run_worker_async(delete_jobs="always")


def measure(url: str, count: int) -> list[float]:
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.noop", url],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert worker.stdout is not None
    took = []
    try:
        worker.stdout.readline()
        app = App(connector=SyncPsycopgConnector(conninfo=url))
        with app.open():
            for _ in range(count):
                asked = time.time()
                app.configure_task("begin", allow_unknown=True).defer()
                took.append((float(worker.stdout.readline()) - asked) * 1000)
                time.sleep(PACE_SECONDS)
    finally:
        worker.terminate()
        worker.wait(20)
    return took


if __name__ == "__main__":
    if len(sys.argv) == 2:
        asyncio.run(work(sys.argv[1]))
    else:
        print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
