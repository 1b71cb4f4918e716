"""A round of many switches through ``write_rounds``, and a month of many services closed; beside rrdtool's update of as many ports.

``DOUBLEHOP_BENCH_SERVICES`` is the number of services (240).
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from tests.bench import scratch
from tests.bench.collecting import rrdtool_update

SWITCHES, PORTS, ROUNDS = 208, 48, 15
TARGET_MS = 25
SERVICES, MANY_SERVICES = 240, 10_000
CLOSED_WITHIN_SECONDS = 60


def report(folder: Path) -> None:
    home = folder / "rounds"
    home.mkdir()
    print(f"\nA round of {SWITCHES} switches with {PORTS} ports each, from decoded readings to the disk, ms:")
    print(
        f"{'':14}{'in one transaction, least / median / most':>44}{'in pieces of 32 switches':>28}{'CPU of ours':>14}"
    )
    least = {}
    for name in ("SQLite", "PostgreSQL"):
        told = scratch.run_on(
            name, home / name, "tests.bench.whole_rounds", *map(str, (SWITCHES, PORTS, ROUNDS))
        )
        whole, pieces = told["whole"], told["pieces"]
        least[name] = whole["least_ms"]
        print(f"{name:14}{_spread(whole):>44}{_spread(pieces):>28}{whole['cpu_ms']:>14.1f}")
    rrdtool = rrdtool_update(home, SWITCHES * PORTS)
    if rrdtool is None:
        print("  rrdtool: not measured, it is not installed (Debian: rrdtool)")
    else:
        times = ", ".join(f"{name} {rrdtool * 1000 / ms:.0f} times" for name, ms in least.items())
        print(f"  rrdtool update of as many ports {rrdtool * 1000:.0f} ms; ours is quicker: {times}")
    print(f"  wanted: at most {TARGET_MS} ms")
    _services(home)


def _spread(told: dict[str, float]) -> str:
    return f"{told['least_ms']:.1f} / {told['median_ms']:.1f} / {told['most_ms']:.1f}"


def _services(home: Path) -> None:
    count = int(os.environ.get("DOUBLEHOP_BENCH_SERVICES", SERVICES))
    print(
        f"\n{count} services with a machine each, 5-minute values of a month, ms a service on the clock (CPU of ours):"
    )
    for name in ("SQLite", "PostgreSQL"):
        told = scratch.run_on(name, home / f"closing-{name}", "tests.bench.closing", str(count))
        closed = told["closed"][0] * MANY_SERVICES / 1000
        print(
            f"{name:14}closed {_both(told['closed'])}, counted for the first time of six hours {_both(told['counted_first'])},"
            f" counted {_both(told['counted'])}; {MANY_SERVICES:,} would be closed in {closed:.0f} s"
        )
    print(f"  wanted: {MANY_SERVICES:,} closed within {CLOSED_WITHIN_SECONDS} s")


def _both(told: list[Any]) -> str:
    return f"{told[0]:.1f} ({told[1]:.1f})"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="doublehop-bench-") as scratch_folder:
        report(Path(scratch_folder))
