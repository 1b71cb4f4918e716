"""From what a driver read to packed records of the ports that we know. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from doublehop.bandwidth import packed
from doublehop.bandwidth.packed import READ
from doublehop.driver_kit.contract import CounterReading, PortCounter

_digest = lru_cache(maxsize=1 << 17)(packed.digest)


@dataclass
class Layout:
    """The ports of one upstream, in the order of their ids."""

    port_ids: tuple[int, ...]
    names: tuple[str, ...]
    _order: tuple[tuple[str, ...], list[int], NDArray[np.uint32], tuple[str, ...]] | None = field(
        default=None, repr=False
    )

    def order(self, seen: tuple[str, ...]) -> tuple[list[int], NDArray[np.uint32], tuple[str, ...]]:
        """Of names that a device gives: the places of our ports among them, their ids, and our names that are missing.

        A name that comes twice says nothing about which port is meant, so neither is used.
        """
        if self._order is None or self._order[0] != seen:
            times = Counter(seen)
            place_of = {name: place for place, name in enumerate(seen) if times[name] == 1}
            there = [number for number, name in enumerate(self.names) if name in place_of]
            ids = np.array([self.port_ids[number] for number in there], dtype=np.uint32)
            missing = tuple(name for name in self.names if name not in place_of)
            self._order = (seen, [place_of[self.names[number]] for number in there], ids, missing)
        return self._order[1:]


@dataclass(frozen=True)
class Taken:
    """The records of one reading, and what was wrong with it."""

    records: NDArray[np.void]
    after: NDArray[np.uint16]
    """How much later than the reading's own time each was read, in 1/100 s."""
    missing: tuple[str, ...]
    nonsense: tuple[str, ...] = ()
    """Names of ports that showed values which no counter can have."""


_name = attrgetter("if_name")


def take(rounds: Sequence[tuple[Layout, CounterReading]]) -> list[Taken]:
    """All at once: what is done for each port is done in one go."""
    chosen: list[PortCounter] = []
    ids, found = [], []
    for layout, reading in rounds:
        places, port_ids, missing = layout.order(tuple(map(_name, reading.ports)))
        ports = reading.ports
        chosen += [ports[place] for place in places]
        ids.append(port_ids)
        found.append((port_ids.size, missing))
    try:
        records, after = _records(chosen), _after(chosen)
    except (OverflowError, ValueError):
        return [_careful(layout, reading) for layout, reading in rounds]
    if not chosen:
        return [Taken(records, after, missing) for _, missing in found]
    records["port"] = np.concatenate(ids)
    if not _possible(records).all():
        return [_careful(layout, reading) for layout, reading in rounds]
    taken, start = [], 0
    for size, missing in found:
        piece = slice(start, start + size)
        taken.append(Taken(records[piece], after[piece], missing))
        start += size
    return taken


def _careful(layout: Layout, reading: CounterReading) -> Taken:
    """Port by port, so that one which talks nonsense does not take the others along."""
    places, ids, missing = layout.order(tuple(map(_name, reading.ports)))
    kept, read, nonsense = [], [], []
    for place, port_id in zip(places, ids.tolist(), strict=True):
        counter = reading.ports[place]
        try:
            row, after = _records([counter]), _after([counter])
        except (OverflowError, ValueError):
            nonsense.append(counter.if_name)
            continue
        row["port"] = port_id
        if _possible(row).all():
            kept.append(row)
            read.append(after)
        else:
            nonsense.append(counter.if_name)
    if not kept:
        return Taken(_records([]), _after([]), missing, tuple(nonsense))
    return Taken(np.concatenate(kept), np.concatenate(read), missing, tuple(nonsense))


def _records(chosen: Sequence[PortCounter]) -> NDArray[np.void]:
    records = np.empty(len(chosen), dtype=READ)
    if not chosen:
        return records
    # What the switch received is what the server sent.
    records["octets_in"] = np.array([one.out_octets for one in chosen], dtype=np.uint64)
    records["octets_out"] = np.array([one.in_octets for one in chosen], dtype=np.uint64)
    records["speed"] = np.array([one.speed_bps for one in chosen], dtype=np.uint64)
    records["discontinuity"] = np.array([one.discontinuity for one in chosen], dtype=np.int64) & 0xFFFFFFFF
    records["bits"] = np.array([one.bits for one in chosen], dtype=np.uint8)
    records["ident"] = np.array([_digest(one.fingerprint) for one in chosen], dtype=np.uint32)
    return records


def _after(chosen: Sequence[PortCounter]) -> NDArray[np.uint16]:
    return np.array([one.after_centiseconds for one in chosen], dtype=np.uint16)


def _possible(records: NDArray[np.void]) -> NDArray[np.bool_]:
    narrow = records["bits"] == 32
    fits = (records["octets_in"] < 1 << 32) & (records["octets_out"] < 1 << 32)
    fine: NDArray[np.bool_] = (records["bits"] == 64) | (narrow & fits)
    return fine
