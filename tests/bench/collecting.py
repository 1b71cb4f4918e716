"""A round of many switches, from asking to stored, beside what others need for the same: prometheus-snmp-exporter, rrdtool."""

import os
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gufo.snmp
import gufo.snmp.sync

from tests import real_switch
from tests.bench import scratch
from tests.bench.serving import cpu_seconds
from tests.real_switch import RealSwitch

AGENTS, PORTS = 100, 48
TARGET = 20_000
ROUNDS = 3
READY_WITHIN_SECONDS = 60.0
EXPORTER = "127.0.0.1:9116"
# What the rack's driver asks of each port.
_COLUMNS = {
    "1.3.6.1.2.1.31.1.1.1.1": "ifName",
    "1.3.6.1.2.1.31.1.1.1.6": "ifHCInOctets",
    "1.3.6.1.2.1.31.1.1.1.10": "ifHCOutOctets",
    "1.3.6.1.2.1.31.1.1.1.15": "ifHighSpeed",
    "1.3.6.1.2.1.31.1.1.1.19": "ifCounterDiscontinuityTime",
    "1.3.6.1.2.1.2.2.1.6": "ifPhysAddress",
}
_TYPES = {"ifName": "DisplayString", "ifPhysAddress": "PhysAddress48"}


def report(folder: Path) -> None:
    print(f"\nA round of {AGENTS} switches with {PORTS} ports each, {os.cpu_count()} cores for everything:")
    missing = _missing()
    if missing:
        print(f"  not measured: {missing}")
        return
    home = folder / "collecting"
    home.mkdir()
    with RealSwitch(home, ports=PORTS, agents=AGENTS) as switch, switch.inside():
        _wait_for(switch.addresses)
        agents = _cpu_of(switch.agent_pids())
        words = [real_switch.READ, str(PORTS), *switch.addresses]
        ours = scratch.run(home / "ours", "tests.bench.poll_rounds", *words)
        used = _cpu_of(switch.agent_pids()) - agents
        exporter = _exporter(home, switch.addresses)
    whole, polled = ours["whole"], ours["polled"]
    per_port = used / ((whole["rounds"] + polled["rounds"]) * AGENTS * PORTS) * 1e6
    print(f"  asked, decoded and stored   {whole['ports_per_second']:8,.0f} ports/s (wanted: {TARGET:,})")
    print(f"  asked and decoded           {polled['ports_per_second']:8,.0f} ports/s")
    print(
        f"  CPU a port: ours {whole['cpu_us_per_port']:.0f} us, of which asking {polled['cpu_us_per_port']:.0f} us;"
        f" the agents, on the same cores, {per_port:.0f} us"
    )
    print(f"  switches that failed: {ours['failed']}; slots measured: {ours['measured']:,}")
    if exporter is None:
        print(
            "  prometheus-snmp-exporter: not measured, it is not installed (Debian: prometheus-snmp-exporter)"
        )
    else:
        times = polled["ports_per_second"] / exporter
        print(
            f"  prometheus-snmp-exporter, asking only {exporter:8,.0f} ports/s: ours is {times:.1f} times that"
        )
    rrdtool = rrdtool_update(home, AGENTS * PORTS)
    if rrdtool is None:
        print("  rrdtool: not measured, it is not installed (Debian: rrdtool)")
    else:
        times = rrdtool / whole["stored_seconds"]
        print(
            f"  storing the round: ours {whole['stored_seconds'] * 1e3:.0f} ms, rrdtool update"
            f" {rrdtool * 1e3:.0f} ms ({times:.1f} times ours; one process, small files of a day)"
        )


def _missing() -> str:
    if os.geteuid() != 0:
        return "network namespaces need the superuser"
    lacking = [
        name
        for name in ("ip", "snmpd")
        if not shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    ]
    return f"{', '.join(lacking)} missing" if lacking else ""


def _wait_for(addresses: Sequence[str]) -> None:
    until = time.monotonic() + READY_WITHIN_SECONDS
    waiting = list(addresses)
    while waiting:
        waiting = [address for address in waiting if not _answers(address)]
        if waiting and time.monotonic() > until:
            raise RuntimeError(f"{len(waiting)} agents do not answer")
        time.sleep(0.2)


def _answers(address: str) -> bool:
    host, port = address.split(":")
    try:
        session = gufo.snmp.sync.SnmpSession(host, port=int(port), community=real_switch.READ, timeout=1)
        session.get("1.3.6.1.2.1.1.3.0")
    except (OSError, gufo.snmp.SnmpError):
        return False
    return True


def _cpu_of(pids: Sequence[int]) -> float:
    return sum(cpu_seconds(pid) for pid in pids)


def _median(work: Callable[[], Any]) -> float:
    took = []
    for _ in range(ROUNDS + 1):
        begun = time.perf_counter()
        work()
        took.append(time.perf_counter() - begun)
    return statistics.median(took[1:])


# ---------------------------------------------------------------- the others


def _exporter(home: Path, addresses: Sequence[str]) -> float | None:
    program = shutil.which("prometheus-snmp-exporter")
    if program is None:
        return None
    lines = ["bench:", f"  walk: [{', '.join(_COLUMNS)}]", "  metrics:"]
    for oid, name in _COLUMNS.items():
        lines.append(f"    - {{name: {name}, oid: {oid}, type: {_TYPES.get(name, 'gauge')},")
        lines.append("       indexes: [{labelname: ifIndex, type: gauge}]}")
    lines += ["  version: 2", "  max_repetitions: 25", f"  auth: {{community: {real_switch.READ}}}"]
    configuration = home / "snmp.yml"
    configuration.write_text("\n".join(lines) + "\n")
    with (
        _running(home, [program, f"--config.file={configuration}", f"--web.listen-address={EXPORTER}"]),
        ThreadPoolExecutor(32) as pool,
    ):

        def scrape(address: str) -> int:
            url = f"http://{EXPORTER}/snmp?module=bench&target={address}"
            with urllib.request.urlopen(url, timeout=30) as answer:
                return answer.read().count(b"ifHCInOctets{")

        until = time.monotonic() + READY_WITHIN_SECONDS
        while True:
            try:
                found = scrape(addresses[0])
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)
        if found < PORTS:
            raise RuntimeError(f"the exporter told of {found} ports only")
        return len(addresses) * PORTS / _median(lambda: list(pool.map(scrape, addresses)))


@contextmanager
def _running(home: Path, command: Sequence[str]) -> Iterator[None]:
    with (home / "exporter.log").open("wb") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield
    finally:
        real_switch.stop(running)


def rrdtool_update(home: Path, ports: int) -> float | None:
    """Seconds for one update of two counters in a file for each port, through one pipe; None without rrdtool."""
    program = shutil.which("rrdtool")
    if program is None:
        return None
    files = home / "rrd"
    files.mkdir()
    names = [files / f"{number}.rrd" for number in range(ports)]
    start = int(time.time()) // 300 * 300
    sources = "DS:in:COUNTER:600:0:U DS:out:COUNTER:600:0:U RRA:AVERAGE:0.5:1:288"
    _pipe(program, (f"create {name} --start {start} --step 300 {sources}" for name in names))
    moments = iter(range(start + 300, start + 300 * 100, 300))

    def update() -> None:
        at = next(moments)
        _pipe(program, (f"update {name} {at}:{at}:{at * 2}" for name in names))

    return _median(update)


def _pipe(program: str, lines: Iterator[str]) -> None:
    text = "\n".join(lines) + "\n"
    done = subprocess.run([program, "-"], input=text, text=True, capture_output=True, check=True)
    if "ERROR" in done.stdout:
        raise RuntimeError(done.stdout[:300])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="doublehop-bench-") as scratch_folder:
        report(Path(scratch_folder))
