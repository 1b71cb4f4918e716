"""Whose a port is, slot by slot. Called within a transaction."""

from collections.abc import Mapping, Sequence

from doublehop.bandwidth import slots
from doublehop.bandwidth.models import Wiring

Wired = Sequence[tuple[int, int | None]]
"""(port id, server id) each."""


def follow_wiring(
    upstream_id: int, ports: Wired, seen_ms: Mapping[int, int], now_ms: Mapping[int, int], round_ms: int
) -> None:
    """Ends and begins the times of ports whose server changed since the last round; the slots between are nobody's.

    ``seen_ms``: when a port was last read before this round, which began at ``round_ms``; ``now_ms``: and when with it.
    """
    now_open = {
        row.port_id: row for row in Wiring.objects.filter(upstream_id=upstream_id, until_slot__isnull=True)
    }
    begun = []
    for port_id, server_id in ports:
        wired = now_open.pop(port_id, None)
        if wired is not None and wired.server_id == server_id:
            continue
        seen = seen_ms.get(port_id)
        slot = max(round_ms, now_ms.get(port_id, 0)) // slots.SLOT_MS
        if wired is not None:
            _end(wired, slot if seen is None else seen // slots.SLOT_MS)
        if server_id is not None:
            # A port never read before brings nothing of anybody else's into its first slot.
            since = slot if seen is None else slot + 1
            begun.append(
                Wiring(port_id=port_id, upstream_id=upstream_id, server_id=server_id, since_slot=since)
            )
    Wiring.objects.bulk_create(begun)
    for gone in now_open.values():
        _end(gone, round_ms // slots.SLOT_MS)


def _end(row: Wiring, slot: int) -> None:
    if slot <= row.since_slot:
        row.delete()
        return
    row.until_slot = slot
    row.save(update_fields=["until_slot"])
