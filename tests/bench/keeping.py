"""One store of slots, filled and measured. ``python -m tests.bench.keeping FLAT PORTS DAYS`` in an installation of its own.

All days but the last three are packed beforehand. The next is packed by the night's work. The last two lie in blocks, as they do in an
installation that runs, and of them the very last is written round by round.
"""

import json
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import django

django.setup()

import numpy as np  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402

from doublehop.bandwidth import chunk, slots, store  # noqa: E402
from doublehop.bandwidth.actions import pack_days  # noqa: E402
from doublehop.bandwidth.models import Block, Chunk  # noqa: E402
from tests.bench.flat import MISSING, Flat, figures  # noqa: E402

FIRST_DAY = 20_000
PORTS_PER_DEVICE = 48
CHARTS = 60
AHEAD = 400
"""Ports are numbered from 1, devices from here."""


class Store:
    def __init__(self, flat: Flat) -> None:
        self.flat = flat
        self.first = FIRST_DAY * slots.SLOTS_PER_DAY
        numbers = range(1, flat.ports + 1)
        self.devices = [
            (AHEAD + place, numbers[begin : begin + PORTS_PER_DEVICE])
            for place, begin in enumerate(range(0, flat.ports, PORTS_PER_DEVICE))
        ]

    def fill(self) -> None:
        whole = self.flat.days - 3
        for begin, batch in self.flat.batches():
            rows = []
            for place, port in enumerate(batch, begin + 1):
                for day in range(whole):
                    some = port[:, day * slots.SLOTS_PER_DAY : (day + 1) * slots.SLOTS_PER_DAY]
                    packed = chunk.pack(*some, some[0] != MISSING)
                    rows.append(Chunk(pk=store.chunk_id(place, FIRST_DAY + day), packed=packed))
            # As night after night brings them, not port after port.
            rows.sort(key=lambda row: row.pk & 0xFFFF)
            Chunk.objects.bulk_create(rows, batch_size=500)
        for slot in range(whole * slots.SLOTS_PER_DAY, self.flat.slots - slots.SLOTS_PER_DAY):
            self.write(slot)

    def write(self, slot: int) -> float:
        """One round of all devices in one transaction; seconds of that."""
        octets = self.flat.round(slot)
        blocks = []
        for device, ports in self.devices:
            mine = octets[ports[0] - 1 : ports[-1]]
            known = mine[:, 0] != MISSING
            records = np.empty(int(known.sum()), dtype=store.RECORD)
            records["port"] = np.array(ports)[known]
            records["octets_in"], records["octets_out"] = mine[known].T
            blocks.append((store.block_id(device, self.first + slot), records))
        started = time.perf_counter()
        with transaction.atomic():
            Block.objects.bulk_create(
                [Block(pk=pk, records=records.tobytes()) for pk, records in blocks],
                update_conflicts=True,
                unique_fields=["id"],
                update_fields=["records"],
            )
        return time.perf_counter() - started

    def pack(self) -> dict[str, float]:
        started = time.perf_counter()
        # 26 hours and a little after the end of the day that is due.
        done = pack_days(
            slots.start_of(self.first + (self.flat.days - 2) * slots.SLOTS_PER_DAY + 26 * 12 + 1)
        )
        return {
            "seconds": time.perf_counter() - started,
            "chunks": done.chunks,
            "longest_ms": done.longest_seconds * 1000,
        }

    def charts(self) -> list[float]:
        seconds = []
        for number in np.random.default_rng(1).integers(0, self.flat.ports, CHARTS).tolist():
            device = AHEAD + number // PORTS_PER_DEVICE
            started = time.perf_counter()
            store.read(device, [number + 1], self.first, self.first + self.flat.slots)
            seconds.append(time.perf_counter() - started)
        return seconds

    def month(self) -> tuple[float, list[tuple[int, ...]]]:
        started = time.perf_counter()
        found = [
            figures(series.octets_in, series.octets_out)
            for _, series in store.read_many(self.devices, self.first, self.first + self.flat.slots)
        ]
        return time.perf_counter() - started, found


def octets_of(table: str) -> int:
    """On the disk."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_total_relation_size(%s)", [table])
        else:
            cursor.execute("SELECT sum(pgsize) FROM dbstat WHERE name = %s", [table])
        return int(cursor.fetchone()[0])


def main(path: str, ports: str, days: str) -> None:
    call_command("migrate", verbosity=0)
    kept = Store(Flat(Path(path), int(ports), int(days)))
    kept.fill()
    rounds = [kept.write(slot) for slot in range(kept.flat.slots - slots.SLOTS_PER_DAY, kept.flat.slots)]
    packed = kept.pack()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
    charts = kept.charts()
    months = [kept.month() for _ in range(2)]
    chunks = Chunk.objects.count()
    told: dict[str, Any] = {
        "round_ms": statistics.median(rounds) * 1000,
        "round_max_ms": max(rounds) * 1000,
        "chart_ms": statistics.median(charts) * 1000,
        "chart_max_ms": max(charts) * 1000,
        "month_seconds": min(seconds for seconds, _ in months),
        "pack": packed,
        "octets_per_sample": octets_of("bandwidth_chunk") / chunks / slots.SLOTS_PER_DAY,
        "octets_per_block_sample": octets_of("bandwidth_block") / (kept.flat.ports * 2 * slots.SLOTS_PER_DAY),
        "megabytes_at_most": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "figures": hash(tuple(months[0][1])),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
