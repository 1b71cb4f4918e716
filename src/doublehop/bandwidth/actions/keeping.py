"""Writes what became certain: slots into blocks, octets of gaps, doubts for people. Called within a transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doublehop.bandwidth import slots, store
from doublehop.bandwidth.bulk import pick, put
from doublehop.bandwidth.models import Block, GapVolume, Quarantined
from doublehop.bandwidth.packed import Doubt
from doublehop.bandwidth.readings import Reading
from doublehop.bandwidth.slots import Gap
from doublehop.bandwidth.store import RECORD


@dataclass(frozen=True)
class Certain:
    """Slots of many ports, as arrays of equal length."""

    upstream_id: NDArray[np.int64]
    port_id: NDArray[np.int64]
    slot: NDArray[np.int64]
    octets_in: NDArray[np.int64]
    octets_out: NDArray[np.int64]


def keep_slots(certain: Certain) -> None:
    """One row per device and slot; where there is one already, the ports of this time are put in."""
    if not certain.slot.size:
        return
    keys = certain.upstream_id << 32 | certain.slot
    order = np.lexsort((certain.port_id, keys))
    keys = keys[order]
    records = np.empty(keys.size, dtype=RECORD)
    records["port"] = certain.port_id[order]
    records["octets_in"], records["octets_out"] = certain.octets_in[order], certain.octets_out[order]
    edges = [0, *(np.flatnonzero(np.diff(keys)) + 1).tolist(), keys.size]
    pieces = {int(keys[a]): records[a:b] for a, b in pairwise(edges)}
    for block_id, old in pick(Block, ("id", "records"), "id", pieces):
        pieces[block_id] = _together(store.unpack(old), pieces[block_id])
    write_blocks({block_id: piece.tobytes() for block_id, piece in pieces.items()})


def _together(old: NDArray[np.void], new: NDArray[np.void]) -> NDArray[np.void]:
    whole = np.concatenate((old[~np.isin(old["port"], new["port"])], new))
    return whole[np.argsort(whole["port"], kind="stable")]


def write_blocks(blocks: dict[int, bytes]) -> None:
    put(Block, ("id", "records"), blocks.items(), once=("id",))


def keep_gaps(gaps: Iterable[tuple[int, int, Gap]]) -> None:
    """(upstream id, port id, gap) each."""
    put(
        GapVolume,
        ("upstream_id", "port_id", "first_slot", "end_slot", "octets_in", "octets_out"),
        (
            (upstream_id, port_id, gap.first, gap.end, gap.octets_in, gap.octets_out)
            for upstream_id, port_id, gap in gaps
        ),
    )


def keep_doubts(upstream_id: int, doubts: Sequence[tuple[int, Doubt]], devices: dict[int, str]) -> None:
    """(port id, doubt) each. One that is there already, decided or not, stays as it is. ``devices``: names by digest."""
    Quarantined.objects.bulk_create(
        [
            Quarantined(
                upstream_id=upstream_id,
                port_id=port_id,
                started_at=slots.from_ms(doubt.before.taken_ms),
                ended_at=slots.from_ms(doubt.after.taken_ms),
                why=doubt.unused.reason.name.lower(),
                octets_in=str(doubt.unused.octets_in),
                octets_out=str(doubt.unused.octets_out),
                before=_shown(doubt.before, devices),
                after=_shown(doubt.after, devices),
            )
            for port_id, doubt in doubts
        ],
        ignore_conflicts=True,
    )


def _shown(reading: Reading, devices: dict[int, str]) -> dict[str, Any]:
    return {
        "device": devices.get(reading.device, ""),
        "uptime_cs": reading.uptime_cs,
        "octets_in": str(reading.octets_in),
        "octets_out": str(reading.octets_out),
        "bits": reading.bits,
        "speed_bps": reading.speed_bps,
        "boots": reading.boots,
    }
