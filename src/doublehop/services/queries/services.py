"""Services as their staff and their clients see them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from doublehop.fleet.models import Server
from doublehop.fleet.queries import open_holds, servers_visible_to
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import NotAllowed, NotHere, NotOffered
from doublehop.services.actions.planning import suspend_ways
from doublehop.services.guards import look_at, why_not
from doublehop.services.lifecycle import OperationKind, ServiceStatus
from doublehop.services.models import Operation, Service
from doublehop.services.wording import NAME


def services_visible_to(actor: Actor) -> QuerySet[Service]:
    """Staff: their organisation's. Clients: their own. Unordered; lists order by ``number``."""
    rows = Service.objects.select_related("product", "client", "server")
    if actor.is_system:
        return rows
    if actor.client_id is not None:
        return rows.filter(client_id=actor.client_id)
    return rows.filter(organisation_id=actor.organisation_id) if actor.is_staff else rows.none()


def service(actor: Actor, service_id: int) -> Service:
    row = (
        services_visible_to(actor)
        .select_related("product__suspend_policy", "server__upstream")
        .filter(pk=service_id)
        .first()
    )
    if row is None:
        raise NotHere
    return row


def service_of_reference(actor: Actor, reference: str) -> Service | None:
    """The service that the actor's billing system knows by its own id; without a billing system, that nobody's knows by it."""
    known = {"billing_reference": reference, "billed_by": actor.billing_system}
    return services_visible_to(actor).filter(**known).first() if reference else None


def service_of_server(actor: Actor, server_id: int) -> Service | None:
    """The service of the actor's organisation that a server is attached to."""
    return services_visible_to(actor).filter(server_id=server_id).first()


def services_of_servers(actor: Actor, server_ids: Iterable[int]) -> dict[int, Service]:
    """For a list of servers: by server id, those of the actor's organisation."""
    # The organisation is compared here: asked to, a database without figures walks all its services instead of a few.
    rows = Service.objects.select_related("product", "client", "server").filter(
        server_id__in=list(server_ids)
    )
    return {
        row.server_id: row
        for row in rows
        if row.server_id is not None
        and (actor.is_system or (actor.is_staff and row.organisation_id == actor.organisation_id))
    }


@dataclass(frozen=True)
class Button:
    """An action as a page may draw it: ``why_not`` is empty when it may be pressed. Not offered ones are left out."""

    kind: OperationKind
    label: str
    why_not: str = ""
    blocking_reference: str = ""
    needs_reason: bool = False


BUTTONS = (
    OperationKind.REBOOT,
    OperationKind.POWER_ON,
    OperationKind.POWER_OFF,
    OperationKind.SUSPEND,
    OperationKind.UNSUSPEND,
    OperationKind.REFRESH_ADDRESSES,
    OperationKind.RESCUE_START,
    OperationKind.RESCUE_STOP,
)


def buttons(actor: Actor, row: Service) -> list[Button]:
    """What may be pressed on a service now. Clients do not see what is not their right; staff see why."""
    if row.server is None:
        return []
    return _draw(actor, row.server, row)


def server_buttons(actor: Actor, row: Server) -> list[Button]:
    """The same for a server as such: for the staff of its owner, and for machines without a service."""
    return _draw(actor, row, None)


def naming_button(actor: Actor, row: Service) -> Button | None:
    """Whether the addresses of a service may be given names now. None: not offered, or not the actor's right to know."""
    if row.server is None:
        return None
    return next(iter(_draw(actor, row.server, row, (OperationKind.SET_RDNS,))), None)


def null_route_button(actor: Actor, row: Server) -> Button | None:
    """Whether traffic to the addresses of a server may be dropped now. None: not offered, or not the actor's to know."""
    return next(iter(_draw(actor, row, None, (OperationKind.NULL_ROUTE,))), None)


def _draw(
    actor: Actor, server: Server, service_row: Service | None, kinds: Sequence[OperationKind] = BUTTONS
) -> list[Button]:
    drawn = []
    facts = look_at(actor, server)
    for kind in kinds:
        refusal = why_not(actor, kind, server, service_row, facts=facts)
        if isinstance(refusal, NotOffered) or (
            isinstance(refusal, NotAllowed | NotHere) and not actor.is_staff
        ):
            continue
        needs_reason = refusal is not None and refusal.code == "reason_needed"
        open_one: Operation | None = getattr(refusal, "operation", None)
        drawn.append(
            Button(
                kind=kind,
                label=NAME[kind],
                why_not="" if refusal is None or needs_reason else refusal.sentence,
                blocking_reference=open_one.reference if open_one else "",
                needs_reason=needs_reason or kind is OperationKind.SUSPEND,
            )
        )
    return drawn


@dataclass(frozen=True)
class SuspensionNotice:
    """Why a service is suspended. ``reason`` and ``set_by`` are for the staff who set it, and empty for everybody else."""

    since: datetime
    client_text: str
    cause: str
    way: str
    own: bool
    reason: str = ""
    set_by: str = ""


def suspension_of(actor: Actor, row: Service) -> SuspensionNotice | None:
    """The first hold on the service's server, cut to what the actor may know."""
    if row.server is None or row.status not in {ServiceStatus.SUSPENDED, ServiceStatus.ACTIVE}:
        return None
    holds = list(open_holds([row.server.pk]))
    if not holds:
        return None
    own = next((hold for hold in holds if hold.organisation_id == row.organisation_id), None)
    hold = own or holds[0]
    staff_view = actor.is_staff and hold.organisation_id == actor.organisation_id
    return SuspensionNotice(
        since=hold.since,
        client_text=hold.client_text
        if own
        else "This service is suspended. Ask our staff, and a person looks at it.",
        cause=hold.cause,
        way=suspend_ways(row.server, row),
        own=own is not None,
        reason=hold.reason if staff_view else "",
        set_by=hold.set_by if staff_view else "",
    )


def suspensions_of_servers(actor: Actor, servers: Iterable[Server]) -> dict[int, SuspensionNotice]:
    """By server id, those of the servers that are suspended, for somebody who has no service: two queries for all.

    What was written for a client is for that client only; where the server is in no service it was written for who uses it.
    """
    rows = {row.pk: row for row in servers}
    holds = list(open_holds(rows)) if rows else []
    sold = {}
    if holds:
        mine = Service.objects.filter(server_id__in=rows, organisation_id=actor.organisation_id)
        sold = {row.server_id: row for row in mine.select_related("product__suspend_policy")}
    found: dict[int, SuspensionNotice] = {}
    for hold in holds:
        own = hold.organisation_id == actor.organisation_id
        if hold.server_id in found and not (own and not found[hold.server_id].own):
            continue
        service_row = sold.get(hold.server_id)
        found[hold.server_id] = SuspensionNotice(
            since=hold.since,
            client_text=(hold.client_text if own and service_row is None else "")
            or "This server is suspended. Ask our staff, and a person looks at it.",
            cause=hold.cause,
            way=suspend_ways(rows[hold.server_id], service_row),
            own=own,
        )
    return found


def server_of(actor: Actor, row: Service) -> Server | None:
    """The attached server with what was last read, if the actor may see it."""
    if row.server_id is None:
        return None
    return servers_visible_to(actor).filter(pk=row.server_id).first()
