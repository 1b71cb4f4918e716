"""Is the allowed rate of an upstream used, and never exceeded? Counted by the other side, by its own clock.

``DOUBLEHOP_BENCH_SUSPENSIONS`` is the number of suspensions; without it what fits into about a minute.
"""

import os
from pathlib import Path

from tests.bench import scratch

PER_SECOND = 50
USUAL = 500
LATENCIES_SECONDS = (0.0, 0.06)


def report(folder: Path) -> None:
    count = int(os.environ.get("DOUBLEHOP_BENCH_SUSPENSIONS", USUAL))
    print(f"\n{count:,} approved suspensions at an upstream that allows {PER_SECOND} calls a second, SQLite")
    print(
        f"{'upstream answers after':26}{'seconds':>10}{'calls':>10}{'allowed rate used':>20}{'busiest second':>17}{'done':>10}"
    )
    for latency in LATENCIES_SECONDS:
        home = folder / f"rates-{latency}"
        scratch.prepare(home)
        seen = scratch.run(home, "tests.bench.many", str(count), str(PER_SECOND), str(latency))
        once = "" if seen["once"] == seen["done"] == count else f"  only {seen['once']:,} happened once"
        print(
            f"{latency * 1000:>23.0f} ms{seen['seconds']:>10.0f}{seen['calls']:>10,}{seen['used']:>20.1%}"
            f"{seen['busiest_second']:>17}{seen['done']:>10,}{once}"
        )
