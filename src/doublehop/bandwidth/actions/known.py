"""What there is of upstreams before a round: how far their ports were followed, whose these are, and what staff are told."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from hashlib import sha256
from typing import Any

import numpy as np

from doublehop.bandwidth import packed
from doublehop.bandwidth.actions.wiring import Wired
from doublehop.bandwidth.bulk import listed, pick, put
from doublehop.bandwidth.counters import Layout
from doublehop.bandwidth.models import Collection, DeviceState
from doublehop.bandwidth.packed import STANDING
from doublehop.fleet.models import Port


@dataclass
class Told:
    """A row of Collection as the database gives it."""

    upstream_id: int
    claimed_slot: int
    ports_read: int
    failing_since: Any
    """None or something: a round that came sets it to None."""
    failure_text: str
    discarded: int
    refused: int
    last_discard: str
    remark: str
    wired_as: str


_TOLD = tuple(one.name for one in fields(Told))
_STATE = ("upstream_id", "is_base", "until_ms", "device", "ports")


@dataclass
class Known:
    """One upstream. ``wired_as``: a digest of ``wired``."""

    upstream_id: int
    told: Told
    wired: Wired
    layout: Layout
    wired_as: str
    until_ms: int = -1
    device: str = ""
    standing: packed.Array = field(default_factory=lambda: np.empty(0, dtype=STANDING))

    def __post_init__(self) -> None:
        self.told_before = replace(self.told)


def lock(upstream_ids: Sequence[int]) -> dict[int, Told]:
    """Two collectors of one upstream follow each other."""
    there = _told(upstream_ids)
    if missing := [pk for pk in upstream_ids if pk not in there]:
        Collection.objects.bulk_create([Collection(upstream_id=pk) for pk in missing], ignore_conflicts=True)
        there = _told(upstream_ids)
    return there


def _told(upstream_ids: Sequence[int]) -> dict[int, Told]:
    rows = pick(Collection, _TOLD, "upstream_id", upstream_ids, locked=True)
    return {row[0]: Told(*row) for row in rows}


def known_of(upstream_ids: Sequence[int]) -> dict[int, Known]:
    """Locked until the transaction ends."""
    told = lock(upstream_ids)
    known = {}
    for upstream_id, said in _ports_said(upstream_ids).items():
        wired, layout = _layout(upstream_id, said)
        digest = sha256(said.encode()).hexdigest()
        known[upstream_id] = Known(upstream_id, told[upstream_id], wired, layout, digest)
    for upstream_id, is_base, until_ms, device, blob in pick(
        DeviceState, _STATE, "upstream_id", upstream_ids
    ):
        if not is_base:
            one = known[upstream_id]
            one.until_ms, one.device, one.standing = until_ms, device, np.frombuffer(blob, dtype=STANDING)
    return known


def _ports_said(upstream_ids: Sequence[int]) -> dict[int, str]:
    """Which ports are whose, in short: the names of ports do not change, a server's may."""
    said = dict.fromkeys(upstream_ids, "")
    for upstream_id, ports, servers in listed(Port, ("id", "server"), "upstream", upstream_ids):
        said[upstream_id] = f"{ports}: {servers}"
    return said


_layouts: dict[int, tuple[str, Wired, Layout]] = {}
"""By upstream, of this process: with what the rows said then, so that it is known when they say otherwise."""


def _layout(upstream_id: int, said: str) -> tuple[Wired, Layout]:
    cached = _layouts.get(upstream_id)
    if cached is None or cached[0] != said:
        rows = Port.objects.filter(upstream_id=upstream_id).order_by("pk")
        ports = list(rows.values_list("pk", "server_id", "if_name"))
        layout = Layout(tuple(one[0] for one in ports), tuple(one[2] for one in ports))
        cached = _layouts[upstream_id] = (said, [one[:2] for one in ports], layout)
    return cached[1], cached[2]


def save_states(known: Iterable[Known]) -> None:
    """How far their ports have been followed by now."""
    put(
        DeviceState,
        _STATE,
        ((one.upstream_id, False, one.until_ms, one.device, one.standing.tobytes()) for one in known),
        once=("upstream_id", "is_base"),
    )


def save_told(known: Iterable[Known]) -> None:
    """Of most of them nothing is new."""
    changed = [one.told for one in known if one.told != one.told_before]
    put(Collection, _TOLD, [[getattr(one, name) for name in _TOLD] for one in changed], once=("upstream_id",))
