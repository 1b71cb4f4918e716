"""How collecting goes, for the staff who own the upstreams."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from doublehop.bandwidth.models import Collection
from doublehop.bandwidth.slots import SLOT_SECONDS
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
    lines = [_line(rows.get(pk) or Collection(upstream_id=pk), name, moment) for pk, name in names.items()]
    return sorted(lines, key=lambda line: (line.failing_since is None, not line.is_old, line.upstream_name))


def _line(row: Collection, name: str, now: datetime) -> CollectionLine:
    return CollectionLine(
        upstream_id=row.upstream_id,
        upstream_name=name,
        last_round_at=row.last_round_at,
        ports_read=row.ports_read,
        failing_since=row.failing_since,
        failure_text=row.failure_text,
        discarded=row.discarded,
        last_discard=row.last_discard,
        remark=row.remark,
        is_old=row.last_round_at is not None and now - row.last_round_at > OLD_AFTER,
    )
