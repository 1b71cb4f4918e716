"""Days that are surely over leave the blocks of their devices for chunks, one for each port. Nothing is lost or counted twice, whenever it ends.

What is left to do is what lies in blocks: no other row says how far it came, so a copy that was restored, or a process that died,
goes on by looking. It changes nothing at a machine, so it leaves no journal line.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from django.db import transaction
from django.db.models import QuerySet

from doublehop.bandwidth import chunk, store
from doublehop.bandwidth.actions.dailies import PORTS_AT_ONCE, finish_days, finish_late_gaps, over_until
from doublehop.bandwidth.models import Block, Chunk, Collection
from doublehop.bandwidth.slots import SLOTS_PER_DAY
from doublehop.bandwidth.store import Series


@dataclass
class Packed:
    """What one run did. ``longest_seconds``: of its longest transaction."""

    device_days: int = 0
    chunks: int = 0
    longest_seconds: float = 0.0


def pack_days(now: datetime) -> Packed:
    """Packs every day that ended 26 hours ago or earlier, device by device; then its gaps that no slot lies beside."""
    done = Packed()
    until = over_until(now)
    for upstream_id, first in _days_in_blocks(until):
        _pack(upstream_id, first, done)
    finish_late_gaps(until)
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
    finish_days(whole)


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
