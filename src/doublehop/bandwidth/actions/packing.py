"""Days that are surely over leave the blocks of their devices for chunks, one for each port. Nothing is lost or counted twice, whenever it ends.

What is left to do is what lies in blocks: no other row says how far it came, so a copy that was restored, or a process that died,
goes on by looking. It changes nothing at a machine, so it leaves no journal line.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from django.db import transaction
from django.db.models import QuerySet

from doublehop.bandwidth import chunk, store
from doublehop.bandwidth.models import Block, Chunk, Collection, Daily, GapVolume
from doublehop.bandwidth.slots import DAY_MS, SLOT_MS, SLOTS_PER_DAY, slot_of, start_of
from doublehop.bandwidth.store import Series

OVER_AFTER = timedelta(hours=26)
"""No reading is taken in that is older than a day; two hours more are for clocks and for a round on its way."""
PORTS_AT_ONCE = 128
"""In one transaction: on SQLite nobody else writes meanwhile, and a round must not notice."""


@dataclass
class Packed:
    """What one run did. ``longest_seconds``: of its longest transaction."""

    device_days: int = 0
    chunks: int = 0
    longest_seconds: float = 0.0


def pack_days(now: datetime) -> Packed:
    """Packs every day that ended 26 hours ago or earlier, device by device."""
    done = Packed()
    until = slot_of(now - OVER_AFTER) // SLOTS_PER_DAY * SLOTS_PER_DAY
    for upstream_id, first in _days_in_blocks(until):
        _pack(upstream_id, first, done)
    return done


def _days_in_blocks(until: int) -> Iterator[tuple[int, int]]:
    """(upstream, first slot of the day) of all blocks before the slot ``until``: by steps through their key."""
    place = 0
    while (
        found := Block.objects.filter(pk__gte=place).order_by("pk").values_list("pk", flat=True).first()
    ) is not None:
        upstream_id, slot = found >> 32, found & 0xFFFFFFFF
        if slot >= until:
            place = store.block_id(upstream_id + 1, 0)
            continue
        first = slot // SLOTS_PER_DAY * SLOTS_PER_DAY
        yield upstream_id, first
        place = store.block_id(upstream_id, first + SLOTS_PER_DAY)


def _pack(upstream_id: int, first: int, done: Packed) -> None:
    """One device and day. Its blocks go with its last ports; those that changed meanwhile stay for the next run."""
    day = _blocks(upstream_id, first)
    blocks = _rows(day)
    series = _by_port(first, blocks)
    for begin in range(0, len(series), PORTS_AT_ONCE):
        some = series[begin : begin + PORTS_AT_ONCE]
        chunks = [_packed(port_id, one) for port_id, one in some]
        started = time.perf_counter()
        with transaction.atomic():
            # As a round does, so that none writes into this device's blocks while they are taken away.
            Collection.objects.get_or_create(upstream_id=upstream_id)
            Collection.objects.select_for_update().get(upstream_id=upstream_id)
            _keep(some, chunks)
            if begin + PORTS_AT_ONCE >= len(series) and _rows(day) == blocks:
                day.delete()
        done.longest_seconds = max(done.longest_seconds, time.perf_counter() - started)
        done.chunks += len(chunks)
    done.device_days += 1


def _blocks(upstream_id: int, first: int) -> QuerySet[Block]:
    bounds = (store.block_id(upstream_id, first), store.block_id(upstream_id, first + SLOTS_PER_DAY))
    return Block.objects.filter(pk__gte=bounds[0], pk__lt=bounds[1])


def _rows(day: QuerySet[Block]) -> list[tuple[int, bytes]]:
    return [(pk, bytes(records)) for pk, records in day.order_by("pk").values_list("pk", "records")]


def _by_port(first: int, blocks: Sequence[tuple[int, bytes]]) -> list[tuple[int, Series]]:
    records = store.unpack(b"".join(blob for _, blob in blocks))
    counts = [len(blob) // store.RECORD.itemsize for _, blob in blocks]
    slots = np.repeat(np.array([pk for pk, _ in blocks], dtype=np.int64) & 0xFFFFFFFF, counts) - first
    ports, rows = np.unique(records["port"], return_inverse=True)
    octets = np.zeros((2, ports.size, SLOTS_PER_DAY), dtype=np.int64)
    measured = np.zeros((ports.size, SLOTS_PER_DAY), dtype=np.bool_)
    octets[0, rows, slots], octets[1, rows, slots] = records["octets_in"], records["octets_out"]
    measured[rows, slots] = True
    return [
        (port_id, Series(first, octets[0, row], octets[1, row], measured[row]))
        for row, port_id in enumerate(ports.tolist())
    ]


def _packed(port_id: int, one: Series) -> Chunk:
    pk = store.chunk_id(port_id, one.first // SLOTS_PER_DAY)
    return Chunk(pk=pk, packed=chunk.pack(one.octets_in, one.octets_out, one.measured))


def _keep(series: Sequence[tuple[int, Series]], chunks: Sequence[Chunk]) -> None:
    """Writes the chunks of one day, and its daily rows as far as they say less than the slots."""
    there = Chunk.objects.in_bulk([row.pk for row in chunks])
    whole = [
        (port_id, _together(one, there[row.pk]) if row.pk in there else one)
        for (port_id, one), row in zip(series, chunks, strict=True)
    ]
    Chunk.objects.bulk_create(
        [
            _packed(port_id, one) if row.pk in there else row
            for (port_id, one), row in zip(whole, chunks, strict=True)
        ],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["packed"],
    )
    _finish_days(whole)


def _together(new: Series, old: Chunk) -> Series:
    """A day that was packed before, and of which there are blocks again: what was packed stands."""
    octets, measured = chunk.unpack([(0, bytes(old.packed))], days=1)
    known = measured[0]
    return Series(
        new.first,
        np.where(known, octets[0, 0], new.octets_in),
        np.where(known, octets[1, 0], new.octets_out),
        known | new.measured,
    )


def _finish_days(series: Sequence[tuple[int, Series]]) -> None:
    """The daily rows hold what lies in slots and what is exact of gaps; what they held before, at least."""
    first = series[0][1].first
    day = start_of(first).date()
    gaps = _gaps([port_id for port_id, _ in series], first)
    there = {
        row.port_id: row for row in Daily.objects.filter(day=day, port_id__in=[port for port, _ in series])
    }
    rows = []
    for port_id, one in series:
        row = there.get(port_id) or Daily(port_id=port_id, day=day)
        gap_in, gap_out, gap_slots = gaps.get(port_id, (0, 0, 0))
        row.octets_in = max(row.octets_in, int(one.octets_in.sum()) + gap_in)
        row.octets_out = max(row.octets_out, int(one.octets_out.sum()) + gap_out)
        row.max_in, row.max_out = int(one.octets_in.max()), int(one.octets_out.max())
        row.slots = int(one.measured.sum())
        row.covered_ms = max(row.covered_ms, min(DAY_MS, (row.slots + gap_slots) * SLOT_MS))
        rows.append(row)
    Daily.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["port_id", "day"],
        update_fields=["octets_in", "octets_out", "max_in", "max_out", "slots", "covered_ms"],
    )


def _gaps(ports: Sequence[int], first: int) -> dict[int, tuple[int, int, int]]:
    """Of the day that begins with slot ``first``, by port: octets in and out of all its gaps, and how many slots these are."""
    found: dict[int, tuple[int, int, int]] = {}
    rows = GapVolume.objects.filter(
        port_id__in=ports, first_slot__gte=first, end_slot__lte=first + SLOTS_PER_DAY
    )
    for gap in rows:
        octets_in, octets_out, slots = found.get(gap.port_id, (0, 0, 0))
        found[gap.port_id] = (
            octets_in + gap.octets_in,
            octets_out + gap.octets_out,
            slots + gap.end_slot - gap.first_slot,
        )
    return found
