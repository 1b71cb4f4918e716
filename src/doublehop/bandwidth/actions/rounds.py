"""Readings of all ports of upstreams, written down. They change nothing at a machine, so they leave no journal line."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from django.db import transaction

from doublehop.bandwidth import counters, packed, slots
from doublehop.bandwidth.actions.keeping import Certain, keep_doubts, keep_gaps, keep_slots
from doublehop.bandwidth.actions.known import Known, known_of, save_states, save_told
from doublehop.bandwidth.actions.recounting import recount
from doublehop.bandwidth.actions.wiring import follow_wiring
from doublehop.bandwidth.bulk import put
from doublehop.bandwidth.counters import Taken
from doublehop.bandwidth.models import DeviceState, RawReading
from doublehop.bandwidth.packed import STANDING, Device, Moved
from doublehop.bandwidth.readings import LATEST_MS, UPTIME_WRAP, Reason
from doublehop.driver_kit.contract import CounterReading

NAMED_AT_MOST = 5
_DEVICE_NAME = 200


@dataclass(frozen=True)
class _Round:
    """One reading of one upstream on its way."""

    known: Known
    reading: CounterReading
    taken: Taken
    taken_ms: int

    @property
    def device(self) -> str:
        return self.reading.device[:_DEVICE_NAME]

    @property
    def uptime_cs(self) -> int:
        return self.reading.uptime_centiseconds % UPTIME_WRAP

    @cached_property
    def shared(self) -> Device:
        read = self.reading
        return Device(
            packed.digest(self.device),
            read.boots & 0xFFFFFFFF,
            read.engine_seconds & 0xFFFFFFFF,
            self.uptime_cs,
            self.taken_ms,
        )

    def row(self) -> tuple[object, ...]:
        """Of RawReading, in the order of ``_RAW``."""
        shared = self.shared
        records = packed.kept(self.taken.records, self.taken.after)
        known = self.known.upstream_id
        return known, self.taken_ms, self.uptime_cs, shared.boots, shared.engine_s, self.device, records


_RAW = ("upstream_id", "taken_ms", "uptime_cs", "boots", "engine_seconds", "device", "records")


# ---------------------------------------------------------------- the way of a round


@transaction.atomic
def write_rounds(rounds: Sequence[tuple[int, CounterReading]]) -> None:
    """Takes in readings of upstreams, (upstream id, reading) each: slots that are complete, gaps, doubts.

    Everything or nothing. The same reading again changes nothing, and the order of arrival is without effect as long as
    a reading is at most LATEST older than the newest one; what is later is left out, and said so.
    """
    known = known_of(sorted({upstream_id for upstream_id, _ in rounds}))
    records = counters.take([(known[upstream_id].layout, reading) for upstream_id, reading in rounds])
    waiting = [
        _Round(known[upstream_id], reading, taken, slots.to_ms(reading.taken_at))
        for (upstream_id, reading), taken in zip(rounds, records, strict=True)
    ]
    waiting.sort(key=lambda one: one.taken_ms)
    late: dict[int, list[_Round]] = defaultdict(list)
    while waiting:
        wave, rest = {}, []
        for one in waiting:
            if one.taken_ms <= one.known.until_ms:
                late[one.known.upstream_id].append(one)
            elif one.known.upstream_id in wave:
                rest.append(one)
            else:
                wave[one.known.upstream_id] = one
        _go_on(list(wave.values()))
        waiting = rest
    for found in late.values():
        _sort_in(found)
    save_told(known.values())


def write_round(upstream_id: int, reading: CounterReading) -> None:
    """One reading of one upstream."""
    write_rounds([(upstream_id, reading)])


# ---------------------------------------------------------------- newer than everything before


def _go_on(wave: Sequence[_Round]) -> None:
    """At most one reading of each upstream, all newer than what was read of it before."""
    if not wave:
        return
    wave = sorted(wave, key=lambda one: one.known.upstream_id)
    upstream_ids = np.array([one.known.upstream_id for one in wave])
    standing = packed.together(STANDING, [one.known.standing for one in wave])
    now = packed.seen_together([(one.taken.records, one.taken.after, one.shared) for one in wave])
    owner = np.repeat(upstream_ids, [one.known.standing.size for one in wave])
    read_by = np.repeat(upstream_ids, [one.taken.records.size for one in wave])
    places, new = packed.matched(_keys(owner, standing), _keys(read_by, now))
    moved = packed.step(standing[places], now[~new])
    put(RawReading, _RAW, (one.row() for one in wave))
    _keep(moved, owner[places], wave)
    discarded = _discarded(moved, owner[places])
    whole = packed.put_back(standing, places, moved.standing, packed.begin(now[new]))
    if new.any():
        owner = np.concatenate((owner, read_by[new]))
        order = np.argsort(_keys(owner, whole))
        whole, owner = whole[order], owner[order]
    edges = [*np.searchsorted(owner, upstream_ids).tolist(), owner.size]
    for one, (start, end) in zip(wave, pairwise(edges), strict=True):
        known = one.known
        if known.wired_as != known.told.wired_as:
            before, now_ms = (
                dict(zip(ports["port"].tolist(), ports["taken"].tolist(), strict=True))
                for ports in (known.standing, whole[start:end])
            )
            follow_wiring(known.upstream_id, known.wired, before, now_ms, one.taken_ms)
            known.told.wired_as = known.wired_as
        known.standing = whole[start:end]
        known.until_ms, known.device = one.taken_ms, one.device
        _note(one, discarded.get(known.upstream_id, []))
    save_states(one.known for one in wave)


def _keys(owner: np.ndarray, ports: packed.Array) -> packed.Numbers:
    keys: packed.Numbers = owner << 32 | ports["port"]
    return keys


def _keep(moved: Moved, owner: np.ndarray, wave: Sequence[_Round]) -> None:
    place, slot, inward, out = moved.measured
    ports = moved.standing["port"]
    keep_slots(Certain(owner[place], ports[place].astype(np.int64), slot, inward, out))
    keep_gaps((int(owner[place]), int(ports[place]), gap) for place, gap in moved.gaps)
    by_upstream: dict[int, list[tuple[int, packed.Doubt]]] = defaultdict(list)
    for doubt in moved.doubts:
        by_upstream[int(owner[doubt.place])].append((int(ports[doubt.place]), doubt))
    for one in wave:
        if found := by_upstream.get(one.known.upstream_id):
            names = {packed.digest(name): name for name in (one.known.device, one.device)}
            keep_doubts(one.known.upstream_id, found, names)


def _discarded(moved: Moved, owner: np.ndarray) -> Mapping[int, list[tuple[int, Reason]]]:
    """(port id, why) by upstream."""
    found: dict[int, list[tuple[int, Reason]]] = defaultdict(list)
    for place, unused in moved.unused:
        if unused.counts_as_discarded:
            found[int(owner[place])].append((int(moved.standing["port"][place]), unused.reason))
    return found


# ---------------------------------------------------------------- late


def _sort_in(found: Sequence[_Round]) -> None:
    """Readings of one upstream that are not newer than its newest."""
    known = found[0].known
    kept = []
    for one in found:
        if one.taken_ms >= known.until_ms - LATEST_MS:
            kept.append(one.row())
        elif _our_clock_was_ahead(one):
            # What was read meanwhile carries times that never were; the counters tell the octets of that time.
            ahead = RawReading.objects.filter(upstream_id=known.upstream_id, taken_ms__gt=one.taken_ms)
            ahead.delete()
            DeviceState.objects.filter(
                upstream_id=known.upstream_id, is_base=True, until_ms__gt=one.taken_ms
            ).delete()
            kept.append(one.row())
        else:
            _note_late(one)
    mine = RawReading.objects.filter(upstream_id=known.upstream_id)
    before = mine.count()
    rows = [RawReading(**dict(zip(_RAW, row, strict=True))) for row in kept]
    RawReading.objects.bulk_create(rows, ignore_conflicts=True)
    if kept and mine.count() != before:
        recount(known.upstream_id, known.until_ms)


def _our_clock_was_ahead(one: _Round) -> bool:
    """The device's own clock went on since the newest reading, ours did not: then it was the newest that had a wrong time."""
    newest = one.known.standing
    if not newest.size or one.device != one.known.device:
        return False
    last = newest[int(newest["taken"].argmax())]
    went_on = (one.uptime_cs - int(last["uptime"])) % UPTIME_WRAP
    return int(last["boots"]) == one.shared.boots and 0 < went_on < UPTIME_WRAP // 2


# ---------------------------------------------------------------- what staff read


def _note(one: _Round, discarded: Sequence[tuple[int, Reason]]) -> None:
    row, taken = one.known.told, one.taken
    row.ports_read = taken.records.size
    row.failing_since, row.failure_text = None, ""
    row.discarded += len(discarded) + len(taken.nonsense)
    if taken.nonsense:
        row.last_discard = _not_counted(one, taken.nonsense[0], Reason.NONSENSE)
    elif discarded:
        port_id, reason = discarded[0]
        names = dict(zip(one.known.layout.port_ids, one.known.layout.names, strict=True))
        row.last_discard = _not_counted(one, names[port_id], reason)
    row.remark = ""
    if taken.missing:
        names_told = ", ".join(taken.missing[:NAMED_AT_MOST])
        more = ", …" if len(taken.missing) > NAMED_AT_MOST else ""
        row.remark = f"The switch has no port {names_told}{more}."[:500]


def _note_late(one: _Round) -> None:
    row = one.known.told
    row.discarded += 1
    row.refused += 1
    row.last_discard = _not_counted(one, "a whole reading", Reason.LATE)


def _not_counted(one: _Round, what: str, reason: Reason) -> str:
    when = one.reading.taken_at.strftime("%d %b %Y, %H:%M UTC")
    return f"{when}, {what} not counted: {reason}."[:300]
