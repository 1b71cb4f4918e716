"""What programs read of services besides their rows, a few queries for a whole page of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from doublehop.fleet.models import Server
from doublehop.fleet.queries import open_holds, servers_visible_to
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import BadInput
from doublehop.services.guards import look_at, why_not, why_not_terminated
from doublehop.services.lifecycle import PRESSING_STATES, OperationKind, OperationState
from doublehop.services.models import Operation, Service
from doublehop.services.queries.operations import operations_visible_to

SUSPENDED = "This service is suspended. Ask our staff, and a person looks at it."


@dataclass(frozen=True)
class Facts:
    server: Server | None
    """With what was last read, where the actor may see it."""
    open_operation: Operation | None
    """The newest that has not ended: under way, held, or of unknown outcome."""
    suspended_because: str
    """What the client reads of it; empty: not suspended."""


def facts_of(actor: Actor, rows: Sequence[Service]) -> dict[int, Facts]:
    """By service id. ``rows`` are of ``services_visible_to(actor)``."""
    servers = [row.server_id for row in rows if row.server_id is not None]
    seen = {row.pk: row for row in servers_visible_to(actor).filter(pk__in=servers)} if servers else {}
    pressing = operations_visible_to(actor).filter(
        service_id__in=[row.pk for row in rows], state__in=PRESSING_STATES
    )
    newest = {row.service_id: row for row in pressing.order_by("pk")}
    why = _why_suspended(rows, servers)
    return {
        row.pk: Facts(seen.get(row.server_id or 0), newest.get(row.pk), why.get(row.pk, "")) for row in rows
    }


def _why_suspended(rows: Sequence[Service], server_ids: Sequence[int]) -> dict[int, str]:
    """The own hold's words before those of a level above, which nobody below reads."""
    services = {row.server_id: row for row in rows if row.server_id is not None}
    found: dict[int, str] = {}
    for hold in open_holds(server_ids) if server_ids else ():
        row = services[hold.server_id]
        if hold.organisation_id == row.organisation_id:
            found[row.pk] = hold.client_text or SUSPENDED
        else:
            found.setdefault(row.pk, SUSPENDED)
    return found


@dataclass(frozen=True)
class Suspensions:
    """Those of one organisation, by server id."""

    asked: frozenset[int] = frozenset()
    """There is something for an unsuspend to take back: carried out, on its way, failed half-way, or held by a brake."""
    carried_out: frozenset[int] = frozenset()
    """A hold stands from the moment it is asked for, and the machine may not feel it yet."""


def suspensions_of(actor: Actor, server_ids: Sequence[int]) -> Suspensions:
    """What the actor's organisation has asked for, not what others hold."""
    if not server_ids:
        return Suspensions()
    holds = open_holds(server_ids).filter(organisation_id=actor.organisation_id)
    placed = dict(holds.values_list("pk", "server_id"))
    suspends = Operation.objects.filter(kind=OperationKind.SUSPEND).values_list("server_id", flat=True)
    braked = suspends.filter(
        organisation_id=actor.organisation_id, state=OperationState.HELD, server_id__in=server_ids
    )
    # The servers are named once more for their index: operations have none by hold.
    done = suspends.filter(state=OperationState.DONE, hold_id__in=placed, server_id__in=placed.values())
    return Suspensions(
        asked=frozenset({*placed.values(), *braked}),
        carried_out=frozenset(done if placed else ()),
    )


def may_be_asked(actor: Actor, server: Server, service: Service | None) -> list[OperationKind]:
    """The kinds of operation that would be taken up now, some perhaps only with a reason."""
    facts = look_at(actor, server)
    offered = []
    for kind in OperationKind:
        if kind is OperationKind.TERMINATE:
            is_offered = service is not None and why_not_terminated(actor, service) is None
        else:
            refusal = why_not(actor, kind, server, service, facts=facts)
            is_offered = refusal is None or isinstance(refusal, BadInput)
        if is_offered:
            offered.append(kind)
    return offered
