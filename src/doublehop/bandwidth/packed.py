"""Many ports at once: what ``bandwidth.readings`` says of one, in numpy where nothing is out of the ordinary. Pure.

Every port that is not plainly ordinary goes through the functions that define it, one by one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from doublehop.bandwidth.readings import CLOCK_SLACK_MS, Reading, Standing, Unused, follow
from doublehop.bandwidth.slots import ENOUGH_MS, LONGEST_MS, SLOT_MS, Gap, Part

READ = np.dtype(
    [
        ("port", "<u4"),
        ("octets_in", "<u8"),
        ("octets_out", "<u8"),
        ("speed", "<u8"),
        ("discontinuity", "<u4"),
        ("ident", "<u4"),
        ("bits", "u1"),
    ]
)
"""One port of a kept reading, 37 octets; what it shares with the others of its device stands beside."""
AFTER = np.dtype("<u2")
"""How much later than the time of its reading a port was read, in 1/100 s of the device's clock."""
_WITH_AFTER = bytes(4)
"""Stands before a kept reading whose ports were read at several times: no port has the number 0."""
_SHARED = [("device", "<u4"), ("boots", "<u4"), ("engine", "<u4"), ("uptime", "<u4"), ("taken", "<i8")]
SEEN = np.dtype([*READ.descr, *_SHARED])
STANDING = np.dtype(
    [*SEEN.descr, ("slot", "<u4"), ("open_in", "<i8"), ("open_out", "<i8"), ("open_ms", "<u4")]
)
"""Of a port: its last reading, and the slot that still runs."""

_MOST = 1 << 44
"""Octets of one interval, so that pro rata stays within 64 bits; what is more goes the slow way."""

Array = NDArray[np.void]
Numbers = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Device:
    """What all ports of one reading share, at the time that it tells."""

    device: int
    boots: int
    engine_s: int
    uptime_cs: int
    taken_ms: int


@dataclass(frozen=True)
class Doubt:
    """An interval that a person has to decide about."""

    place: int
    before: Reading
    after: Reading
    unused: Unused


@dataclass(frozen=True)
class Moved:
    """``standing``: of each port of the one that was given. ``place`` is a port's place in it.

    ``measured``: (place, slot, octets in, octets out), each an array. ``gaps``: (place, gap).
    """

    standing: Array
    measured: tuple[NDArray[np.int64], ...]
    gaps: list[tuple[int, Gap]]
    doubts: list[Doubt]
    unused: list[tuple[int, Unused]]


def digest(text: str) -> int:
    """Never zero for a text that says something."""
    return (crc32(text.encode()) or 1) if text else 0


def kept(records: Array, after: Numbers) -> bytes:
    """A reading as it is kept: an ``AFTER`` and a record of each port."""
    told = records.tobytes()
    return _WITH_AFTER + after.astype(AFTER).tobytes() + told if after.any() else told


def unkept(told: bytes) -> tuple[Array, Numbers]:
    """The records of a kept reading, and how much later each was read."""
    if not told.startswith(_WITH_AFTER):
        records = np.frombuffer(told, dtype=READ)
        return records, np.zeros(records.size, dtype=AFTER)
    start = len(_WITH_AFTER)
    count = (len(told) - start) // (AFTER.itemsize + READ.itemsize)
    after = np.frombuffer(told, dtype=AFTER, count=count, offset=start)
    return np.frombuffer(told, dtype=READ, offset=start + after.nbytes), after


def seen(records: Array, after: Numbers, device: Device) -> Array:
    """A reading with what its ports share in every one of them, each at its own time."""
    return seen_together([(records, after, device)])


def seen_together(readings: Sequence[tuple[Array, Numbers, Device]]) -> Array:
    """The same of several, one after the other."""
    records = together(READ, [one for one, _, _ in readings])
    shared = np.array([_shared_by(device) for _, _, device in readings], dtype=_SHARED)
    found = np.empty(records.size, dtype=SEEN)
    for name in READ.names or ():
        found[name] = records[name]
    of = np.repeat(np.arange(len(readings)), [one.size for one, _, _ in readings])
    for name, _ in _SHARED:
        found[name] = shared[name][of]
    after = np.concatenate([one for _, one, _ in readings]).astype(np.uint32)
    found["taken"] += after * 10
    found["uptime"] += after  # modulo 2^32, as the clock wraps
    found["engine"] += np.where(found["engine"] > 0, after // 100, 0).astype(np.uint32)
    return found


def _shared_by(device: Device) -> tuple[int, ...]:
    return device.device, device.boots, device.engine_s, device.uptime_cs, device.taken_ms


def together(kind: np.dtype[np.void], pieces: Sequence[Array]) -> Array:
    """One after the other. numpy's own way compares all fields of all pieces first, which takes longer than everything else."""
    return np.frombuffer(b"".join([one.tobytes() for one in pieces]), dtype=kind)


def begin(first: Array) -> Array:
    """Ports that were never read before: their first readings bring no octets."""
    standing = np.zeros(first.size, dtype=STANDING)
    for name in SEEN.names or ():
        standing[name] = first[name]
    standing["slot"] = first["taken"] // SLOT_MS
    return standing


def step(standing: Array, now: Array) -> Moved:
    """``now`` holds one reading for each row of ``standing``, at the same place."""
    ordinary = _ordinary(standing, now)
    places = np.flatnonzero(ordinary)
    if places.size == standing.size:
        after, measured, gaps = _advance(standing, now, places)
    else:
        moved, measured, gaps = _advance(standing[places], now[places], places)
        after = standing.copy()
        after[places] = moved
    odd = _one_by_one(standing, now, np.flatnonzero(~ordinary), after)
    return Moved(
        after,
        tuple(np.concatenate(pair) for pair in zip(measured, odd.measured, strict=True)),
        gaps + odd.gaps,
        odd.doubts,
        odd.unused,
    )


def _ordinary(standing: Array, now: Array) -> NDArray[np.bool_]:
    ours = now["taken"] - standing["taken"]
    device = (now["uptime"] - standing["uptime"]).astype(np.int64) * 10  # modulo 2^32, as the clock wraps
    slack = CLOCK_SLACK_MS + ours // 50
    fine: NDArray[np.bool_] = (
        (ours > 0) & (ours <= LONGEST_MS) & (device > 0) & (np.abs(device - ours) <= slack)
    )
    fine &= (now["uptime"] > standing["uptime"]) & (now["bits"] == 64) & (standing["bits"] == 64)
    for name in ("device", "discontinuity", "boots", "ident"):
        fine &= now[name] == standing[name]
    engine = now["engine"].astype(np.int64) - standing["engine"]
    fine &= (np.abs(engine * 1000 - device) <= 2000) | ((engine == 0) & (now["engine"] == 0))
    fine &= standing["slot"].astype(np.int64) == standing["taken"] // SLOT_MS
    # What the port can carry, one slot more than the time that passed.
    speed = np.minimum(now["speed"], 1 << 40).astype(np.int64)
    most = np.where(speed == 0, _MOST, speed // 8 * (ours + SLOT_MS) // 1000)
    for name in ("octets_in", "octets_out"):
        grown = now[name] - standing[name]
        fine &= (now[name] >= standing[name]) & (grown <= np.clip(most, 0, _MOST).astype(np.uint64))
    return fine


def _advance(
    before: Array, now: Array, places: NDArray[np.int64]
) -> tuple[Array, tuple[NDArray[np.int64], ...], list[tuple[int, Gap]]]:
    """``slots.advance`` where an interval begins in the open slot and touches at most three."""
    start, end = before["taken"], now["taken"]
    whole = end - start
    first = start // SLOT_MS
    last = end // SLOT_MS
    grown_in = (now["octets_in"] - before["octets_in"]).astype(np.int64)
    grown_out = (now["octets_out"] - before["octets_out"]).astype(np.int64)
    one = np.minimum((first + 1) * SLOT_MS, end) - start
    two = np.minimum((first + 2) * SLOT_MS, end) - start
    in_one, out_one = grown_in * one // whole, grown_out * one // whole
    in_two, out_two = grown_in * two // whole, grown_out * two // whole

    head_in, head_out = before["open_in"] + in_one, before["open_out"] + out_one
    head_ms = np.minimum(before["open_ms"].astype(np.int64) + one, SLOT_MS)
    passed = last - first
    after = np.empty(before.size, dtype=STANDING)
    for name in SEEN.names or ():
        after[name] = now[name]
    after["slot"] = last
    after["open_in"] = np.where(
        passed == 0, head_in, np.where(passed == 1, in_two - in_one, grown_in - in_two)
    )
    after["open_out"] = np.where(
        passed == 0, head_out, np.where(passed == 1, out_two - out_one, grown_out - out_two)
    )
    after["open_ms"] = np.where(passed == 0, head_ms, np.where(passed == 1, two - one, whole - two))

    enough = (passed > 0) & (head_ms >= ENOUGH_MS)
    between = passed > 1
    measured = tuple(
        np.concatenate(pair)
        for pair in (
            (places[enough], places[between]),
            (first[enough], first[between] + 1),
            (head_in[enough], (in_two - in_one)[between]),
            (head_out[enough], (out_two - out_one)[between]),
        )
    )
    gaps = [
        (
            int(places[at]),
            Gap(int(first[at]), int(first[at]) + 1, int(head_in[at]), int(head_out[at])),
        )
        for at in np.flatnonzero((passed > 0) & ~enough & (head_ms > 0)).tolist()
    ]
    return after, measured, gaps


# ---------------------------------------------------------------- one by one


def _one_by_one(standing: Array, now: Array, places: NDArray[np.int64], after: Array) -> Moved:
    measured: list[tuple[int, int, int, int]] = []
    gaps: list[tuple[int, Gap]] = []
    doubts: list[Doubt] = []
    unused: list[tuple[int, Unused]] = []
    for place in places.tolist():
        before, reading = standing_of(standing[place]), reading_of(now[place])
        result = follow(before, reading)
        after[place] = _row(result.standing, int(now[place]["port"]))
        measured += [(place, part.slot, part.octets_in, part.octets_out) for part in result.measured]
        gaps += [(place, gap) for gap in result.gaps]
        if result.unused is not None:
            unused.append((place, result.unused))
            if result.unused.is_doubtful:
                doubts.append(Doubt(place, before.reading, reading, result.unused))
    columns = np.array(measured, dtype=np.int64).reshape(-1, 4)
    return Moved(after, tuple(columns[:, number] for number in range(4)), gaps, doubts, unused)


def reading_of(row: np.void) -> Reading:
    return Reading(
        device=int(row["device"]),
        taken_ms=int(row["taken"]),
        uptime_cs=int(row["uptime"]),
        octets_in=int(row["octets_in"]),
        octets_out=int(row["octets_out"]),
        bits=int(row["bits"]),
        speed_bps=int(row["speed"]),
        discontinuity=int(row["discontinuity"]),
        ident=int(row["ident"]),
        boots=int(row["boots"]),
        engine_s=int(row["engine"]),
    )


def standing_of(row: np.void) -> Standing:
    part = Part(int(row["slot"]), int(row["open_in"]), int(row["open_out"]), int(row["open_ms"]))
    return Standing(reading_of(row), part)


def _row(standing: Standing, port: int) -> tuple[int, ...]:
    read, part = standing.reading, standing.open
    return (
        port,
        read.octets_in,
        read.octets_out,
        read.speed_bps,
        read.discontinuity,
        read.ident,
        read.bits,
        read.device,
        read.boots,
        read.engine_s,
        read.uptime_cs,
        read.taken_ms,
        part.slot,
        part.octets_in,
        part.octets_out,
        part.covered_ms,
    )


# ---------------------------------------------------------------- one device through many readings


@dataclass(frozen=True)
class Whole:
    """Everything that follows from the readings of one device: by (port, slot) and by port."""

    standing: Array
    measured: Mapping[tuple[int, int], tuple[int, int]]
    gaps: list[tuple[int, Gap]]
    doubts: list[tuple[int, Doubt]]


def follow_all(standing: Array, readings: Sequence[Array]) -> Whole:
    """``readings`` in the order of their times. Ports may come and go."""
    measured: dict[tuple[int, int], tuple[int, int]] = {}
    gaps: list[tuple[int, Gap]] = []
    doubts: list[tuple[int, Doubt]] = []
    for now in readings:
        places, new = matched(standing["port"], now["port"])
        moved = step(standing[places], now[~new])
        ports = moved.standing["port"].tolist()
        for place, slot, inward, out in zip(*(one.tolist() for one in moved.measured), strict=True):
            measured[ports[place], slot] = (inward, out)
        gaps += [(ports[place], gap) for place, gap in moved.gaps]
        doubts += [(ports[doubt.place], doubt) for doubt in moved.doubts]
        standing = put_back(standing, places, moved.standing, begin(now[new]))
        standing = standing[np.argsort(standing["port"], kind="stable")]
    return Whole(standing, measured, gaps, doubts)


def matched(known: Numbers, now: Numbers) -> tuple[Numbers, NDArray[np.bool_]]:
    """Of ports in ascending order: the places among the ``known`` of those that are in both, and which of ``now`` are new."""
    if known.size == now.size and np.array_equal(known, now):
        return np.arange(now.size), np.zeros(now.size, dtype=bool)
    new = ~np.isin(now, known)
    return np.searchsorted(known, now[~new]), new


def put_back(standing: Array, places: Numbers, moved: Array, new: Array) -> Array:
    """``standing`` with what moved at its places, and after it what is new."""
    if places.size == standing.size and not new.size:
        return moved
    whole = standing.copy()
    whole[places] = moved
    return together(STANDING, [whole, new])
