"""The LEAP API and Dropzone: how fast, what a long list costs, and whether wrong passwords slow anybody's page."""

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.bench import scratch
from tests.bench.asking import basic, leap
from tests.bench.serving import serving, signed_in

SIZES = (10, 1_000, 10_000)
CALLERS = 4
SECONDS = 6.0
PACE = 60
"""Wrong logins a second; a hash costs a quarter of a second, so no machine keeps up with it honestly."""
TURNS = 4
PAGES = 60


def report(folder: Path) -> None:
    home = folder / "faces"
    scratch.prepare(home)
    facts = scratch.run(home, "tests.bench.fill", "1000")
    logins = scratch.run(home, "tests.bench.fill_resellers", *map(str, SIZES))
    tandem = logins.pop("tandem")
    _lists(scratch.run(home, "tests.bench.lists", json.dumps(logins)))
    with serving(home) as (address, _):
        print(f"\nServed installation, {CALLERS} callers at once for {SECONDS:.0f} s each")
        for name, (path, headers) in _calls(logins[str(SIZES[0])], tandem).items():
            _throughput(name, address, path, headers)
        page = f"/servers/{facts['client_services'][0]}/"
        print(f"\nA page beside {PACE} wrong logins a second from many addresses, best of {TURNS} turns")
        for kind in ("leap", "tandem"):
            _storm(kind, address, page)


def _lists(figures: dict[str, dict[str, dict[str, float]]]) -> None:
    print("\nLists of servers, median in process, SQLite")
    print(f"{'list':16}{'servers':>9}{'ms':>9}{'ms per 1,000':>14}{'kB':>8}{'queries':>9}")
    for name, by_size in figures.items():
        for size, one in by_size.items():
            each = one["ms"] / int(size) * 1000
            print(
                f"{name:16}{int(size):>9,}{one['ms']:>9.1f}{each:>14.1f}"
                f"{one['octets'] / 1000:>8.0f}{one['queries']:>9.0f}"
            )


def _calls(login: dict[str, Any], tandem: dict[str, str]) -> dict[str, tuple[str, dict[str, str]]]:
    view = f"/dropzone/server/view/{login['server']}"
    return {
        f"listServers of {SIZES[0]}": (leap(login, "listServers"), {}),
        "getServerDetails": (leap(login, "getServerDetails", serverid=str(login["server"])), {}),
        "/server/view, LEAP": (view, {"Authorization": basic(login["user"], login["password"])}),
        "/server/view, Tandem": (view, {"Authorization": basic(tandem["user"], tandem["password"])}),
    }


def _throughput(name: str, address: str, path: str, headers: dict[str, str]) -> None:
    times: list[float] = []
    until = time.monotonic() + SECONDS

    def call() -> None:
        with httpx.Client(base_url=address, headers=headers, trust_env=False, timeout=60) as caller:
            while caller.get(path).status_code == 429:
                time.sleep(1)  # the first of several at once hashes, the others may be told to come back
            while time.monotonic() < until:
                begin = time.perf_counter()
                caller.get(path).raise_for_status()
                times.append((time.perf_counter() - begin) * 1000)

    threads = [threading.Thread(target=call) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(
        f"{name:24}{len(times) / SECONDS:>7.0f} a second   p50 {_at(times, 50):>6.1f} ms   p99 {_at(times, 99):>6.1f} ms"
    )


def _at(times: list[float], percent: int) -> float:
    return statistics.quantiles(times, n=100)[percent - 1]


@contextmanager
def _wrong_logins(address: str, kind: str) -> Iterator[dict[str, int]]:
    answered: dict[str, int] = {}
    command = [sys.executable, "-m", "tests.bench.storm", address, kind, str(PACE)]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=scratch.environment(Path())
    )
    try:
        time.sleep(2)
        yield answered
    finally:
        told, _ = child.communicate("end\n", timeout=90)
        answered.update(json.loads(told))


def _storm(kind: str, address: str, page: str) -> None:
    me = signed_in(address)
    calm: list[list[float]] = []
    beside: list[list[float]] = []
    answered: dict[str, int] = {}
    for _ in range(TURNS):
        calm.append(_pages(me, page))
        with _wrong_logins(address, kind) as told:
            beside.append(_pages(me, page))
        answered = {status: answered.get(status, 0) + number for status, number in told.items()}
    quiet, busy = (min(statistics.median(turn) for turn in turns) for turns in (calm, beside))
    quiet99, busy99 = (min(_at(turn, 99) for turn in turns) for turns in (calm, beside))
    print(
        f"{kind:8} without {quiet:.1f} ms, beside {busy:.1f} ms, ratio {busy / quiet:.2f}; "
        f"p99 {quiet99:.1f} and {busy99:.1f} ms, ratio {busy99 / quiet99:.2f}; answered {answered}"
    )


def _pages(browser: httpx.Client, path: str) -> list[float]:
    times = []
    for _ in range(PAGES):
        begin = time.perf_counter()
        browser.get(path).raise_for_status()
        times.append((time.perf_counter() - begin) * 1000)
        time.sleep(0.05)
    return times
