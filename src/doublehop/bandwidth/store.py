"""Where the slots of ports are kept, and how their series are read back.

Two shapes, so that both are quick: a round writes one ``Block`` for each device, and when a day is surely over it is packed into one
``Chunk`` for each port (``actions.packing``). Whoever reads sees one series, wherever its slots lie: what stands in a chunk
counts, a block adds what is not in it. Blocks are read first, because what leaves them is in its chunk by then.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from doublehop.bandwidth import chunk
from doublehop.bandwidth.bulk import in_ranges
from doublehop.bandwidth.models import Block, Chunk
from doublehop.bandwidth.slots import SLOTS_PER_DAY

RECORD = np.dtype([("port", "<u4"), ("octets_in", "<i8"), ("octets_out", "<i8")])
"""20 octets, nothing between them."""

ROWS_AT_ONCE = 4096
"""About two weeks: keeps the memory small that a month of a large switch takes."""
PORTS_AT_ONCE = 256
"""The same for a switch with very many ports."""
PORTS_OF_ONE_QUESTION = 16
"""Their chunks together, where a question travels over a socket. SQLite is quicker port by port."""


@dataclass(frozen=True)
class Series:
    """Octets of one port from slot ``first`` on; what is not ``measured`` is zero."""

    first: int
    octets_in: NDArray[np.int64]
    octets_out: NDArray[np.int64]
    measured: NDArray[np.bool_]


def block_id(upstream_id: int, slot: int) -> int:
    return upstream_id << 32 | slot


def chunk_id(port_id: int, day: int) -> int:
    """``day``: of 1970 and on, UTC."""
    return port_id << 16 | day


def pack(records: Iterable[tuple[int, int, int]]) -> bytes:
    """(port id, octets in, octets out) each, kept in the order of the ports."""
    return np.array(sorted(records), dtype=RECORD).tobytes()


def unpack(data: bytes | memoryview) -> NDArray[np.void]:
    return np.frombuffer(data, dtype=RECORD)


def read(
    upstream_id: int, ports: Collection[int], first: int, end: int
) -> tuple[NDArray[np.int64], NDArray[np.void]]:
    """All records of ``ports`` in the slots ``first <= slot < end``: (slot of each record, the records), oldest first."""
    slots, records = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=RECORD)]
    for port_id, series in read_many([(upstream_id, ports)], first, end):
        places = np.flatnonzero(series.measured)
        found = np.empty(places.size, dtype=RECORD)
        found["port"] = port_id
        found["octets_in"], found["octets_out"] = series.octets_in[places], series.octets_out[places]
        slots.append(places + first)
        records.append(found)
    numbers, rows = np.concatenate(slots), np.concatenate(records)
    if len(ports) < 2:
        return numbers, rows
    order = np.argsort(numbers, kind="stable")
    return numbers[order], rows[order]


def read_many(
    wanted: Iterable[tuple[int, Collection[int]]], first: int, end: int
) -> Iterator[tuple[int, Series]]:
    """(port id, its series) of all ports of the upstreams that are ``wanted``, in the slots ``first <= slot < end``.

    One after the other: however many there are, only some are in memory at a time.
    """
    for upstream_id, ports in wanted if end > first else ():
        ordered = sorted(set(ports))
        for begin in range(0, len(ordered), PORTS_AT_ONCE):
            yield from _some(upstream_id, ordered[begin : begin + PORTS_AT_ONCE], first, end)


def _some(upstream_id: int, ports: Sequence[int], first: int, end: int) -> Iterator[tuple[int, Series]]:
    recent = _in_blocks(upstream_id, ports, first, end)
    first_day, end_day = first // SLOTS_PER_DAY, -(-end // SLOTS_PER_DAY)
    inside = slice(first - first_day * SLOTS_PER_DAY, end - first_day * SLOTS_PER_DAY)
    chunks = _in_chunks(ports, first_day, end_day)
    for port_id, added, packed in zip(ports, recent, chunks, strict=True):
        octets, measured = chunk.unpack(packed, end_day - first_day)
        inward, out = octets.reshape(2, -1)[:, inside]
        series = Series(first, inward, out, measured.reshape(-1)[inside])
        _add(series, added)
        yield port_id, series


def _add(series: Series, more: Series) -> None:
    """Slots that were not packed yet; what was packed stands."""
    place = slice(more.first - series.first, more.first - series.first + more.measured.size)
    new = more.measured & ~series.measured[place]
    series.octets_in[place][new] = more.octets_in[new]
    series.octets_out[place][new] = more.octets_out[new]
    series.measured[place][new] = True


def _in_chunks(ports: Sequence[int], first_day: int, end_day: int) -> Iterator[list[tuple[int, bytes]]]:
    """Of each port: (days since ``first_day``, chunk) each, oldest first."""
    at_once = PORTS_OF_ONE_QUESTION if connection.vendor == "postgresql" else 1
    for begin in range(0, len(ports), at_once):
        some = ports[begin : begin + at_once]
        found: dict[int, list[tuple[int, bytes]]] = {port_id: [] for port_id in some}
        for pk, packed in in_ranges(
            Chunk, ("id", "packed"), [(chunk_id(one, first_day), chunk_id(one, end_day)) for one in some]
        ):
            found[pk >> 16].append(((pk & 0xFFFF) - first_day, packed))
        yield from found.values()


def _block_rows(upstream_id: int, first: int, end: int) -> Iterator[list[tuple[int, bytes]]]:
    """Some at a time. A cursor of the database would be slower on PostgreSQL than to ask again."""
    place, stop = block_id(upstream_id, first), block_id(upstream_id, end)
    while place < stop:
        batch = in_ranges(Block, ("id", "records"), [(place, stop)], most=ROWS_AT_ONCE)
        if batch:
            yield batch
        place = batch[-1][0] + 1 if len(batch) == ROWS_AT_ONCE else stop


def _in_blocks(upstream_id: int, ports: Sequence[int], first: int, end: int) -> list[Series]:
    """What blocks hold of each port, from the oldest such slot to the newest."""
    wanted = np.array(ports, dtype="<u4")
    found = [(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0, dtype=RECORD))]
    for batch in _block_rows(upstream_id, first, end):
        ids, blobs = zip(*batch, strict=True)
        records = unpack(b"".join(blobs))
        numbers = np.repeat(
            np.array(ids, dtype=np.int64) & 0xFFFFFFFF, [len(blob) // RECORD.itemsize for blob in blobs]
        )
        of_port = np.ascontiguousarray(records["port"])
        lines = np.minimum(np.searchsorted(wanted, of_port), wanted.size - 1)
        mine = wanted[lines] == of_port
        # Whoever asks for a whole switch needs nothing to be picked.
        found.append((lines, numbers, records) if mine.all() else (lines[mine], numbers[mine], records[mine]))
    lines, numbers, records = (np.concatenate(some) for some in zip(*found, strict=True))
    oldest = int(numbers.min(initial=end))
    size = int(numbers.max(initial=oldest - 1)) + 1 - oldest
    octets = np.zeros((2, len(ports), size), dtype=np.int64)
    measured = np.zeros((len(ports), size), dtype=np.bool_)
    places = numbers - oldest
    octets[0, lines, places], octets[1, lines, places] = records["octets_in"], records["octets_out"]
    measured[lines, places] = True
    return [Series(oldest, octets[0, line], octets[1, line], measured[line]) for line in range(len(ports))]
