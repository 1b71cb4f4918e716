"""The end of a service that had a server, and the way back while the server is free. No machine is asked."""

import hashlib
from enum import StrEnum
from uuid import uuid4

from django.db import transaction
from django.utils import timezone

from doublehop.fleet.actions.servers import ring_refresh
from doublehop.fleet.models import Server
from doublehop.fleet.queries import received_servers
from doublehop.organisations import texts
from doublehop.organisations.actor import Actor, Duty, house_of
from doublehop.organisations.once import caller_of, once, reserve
from doublehop.organisations.refusals import BadInput, NotAllowed, WrongState
from doublehop.services.actions.brakes import brake
from doublehop.services.actions.operations import (
    OPERATION,
    operation_of_key,
    save_with_reference,
    set_deadlines,
    settle_row,
    write_line,
)
from doublehop.services.actions.services import (
    because,
    follow_holds,
    give_server,
    locked_service,
    move_service,
    release_server,
    save_attached,
    take_server,
    write,
)
from doublehop.services.actions.supply import ask_cancellation
from doublehop.services.guards import why_not_terminated
from doublehop.services.lifecycle import OperationKind, OperationState, ServiceVerb
from doublehop.services.models import Operation, Service


class Mode(StrEnum):
    RELEASE = "release"
    """The machine becomes free here."""
    ASK_CANCELLATION = "ask_cancellation"
    """As well, and whoever gave it is asked to take it back. An own machine has no giver: it only becomes free."""


@transaction.atomic
def terminate(
    actor: Actor, service_id: int, *, reason: str, mode: Mode = Mode.RELEASE, key: str = ""
) -> Operation:
    """Ends the service: permissions end, the machine is free. Nothing is switched off and no disk is touched.

    Beyond what one caller may ask in an hour it is *held* and waits for approval. The same key answers with the same
    operation.
    """
    reason = texts.remark(reason, field="reason")[:300]
    if not reason:
        raise BadInput("A reason is needed: it stands in the journal with your name.", field="reason")
    _require_seller(actor)
    asked = f"terminate {service_id} {reason}" + ("" if mode is Mode.RELEASE else f" {mode}")
    request_hash = hashlib.sha256(asked.encode()).hexdigest()
    if earlier := operation_of_key(caller_of(actor), key, request_hash):
        return earlier
    service = locked_service(actor, service_id)
    if earlier := operation_of_key(caller_of(actor), key, request_hash):
        return earlier
    refusal = why_not_terminated(actor, service)
    if refusal is not None:
        raise refusal
    if key:
        reserve(actor, OPERATION, key)
    operation = Operation(
        kind=OperationKind.TERMINATE,
        state=OperationState.HELD,
        organisation_id=service.organisation_id,
        server=_server_of(service),
        service=service,
        client_id=service.client_id,
        actor_kind=actor.kind,
        actor_user_id=actor.user_id,
        actor_label=actor.label,
        actor_organisation_id=actor.organisation_id,
        reason=reason,
        parameters={} if mode is Mode.RELEASE else {"mode": mode.value},
        caller=caller_of(actor),
        idempotency_key=key or uuid4().hex,
        request_hash=request_hash,
    )
    set_deadlines(operation)
    save_with_reference(operation)
    if brake(actor, operation):
        write_line(actor, "operation.terminate.held", operation, result="held")
    else:
        end(actor, operation)
    return operation


def end(actor: Actor, operation: Operation) -> None:
    """Within the caller's transaction: what the operation asks for, by the rights and the state of now."""
    _require_seller(actor)
    rows = Service.objects.select_for_update(of=("self",)).select_related("product", "client")
    service = rows.get(operations=operation)
    server = service.server
    if server is None or server.pk != operation.server_id:
        raise WrongState(f"{service} has another server by now, or none.", code="no_server")
    move_service(service, ServiceVerb.TERMINATE)
    service.hostname = service.shown_hostname
    release_server(service, server)
    service.ended_at = timezone.now()
    save_attached(service)
    asks = operation.parameters.get("mode") == Mode.ASK_CANCELLATION
    settle_row(operation, OperationState.DONE, text=_ask_to_take_back(operation) if asks else "")
    write(actor, "service.terminated", service, server=server, sentence=operation.reason)


def _ask_to_take_back(operation: Operation) -> str:
    """By the house: whoever may end a service need not be one who buys. Answers with what staff are told of it."""
    house = house_of(operation.organisation_id, operation.organisation.name)
    server = operation.server
    if not received_servers(house).filter(pk=server.pk).exists():
        # No driver can give a machine back: a cancellation that nobody sends would be paid for month after month.
        upstream = server.upstream
        where = f" in {upstream.name}" if upstream.organisation_id == operation.organisation_id else ""
        return f"Nobody was asked to take {server.label} back. Cancel it{where}, if it is charged for."
    try:
        with transaction.atomic():
            ask_cancellation(house, server.pk, reason="The service has ended.")
    except WrongState:
        return f"Whoever gave {server.label} has been asked to take it back before."
    return f"Whoever gave {server.label} was asked to take it back."


@once("service.restore", again=locked_service)
@transaction.atomic
def restore(actor: Actor, service_id: int, *, reason: str = "", key: str = "") -> Service:
    """Takes a termination back: the same service gets the same machine, if that one is still free and still itself.

    A suspension that is still on the machine comes along.
    """
    _require_seller(actor)
    service = locked_service(actor, service_id)
    move_service(service, ServiceVerb.RESTORE)
    ended = service.operations.filter(kind=OperationKind.TERMINATE, state=OperationState.DONE)
    last = ended.order_by("-pk").first()
    if last is None:
        raise WrongState(f"It is not known any more which server {service} had.", code="no_server")
    server = take_server(actor, last.server_id, service.product, held_too=True)
    give_server(service, server)
    service.ended_at = None
    save_attached(service)
    follow_holds(server.pk)
    sentence = because(f"{server.label} again", reason)
    write(actor, "service.restored", service, server=server, sentence=sentence)
    ring_refresh(server, full=True)
    return service


def _server_of(service: Service) -> Server:
    if service.server is None:
        raise WrongState(f"{service} has no server.", code="no_server")
    return service.server


def _require_seller(actor: Actor) -> None:
    if not actor.has(Duty.SELL):
        raise NotAllowed("Your role does not reach this. An owner or admin can do it.")
