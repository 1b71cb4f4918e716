"""The octets of a service's own machines, for its bill. No actor: what may be counted follows from the windows given.

Whoever calls this has decided whose they are (services.charging); no face may.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

import numpy as np
from django.db.models import QuerySet
from numpy.typing import NDArray

from doublehop.bandwidth import store
from doublehop.bandwidth.actions.totals import PART
from doublehop.bandwidth.charts import Slots
from doublehop.bandwidth.figures import DAY, Piece, of_one_source
from doublehop.bandwidth.models import Daily, DeviceState, Fetching, GapVolume, Total, Wiring
from doublehop.bandwidth.queries.sight import slot_of_day
from doublehop.bandwidth.slots import (
    EPOCH,
    SLOT_MS,
    SLOTS_PER_DAY,
    Gap,
    clear_from,
    clear_until,
    slot_of,
    start_of,
    wholly_within,
)
from doublehop.fleet.models import Server


@dataclass(frozen=True)
class Window:
    """A server and the time in which it was the service's own; ``until`` None: still."""

    server_id: int
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True)
class OutsideSlots:
    """Octets that flowed between two slots (the end not included) and belong to no single one."""

    first: int
    end: int
    octets_in: int
    octets_out: int


@dataclass(frozen=True)
class Metered:
    """``slots`` are the sum of all machines. ``expected``: there was a machine. Measured: every port of every machine was.

    What is known of a slot counts also where it was not measured whole.
    """

    slots: Slots
    as_wired: NDArray[np.bool_]
    """Slots in which a port of theirs was known, and each that was known was measured: as much as can be, though a machine may have none."""
    made_up: NDArray[np.bool_]
    """Slots of days that are sample history."""
    outside: tuple[OutsideSlots, ...]
    is_wired: bool
    """A port of any machine is known for its time. Otherwise only totals can say something."""
    bare: tuple[Window, ...]
    """Those of machines of which none is known."""


@dataclass(frozen=True)
class _Stretch:
    port_id: int
    upstream_id: int
    first: int
    end: int


def metered(windows: Sequence[Window], first: int, end: int) -> Metered:
    """The slots ``first`` to ``end`` (not included). Those about the beginning or the end of a window are nobody's."""
    size = max(0, end - first)
    octets_in, octets_out = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    held, whole = np.zeros(size, dtype=np.int16), np.zeros(size, dtype=np.int16)
    known, lost = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    wirings = list(Wiring.objects.filter(server_id__in={one.server_id for one in windows}))
    all_stretches: list[_Stretch] = []
    bare: list[Window] = []
    for window in windows:
        since, until = _in_slots(window, first, end)
        if since >= until:
            continue
        held[since - first : until - first] += 1
        wired, found = np.zeros(size, dtype=np.int16), np.zeros(size, dtype=np.int16)
        mine = _stretches(wirings, window.server_id, since, until)
        all_stretches += mine
        if not mine:
            bare.append(window)
        for one in mine:
            wired[one.first - first : one.end - first] += 1
            numbers, records = store.read(one.upstream_id, [one.port_id], one.first, one.end)
            places = numbers - first
            octets_in[places] += records["octets_in"]
            octets_out[places] += records["octets_out"]
            found[places] += 1
        whole += (wired > 0) & (found == wired)
        known |= wired > 0
        lost |= found < wired
    expected = held > 0
    return Metered(
        Slots(first, octets_in, octets_out, expected & (whole == held), expected),
        known & ~lost,
        _made_up(all_stretches, first, size),
        _outside(all_stretches, first, end),
        bool(all_stretches),
        tuple(bare),
    )


def horizon(windows: Sequence[Window], now: datetime) -> int:
    """The slot after the last one that should have been measured by now, of machines that are still in their window."""
    current = slot_of(now)
    servers = {one.server_id for one in windows if one.until is None}
    wired = Wiring.objects.filter(server_id__in=servers, until_slot__isnull=True).values("upstream_id")
    states = DeviceState.objects.filter(upstream_id__in=wired, is_base=False)
    # The round that ends the last slot may still be on its way.
    late = any(until // SLOT_MS == current - 1 for until in states.values_list("until_ms", flat=True))
    return current - 1 if late else current


def pieces_of(rows: QuerySet[Total]) -> list[Piece]:
    """Figures as they came, in the order of ``rows``."""
    names = (field.name for field in fields(Piece))
    return [Piece(*row) for row in rows.values_list(*names)]


def totals_of(windows: Sequence[Window], start: datetime, end: datetime) -> list[Piece]:
    """What upstreams counted, of one source a day, wholly within a window and within ``start`` to ``end``."""
    kept: list[Piece] = []
    for server_id in {one.server_id for one in windows}:
        pieces = pieces_of(Total.objects.filter(server_id=server_id, start__gte=start, end__lte=end))
        mine = [one for one in windows if one.server_id == server_id]
        kept += of_one_source(piece for piece in pieces if any(_holds(window, piece) for window in mine))
    return sorted(kept, key=lambda one: one.start)


def totals_are_due(windows: Sequence[Window], since: datetime) -> bool:
    """Whether one of these machines is counted by its upstream, and was not read since then."""
    servers = Server.objects.filter(pk__in={one.server_id for one in windows})
    counted = {pk for pk, parts in servers.values_list("pk", "capabilities") if PART in parts}
    read = Fetching.objects.filter(pk__in=counted, read_at__gte=since)
    return bool(counted) and read.count() < len(counted)


def whole_days(windows: Sequence[Window], start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """The whole days (UTC) of each window within ``start`` to ``end``: of these an upstream's figures should be there."""
    found = []
    for window in windows:
        begins = -((EPOCH - max(start, window.since)) // DAY) * DAY
        ends = (min(end, window.until or end) - EPOCH) // DAY * DAY
        if begins < ends:
            found.append((EPOCH + begins, EPOCH + ends))
    return found


def _holds(window: Window, piece: Piece) -> bool:
    return window.since <= piece.start and (window.until is None or piece.end <= window.until)


def _in_slots(window: Window, first: int, end: int) -> tuple[int, int]:
    until = end if window.until is None else clear_until(window.until)
    return max(first, clear_from(window.since)), min(end, until)


def _stretches(wirings: Sequence[Wiring], server_id: int, first: int, end: int) -> list[_Stretch]:
    found = [
        _Stretch(
            row.port_id,
            row.upstream_id,
            max(row.since_slot, first),
            end if row.until_slot is None else min(row.until_slot, end),
        )
        for row in wirings
        if row.server_id == server_id
    ]
    return [one for one in found if one.first < one.end]


def _outside(stretches: Sequence[_Stretch], first: int, end: int) -> tuple[OutsideSlots, ...]:
    """Those that lie wholly within: of the others nobody knows how much flowed before and how much after."""
    rows = GapVolume.objects.filter(
        port_id__in={one.port_id for one in stretches}, first_slot__lte=end, end_slot__gte=first
    )
    gaps: dict[int, list[Gap]] = {}
    for row in rows.order_by("first_slot", "port_id", "pk"):
        gap = Gap(row.first_slot, row.end_slot, row.octets_in, row.octets_out)
        gaps.setdefault(row.port_id, []).append(gap)
    found = [
        (gap.first, one.port_id, gap)
        for one in stretches
        for gap in wholly_within(gaps.get(one.port_id, ()), one.first, one.end)
    ]
    return tuple(
        OutsideSlots(gap.first, gap.end, gap.octets_in, gap.octets_out)
        for _, _, gap in sorted(found, key=lambda one: one[:2])
    )


def _made_up(stretches: Sequence[_Stretch], first: int, size: int) -> NDArray[np.bool_]:
    made_up = np.zeros(size, dtype=bool)
    if not stretches:
        return made_up
    days = (start_of(first).date(), start_of(first + size - 1).date())
    marked = Daily.objects.filter(
        port_id__in={one.port_id for one in stretches}, day__range=days, sample_history=True
    )
    for port_id, day in marked.values_list("port_id", "day"):
        begin = slot_of_day(day)
        for one in stretches:
            since, until = max(begin, one.first, first), min(begin + SLOTS_PER_DAY, one.end)
            if one.port_id == port_id and since < until:
                made_up[since - first : until - first] = True
    return made_up
