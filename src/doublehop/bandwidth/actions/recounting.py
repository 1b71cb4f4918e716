"""Late readings: sorted among those that are kept, and what follows from all of them is written anew.

Slots, gaps and doubts are a function of the readings in the order of their times, so the order of arrival is without effect.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from django.db import transaction
from django.db.models import Q

from doublehop.bandwidth import packed, slots, store
from doublehop.bandwidth.actions.keeping import keep_doubts, keep_gaps, write_blocks
from doublehop.bandwidth.models import Block, Collection, DeviceState, GapVolume, Quarantined, RawReading
from doublehop.bandwidth.packed import STANDING, Device, Whole
from doublehop.bandwidth.readings import LATEST_MS
from doublehop.bandwidth.slots import LONGEST_MS, SLOT_MS, Gap

ORDER = ("taken_ms", "boots", "engine_seconds", "uptime_cs")
"""As readings.in_order says."""


@dataclass(frozen=True)
class _Span:
    """What may be written anew: from ``first`` on, the slot in which the base ends."""

    upstream_id: int
    base_ms: int
    ports_ms: Mapping[int, int]
    """When each port was read for the base: a slow switch tells its last ports a while after the first."""
    first: int
    first_block: int
    """No slot before this one can have changed, and days that are packed lie before it."""
    last: int

    def since_ms(self, port_id: int) -> int:
        """Nothing that ended by then follows from the kept readings."""
        return max(self.base_ms, self.ports_ms.get(port_id, 0))

    def holds(self, port_id: int, gap: Gap) -> bool:
        first = max(self.first, self.since_ms(port_id) // SLOT_MS)
        return gap.first >= first or gap.end > first + 1


def recount(upstream_id: int, until_ms: int) -> None:
    """After readings were put among the kept ones of a device; ``until_ms`` is how far was counted before."""
    base = DeviceState.objects.filter(upstream_id=upstream_id, is_base=True).first()
    base_ms = base.until_ms if base else -1
    rows = list(RawReading.objects.filter(upstream_id=upstream_id, taken_ms__gt=base_ms).order_by(*ORDER))
    if not rows:
        return
    before = _unpacked(base.ports) if base else np.empty(0, dtype=STANDING)
    whole = packed.follow_all(before, [seen_of(row) for row in rows])
    newest = rows[-1]
    first = (base_ms if base else rows[0].taken_ms) // SLOT_MS
    open_since = (newest.taken_ms - LATEST_MS - LONGEST_MS) // SLOT_MS
    span = _Span(
        upstream_id,
        base_ms,
        dict(zip(before["port"].tolist(), before["taken"].tolist(), strict=True)),
        first,
        max(first, open_since),
        max(until_ms, newest.taken_ms) // SLOT_MS + 1,
    )
    _write_slots(span, whole)
    _write_gaps(span, whole.gaps)
    _write_doubts(span, whole, {packed.digest(row.device): row.device for row in rows})
    DeviceState.objects.update_or_create(
        upstream_id=upstream_id,
        is_base=False,
        defaults={
            "until_ms": newest.taken_ms,
            "device": newest.device,
            "ports": whole.standing.tobytes(),
        },
    )


@transaction.atomic
def settle(upstream_id: int) -> None:
    """Forgets the readings of a device among which none is sorted any more; the base says how far its ports were then."""
    # As a round does: none is put in meanwhile.
    Collection.objects.select_for_update().filter(pk=upstream_id).first()
    newest = DeviceState.objects.filter(upstream_id=upstream_id, is_base=False).first()
    if newest is None:
        return
    _move_base(upstream_id, newest.until_ms - LATEST_MS - LONGEST_MS)
    base = DeviceState.objects.filter(upstream_id=upstream_id, is_base=True).first()
    if base is not None:
        RawReading.objects.filter(upstream_id=upstream_id, taken_ms__lte=base.until_ms).delete()


def settled_upstreams() -> list[int]:
    """Those of which readings are kept."""
    return list(RawReading.objects.order_by("upstream_id").values_list("upstream_id", flat=True).distinct())


def _move_base(upstream_id: int, before_ms: int) -> None:
    base = DeviceState.objects.filter(upstream_id=upstream_id, is_base=True).first()
    rows = RawReading.objects.filter(upstream_id=upstream_id, taken_ms__lte=before_ms)
    since = list(rows.filter(taken_ms__gt=base.until_ms if base else -1).order_by(*ORDER))
    if not since:
        return
    standing = _unpacked(base.ports) if base else np.empty(0, dtype=STANDING)
    whole = packed.follow_all(standing, [seen_of(row) for row in since])
    DeviceState.objects.update_or_create(
        upstream_id=upstream_id,
        is_base=True,
        defaults={
            "until_ms": since[-1].taken_ms,
            "device": since[-1].device,
            "ports": whole.standing.tobytes(),
        },
    )


def seen_of(row: RawReading) -> packed.Array:
    device = Device(packed.digest(row.device), row.boots, row.engine_seconds, row.uptime_cs, row.taken_ms)
    return packed.seen(*packed.unkept(bytes(row.records)), device)


def _unpacked(ports: bytes | memoryview) -> packed.Array:
    return np.frombuffer(ports, dtype=STANDING)


def _write_slots(span: _Span, whole: Whole) -> None:
    """Blocks that say otherwise are written anew; ports that the kept readings know nothing of stay in them."""
    wanted: dict[int, list[tuple[int, int, int]]] = {}
    for (port_id, slot), (inward, out) in whole.measured.items():
        if slot >= span.first_block:
            wanted.setdefault(slot, []).append((port_id, inward, out))
    low, high = (store.block_id(span.upstream_id, slot) for slot in (span.first_block, span.last))
    there = dict(Block.objects.filter(pk__gte=low, pk__lte=high).values_list("pk", "records"))
    followed = whole.standing["port"]
    since = np.array([span.since_ms(port_id) // SLOT_MS for port_id in followed.tolist()], dtype=np.int64)
    changed: dict[int, bytes] = {}
    for block_id in {store.block_id(span.upstream_id, slot) for slot in wanted} | set(there):
        old = store.unpack(there.get(block_id, b""))
        slot = block_id & 0xFFFFFFFF
        others = old[~np.isin(old["port"], followed[since <= slot])].tolist()
        records = store.pack([*others, *wanted.get(slot, [])])
        if records != old.tobytes():
            changed[block_id] = records
    Block.objects.filter(pk__in=[block_id for block_id, records in changed.items() if not records]).delete()
    write_blocks({block_id: records for block_id, records in changed.items() if records})


def _write_gaps(span: _Span, gaps: Sequence[tuple[int, Gap]]) -> None:
    """Those that came from the kept readings; what ended with the base is older than they are."""
    wanted = {(port_id, gap) for port_id, gap in gaps if span.holds(port_id, gap)}
    rows = GapVolume.objects.filter(
        Q(first_slot__gte=span.first) | Q(end_slot__gt=span.first + 1),
        upstream_id=span.upstream_id,
        quarantined=None,
    )
    there = {
        (row.port_id, Gap(row.first_slot, row.end_slot, row.octets_in, row.octets_out)): row.pk
        for row in rows
    }
    gone = [pk for key, pk in there.items() if span.holds(*key) and key not in wanted]
    GapVolume.objects.filter(pk__in=gone).delete()
    missing = sorted(wanted - there.keys(), key=lambda one: (one[0], one[1].first))
    keep_gaps((span.upstream_id, port_id, gap) for port_id, gap in missing)


def _write_doubts(span: _Span, whole: Whole, devices: dict[int, str]) -> None:
    """A doubt that another reading has cleared up goes, and with it what had been accepted for it."""
    wanted = {
        (port_id, slots.from_ms(doubt.before.taken_ms), slots.from_ms(doubt.after.taken_ms))
        for port_id, doubt in whole.doubts
    }
    rows = Quarantined.objects.filter(
        upstream_id=span.upstream_id, ended_at__gt=slots.from_ms(max(span.base_ms, 0))
    )
    gone = [
        row
        for row in rows
        if row.ended_at > slots.from_ms(span.since_ms(row.port_id))
        and (row.port_id, row.started_at, row.ended_at) not in wanted
    ]
    for row in gone:
        if row.state == Quarantined.State.OPEN:
            row.delete()
        elif row.state == Quarantined.State.ACCEPTED:
            row.volumes.all().delete()
            row.state = Quarantined.State.WITHDRAWN
            row.save(update_fields=["state"])
    keep_doubts(span.upstream_id, whole.doubts, devices)
