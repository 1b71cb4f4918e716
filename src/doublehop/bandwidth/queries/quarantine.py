"""What is in doubt, for the staff who own the upstreams: octets between two readings that nobody guesses."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min, QuerySet

from doublehop.bandwidth.models import Quarantined
from doublehop.bandwidth.readings import Reason
from doublehop.fleet import queries as fleet
from doublehop.fleet.models import Port
from doublehop.organisations.actor import Actor

MOST_SHOWN = 500


@dataclass(frozen=True)
class Doubtful:
    """One port and interval. ``octets_*`` are from the server's side: what it would have been."""

    id: int
    upstream_id: int
    upstream_name: str
    port: str
    server_id: int | None
    server: str
    started_at: datetime
    ended_at: datetime
    why: str
    octets_in: int
    octets_out: int
    device_before: str
    device_after: str
    state: str
    decided_at: datetime | None
    decided_by: str
    decision_reason: str

    @property
    def lasted(self) -> timedelta:
        return self.ended_at - self.started_at

    @property
    def another_device(self) -> bool:
        return self.device_before != self.device_after


def quarantined_visible_to(actor: Actor) -> QuerySet[Quarantined]:
    return Quarantined.objects.filter(upstream_id__in=fleet.upstreams_visible_to(actor).values("pk"))


def doubtful(actor: Actor, *, decided: bool = False) -> list[Doubtful]:
    """The open ones, oldest first; or those that were decided, newest first. At most MOST_SHOWN."""
    rows = quarantined_visible_to(actor)
    if decided:
        rows = rows.exclude(state=Quarantined.State.OPEN).order_by("-decided_at", "-pk")
    else:
        rows = rows.filter(state=Quarantined.State.OPEN).order_by("started_at", "pk")
    found = list(rows[:MOST_SHOWN])
    names = dict(fleet.upstreams_visible_to(actor).values_list("pk", "name"))
    wired = Port.objects.filter(pk__in={row.port_id for row in found}).select_related("server")
    ports = {port.pk: port for port in wired}
    return [_line(row, names[row.upstream_id], ports.get(row.port_id)) for row in found]


def open_doubts(actor: Actor) -> list[tuple[int, str, int, datetime]]:
    """(upstream id, its name, how many intervals wait, the end of the oldest) each."""
    names = dict(fleet.upstreams_visible_to(actor).values_list("pk", "name"))
    rows = quarantined_visible_to(actor).filter(state=Quarantined.State.OPEN)
    counted = rows.values("upstream_id").annotate(count=Count("pk"), oldest=Min("ended_at"))
    return [
        (row["upstream_id"], names[row["upstream_id"]], row["count"], row["oldest"])
        for row in counted.order_by("oldest")
    ]


def _line(row: Quarantined, upstream: str, port: Port | None) -> Doubtful:
    server = port.server if port is not None else None
    return Doubtful(
        row.pk,
        row.upstream_id,
        upstream,
        port.if_name if port is not None else "a port that is gone",
        server.pk if server is not None else None,
        server.label if server is not None else "",
        row.started_at,
        row.ended_at,
        Reason[row.why.upper()].value,
        int(row.octets_in),
        int(row.octets_out),
        row.before["device"],
        row.after["device"],
        row.state,
        row.decided_at,
        row.decided_by,
        row.decision_reason,
    )
