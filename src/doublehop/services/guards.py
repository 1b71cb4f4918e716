"""What may be asked of a server now, and why not. Asked when a button is drawn, when it is pressed, and before sending."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q
from django.utils import timezone

from doublehop.fleet.models import Hold, Server
from doublehop.fleet.permissions import Right, rights_of
from doublehop.fleet.queries import chain_of, open_holds
from doublehop.organisations.actions.billing_systems import other_billing
from doublehop.organisations.actor import Actor, Duty, house_of
from doublehop.organisations.queries import actor_of_token_id, actor_of_user_id
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, NotOffered, Refusal, WrongState
from doublehop.services.lifecycle import (
    OPEN_STATES,
    PRESSING_STATES,
    SERVICE_LIFE,
    OperationKind,
    OperationState,
    ServiceStatus,
    ServiceVerb,
)
from doublehop.services.models import Operation, Service
from doublehop.services.wording import NAME, asked_by, thing

POWER_KINDS = frozenset(
    {
        OperationKind.REBOOT,
        OperationKind.POWER_ON,
        OperationKind.POWER_OFF,
        OperationKind.RESCUE_START,
        OperationKind.RESCUE_STOP,
    }
)
"""What stops or starts the machine: one at a time, and none while it is suspended."""
HOLD_KINDS = frozenset({OperationKind.SUSPEND, OperationKind.UNSUSPEND})
OVERTAKING = HOLD_KINDS | {OperationKind.NULL_ROUTE, OperationKind.NULL_ROUTE_END}
"""What is done before anything else that waits at the server."""
ADDRESS_KINDS = frozenset({OperationKind.SET_RDNS, OperationKind.NULL_ROUTE, OperationKind.NULL_ROUTE_END})
"""What is done to one address of the server: those of different addresses wait in line."""
CALLED_OFF_BY_UNSUSPEND = ("taken_back", "restored")
"""Why a suspension failed that somebody unsuspended before it had taken effect."""
NEEDS: dict[OperationKind, tuple[Right, str | None]] = {
    OperationKind.REBOOT: (Right.POWER, "power"),
    OperationKind.POWER_ON: (Right.POWER, "power_switch"),
    OperationKind.POWER_OFF: (Right.POWER, "power_switch"),
    OperationKind.SUSPEND: (Right.SUSPEND, None),
    OperationKind.UNSUSPEND: (Right.SUSPEND, None),
    OperationKind.REFRESH_ADDRESSES: (Right.VIEW, "addresses"),
    OperationKind.SET_RDNS: (Right.RDNS, "rdns"),
    OperationKind.NULL_ROUTE: (Right.SUSPEND, "null_route"),
    OperationKind.NULL_ROUTE_END: (Right.SUSPEND, "null_route"),
    OperationKind.RESCUE_START: (Right.RESCUE, "rescue"),
    OperationKind.RESCUE_STOP: (Right.RESCUE, "rescue"),
}
"""The right and the part that each kind needs."""


class AlreadyOpen(WrongState):
    """The same thing, or another that excludes it, is under way; ``operation`` is that one."""

    default_code = "already_open"

    def __init__(self, sentence: str, operation: Operation) -> None:
        super().__init__(sentence)
        self.operation = operation


@dataclass(frozen=True)
class Facts:
    """What the guards need to know of a server, read once for all kinds."""

    rights: frozenset[Right]
    holds: tuple[Hold, ...]
    open_ones: tuple[Operation, ...]
    """Under way, or held by a brake."""
    last_unknown: Operation | None


def asker_of(operation: Operation) -> Actor | None:
    """Whoever asked, with the rights of today. None when they are gone."""
    if operation.caller.startswith("token:"):
        return actor_of_token_id(int(operation.caller.removeprefix("token:")))
    if operation.actor_user_id is not None:
        return actor_of_user_id(operation.actor_user_id)
    return house_of(operation.actor_organisation_id or 0, operation.actor_label)


def look_at(actor: Actor, server: Server, besides: int | None = None) -> Facts:
    pressing = Operation.objects.select_related("server__upstream", "organisation", "service").filter(
        server=server, state__in=PRESSING_STATES
    )
    rows = [row for row in pressing.order_by("id") if row.pk != besides]
    unknown = [row for row in rows if row.state == OperationState.UNKNOWN and _still_matters(row, server)]
    return Facts(
        rights=rights_of(actor, server),
        holds=tuple(open_holds([server.pk])),
        open_ones=tuple(row for row in rows if row.state != OperationState.UNKNOWN),
        last_unknown=unknown[-1] if unknown else None,
    )


def _still_matters(unknown: Operation, server: Server) -> bool:
    """Not what a former holder of the machine left undecided: nobody here could decide it."""
    if unknown.service is not None:
        return unknown.service.server_id == server.pk
    return unknown.organisation_id in chain_of(server)


def why_not(
    actor: Actor,
    kind: OperationKind,
    server: Server,
    service: Service | None,
    *,
    reason: str = "",
    facts: Facts | None = None,
    besides: int | None = None,
) -> Refusal | None:
    """None when it may be asked. The refusal's sentence is fit for whoever ``actor`` is.

    ``besides`` is an operation that is not in its own way.
    """
    facts = facts or look_at(actor, server, besides)
    return (
        _right(kind, server, facts)
        or _life(actor, kind, server, service)
        or _holds(actor, kind, facts)
        or _open(actor, kind, facts)
        or _unknown(actor, kind, facts, reason)
    )


def why_not_terminated(actor: Actor, service: Service) -> Refusal | None:
    """None when the service may be ended now."""
    if not actor.has(Duty.SELL):
        return NotAllowed("Your role does not reach this. An owner or admin can do it.")
    if (ServiceStatus(service.status), ServiceVerb.TERMINATE) not in SERVICE_LIFE:
        return WrongState(f"{service} is {service.status}: it cannot be changed that way.")
    server = service.server
    if server is None:
        return WrongState(f"{service} has no server.", code="no_server")
    if server.protected:
        return WrongState(f"{server.label} is protected. Lift the protection first.", code="protected")
    pressing = Operation.objects.filter(server=server, state__in=PRESSING_STATES).select_related("batch")
    for row in pressing:
        if row.state in OPEN_STATES:
            return WrongState(
                f"An operation is running on {server.label}. Wait for it to end.", code="operation_open"
            )
        if row.kind == OperationKind.TERMINATE and row.service_id == service.pk:
            return AlreadyOpen(f"The termination of {service} waits for approval ({row.batch}).", row)
    return None


def _right(kind: OperationKind, server: Server, facts: Facts) -> Refusal | None:
    right, part = NEEDS[kind]
    if Right.VIEW not in facts.rights:
        return NotHere()
    if right not in facts.rights:
        return NotAllowed(f"{NAME[kind]}: your rights on this server do not reach this.")
    if part is not None and part not in server.capabilities:
        return NotOffered(f"{NAME[kind]}: this server does not offer it.")
    return None


def _life(actor: Actor, kind: OperationKind, server: Server, service: Service | None) -> Refusal | None:
    if service is None and actor.is_client:
        return NotHere()
    if server.protected and kind in {
        OperationKind.SUSPEND,
        OperationKind.POWER_OFF,
        OperationKind.NULL_ROUTE,
    }:
        return WrongState(f"{NAME[kind]}: this server is protected.", code="protected")
    if service is None:
        return None
    if service.server_id != server.pk:
        return WrongState(f"{NAME[kind]}: this service has no server.", code="no_server")
    if service.status not in {ServiceStatus.ACTIVE, ServiceStatus.SUSPENDED}:
        return WrongState(f"{NAME[kind]}: this service is {service.status}.", code="service_ended")
    return other_billing(actor, service.billed_by, str(service)) if kind in HOLD_KINDS else None


def _holds(actor: Actor, kind: OperationKind, facts: Facts) -> Refusal | None:
    own = next((hold for hold in facts.holds if hold.organisation_id == actor.organisation_id), None)
    if kind in POWER_KINDS and facts.holds:
        return WrongState(f"{NAME[kind]}: this service is suspended.", code="suspended")
    if kind is OperationKind.SUSPEND and own is not None:
        return WrongState("Suspend: this service is suspended already.", code="already_suspended")
    if kind is OperationKind.UNSUSPEND and own is None and not held_suspensions(actor, facts):
        return WrongState(_not_yours_to_lift(facts.holds), code="not_suspended")
    return None


def held_suspensions(actor: Actor, facts: Facts) -> list[Operation]:
    """What a brake holds of the actor's organisation: an unsuspend takes it back."""
    return [
        row
        for row in facts.open_ones
        if row.state == OperationState.HELD
        and row.kind == OperationKind.SUSPEND
        and row.organisation_id == actor.organisation_id
    ]


def _not_yours_to_lift(holds: Sequence[Hold]) -> str:
    if holds:
        return "Unsuspend: the suspension comes from a level above; only it can lift it."
    return "Unsuspend: this service is not suspended."


def _open(actor: Actor, kind: OperationKind, facts: Facts) -> Refusal | None:
    """One power operation at a time; suspend and unsuspend overtake, and are each asked once."""
    if kind in ADDRESS_KINDS:
        return None  # each address is a matter of its own: they wait in line
    kinds = POWER_KINDS if kind in POWER_KINDS else {kind}
    other = next((row for row in facts.open_ones if row.kind in kinds and _is_in_the_way(actor, row)), None)
    if other is None:
        return None
    if other.state == OperationState.HELD:
        return AlreadyOpen(f"This {thing(other.kind)} waits for approval ({other.batch}).", other)
    age = int((timezone.now() - other.asked_at).total_seconds())
    same = "This" if other.kind == kind else "A"
    sentence = (
        f"{same} {thing(other.kind)} is already running, asked by {asked_by(actor, other)} {age} s ago."
    )
    return AlreadyOpen(sentence, other)


def _is_in_the_way(actor: Actor, other: Operation) -> bool:
    """What a brake holds of somebody else may never come to pass, and each suspends and unsuspends for itself."""
    is_theirs_alone = other.state == OperationState.HELD or other.kind in HOLD_KINDS
    return not is_theirs_alone or other.organisation_id == actor.organisation_id


def was_given_way_to(unsuspend: Operation) -> bool:
    """A suspension that was not carried out, or will not be, because of it: the hold alone would be left, and the machine on."""
    if unsuspend.kind != OperationKind.UNSUSPEND:
        return False
    holds = [hold.pk for hold in open_holds([unsuspend.server_id])]
    called_off = Q(state__in=OPEN_STATES) | Q(failure_code__in=CALLED_OFF_BY_UNSUSPEND)
    return Operation.objects.filter(
        called_off,
        kind=OperationKind.SUSPEND,
        organisation=unsuspend.organisation_id,
        hold_id__in=holds,
        pk__lt=unsuspend.pk,
    ).exists()


def _unknown(actor: Actor, kind: OperationKind, facts: Facts, reason: str) -> Refusal | None:
    last = facts.last_unknown
    if kind not in POWER_KINDS or last is None:
        return None
    if not actor.is_staff:
        return WrongState(
            f"We could not confirm the last {thing(last.kind)} yet. Our staff is looking at it. "
            f"Reference {last.reference}.",
            code="unknown_outcome",
        )
    if not reason.strip():
        return BadInput(
            f"{NAME[kind]}: the last {thing(last.kind)} ({last.reference}) has an unknown outcome; "
            "a new one needs a reason.",
            field="reason",
            code="reason_needed",
        )
    return None
