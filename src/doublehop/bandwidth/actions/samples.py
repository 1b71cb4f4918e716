"""The made-up history of the box."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from doublehop.bandwidth import sample, slots, store
from doublehop.bandwidth.models import Block, Daily, Wiring
from doublehop.fleet.models import Port
from doublehop.organisations import record
from doublehop.organisations.actor import SYSTEM


@transaction.atomic
def write_sample_history(
    upstream_id: int, *, seed: int = 1, days: int = 395, raw_days: int = 35, end: datetime | None = None
) -> None:
    """Makes up a history for every port of an upstream: by day for ``days``, slot by slot for the last ``raw_days``.

    The same seed and end give the same history. Its days are marked, faces say so, and nothing is ever billed from
    them. What was really measured stays as it is.
    """
    until = slots.slot_of(end or timezone.now())
    first = (until // slots.SLOTS_PER_DAY - days) * slots.SLOTS_PER_DAY
    raw_first = max(first, (until // slots.SLOTS_PER_DAY - raw_days) * slots.SLOTS_PER_DAY)
    ports = list(Port.objects.filter(upstream_id=upstream_id).select_related("upstream").order_by("pk"))
    series = {port.pk: sample.series(f"{seed}/{port.if_name}", first, until) for port in ports}
    if not series:
        return
    rows = [
        Daily(port_id=port_id, day=slots.start_of(day.slot).date(), sample_history=True, **day.columns)
        for port_id, one in series.items()
        for day in sample.by_day(one)
    ]
    Daily.objects.bulk_create(rows, ignore_conflicts=True)
    Block.objects.bulk_create(
        [
            Block(pk=store.block_id(upstream_id, slot), records=records)
            for slot, records in sample.records(series, raw_first)
        ],
        ignore_conflicts=True,
    )
    for port in ports:
        _wire_from(port, first)
    record.write(
        SYSTEM,
        "bandwidth.sample_history",
        ("upstream", upstream_id),
        target_label=ports[0].upstream.name,
        sentence=f"Made up {days} days of sample history for {len(ports)} ports.",
        also=[ports[0].upstream.organisation_id],
    )


def _wire_from(port: Port, first: int) -> None:
    if port.server_id is None or Wiring.objects.filter(port_id=port.pk, until_slot__isnull=False).exists():
        return
    Wiring.objects.update_or_create(
        port_id=port.pk,
        until_slot=None,
        defaults={"since_slot": first},
        create_defaults={"upstream_id": port.upstream_id, "server_id": port.server_id, "since_slot": first},
    )
