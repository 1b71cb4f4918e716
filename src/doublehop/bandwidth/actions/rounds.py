"""One reading of all ports of an upstream, written down. It changes nothing at a machine, so it leaves no journal line."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from django.db import transaction
from django.utils import timezone

from doublehop.bandwidth import slots, store
from doublehop.bandwidth.models import Baseline, Block, Collection, Daily, Wiring
from doublehop.bandwidth.slots import Advance, Part, Reading, Unused
from doublehop.driver_kit.contract import CounterReading, PortCounter
from doublehop.fleet.models import Port

NAMED_AT_MOST = 5


@dataclass(frozen=True)
class _Step:
    """One port in one round."""

    port: Port
    reading: Reading
    advance: Advance | None
    """None when the reading is no new baseline, so nothing moves."""
    unused: Unused | None


# ---------------------------------------------------------------- one round


@transaction.atomic
def write_round(upstream_id: int, reading: CounterReading) -> None:
    """Takes in one reading of all ports of an upstream: slots that are complete, volumes by day, new baselines.

    Everything or nothing; the same reading again changes nothing.
    """
    collection = _lock(upstream_id)
    ports = list(Port.objects.filter(upstream_id=upstream_id))
    before = Baseline.objects.in_bulk([port.pk for port in ports])
    counters = _by_name(reading.ports)
    steps = [
        _step(port, _reading_of(reading, counters[port.if_name]), before.get(port.pk))
        for port in ports
        if port.if_name in counters
    ]
    _keep(upstream_id, [(step.port.pk, step.advance) for step in steps if step.advance is not None])
    _store_baselines(steps)
    _follow_wiring(upstream_id, ports, before, slots.slot_of(reading.taken_at))
    _note_round(collection, reading, steps, [port.if_name for port in ports if port.if_name not in counters])


@transaction.atomic
def note_failure(upstream_id: int, text: str) -> None:
    """A round that brought nothing: its slots stay unmeasured. The first time of a row of failures is kept."""
    collection = _lock(upstream_id)
    collection.failing_since = collection.failing_since or timezone.now()
    collection.failure_text = text[:500]
    collection.save()


def _lock(upstream_id: int) -> Collection:
    """Two collectors of one upstream follow each other."""
    Collection.objects.get_or_create(upstream_id=upstream_id)
    return Collection.objects.select_for_update().get(upstream_id=upstream_id)


def _by_name(counters: Sequence[PortCounter]) -> dict[str, PortCounter]:
    """A name that a switch gives twice says nothing about which port is meant, so neither is used."""
    names: dict[str, list[PortCounter]] = defaultdict(list)
    for counter in counters:
        names[counter.if_name].append(counter)
    return {name: found[0] for name, found in names.items() if len(found) == 1}


def _reading_of(reading: CounterReading, counter: PortCounter) -> Reading:
    return Reading(
        device=reading.device[:200],
        taken_ms=slots.to_ms(reading.taken_at),
        uptime_cs=reading.uptime_centiseconds,
        # What the switch received is what the server sent.
        octets_in=counter.out_octets,
        octets_out=counter.in_octets,
        bits=counter.bits,
        speed_bps=counter.speed_bps,
        discontinuity=counter.discontinuity,
    )


def _step(port: Port, current: Reading, baseline: Baseline | None) -> _Step:
    if baseline is None:
        nothing_yet = Part(current.taken_ms // slots.SLOT_MS)
        return _Step(port, current, slots.advance(nothing_yet, None, current.taken_ms), None)
    previous = _previous(baseline, current.speed_bps)
    result = slots.deltas(previous, current)
    open_part = Part(
        previous.taken_ms // slots.SLOT_MS, baseline.open_in, baseline.open_out, baseline.open_ms
    )
    if not isinstance(result, Unused):
        return _Step(port, current, slots.advance(open_part, result, current.taken_ms), None)
    moved = slots.advance(open_part, None, current.taken_ms) if result.new_baseline else None
    return _Step(port, current, moved, result)


def _previous(baseline: Baseline, speed_bps: int) -> Reading:
    return Reading(
        device=baseline.device,
        taken_ms=slots.to_ms(baseline.taken_at),
        uptime_cs=baseline.uptime_centiseconds,
        octets_in=int(baseline.octets_in),
        octets_out=int(baseline.octets_out),
        bits=baseline.bits,
        speed_bps=speed_bps,
        discontinuity=baseline.discontinuity,
    )


def _store_baselines(steps: Iterable[_Step]) -> None:
    rows = [
        _baseline(step.port.pk, step.reading, step.advance.open) for step in steps if step.advance is not None
    ]
    Baseline.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["port_id"],
        update_fields=[field.name for field in Baseline._meta.concrete_fields if not field.primary_key],
    )


def _baseline(port_id: int, reading: Reading, open_part: Part) -> Baseline:
    return Baseline(
        port_id=port_id,
        device=reading.device,
        taken_at=slots.from_ms(reading.taken_ms),
        uptime_centiseconds=reading.uptime_cs,
        octets_in=str(reading.octets_in),
        octets_out=str(reading.octets_out),
        bits=reading.bits,
        discontinuity=reading.discontinuity,
        open_in=open_part.octets_in,
        open_out=open_part.octets_out,
        open_ms=open_part.covered_ms,
    )


def _note_round(
    collection: Collection, reading: CounterReading, steps: Sequence[_Step], missing: Sequence[str]
) -> None:
    discarded = [step for step in steps if step.unused is not None and step.unused.counts_as_discarded]
    collection.last_round_at = reading.taken_at
    collection.ports_read = len(steps)
    collection.failing_since, collection.failure_text = None, ""
    collection.discarded += len(discarded)
    if discarded and (unused := discarded[0].unused):
        when = reading.taken_at.strftime("%d %b %Y, %H:%M UTC")
        collection.last_discard = f"{when}, {discarded[0].port.if_name} not counted: {unused.reason}."[:300]
    collection.remark = ""
    if missing:
        names = ", ".join(missing[:NAMED_AT_MOST]) + (", …" if len(missing) > NAMED_AT_MOST else "")
        collection.remark = f"The switch has no port {names}."[:500]
    collection.save()


# ---------------------------------------------------------------- blocks and days


def _keep(upstream_id: int, moved: Sequence[tuple[int, Advance]]) -> None:
    """Writes complete slots into blocks, and everything into its day."""
    days = _Days()
    by_slot: dict[int, dict[int, Part]] = defaultdict(dict)
    for port_id, advance in moved:
        for part in advance.loose:
            days.add(port_id, part, measured=False)
        for part in advance.measured:
            by_slot[part.slot][port_id] = part
    ids = {store.block_id(upstream_id, slot): slot for slot in by_slot}
    there = Block.objects.in_bulk(list(ids)) if ids else {}
    blocks = []
    for block_id, slot in ids.items():
        old = store.unpack(there[block_id].records).tolist() if block_id in there else []
        taken = {record[0] for record in old}
        new = [
            (port_id, part.octets_in, part.octets_out)
            for port_id, part in by_slot[slot].items()
            if port_id not in taken
        ]
        # A slot is lived twice only when our clock went back. What stands there stays; a sum would be above the truth.
        for port_id, part in by_slot[slot].items():
            days.add(port_id, part, measured=port_id not in taken)
        blocks.append(Block(pk=block_id, records=store.pack([*old, *new])))
    Block.objects.bulk_create(blocks, update_conflicts=True, unique_fields=["id"], update_fields=["records"])
    days.store()


class _Days:
    """Sums up parts by port and day, then adds them to the rows."""

    def __init__(self) -> None:
        self._parts: dict[tuple[int, date], list[tuple[Part, bool]]] = defaultdict(list)

    def add(self, port_id: int, part: Part, *, measured: bool) -> None:
        self._parts[port_id, slots.start_of(part.slot).date()].append((part, measured))

    def store(self) -> None:
        if not self._parts:
            return
        ports, dates = {port for port, _ in self._parts}, {day for _, day in self._parts}
        there = {
            (row.port_id, row.day): row for row in Daily.objects.filter(port_id__in=ports, day__in=dates)
        }
        rows = []
        for (port_id, day), parts in self._parts.items():
            row = there.get((port_id, day)) or Daily(port_id=port_id, day=day)
            for part, measured in parts:
                _add_to_day(row, part, measured=measured)
            rows.append(row)
        Daily.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["port_id", "day"],
            update_fields=["octets_in", "octets_out", "max_in", "max_out", "slots", "covered_ms"],
        )


def _add_to_day(row: Daily, part: Part, *, measured: bool) -> None:
    row.octets_in += part.octets_in
    row.octets_out += part.octets_out
    row.covered_ms = min(slots.DAY_MS, row.covered_ms + part.covered_ms)
    if measured:
        row.max_in = max(row.max_in, part.octets_in)
        row.max_out = max(row.max_out, part.octets_out)
        row.slots += 1


# ---------------------------------------------------------------- whose the octets are


def _follow_wiring(
    upstream_id: int, ports: Sequence[Port], before: Mapping[int, Baseline], slot: int
) -> None:
    """Ends and begins the times of ports whose server changed since the last round; the slots between are nobody's."""
    now_open = {
        row.port_id: row for row in Wiring.objects.filter(upstream_id=upstream_id, until_slot__isnull=True)
    }
    for port in ports:
        wired = now_open.pop(port.pk, None)
        if wired is not None and wired.server_id == port.server_id:
            continue
        seen = before.get(port.pk)
        if wired is not None:
            _end_wiring(wired, slots.slot_of(seen.taken_at) if seen else slot)
        if port.server_id is not None:
            # A port never read before brings nothing of anybody else's into its first slot.
            since = slot if seen is None else slot + 1
            Wiring.objects.create(
                port_id=port.pk, upstream_id=upstream_id, server_id=port.server_id, since_slot=since
            )
    for gone in now_open.values():
        _end_wiring(gone, slot)


def _end_wiring(row: Wiring, slot: int) -> None:
    if slot <= row.since_slot:
        row.delete()
        return
    row.until_slot = slot
    row.save(update_fields=["until_slot"])
