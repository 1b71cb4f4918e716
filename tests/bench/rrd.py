"""The same ports in rrdtool, one file each with every value of the month: its update of a round, and its figures of a month's end."""

import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.flat import MISSING, Flat

START = 1_728_000_000
"""A midnight UTC."""
STEP = 300
VALUES_AT_ONCE = 500
MONTH = (
    "CDEF:larger=in,out,MAX CDEF:sum=in,out,+ "
    "VDEF:a=in,95,PERCENT VDEF:b=out,95,PERCENT VDEF:c=larger,95,PERCENT VDEF:d=sum,95,PERCENT "
    "VDEF:e=in,TOTAL VDEF:f=out,TOTAL "
    "PRINT:a:%lf PRINT:b:%lf PRINT:c:%lf PRINT:d:%lf PRINT:e:%lf PRINT:f:%lf"
)


@dataclass(frozen=True)
class Found:
    ports: int
    round_ms: float
    chart_ms: float
    month_seconds: float
    octets_per_sample: float


class Pipe:
    """One rrdtool that is told what to do line by line, so that no process is started for each port."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            ["rrdtool", "-"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, line: str) -> list[str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer: list[str] = []
        for said in self._process.stdout:
            if said.startswith("ERROR"):
                raise RuntimeError(said)
            if said.startswith("OK"):
                return answer
            answer.append(said)
        raise RuntimeError("rrdtool has ended")

    def end(self) -> None:
        self._process.communicate(timeout=10)


def measure(folder: Path, flat: Flat, ports: int, rounds: int) -> Found:
    """Of the first ``ports`` ports; ``rounds`` of the last rounds are written one by one."""
    folder.mkdir()
    pipe = Pipe(folder)
    (_, batch), *_ = flat.batches()
    ports = min(ports, len(batch))
    for port in range(ports):
        _fill(pipe, port, batch[port], flat.slots - rounds)
    seconds = []
    for slot in range(flat.slots - rounds, flat.slots):
        started = time.perf_counter()
        for port in range(ports):
            pipe.ask(f"update {port}.rrd {_value(slot, *batch[port, :, slot].tolist())}")
        seconds.append(time.perf_counter() - started)
    span = f"--start {START} --end {START + flat.slots * STEP}"
    charts = []
    for port in range(min(ports, 20)):
        started = time.perf_counter()
        _parsed(pipe.ask(f"fetch {port}.rrd AVERAGE {span}"))
        charts.append(time.perf_counter() - started)
    started = time.perf_counter()
    for port in range(ports):
        ends = f"DEF:in={port}.rrd:in:AVERAGE DEF:out={port}.rrd:out:AVERAGE"
        told = pipe.ask(f"graphv - {span} --step {STEP} --width {flat.slots} {ends} {MONTH}")
        assert len(told) >= 6, told
    month = time.perf_counter() - started
    pipe.end()
    size = sum(file.stat().st_size for file in folder.iterdir())
    return Found(
        ports,
        statistics.median(seconds) * 1000,
        statistics.median(charts) * 1000,
        month,
        size / ports / flat.slots,
    )


def _fill(pipe: Pipe, port: int, octets, until: int) -> None:
    rows = octets.shape[1]
    pipe.ask(
        f"create {port}.rrd --start {START} --step {STEP} DS:in:GAUGE:{STEP}:0:U DS:out:GAUGE:{STEP}:0:U "
        f"RRA:AVERAGE:0.5:1:{rows}"
    )
    values = [_value(slot, *octets[:, slot].tolist()) for slot in range(until)]
    for begin in range(0, until, VALUES_AT_ONCE):
        pipe.ask(f"update {port}.rrd {' '.join(values[begin : begin + VALUES_AT_ONCE])}")


def _value(slot: int, inward: int, out: int) -> str:
    moment = START + (slot + 1) * STEP
    return f"{moment}:U:U" if inward == MISSING else f"{moment}:{inward}:{out}"


def _parsed(lines: list[str]) -> list[tuple[float, float]]:
    rows = (line.split() for line in lines[2:] if ":" in line)
    return [(float(one[1]), float(one[2])) for one in rows]
