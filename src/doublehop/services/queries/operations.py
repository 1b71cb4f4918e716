"""Operations as staff and clients see them, and the history of a service."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from doublehop.fleet import queries as fleet
from doublehop.fleet.models import Address, Permission
from doublehop.fleet.permissions import open_at
from doublehop.organisations.actor import Actor
from doublehop.organisations.once import caller_of
from doublehop.organisations.refusals import NotHere
from doublehop.organisations.texts import searched
from doublehop.services import wording
from doublehop.services.guards import was_given_way_to
from doublehop.services.lifecycle import (
    CANCELLABLE,
    PRESSING_STATES,
    Nature,
    OperationKind,
    OperationState,
    StepState,
)
from doublehop.services.models import Operation, Service, Step


def operations_visible_to(actor: Actor) -> QuerySet[Operation]:
    """Staff: asked within their organisation, or on machines of their own. Clients: on their services. Newest by id."""
    rows = Operation.objects.select_related("server__upstream", "service", "client", "organisation", "batch")
    if actor.is_system:
        return rows
    if actor.client_id is not None:
        return rows.exclude(_came_to_nothing()).filter(client_id=actor.client_id)
    if actor.is_tandem:
        return rows.exclude(_came_to_nothing() & ~Q(actor_user_id=actor.user_id)).filter(
            _while_permitted(actor), organisation_id=actor.organisation_id
        )
    if not actor.is_staff:
        return rows.none()
    ours = Q(organisation_id=actor.organisation_id) | Q(
        server__upstream__organisation_id=actor.organisation_id
    )
    return rows.filter(ours)


def _came_to_nothing() -> Q:
    """Held by a brake, and refused or overtaken after: nobody else learns that they were nearly suspended."""
    nothing = (OperationState.HELD, OperationState.CANCELLED, OperationState.FAILED)
    return Q(held_at__isnull=False, hold_id__isnull=True, state__in=nothing)


def _while_permitted(actor: Actor) -> Exists:
    """What was done before a Tandem user had the machine, or after, is not theirs to read."""
    mine = Permission.objects.filter(
        open_at(timezone.now()),
        tandem_user_id=actor.tandem_user_id,
        server_id=OuterRef("server_id"),
        since__lte=OuterRef("asked_at"),
    )
    return Exists(mine)


def addresses_shown(actor: Actor, server_id: int) -> list[Address]:
    """The server's addresses, the main one first. Clients and Tandem users read the names that they or their provider set:
    one that the place gave an address says whose place it is. Raises NotHere."""
    rows = list(fleet.addresses_of(actor, server_id))
    if actor.is_white_label and any(row.rdns for row in rows):
        named = operations_visible_to(actor).filter(
            server_id=server_id, kind=OperationKind.SET_RDNS, state=OperationState.DONE
        )
        given = {
            asked["address"]: asked["name"]
            for asked in named.order_by("id").values_list("parameters", flat=True)
        }
        for row in rows:
            if row.rdns.lower().removesuffix(".") != given.get(row.address):
                row.rdns = ""
    return rows


def operation(actor: Actor, reference: str) -> Operation:
    row = operations_visible_to(actor).filter(reference=searched(reference).upper()).first()
    if row is None:
        raise NotHere
    return row


def steps_of(actor: Actor, row: Operation) -> Sequence[Step]:
    """For staff only: steps speak of machines and providers."""
    if not actor.is_staff and not actor.is_system:
        raise NotHere
    return list(row.steps.all())


def can_be_cancelled(row: Operation) -> bool:
    """While nothing was sent; a suspension is taken back by unsuspending, and that is not once a suspension gave way to it."""
    if row.state not in CANCELLABLE or row.hold_id is not None or was_given_way_to(row):
        return False
    return not any(step.times_sent for step in row.steps.all())


def operations_of_key(actor: Actor, key: str) -> QuerySet[Operation]:
    """What the actor itself asked under an idempotency key: for whoever lost the answer."""
    return operations_visible_to(actor).filter(caller=caller_of(actor), idempotency_key=key)


def can_be_read_back(row: Operation) -> bool:
    """Whether every undecided step of an unknown outcome leaves a state that can be read, or a ticket to ask by."""
    undecided = [step for step in row.steps.all() if step.state == StepState.UNKNOWN]
    return bool(undecided) and all(
        step.nature == Nature.LEVEL or (step.nature == Nature.EDGE and step.ticket) for step in undecided
    )


def last_operation(actor: Actor, server_id: int) -> Operation | None:
    """The newest one that is open or undecided, else the newest of all: what a page shows under the state."""
    rows = operations_visible_to(actor).filter(server_id=server_id).order_by("-id")
    pressing = rows.filter(state__in=PRESSING_STATES).first()
    return pressing or rows.first()


@dataclass(frozen=True)
class HistoryLine:
    """One line of *What was done*: fit for whoever ``actor`` is."""

    reference: str
    what: str
    outcome: str
    state: str
    by: str
    asked_at: datetime
    settled_at: datetime | None


def history(actor: Actor, row: Service, limit: int = 20) -> list[HistoryLine]:
    """What was done to a service, newest first."""
    return _lines(actor, operations_visible_to(actor).filter(service=row), limit)


def history_of_server(actor: Actor, server_id: int, limit: int = 20) -> list[HistoryLine]:
    """What was done to a server as far as the actor may know it, newest first."""
    return _lines(actor, operations_visible_to(actor).filter(server_id=server_id), limit)


def _lines(actor: Actor, rows: QuerySet[Operation], limit: int) -> list[HistoryLine]:
    lines = []
    for item in rows.order_by("-id")[:limit]:
        outcome = wording.client_sentence(item)
        if actor.is_staff:
            outcome = wording.staff_sentence(actor, item) or outcome
        lines.append(
            HistoryLine(
                reference=item.reference,
                what=wording.NAME[item.kind],
                outcome=outcome,
                state=item.state,
                by=_by(actor, item),
                asked_at=item.asked_at,
                settled_at=item.settled_at,
            )
        )
    return lines


def _by(actor: Actor, item: Operation) -> str:
    if actor.user_id is not None and item.actor_user_id == actor.user_id:
        return f"You ({item.actor_label})"
    return wording.asked_by(actor, item)
