"""What an actor sees of a server's octets: cut by when it may be seen, and by when a port was the server's own."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

import numpy as np
from django.db.models import Q
from numpy.typing import NDArray

from doublehop.bandwidth import store
from doublehop.bandwidth.charts import Slots
from doublehop.bandwidth.models import Daily, DeviceState, GapVolume, Wiring
from doublehop.bandwidth.slots import (
    DAY_MS,
    SLOT_MS,
    SLOTS_PER_DAY,
    clear_from,
    clear_until,
    slot_of,
    start_of,
)
from doublehop.fleet import queries as fleet
from doublehop.organisations.actor import Actor

UNPACKED_DAYS = 2
"""So many days before the present one are read from their slots: their daily rows are written when they are packed."""
FAR = 1 << 40
"""A slot that never comes: the end of what has none."""


@dataclass(frozen=True)
class Stretch:
    """Slots in which a port's octets are this server's and may be seen by the actor."""

    port_id: int
    upstream_id: int
    first: int
    end: int

    def touches(self, first: int, end: int) -> bool:
        return self.first < end and self.end > first

    def covers(self, first: int, end: int) -> bool:
        return self.first <= first and self.end >= end


Window = tuple[datetime, datetime | None]
"""From when, and until when (None: still)."""


@dataclass(frozen=True)
class Sight:
    """``windows``: when the actor may look, in slots. ``stretches``: what there is to see in them."""

    moments: tuple[Window, ...]
    """The windows to the moment, for what does not come in slots."""
    windows: tuple[tuple[int, int], ...]
    stretches: tuple[Stretch, ...]
    horizon: int
    """The slot after the last one that should have been measured by now."""

    def elapsed(self, first: int) -> int:
        """The slots from ``first`` to the horizon that may be seen, measured or not."""
        return sum(max(0, min(end, self.horizon) - max(since, first)) for since, end in self.windows)

    def touching(self, first: int, end: int) -> list[Stretch]:
        return [one for one in self.stretches if one.touches(first, min(end, self.horizon))]

    def is_whole(self, day: int) -> bool:
        """Whether the day that begins with slot ``day`` is this server's and visible from its beginning to its end."""
        end = day + SLOTS_PER_DAY
        found = self.touching(day, end)
        return bool(found) and all(one.covers(day, end) for one in found)

    def holds(self, start: datetime, end: datetime) -> bool:
        """Whether the actor may look during all of that time."""
        return any(since <= start and (until is None or end <= until) for since, until in self.moments)


@dataclass(frozen=True)
class Volume:
    """The daily rows of a server's ports, added up; for several ports the highest and the slots are lower bounds."""

    octets_in: int
    octets_out: int
    highest: int
    slots: int
    covered_ms: int


def stretches_of_all(actor: Actor, first: int, end: int) -> dict[int, list[Stretch]]:
    """What staff see of every server in the slots ``first <= slot < end``, cut to them, by server id. Three queries for all."""
    windows = {pk: _in_slots(_merged(found)) for pk, found in fleet.bandwidth_windows(actor).items()}
    wired = Wiring.objects.filter(
        Q(until_slot__isnull=True) | Q(until_slot__gt=first),
        since_slot__lt=end,
        server_id__in=fleet.servers_visible_to(actor).order_by().values("pk"),
    )
    seen: dict[int, list[Stretch]] = defaultdict(list)
    for port_id, upstream_id, server_id, begins, ends in wired.values_list(
        "port_id", "upstream_id", "server_id", "since_slot", "until_slot"
    ):
        for since, until in windows.get(server_id, ()):
            one = Stretch(port_id, upstream_id, max(begins, since, first), min(ends or FAR, until, end))
            if one.first < one.end:
                seen[server_id].append(one)
    return seen


def see(actor: Actor, server_id: int, now: datetime) -> Sight:
    """Raises NotHere. The slots about the beginning or the end of a window are seen by nobody on either side."""
    moments = _merged(fleet.permission_windows(actor, server_id))
    windows = _in_slots(moments)
    wirings = list(Wiring.objects.filter(server_id=server_id))
    stretches = [
        Stretch(row.port_id, row.upstream_id, max(row.since_slot, since), min(row.until_slot or FAR, until))
        for row in wirings
        for since, until in windows
    ]
    read_now = {row.upstream_id for row in wirings if row.until_slot is None}
    return Sight(
        tuple(moments),
        tuple(windows),
        tuple(one for one in stretches if one.first < one.end),
        _horizon(read_now, now),
    )


def _merged(windows: Iterable[Window]) -> list[Window]:
    merged: list[Window] = []
    for since, until in sorted(windows, key=lambda window: window[0]):
        # Rights that were written anew without a pause are one window: nobody else came between.
        if merged and (merged[-1][1] is None or since <= merged[-1][1]):
            earlier = merged[-1]
            ends = None if earlier[1] is None or until is None else max(earlier[1], until)
            merged[-1] = (earlier[0], ends)
        else:
            merged.append((since, until))
    return merged


def _in_slots(moments: Iterable[Window]) -> list[tuple[int, int]]:
    cut = [(clear_from(since), FAR if until is None else clear_until(until)) for since, until in moments]
    return [(since, until) for since, until in cut if since < until]


def _horizon(upstream_ids: Collection[int], now: datetime) -> int:
    """While the round that ends the last slot is still on its way, that slot is not missing yet."""
    current = slot_of(now)
    states = DeviceState.objects.filter(upstream_id__in=upstream_ids, is_base=False)
    read = states.values_list("until_ms", flat=True) if upstream_ids else []
    return current - 1 if any(until_ms // SLOT_MS == current - 1 for until_ms in read) else current


def read_slots(sight: Sight, first: int, end: int) -> Slots:
    """The octets of all ports, summed per slot; a slot is measured when each port that was wired was."""
    size = max(0, end - first)
    octets_in, octets_out = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    wired, found = np.zeros(size, dtype=np.int16), np.zeros(size, dtype=np.int16)
    for one in sight.stretches:
        since, until = max(one.first, first), min(one.end, end)
        if since >= until:
            continue
        wired[since - first : until - first] += 1
        numbers, records = store.read(one.upstream_id, [one.port_id], since, until)
        places = numbers - first
        octets_in[places] += records["octets_in"]
        octets_out[places] += records["octets_out"]
        found[places] += 1
    expected = wired > 0
    return Slots(first, octets_in, octets_out, expected & (found == wired), expected)


def first_unpacked(now: int) -> int:
    """The first slot of the days that may have no daily rows yet, of what is known until slot ``now``."""
    return ((now - 1) // SLOTS_PER_DAY - UNPACKED_DAYS) * SLOTS_PER_DAY


class Days:
    """The volumes of the days of a span: from daily rows, and where a day has none yet, from its slots and gaps."""

    def __init__(self, sight: Sight, first: int, end: int) -> None:
        self._sight = sight
        self._end = -(-end // SLOTS_PER_DAY) * SLOTS_PER_DAY
        self._rows: dict[date, list[Daily]] = defaultdict(list)
        self._unpacked = first_unpacked(sight.horizon)
        ports = {one.port_id for one in sight.touching(first, end)}
        if ports:
            days = (start_of(first).date(), start_of(end - 1).date())
            for row in Daily.objects.filter(port_id__in=ports, day__range=days):
                self._rows[row.day].append(row)

    def whole(self, day: int) -> Volume | None:
        """Of the day that begins with slot ``day``; None where a part of it is not to be seen."""
        if not self._sight.is_whole(day):
            return None
        if day >= self._unpacked:
            return self._of_slots(day)
        rows = self._of(day)
        ports = {one.port_id for one in self._sight.touching(day, day + SLOTS_PER_DAY)}
        return Volume(
            octets_in=sum(row.octets_in for row in rows),
            octets_out=sum(row.octets_out for row in rows),
            highest=max((max(row.max_in, row.max_out) for row in rows), default=0),
            slots=min((row.slots for row in rows), default=0) if len(rows) == len(ports) else 0,
            covered_ms=max((row.covered_ms for row in rows), default=0),
        )

    def _of_slots(self, day: int) -> Volume:
        """A day that is not packed yet: what its daily row will say."""
        end = day + SLOTS_PER_DAY
        octets_in = octets_out = highest = covered = 0
        counts = []
        for one in self._sight.touching(day, end):
            numbers, records, gaps = self._fresh[one.port_id]
            mine = records[(numbers >= day) & (numbers < end)]
            lost = [gap for gap in gaps if day <= gap.first_slot and gap.end_slot <= end]
            octets_in += int(mine["octets_in"].sum()) + sum(gap.octets_in for gap in lost)
            octets_out += int(mine["octets_out"].sum()) + sum(gap.octets_out for gap in lost)
            if mine.size:
                highest = max(highest, int(mine["octets_in"].max()), int(mine["octets_out"].max()))
            counts.append(mine.size)
            spanned = mine.size + sum(gap.end_slot - gap.first_slot for gap in lost)
            covered = max(covered, min(DAY_MS, spanned * SLOT_MS))
        return Volume(octets_in, octets_out, highest, min(counts, default=0), covered)

    @cached_property
    def _fresh(self) -> dict[int, tuple[NDArray[np.int64], NDArray[np.void], list[GapVolume]]]:
        """By port: slots, records and gaps of the days that are not packed."""
        ports: dict[int, set[int]] = defaultdict(set)
        for one in self._sight.touching(self._unpacked, FAR):
            ports[one.upstream_id].add(one.port_id)
        gaps: dict[int, list[GapVolume]] = defaultdict(list)
        everyone = set().union(*ports.values())
        for gap in GapVolume.objects.filter(port_id__in=everyone, first_slot__gte=self._unpacked):
            gaps[gap.port_id].append(gap)
        found = {}
        for upstream_id, mine in ports.items():
            numbers, records = store.read(upstream_id, mine, self._unpacked, self._end)
            for port_id in mine:
                here = records["port"] == port_id
                found[port_id] = (numbers[here], records[here], gaps[port_id])
        return found

    def have_sample_history(self) -> bool:
        return any(self.is_sample(slot_of_day(day)) for day in self._rows)

    def is_sample(self, day: int) -> bool:
        return any(row.sample_history for row in self._of(day))

    def _of(self, day: int) -> list[Daily]:
        ports = {one.port_id for one in self._sight.touching(day, day + SLOTS_PER_DAY)}
        return [row for row in self._rows.get(start_of(day).date(), []) if row.port_id in ports]


def slot_of_day(day: date) -> int:
    return (day - date(1970, 1, 1)).days * SLOTS_PER_DAY
