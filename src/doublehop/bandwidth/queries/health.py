"""How collecting goes, for the staff who own the upstreams."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from doublehop.bandwidth.models import Collection, DeviceState
from doublehop.bandwidth.slots import SLOT_SECONDS, from_ms
from doublehop.fleet import queries as fleet
from doublehop.organisations.actor import Actor

OLD_AFTER = timedelta(seconds=3 * SLOT_SECONDS)


@dataclass(frozen=True)
class CollectionLine:
    """One upstream with ports. Its texts are for the owner's staff, never for a client."""

    upstream_id: int
    upstream_name: str
    last_round_at: datetime | None
    ports_read: int
    failing_since: datetime | None
    failure_text: str
    discarded: int
    last_discard: str
    remark: str
    is_old: bool
    """Nothing was read for three intervals."""


def collections_visible_to(actor: Actor, *, now: datetime | None = None) -> list[CollectionLine]:
    """Every upstream of the actor's organisation that counters are collected from, the failing ones first."""
    moment = now or timezone.now()
    upstreams = fleet.upstreams_visible_to(actor).filter(ports__isnull=False).distinct()
    names = dict(upstreams.values_list("pk", "name"))
    rows = Collection.objects.in_bulk(list(names))
    read = last_rounds(names)
    lines = [
        _line(rows.get(pk) or Collection(upstream_id=pk), name, read.get(pk), moment)
        for pk, name in names.items()
    ]
    return sorted(lines, key=lambda line: (line.failing_since is None, not line.is_old, line.upstream_name))


def last_rounds(upstream_ids: Iterable[int] | None = None) -> dict[int, datetime]:
    """When each upstream was last read, of those that ever were; without ``upstream_ids`` all. For our own machines: no actor."""
    states = DeviceState.objects.filter(is_base=False)
    if upstream_ids is not None:
        states = states.filter(upstream_id__in=list(upstream_ids))
    return {pk: from_ms(until_ms) for pk, until_ms in states.values_list("upstream_id", "until_ms")}


def _line(row: Collection, name: str, read_at: datetime | None, now: datetime) -> CollectionLine:
    return CollectionLine(
        upstream_id=row.upstream_id,
        upstream_name=name,
        last_round_at=read_at,
        ports_read=row.ports_read,
        failing_since=row.failing_since,
        failure_text=row.failure_text,
        discarded=row.discarded,
        last_discard=row.last_discard,
        remark=row.remark,
        is_old=read_at is not None and now - read_at > OLD_AFTER,
    )
