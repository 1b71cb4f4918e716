"""A served installation: does a slow machine slow anybody's page, and what does an idle one cost?"""

import http.server
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.bench import scratch
from tests.bench.scratch import PASSWORD

WATCHERS = 20
SLOW_SECONDS = 10.0
ROUNDS = 80
TURNS = 5
IDLE_SECONDS = 20


class Bmc(http.server.BaseHTTPRequestHandler):
    """Answers every question with a system that is on, after ``delay`` seconds."""

    delay = 0.0
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        time.sleep(type(self).delay)
        body = json.dumps(
            {
                "@odata.id": self.path,
                "Id": "1",
                "PowerState": "On",
                "Status": {"Health": "OK"},
                "Members": [{"@odata.id": "/redfish/v1/Systems/1"}],
                "UUID": "d0b1e40b-0000-4000-8000-00000000be9c",
            }
        ).encode()
        try:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            return

    def log_message(self, *args: object) -> None:
        """Quiet."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(home: Path) -> Iterator[tuple[str, int]]:
    """``doublehop serve`` for the installation in ``home``: (address, process id of the supervisor)."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("doublehop")), "serve", "--port", str(port)]
    environment = scratch.environment(home) | {
        "PORT": str(port),
        "DOUBLEHOP_BASE_URL": f"http://127.0.0.1:{port}",
    }
    with (home / "serve.log").open("wb") as log:
        child = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 60
        while True:
            try:
                if httpx.get(address + "/sign-in/", trust_env=False).status_code == 200:
                    break
            except httpx.HTTPError:
                if time.monotonic() > until or child.poll() is not None:
                    raise RuntimeError((home / "serve.log").read_text()[-2000:]) from None
                time.sleep(0.2)
        yield address, child.pid
    finally:
        child.terminate()
        child.wait(30)


def signed_in(address: str) -> httpx.Client:
    browser = httpx.Client(base_url=address, follow_redirects=True, trust_env=False, timeout=60)
    browser.get("/sign-in/")
    form = {
        "login": "client@bench.example",
        "password": PASSWORD,
        "csrfmiddlewaretoken": next(
            text for name, text in browser.cookies.items() if name.startswith("csrftoken")
        ),
    }
    answer = browser.post("/sign-in/", data=form, headers={"Referer": address})
    if "/sign-in" in str(answer.url):
        raise RuntimeError("cannot sign in")
    return browser


def watch(browser: httpx.Client, path: str, stop: threading.Event) -> None:
    """An open page: asks for its live part every four seconds."""
    while not stop.wait(4):
        browser.get(path + "live/")


def measure(browser: httpx.Client, path: str) -> float:
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        browser.get(path).raise_for_status()
        times.append((time.perf_counter() - begin) * 1000)
    return statistics.median(times)


def report(folder: Path) -> None:
    bmc = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bmc)
    threading.Thread(target=bmc.serve_forever, daemon=True).start()
    home = folder / "served"
    scratch.prepare(home)
    facts = scratch.run(home, "tests.bench.fill", "1000", f"http://127.0.0.1:{bmc.server_address[1]}")
    paths = [f"/servers/{service}/" for service in facts["client_services"]][:WATCHERS]
    with serving(home) as (address, pid):
        print(f"\nServed installation, 1,000 services, {WATCHERS} open pages of it")
        slow_and_quick(address, paths)
    Bmc.delay = 0.0
    empty = folder / "idle"
    scratch.prepare(empty)
    scratch.run(empty, "tests.bench.fill", "20", f"http://127.0.0.1:{bmc.server_address[1]}")
    with serving(empty) as (_, pid):
        time.sleep(5)
        memory, summed, before = memory_mb(pid, "Pss"), memory_mb(pid, "Rss"), cpu_seconds(pid)
        time.sleep(IDLE_SECONDS)
        share = (cpu_seconds(pid) - before) / IDLE_SECONDS * 100
        print(
            f"\nIdle installation, 20 servers: {memory:.0f} MB resident with shared pages counted once "
            f"({summed:.0f} MB summed over its processes), {share:.1f} % of a core"
        )
    bmc.shutdown()


def slow_and_quick(address: str, paths: list[str]) -> None:
    browsers = [signed_in(address) for _ in paths]
    stop = threading.Event()
    for browser, path in zip(browsers, paths, strict=True):
        browser.get(path + "live/")
        threading.Thread(target=watch, args=(browser, path, stop), daemon=True).start()
    me = signed_in(address)
    quick, slow = [], []
    for _ in range(TURNS):
        for delay, kept in ((0.0, quick), (SLOW_SECONDS, slow)):
            Bmc.delay = delay
            time.sleep(6)
            kept.append(measure(me, paths[0]))
    stop.set()
    print(f"machines answer at once: {min(quick):6.1f} ms a page (turns {_list(quick)})")
    print(f"machines take {SLOW_SECONDS:.0f} s:    {min(slow):6.1f} ms a page (turns {_list(slow)})")
    print(f"ratio: {min(slow) / min(quick):.2f}   (questions that reached the machines: {Bmc.asked})")


def _list(values: list[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)


def _family(pid: int) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo.extend(children.get(one, []))
    return found


def memory_mb(pid: int, kind: str) -> float:
    """``Rss`` or ``Pss`` of a family of processes, in MB (10^6 octets)."""
    kilobytes = 0
    for one in _family(pid):
        for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
            if line.startswith(f"{kind}:"):
                kilobytes += int(line.split()[1])
    return kilobytes * 1024 / 1e6


def cpu_seconds(pid: int) -> float:
    ticks = 0
    for one in _family(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
