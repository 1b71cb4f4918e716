"""What an actor sees of a server's octets: cut by when it may be seen, and by when a port was the server's own."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from doublehop.bandwidth import store
from doublehop.bandwidth.charts import Slots
from doublehop.bandwidth.models import Baseline, Daily, Wiring
from doublehop.bandwidth.slots import SLOTS_PER_DAY, slot_of, start_of
from doublehop.fleet import queries as fleet
from doublehop.organisations.actor import Actor

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


def see(actor: Actor, server_id: int, now: datetime) -> Sight:
    """Raises NotHere. A slot that holds the beginning or the end of a window is seen by nobody on either side."""
    moments = _merged(fleet.permission_windows(actor, server_id))
    windows = _in_slots(moments)
    wirings = list(Wiring.objects.filter(server_id=server_id))
    stretches = [
        Stretch(row.port_id, row.upstream_id, max(row.since_slot, since), min(row.until_slot or FAR, until))
        for row in wirings
        for since, until in windows
    ]
    wired_now = [row.port_id for row in wirings if row.until_slot is None]
    return Sight(
        tuple(moments),
        tuple(windows),
        tuple(one for one in stretches if one.first < one.end),
        _horizon(wired_now, now),
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
    cut = [(slot_of(since) + 1, FAR if until is None else slot_of(until)) for since, until in moments]
    return [(since, until) for since, until in cut if since < until]


def _horizon(ports: list[int], now: datetime) -> int:
    """While the round that ends the last slot is still on its way, that slot is not missing yet."""
    current = slot_of(now)
    taken = Baseline.objects.filter(port_id__in=ports).values_list("taken_at", flat=True) if ports else []
    return current - 1 if any(slot_of(moment) == current - 1 for moment in taken) else current


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


class Days:
    """The daily rows of a span, read once."""

    def __init__(self, sight: Sight, first: int, end: int) -> None:
        self._sight = sight
        self._rows: dict[date, list[Daily]] = defaultdict(list)
        ports = {one.port_id for one in sight.touching(first, end)}
        if ports:
            days = (start_of(first).date(), start_of(end - 1).date())
            for row in Daily.objects.filter(port_id__in=ports, day__range=days):
                self._rows[row.day].append(row)

    def whole(self, day: int) -> Volume | None:
        """Of the day that begins with slot ``day``; None where a part of it is not to be seen."""
        if not self._sight.is_whole(day):
            return None
        rows = self._of(day)
        ports = {one.port_id for one in self._sight.touching(day, day + SLOTS_PER_DAY)}
        return Volume(
            octets_in=sum(row.octets_in for row in rows),
            octets_out=sum(row.octets_out for row in rows),
            highest=max((max(row.max_in, row.max_out) for row in rows), default=0),
            slots=min((row.slots for row in rows), default=0) if len(rows) == len(ports) else 0,
            covered_ms=max((row.covered_ms for row in rows), default=0),
        )

    def have_sample_history(self) -> bool:
        return any(self.is_sample(slot_of_day(day)) for day in self._rows)

    def is_sample(self, day: int) -> bool:
        return any(row.sample_history for row in self._of(day))

    def _of(self, day: int) -> list[Daily]:
        ports = {one.port_id for one in self._sight.touching(day, day + SLOTS_PER_DAY)}
        return [row for row in self._rows.get(start_of(day).date(), []) if row.port_id in ports]


def slot_of_day(day: date) -> int:
    return (day - date(1970, 1, 1)).days * SLOTS_PER_DAY
