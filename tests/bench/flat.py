"""The floor that stores are measured against: one flat file of raw integers, appended round by round, and the figures of a month's end."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.bench import ports

PORTS_AT_ONCE = 256
MISSING = -1


def ninety_fifth_place(slots: int) -> int:
    """Of the ascending values: the top 5 %, rounded down, are left out; what is missing counts as zero."""
    return slots - slots * 5 // 100 - 1


def figures(octets_in: NDArray[np.int64], octets_out: NDArray[np.int64]) -> tuple[int, ...]:
    """p95 of in, out, the larger and the sum, and both totals, of one port; unknown values are zero."""
    place = ninety_fifth_place(octets_in.size)
    series = (octets_in, octets_out, np.maximum(octets_in, octets_out), octets_in + octets_out)
    return (
        *(int(np.partition(one, place)[place]) for one in series),
        int(octets_in.sum()),
        int(octets_out.sum()),
    )


@dataclass(frozen=True)
class Flat:
    """Slots, then ports, then in and out. ``turned``: ports first, as no poller can write it."""

    path: Path
    ports: int
    days: int

    @property
    def slots(self) -> int:
        return self.days * ports.SLOTS

    def make(self) -> None:
        """Writes the traffic of all ports."""
        table = np.memmap(self.path, dtype=np.int64, mode="w+", shape=(self.slots, self.ports, 2))
        for begin in range(0, self.ports, PORTS_AT_ONCE):
            some = range(begin, min(begin + PORTS_AT_ONCE, self.ports))
            batch = np.empty((self.slots, len(some), 2), dtype=np.int64)
            for place, port in enumerate(some):
                octets, measured = ports.slots_of(port, self.days)
                batch[:, place] = np.where(measured[:, None], octets, MISSING)
            table[:, begin : begin + len(some)] = batch
        table.flush()

    def batches(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """(first port, octets of the shape (ports, 2, slots)), read from the file."""
        table = np.memmap(self.path, dtype=np.int64, mode="r", shape=(self.slots, self.ports, 2))
        for begin in range(0, self.ports, PORTS_AT_ONCE):
            yield (
                begin,
                np.ascontiguousarray(table[:, begin : begin + PORTS_AT_ONCE].transpose(1, 2, 0)),
            )

    def round(self, slot: int) -> NDArray[np.int64]:
        """Of the shape (ports, 2)."""
        table = np.memmap(self.path, dtype=np.int64, mode="r", shape=(self.slots, self.ports, 2))
        return np.array(table[slot])

    def turn(self, path: Path) -> None:
        with path.open("wb") as file:
            for _, batch in self.batches():
                file.write(batch.tobytes())


def write_rounds(flat: Flat, path: Path, first: int) -> list[float]:
    """Seconds of each round from slot ``first`` on, written and on the disk."""
    seconds = []
    handle = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        for slot in range(first, flat.slots):
            octets = flat.round(slot)
            started = time.perf_counter()
            os.pwrite(handle, octets.tobytes(), (slot - first) * octets.nbytes)
            os.fdatasync(handle)
            seconds.append(time.perf_counter() - started)
    finally:
        os.close(handle)
    return seconds


def scan(flat: Flat) -> tuple[float, list[tuple[int, ...]]]:
    """Seconds, and the figures of every port."""
    started = time.perf_counter()
    found = []
    for _, batch in flat.batches():
        batch *= batch != MISSING
        found += [figures(*port) for port in batch]
    return time.perf_counter() - started, found


def scan_turned(flat: Flat, path: Path) -> tuple[float, list[tuple[int, ...]]]:
    """The same of a file in which each port lies in one piece."""
    started = time.perf_counter()
    found = []
    table = np.memmap(path, dtype=np.int64, mode="r", shape=(flat.ports, 2, flat.slots))
    for begin in range(0, flat.ports, PORTS_AT_ONCE):
        batch = np.array(table[begin : begin + PORTS_AT_ONCE])
        batch *= batch != MISSING
        found += [figures(*port) for port in batch]
    return time.perf_counter() - started, found
