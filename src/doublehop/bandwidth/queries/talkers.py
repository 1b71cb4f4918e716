"""The servers with most traffic of the last hour, day or week: all that staff see, read in bulk."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

import numpy as np
from django.utils import timezone

from doublehop.bandwidth import store
from doublehop.bandwidth.charts import rate
from doublehop.bandwidth.models import Daily, GapVolume
from doublehop.bandwidth.queries.sight import Stretch, first_unpacked, slot_of_day, stretches_of_all
from doublehop.bandwidth.slots import SLOT_SECONDS, SLOTS_PER_DAY, slot_of, start_of
from doublehop.fleet import queries as fleet
from doublehop.organisations.actor import Actor

MOST = 50
DAYS_OF_WEEK = 7


class Over(StrEnum):
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    """From the beginning of the day of UTC six days ago: daily rows, and slots of the last days."""


@dataclass(frozen=True)
class Talker:
    server_id: int
    label: str
    hostname: str
    octets_in: int
    octets_out: int
    seconds: int
    """The length of the time that is looked at."""

    @property
    def octets(self) -> int:
        return self.octets_in + self.octets_out

    @property
    def rate_in(self) -> float:
        """Mbit/s on average."""
        return rate(self.octets_in, self.seconds)

    @property
    def rate_out(self) -> float:
        return rate(self.octets_out, self.seconds)


@dataclass(frozen=True)
class Talkers:
    """The most traffic first, in and out together. Servers of which nothing was measured are not among them."""

    start: datetime
    end: datetime
    lines: tuple[Talker, ...]
    sample_history: bool = False
    """Made up in part: of one of these, on one of these days."""


def talkers(actor: Actor, over: Over, *, most: int = MOST, now: datetime | None = None) -> Talkers:
    """Of staff's servers; empty for everybody else."""
    moment = now or timezone.now()
    end = slot_of(moment)
    if over is Over.WEEK:
        first = (end // SLOTS_PER_DAY - DAYS_OF_WEEK + 1) * SLOTS_PER_DAY
    else:
        first = end - (SLOTS_PER_DAY // 24 if over is Over.HOUR else SLOTS_PER_DAY)
    # A day is seen whole or not at all, also the one that is not over.
    edge = (end // SLOTS_PER_DAY + 1) * SLOTS_PER_DAY if over is Over.WEEK else end
    seen = stretches_of_all(actor, first, edge)
    fresh = max(first, first_unpacked(end)) if over is Over.WEEK else first
    octets = _together(_by_days(seen, first, fresh), _by_slots(seen, fresh, end), _by_gaps(seen, fresh, end))
    largest = sorted(octets, key=lambda pk: (-sum(octets[pk]), pk))[:most]
    names = {
        pk: (label, hostname)
        for pk, label, hostname in fleet.servers_visible_to(actor)
        .filter(pk__in=largest)
        .values_list("pk", "label", "hostname")
    }
    seconds = (end - first) * SLOT_SECONDS
    lines = tuple(Talker(pk, *names[pk], *octets[pk], seconds) for pk in largest if pk in names)
    ports = {one.port_id for line in lines for one in seen[line.server_id]}
    made_up = Daily.objects.filter(
        port_id__in=ports, day__range=(start_of(first).date(), start_of(end).date()), sample_history=True
    )
    return Talkers(start_of(first), start_of(end), lines, bool(lines) and made_up.exists())


_Octets = dict[int, tuple[int, int]]


def _together(*all_of_them: _Octets) -> _Octets:
    found: _Octets = {}
    for some in all_of_them:
        for pk, (octets_in, octets_out) in some.items():
            known = found.get(pk, (0, 0))
            found[pk] = (known[0] + octets_in, known[1] + octets_out)
    return found


def _by_slots(seen: dict[int, list[Stretch]], first: int, end: int) -> _Octets:
    """One reading for each upstream; what a stretch cuts is added up slot by slot."""
    owners: dict[int, list[tuple[int, Stretch]]] = defaultdict(list)
    for server_id, stretches in seen.items():
        for one in stretches:
            owners[one.upstream_id].append((server_id, one))
    octets: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for upstream_id, theirs in owners.items():
        ports = sorted({one.port_id for _, one in theirs})
        numbers, records = store.read(upstream_id, ports, first, end)
        places = np.searchsorted(ports, records["port"])
        # Sums of a day stay below 2^53, so they are exact as floats.
        sums = [np.bincount(places, records[name], len(ports)) for name in ("octets_in", "octets_out")]
        there = np.bincount(places, minlength=len(ports))
        for server_id, one in theirs:
            place = int(np.searchsorted(ports, one.port_id))
            if one.covers(first, end):
                found = [int(side[place]) for side in sums]
                known = int(there[place])
            else:
                mine = (places == place) & (numbers >= one.first) & (numbers < one.end)
                found = [int(records[name][mine].sum()) for name in ("octets_in", "octets_out")]
                known = int(mine.sum())
            if known:
                octets[server_id][0] += found[0]
                octets[server_id][1] += found[1]
    return {pk: (both[0], both[1]) for pk, both in octets.items()}


def _by_gaps(seen: dict[int, list[Stretch]], first: int, end: int) -> _Octets:
    """Octets of several slots together, where all of these lie in the time that is looked at and in one stretch."""
    owners: dict[int, list[tuple[int, Stretch]]] = defaultdict(list)
    for server_id, stretches in seen.items():
        for one in stretches:
            owners[one.port_id].append((server_id, one))
    upstream_ids = {one.upstream_id for stretches in seen.values() for one in stretches}
    octets: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for gap in GapVolume.objects.filter(
        upstream_id__in=upstream_ids, end_slot__gt=first, end_slot__lte=end, first_slot__gte=first
    ):
        for server_id, one in owners.get(gap.port_id, ()):
            if one.covers(gap.first_slot, gap.end_slot):
                octets[server_id][0] += gap.octets_in
                octets[server_id][1] += gap.octets_out
    return {pk: (both[0], both[1]) for pk, both in octets.items()}


def _by_days(seen: dict[int, list[Stretch]], first: int, end: int) -> _Octets:
    """Days from slot ``first`` on, before slot ``end``. Days that are not seen whole are left out: a part of them is somebody else's."""
    owners: dict[int, list[tuple[int, Stretch]]] = defaultdict(list)
    for server_id, stretches in seen.items():
        for one in stretches:
            owners[one.port_id].append((server_id, one))
    octets: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for port_id, day, octets_in, octets_out in _daily(owners, first, end) if first < end else ():
        start = slot_of_day(day)
        for server_id, one in owners[port_id]:
            if one.covers(start, start + SLOTS_PER_DAY):
                octets[server_id][0] += octets_in
                octets[server_id][1] += octets_out
    return {pk: (both[0], both[1]) for pk, both in octets.items()}


def _daily(ports: Iterable[int], first: int, end: int) -> Iterator[tuple[int, date, int, int]]:
    """(port id, day, octets in, octets out). One scan of the week: cheaper than ten thousand names of ports."""
    wanted = set(ports)
    rows = Daily.objects.filter(
        day__gte=start_of(first).date(), day__lt=start_of(end).date(), covered_ms__gt=0
    )
    for row in rows.values_list("port_id", "day", "octets_in", "octets_out").iterator(chunk_size=5000):
        if row[0] in wanted:
            yield row
