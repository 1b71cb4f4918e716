"""How blocks are packed, and how the series of ports are read back from them."""

from collections.abc import Collection, Iterable
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from doublehop.bandwidth.models import Block

RECORD = np.dtype([("port", "<u4"), ("octets_in", "<i8"), ("octets_out", "<i8")])
"""20 octets, nothing between them."""

ROWS_AT_ONCE = 4096
"""About two weeks: keeps the memory small that a month of a large switch takes."""


def block_id(upstream_id: int, slot: int) -> int:
    return upstream_id << 32 | slot


def pack(records: Iterable[tuple[int, int, int]]) -> bytes:
    """(port id, octets in, octets out) each, kept in the order of the ports."""
    return np.array(sorted(records), dtype=RECORD).tobytes()


def unpack(data: bytes | memoryview) -> NDArray[np.void]:
    return np.frombuffer(data, dtype=RECORD)


def read(
    upstream_id: int, ports: Collection[int], first: int, end: int
) -> tuple[NDArray[np.int64], NDArray[np.void]]:
    """All records of ``ports`` in the slots ``first <= slot < end``: (slot of each record, the records)."""
    span = (block_id(upstream_id, first), block_id(upstream_id, end))
    rows = Block.objects.filter(pk__gte=span[0], pk__lt=span[1]).values_list("pk", "records")
    rows = rows.order_by("pk")
    wanted = np.array(sorted(ports), dtype="<u4")
    slots, records = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=RECORD)]
    stream = rows.iterator(chunk_size=ROWS_AT_ONCE)
    while batch := list(islice(stream, ROWS_AT_ONCE)):
        ids, blobs = zip(*batch, strict=True)
        found = unpack(b"".join(blobs))
        counts = [len(blob) // RECORD.itemsize for blob in blobs]
        numbers = np.repeat(np.array(ids, dtype=np.int64) & 0xFFFFFFFF, counts)
        mine = found["port"] == wanted[0] if wanted.size == 1 else np.isin(found["port"], wanted)
        slots.append(numbers[mine])
        records.append(found[mine])
    return np.concatenate(slots), np.concatenate(records)
