"""Operations as they are asked for. What people decide about them is in ``deciding``, sending is the worker's (services.work)."""

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace

from django.db import IntegrityError, transaction
from django.utils import timezone

from doublehop.fleet.actions import place_hold
from doublehop.fleet.actions.upstreams import lane_of
from doublehop.fleet.models import Server
from doublehop.fleet.permissions import visible_to as servers_visible_to
from doublehop.fleet.queries import chain_of
from doublehop.jobs.actions import ring
from doublehop.organisations import record, texts
from doublehop.organisations.actor import Actor, house_of
from doublehop.organisations.once import caller_of, reserve
from doublehop.organisations.refusals import BadInput, KeyReused, NotHere, WrongState
from doublehop.services.actions.brakes import brake
from doublehop.services.actions.planning import (
    LEVEL_WITHIN,
    SEND_WITHIN,
    SETTLE_WITHIN,
    STEPS,
    WAY_STEPS,
    add_steps,
    suspend_ways,
)
from doublehop.services.actions.services import follow_holds
from doublehop.services.guards import ADDRESS_KINDS, OVERTAKING, POWER_KINDS, why_not
from doublehop.services.lifecycle import OPERATION_LIFE, OperationKind, OperationState
from doublehop.services.models import Operation, Service
from doublehop.services.wording import name_of

REFERENCE_SIGNS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
UNSUSPENDS_FIRST_SECONDS = 86_400.0


@dataclass(frozen=True)
class _Asked:
    """The request as it is compared under one idempotency key."""

    kind: OperationKind
    service_id: int | None
    server_id: int | None
    graceful: bool
    reason: str
    client_text: str
    cause: str
    parameters: Mapping[str, str]

    @property
    def digest(self) -> str:
        body = {**self.__dict__, "parameters": dict(self.parameters)}
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


@transaction.atomic
def request(
    actor: Actor,
    kind: OperationKind,
    service_id: int | None = None,
    *,
    server_id: int | None = None,
    idempotency_key: str,
    caller: str = "",
    graceful: bool = True,
    reason: str = "",
    client_text: str = "",
    cause: str = "billing",
    parameters: Mapping[str, str] | None = None,
) -> Operation:
    """Stores what is to be done and answers at once. The same key and body answer with the same operation, however old.

    Give ``service_id``, or, for staff and Tandem users, ``server_id``. ``parameters`` of SET_RDNS: "address", one of the
    server's own, and "name", empty to remove the entry; of null routes "address". ``reason`` is for the journal,
    ``client_text`` (suspend) is what the client reads. A suspension beyond what one caller may ask in an hour is *held*: it waits for approval.
    Raises a Refusal; AlreadyOpen carries the operation that is in the way.
    """
    caller = caller or caller_of(actor)
    asked = _parsed(
        _Asked(kind, service_id, server_id, graceful, reason, client_text, cause, parameters or {}),
        idempotency_key,
    )
    digest = asked.digest
    if earlier := operation_of_key(caller, idempotency_key, digest):
        return earlier
    service, server = _target(actor, service_id, server_id)
    # Again, now that the server is locked: a second request of the same moment has waited for the first one here.
    if earlier := operation_of_key(caller, idempotency_key, digest):
        return earlier
    refusal = why_not(actor, kind, server, service, reason=asked.reason)
    if refusal is not None:
        raise refusal
    asked = replace(asked, parameters=_checked(server, asked))
    reserve(actor, OPERATION, idempotency_key)
    operation = _store(actor, asked, service, server, (caller, idempotency_key, digest))
    if kind is OperationKind.UNSUSPEND:
        _take_back_held(actor, operation)
    if kind is OperationKind.SUSPEND and brake(actor, operation):
        write_line(actor, f"operation.{kind}.held", operation, result="held")
        return operation
    begin(actor, operation)
    return operation


def _parsed(asked: _Asked, key: str) -> _Asked:
    """Texts in the form in which they are kept. Raises BadInput."""
    if asked.kind is OperationKind.TERMINATE:
        raise NotHere  # a service is ended, not a machine: actions.terminate
    if not re.fullmatch(r"[ -~]{1,120}", key):
        raise BadInput("The request carries no key that can be used.", field="key")
    if not re.fullmatch(r"[a-z_]{1,20}", asked.cause):
        raise BadInput("Choose a cause from the list.", field="cause")
    reason = texts.remark(asked.reason, field="reason")
    if asked.kind is OperationKind.SUSPEND and not reason.strip():
        raise BadInput("A reason is needed: it stands in the journal with your name.", field="reason")
    return replace(asked, reason=reason, client_text=texts.remark(asked.client_text, field="client_text"))


def begin(actor: Actor, operation: Operation) -> None:
    """Within the transaction that queued it, its server locked: what takes effect at once, the journal, the bell."""
    kind = OperationKind(operation.kind)
    if kind is OperationKind.SUSPEND:
        hold = place_hold(
            actor,
            operation.server,
            organisation_id=operation.organisation_id,
            cause=operation.parameters["cause"],
            reason=operation.reason,
            client_text=operation.parameters["client_text"],
        )
        operation.hold_id = hold.pk
        operation.save(update_fields=["hold_id"])
        _call_off_power(actor, operation.server)
        follow_holds(operation.server_id)
    write_line(actor, f"operation.{kind}.asked", operation, result="asked")
    ring_worker(
        operation.server,
        urgent=kind in OVERTAKING,
        # As if it had been due for long: it comes before however many suspensions wait for their turn.
        delay_seconds=-UNSUSPENDS_FIRST_SECONDS if kind is OperationKind.UNSUSPEND else 0.0,
    )


def _checked(server: Server, asked: _Asked) -> Mapping[str, str]:
    """The parameters of a kind that is about one address; others have none. Raises BadInput."""
    if asked.kind is OperationKind.SET_RDNS:
        return rdns_entry(server, asked.parameters)
    if asked.kind in ADDRESS_KINDS:
        return {"address": address_of(server, asked.parameters)}
    return {}


def address_of(server: Server, given: Mapping[str, str]) -> str:
    address = given.get("address", "").strip()
    if not address.isprintable() or not server.addresses.filter(address=address).exists():
        raise BadInput("This is not an address of the server.", field="address")
    return address


def rdns_entry(server: Server, given: Mapping[str, str]) -> dict[str, str]:
    """{"address", "name"} with the address as the server has it and a name without final dot. Raises BadInput."""
    address, name = address_of(server, given), given.get("name", "").strip().lower().removesuffix(".")
    labels = name.split(".")
    legal = all(
        0 < len(label) <= 63 and label.replace("-", "").replace("_", "").isalnum() for label in labels
    )
    if name and (len(name) > 253 or not name.isascii() or not legal or len(labels) < 2):
        raise BadInput("Write a host name such as mail.example.org.", field="name")
    return {"address": address, "name": name}


OPERATION = "operation"
"""What a program's key is reserved for."""


def operation_of_key(caller: str, key: str, request_hash: str) -> Operation | None:
    """What this caller asked with this key before. Raises KeyReused when it was something else."""
    earlier = Operation.objects.filter(caller=caller, idempotency_key=key).first()
    if earlier is not None and earlier.request_hash != request_hash:
        raise KeyReused
    return earlier


def work_key(server_id: int) -> str:
    return f"work:{server_id}"


def ring_worker(
    server: Server, *, urgent: bool = False, delay_seconds: float = 0.0, hurry: bool = True
) -> None:
    ring(
        "services.work",
        key=work_key(server.pk),
        payload={"server_id": server.pk},
        # A lane of its own: a reboot that waits behind readings for two minutes is given up.
        lane=f"{lane_of(server.upstream_id)}:work",
        urgent=urgent,
        delay_seconds=delay_seconds,
        hurry=hurry,
    )


def ring_look_again(operation: Operation, *, hurry: bool = True) -> None:
    ring(
        "services.look_again",
        key=f"look:{operation.pk}",
        payload={"operation_id": operation.pk},
        lane=lane_of(operation.server.upstream_id),
        hurry=hurry,
    )


def settle_row(
    operation: Operation,
    state: OperationState,
    *,
    by: str = "",
    why: str = "",
    code: str = "",
    text: str = "",
) -> None:
    """Moves an operation along OPERATION_LIFE, or fails loudly: a wrong move is our own fault."""
    if state not in OPERATION_LIFE[OperationState(operation.state)]:
        raise AssertionError(f"{operation}: {operation.state} cannot become {state}")
    operation.state = state
    has_ended = state not in {OperationState.UNKNOWN, OperationState.QUEUED}
    operation.settled_at = timezone.now() if has_ended else None
    operation.settled_by, operation.settled_why = by, why
    operation.failure_code = code or operation.failure_code
    operation.staff_text = text[:600] or operation.staff_text
    operation.save()


def write_line(actor: Actor, verb: str, operation: Operation, *, result: str, sentence: str = "") -> None:
    """What the worker did is the house's that asked: a line of nobody would be everybody's, its reason with it."""
    if not actor.organisation_id and operation.organisation_id:
        actor = house_of(operation.organisation_id, operation.organisation.name)
    # A client is not told of what they were nearly asked to bear.
    came_to_nothing = operation.held_at and operation.hold_id is None and result in ("cancelled", "failed")
    record.write(
        actor,
        verb,
        ("server", operation.server_id),
        target_label=operation.server.label,
        result=result,
        sentence=sentence
        or (operation.reason and f"{name_of(operation)}: {operation.reason}")
        or name_of(operation),
        details={"reference": operation.reference},
        server_id=operation.server_id,
        service_id=operation.service_id,
        client_id=None if came_to_nothing else operation.client_id,
        also=[operation.organisation_id, *chain_of(operation.server)],
    )


def _target(actor: Actor, service_id: int | None, server_id: int | None) -> tuple[Service | None, Server]:
    """Both locked, the service first, as attach and detach do. A server of an own service stands for that service."""
    service = None
    rows = Service.objects.select_for_update(of=("self",)).select_related("product__suspend_policy")
    if service_id is not None:
        mine = (
            {"client_id": actor.client_id} if actor.client_id else {"organisation_id": actor.organisation_id}
        )
        service = rows.filter(pk=service_id, **({} if actor.is_system else mine)).first()
        if service is None:
            raise NotHere
        if service.server_id is None:
            raise WrongState("This service has no server yet.", code="no_server")
        server_id = service.server_id
    if server_id is None:
        raise NotHere
    if not servers_visible_to(actor).filter(pk=server_id).exists():
        raise NotHere
    if service is None and not actor.is_client:
        service = rows.filter(server_id=server_id).first()
        if service is not None and service.organisation_id != actor.organisation_id:
            service = None
    server = servers_visible_to(actor).select_for_update(of=("self",)).filter(pk=server_id).first()
    if server is None:
        raise NotHere
    return service, server


def _store(
    actor: Actor, asked: _Asked, service: Service | None, server: Server, key: tuple[str, str, str]
) -> Operation:
    now = timezone.now()
    kind = asked.kind
    operation = Operation(
        kind=kind,
        graceful=asked.graceful,
        parameters=_parameters(asked),
        organisation_id=service.organisation_id if service else actor.organisation_id,
        server=server,
        service=service,
        client_id=service.client_id if service else None,
        asked_at=now,
        actor_kind=actor.kind,
        actor_user_id=actor.user_id,
        actor_label=actor.label,
        actor_organisation_id=actor.organisation_id,
        reason=asked.reason[:300],
        caller=key[0],
        idempotency_key=key[1],
        request_hash=key[2],
    )
    set_deadlines(operation)
    save_with_reference(operation)
    if kind is OperationKind.SUSPEND:
        way = suspend_ways(server, service)
        # A null route needs the address that it is about; a suspension takes the main one.
        aimed = {"address": server.primary_address} if way == "null_route" else None
        add_steps(operation, WAY_STEPS[way], aimed)
    else:
        add_steps(operation, STEPS[kind])
    return operation


def _parameters(asked: _Asked) -> dict[str, str]:
    if asked.kind is OperationKind.SUSPEND:
        return {"cause": asked.cause, "client_text": asked.client_text}
    return dict(asked.parameters)


def set_deadlines(operation: Operation) -> None:
    """Counted from now; not yet saved."""
    now, kind = timezone.now(), OperationKind(operation.kind)
    operation.send_before = now + SEND_WITHIN.get(kind, LEVEL_WITHIN)
    operation.settle_before = now + SETTLE_WITHIN.get(kind, LEVEL_WITHIN)


def save_with_reference(operation: Operation) -> None:
    for attempt in range(5):
        signs = "".join(secrets.choice(REFERENCE_SIGNS) for _ in range(6))
        operation.reference = f"{signs[:3]}-{signs[3:]}"
        try:
            with transaction.atomic():
                operation.save(force_insert=True)
        except IntegrityError as error:
            mine = {"caller": operation.caller, "idempotency_key": operation.idempotency_key}
            if Operation.objects.filter(**mine).exists():
                # At the same moment, for another server: had it been this one, its lock would have told.
                raise KeyReused from error
            if attempt == 4 or not Operation.objects.filter(reference=operation.reference).exists():
                raise
        else:
            return


def _take_back_held(actor: Actor, unsuspend: Operation) -> None:
    """Paid before the suspension was approved: it must not come to pass later."""
    rows = Operation.objects.select_for_update(of=("self",)).select_related("server__upstream")
    held = rows.filter(
        server=unsuspend.server_id,
        organisation=unsuspend.organisation_id,
        kind=OperationKind.SUSPEND,
        state=OperationState.HELD,
    )
    for operation in held:
        settle_row(
            operation, OperationState.CANCELLED, by=actor.label, why=f"Unsuspended by {unsuspend.reference}"
        )
        write_line(actor, "operation.suspend.cancelled", operation, result="cancelled")


def _call_off_power(actor: Actor, server: Server) -> None:
    """A suspension overtakes: power operations that wait are not sent any more."""
    rows = Operation.objects.select_for_update(of=("self",)).select_related("server__upstream")
    waiting = rows.filter(server=server, state=OperationState.QUEUED, kind__in=POWER_KINDS)
    for operation in waiting:
        settle_row(
            operation, OperationState.FAILED, code="suspended", text="Called off: the server was suspended."
        )
        write_line(
            actor,
            f"operation.{operation.kind}.failed",
            operation,
            result="failed",
            sentence="suspended meanwhile",
        )
