"""How quickly slots are stored, drawn and added up, and what room they take: beside a flat file of raw integers, and rrdtool.

``DOUBLEHOP_BENCH_PORTS`` and ``DOUBLEHOP_BENCH_DAYS`` make it smaller or larger (10,000 ports, 30 days), ``DOUBLEHOP_BENCH_RRD_PORTS`` that of
rrdtool (its figures are told for as many ports as the others).
"""

import os
import shutil
import statistics
from pathlib import Path
from typing import Any

from tests.bench import flat, rrd, scratch

PORTS, DAYS, RRD_PORTS = 10_000, 30, 200
RRD_ROUNDS = 12


def report(folder: Path) -> None:
    ports = int(os.environ.get("DOUBLEHOP_BENCH_PORTS", PORTS))
    days = max(4, int(os.environ.get("DOUBLEHOP_BENCH_DAYS", DAYS)))
    print(f"\n{ports:,} ports x {days} days of 5-minute values (made up, seed {flat.ports.SEED})")
    print(
        f"{'':34}{'round ms (longest)':>20}{'chart ms (longest)':>20}{'month end s':>13}{'x flat':>8}{'B/sample':>10}"
    )
    raw = flat.Flat(folder / "rounds.raw", ports, days)
    raw.make()
    rounds = flat.write_rounds(raw, folder / "written.raw", raw.slots - 288)
    floor, figures = min(flat.scan(raw), flat.scan(raw))
    _line("flat file, round after round", rounds, None, floor, floor, 16.0)
    raw.turn(folder / "turned.raw")
    turned, again = min(flat.scan_turned(raw, folder / "turned.raw") for _ in range(2))
    _line("the same, each port in one piece", None, None, turned, floor, 16.0)
    (folder / "turned.raw").unlink()
    assert again == figures
    months = {}
    for name in ("SQLite", "PostgreSQL"):
        told = _store(folder, name, raw)
        _told(name, told, floor)
        months[name] = told["month_seconds"]
        assert told["figures"] == hash(tuple(figures)), "the store's figures are not the flat file's"
    print("The figures of the stores are those of the flat file, port by port.")
    _rrd(folder, raw, months)


def _store(folder: Path, name: str, raw: flat.Flat) -> dict[str, Any]:
    home = folder / name
    # Tuples of integers hash alike in every process.
    told = scratch.run_on(name, home, "tests.bench.keeping", str(raw.path), str(raw.ports), str(raw.days))
    shutil.rmtree(home)
    return told


def _told(name: str, told: dict[str, Any], floor: float) -> None:
    pack = told["pack"]
    print(
        f"{name:34}{told['round_ms']:>12.1f} ({told['round_max_ms']:.0f}){'':3}{told['chart_ms']:>12.1f} ({told['chart_max_ms']:.0f}){'':3}"
        f"{told['month_seconds']:>10.2f}{told['month_seconds'] / floor:>8.2f}{told['octets_per_sample']:>10.1f}"
    )
    print(
        f"{'':6}night: {pack['chunks']:,} chunks packed in {pack['seconds']:.1f} s, the longest transaction {pack['longest_ms']:.0f} ms; "
        f"{told['octets_per_block_sample']:.1f} B/sample before that; {told['megabytes_at_most']:.0f} MB of memory at most"
    )


def _line(
    name: str, rounds: list[float] | None, chart: float | None, month: float, floor: float, size: float
) -> None:
    spread = (
        f"{statistics.median(rounds) * 1000:.1f} ({max(rounds) * 1000:.0f})" if rounds is not None else ""
    )
    drawn = f"{chart:.1f}" if chart is not None else ""
    print(f"{name:34}{spread:>16}    {drawn:>16}{month:>17.2f}{month / floor:>8.2f}{size:>10.1f}")


def _rrd(folder: Path, raw: flat.Flat, months: dict[str, float]) -> None:
    if shutil.which("rrdtool") is None:
        print("rrdtool: not measured, it is not installed (Debian: rrdtool)")
        return
    found = rrd.measure(
        folder / "rrd", raw, int(os.environ.get("DOUBLEHOP_BENCH_RRD_PORTS", RRD_PORTS)), RRD_ROUNDS
    )
    times = raw.ports / found.ports
    month = found.month_seconds * times
    print(
        f"{'rrdtool, a file a port':34}{found.round_ms * times:>16.1f}    {found.chart_ms:>12.1f}    {month:>17.2f}{'':8}{found.octets_per_sample:>10.1f}"
    )
    print(
        f"{'':6}of {found.ports:,} ports, times {times:.0f}; the store's month end is quicker: "
        + ", ".join(f"{name} {month / seconds:.1f} times" for name, seconds in months.items())
    )
