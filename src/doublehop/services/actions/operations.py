"""Operations: asked, taken back, settled by a person. Sending is the worker's (services.work)."""

import hashlib
import json
import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from doublehop.fleet.actions import lift_hold_row, place_hold
from doublehop.fleet.actions.upstreams import lane_of
from doublehop.fleet.models import Server
from doublehop.fleet.permissions import visible_to as servers_visible_to
from doublehop.fleet.queries import chain_of
from doublehop.jobs.actions import ring
from doublehop.organisations import record, texts
from doublehop.organisations.actor import Actor, Duty
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, WrongState
from doublehop.services.actions.services import follow_holds
from doublehop.services.guards import POWER_KINDS, AlreadyOpen, why_not
from doublehop.services.lifecycle import (
    NATURE,
    OPERATION_LIFE,
    OperationKind,
    OperationState,
    StepKind,
    StepState,
)
from doublehop.services.models import Operation, Service, Step, SuspendPolicy
from doublehop.services.wording import name_of

__all__ = ["AlreadyOpen", "cancel", "request", "settle"]

REFERENCE_SIGNS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
KEY_REUSED = "This key was used for something else."
DEFAULT_WAYS = ("port", "upstream", "power", "permission", "notify")

_STEPS: dict[OperationKind, tuple[StepKind, ...]] = {
    OperationKind.REBOOT: (StepKind.RESET, StepKind.AWAIT_ON),
    OperationKind.POWER_ON: (StepKind.POWER_ON,),
    OperationKind.POWER_OFF: (StepKind.POWER_OFF,),
    OperationKind.REFRESH_ADDRESSES: (StepKind.READ_ADDRESSES,),
    OperationKind.SET_RDNS: (StepKind.SET_RDNS,),
    OperationKind.RESCUE_START: (StepKind.RESCUE_START,),
    OperationKind.RESCUE_STOP: (StepKind.RESCUE_STOP,),
    OperationKind.UNSUSPEND: (),  # known when it is claimed: it undoes what was done until then
}
_WAY_STEPS: dict[str, tuple[StepKind, ...]] = {
    "port": (StepKind.PORT_OFF,),
    "upstream": (StepKind.UPSTREAM_SUSPEND,),
    "power": (StepKind.WITHDRAW_POWER, StepKind.POWER_OFF),
    "permission": (StepKind.PERMISSION_OFF,),
    "notify": (),
}
_WAY_PART = {"port": "port", "upstream": "suspension", "power": "power_switch", "permission": "access"}

SEND_WITHIN = {
    OperationKind.REBOOT: timedelta(minutes=2),
    OperationKind.POWER_ON: timedelta(minutes=5),
    OperationKind.POWER_OFF: timedelta(minutes=5),
    OperationKind.RESCUE_START: timedelta(minutes=2),
    OperationKind.RESCUE_STOP: timedelta(minutes=2),
}
SETTLE_WITHIN = {
    OperationKind.REBOOT: timedelta(minutes=10),
    OperationKind.REFRESH_ADDRESSES: timedelta(minutes=2),
    OperationKind.SET_RDNS: timedelta(minutes=10),
    OperationKind.RESCUE_START: timedelta(minutes=15),
    OperationKind.RESCUE_STOP: timedelta(minutes=15),
}
LEVEL_WITHIN = timedelta(hours=1)
"""How long a level step is repeated before a person is told."""


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
    """Stores what is to be done and answers at once. The same key and body answer with the same operation.

    Give ``service_id``, or, for staff and Tandem users, ``server_id``. ``parameters`` of SET_RDNS: "address", one of the
    server's own, and "name", empty to remove the entry. ``reason`` is for the journal, ``client_text`` (suspend) is what
    the client reads. Raises a Refusal; AlreadyOpen carries the operation that is in the way.
    """
    caller = caller or caller_of(actor)
    asked = _Asked(
        kind,
        service_id,
        server_id,
        graceful,
        texts.remark(reason, field="reason"),
        texts.remark(client_text, field="client_text"),
        cause,
        parameters or {},
    )
    if not re.fullmatch(r"[ -~]{1,120}", idempotency_key):
        raise BadInput("The request carries no key that can be used.", field="key")
    if not re.fullmatch(r"[a-z_]{1,20}", cause):
        raise BadInput("Choose a cause from the list.", field="cause")
    if earlier := _earlier(caller, idempotency_key, asked):
        return earlier
    service, server = _target(actor, service_id, server_id)
    # Again, now that the server is locked: a second request of the same moment has waited for the first one here.
    if earlier := _earlier(caller, idempotency_key, asked):
        return earlier
    refusal = why_not(actor, kind, server, service, reason=reason)
    if refusal is not None:
        raise refusal
    if kind is OperationKind.SET_RDNS:
        asked = replace(asked, parameters=rdns_entry(server, asked.parameters))
    operation = _store(actor, asked, service, server, caller, idempotency_key)
    if kind is OperationKind.SUSPEND:
        hold = place_hold(
            actor,
            server,
            organisation_id=operation.organisation_id,
            cause=cause,
            reason=asked.reason,
            client_text=asked.client_text,
        )
        operation.hold_id = hold.pk
        operation.save(update_fields=["hold_id"])
        _call_off_power(actor, server)
        follow_holds(server.pk)
    write_line(actor, f"operation.{kind}.asked", operation, result="asked")
    ring_worker(server, urgent=kind in {OperationKind.SUSPEND, OperationKind.UNSUSPEND})
    return operation


def caller_of(actor: Actor) -> str:
    """Whose keys are told apart: a person's, or an organisation's own programs'."""
    return f"user:{actor.user_id}" if actor.user_id is not None else f"{actor.kind}:{actor.organisation_id}"


def rdns_entry(server: Server, given: Mapping[str, str]) -> dict[str, str]:
    """{"address", "name"} with the address as the server has it and a name without final dot. Raises BadInput."""
    address, name = given.get("address", "").strip(), given.get("name", "").strip().lower().removesuffix(".")
    if not server.addresses.filter(address=address).exists():
        raise BadInput("This is not an address of the server.", field="address")
    labels = name.split(".")
    legal = all(
        0 < len(label) <= 63 and label.replace("-", "").replace("_", "").isalnum() for label in labels
    )
    if name and (len(name) > 253 or not name.isascii() or not legal or len(labels) < 2):
        raise BadInput("Write a host name such as mail.example.org.", field="name")
    return {"address": address, "name": name}


def _earlier(caller: str, key: str, asked: _Asked) -> Operation | None:
    earlier = Operation.objects.filter(caller=caller, idempotency_key=key).first()
    if earlier is not None and earlier.request_hash != asked.digest:
        raise WrongState(KEY_REUSED, code="key_reused")
    return earlier


def ring_worker(
    server: Server, *, urgent: bool = False, delay_seconds: float = 0.0, hurry: bool = True
) -> None:
    ring(
        "services.work",
        key=f"work:{server.pk}",
        payload={"server_id": server.pk},
        # A lane of its own: a reboot that waits behind readings for two minutes is given up.
        lane=f"{lane_of(server.upstream_id)}:work",
        urgent=urgent,
        delay_seconds=delay_seconds,
        hurry=hurry,
    )


@transaction.atomic
def cancel(actor: Actor, reference: str) -> Operation:
    """Takes back what was not claimed yet. A suspension is taken back by unsuspending."""
    operation = _locked(actor, reference)
    if operation.state != OperationState.QUEUED:
        raise WrongState(f"{name_of(operation)} has begun or ended; it cannot be taken back.")
    if operation.hold_id is not None:
        raise WrongState("A suspension is taken back by Unsuspend.")
    settle_row(operation, OperationState.CANCELLED, by=actor.label)
    write_line(actor, f"operation.{operation.kind}.cancelled", operation, result="cancelled")
    return operation


@transaction.atomic
def settle(actor: Actor, reference: str, *, happened: bool, why: str) -> Operation:
    """A person decides what became of an operation with unknown outcome. Nothing is sent."""
    operation = _locked(actor, reference)
    if not actor.is_staff:
        raise NotHere
    if operation.state != OperationState.UNKNOWN:
        raise WrongState("Only an operation with an unknown outcome is decided by a person.")
    why = texts.remark(why, field="why")
    if not why:
        raise BadInput("How do you know? It stands in the journal with your name.", field="why")
    begun = not operation.steps.filter(state=StepState.PENDING).exists()
    if happened and operation.kind == OperationKind.UNSUSPEND and not begun:
        raise WrongState("Part of it was never begun. Say that it did not happen, and ask Unsuspend again.")
    state = OperationState.DONE if happened else OperationState.FAILED
    operation.steps.filter(state=StepState.UNKNOWN).update(
        state=StepState.DONE if happened else StepState.FAILED, settled_at=timezone.now()
    )
    settle_row(operation, state, by=actor.label, why=why[:300])
    if happened and operation.kind == OperationKind.UNSUSPEND and operation.hold_id is not None:
        lift_hold_row(operation.hold_id)
        follow_holds(operation.server_id)
    result = "done" if happened else "failed"
    write_line(actor, f"operation.{operation.kind}.settled", operation, result=result, sentence=why[:300])
    ring_worker(operation.server)
    return operation


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
    operation.settled_at = timezone.now() if state is not OperationState.UNKNOWN else None
    operation.settled_by, operation.settled_why = by, why
    operation.failure_code = code or operation.failure_code
    operation.staff_text = text[:600] or operation.staff_text
    operation.save()


def write_line(actor: Actor, verb: str, operation: Operation, *, result: str, sentence: str = "") -> None:
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
        client_id=operation.client_id,
        also=[operation.organisation_id, *chain_of(operation.server)],
    )


def add_steps(
    operation: Operation, kinds: Sequence[StepKind], parameters: dict[str, object] | None = None
) -> None:
    first = operation.steps.count()
    Step.objects.bulk_create(
        Step(
            operation=operation,
            position=first + number,
            kind=kind,
            nature=NATURE[kind],
            parameters=dict(parameters or {}),
        )
        for number, kind in enumerate(kinds)
    )


def suspend_ways(server: Server, service: Service | None) -> str:
    """The way that a suspension of this server takes: the first of the policy that the machine offers."""
    return way_offered(server.capabilities, service.product.suspend_policy if service is not None else None)


def way_offered(capabilities: Collection[str], policy: SuspendPolicy | None) -> str:
    """The same for any machine that offers ``capabilities``. Without a policy the usual order holds."""
    for way in policy.ways if policy is not None else DEFAULT_WAYS:
        if way == "notify" or _WAY_PART[way] in capabilities:
            return str(way)
    return "notify"


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
    actor: Actor, asked: _Asked, service: Service | None, server: Server, caller: str, key: str
) -> Operation:
    now = timezone.now()
    kind = asked.kind
    operation = Operation(
        kind=kind,
        graceful=asked.graceful,
        parameters=dict(asked.parameters),
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
        caller=caller,
        idempotency_key=key,
        request_hash=asked.digest,
        send_before=now + SEND_WITHIN.get(kind, LEVEL_WITHIN),
        settle_before=now + SETTLE_WITHIN.get(kind, LEVEL_WITHIN),
    )
    _save_with_reference(operation)
    if kind is OperationKind.SUSPEND:
        add_steps(operation, _WAY_STEPS[suspend_ways(server, service)])
    else:
        add_steps(operation, _STEPS[kind])
    return operation


def _save_with_reference(operation: Operation) -> None:
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
                raise WrongState(KEY_REUSED, code="key_reused") from error
            if attempt == 4 or not Operation.objects.filter(reference=operation.reference).exists():
                raise
        else:
            return


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


def _locked(actor: Actor, reference: str) -> Operation:
    rows = Operation.objects.select_for_update(of=("self",)).select_related("server__upstream")
    if actor.is_white_label:
        mine = (
            {"client_id": actor.client_id} if actor.is_client else {"organisation_id": actor.organisation_id}
        )
        rows = rows.filter(actor_user_id=actor.user_id, **mine)
    elif not actor.is_system:
        rows = rows.filter(organisation_id=actor.organisation_id)
    operation = rows.filter(reference=texts.searched(reference).upper()).first()
    if operation is None:
        raise NotHere
    if actor.is_staff and not (actor.has(Duty.OPERATE) or actor.has(Duty.SELL)):
        raise NotAllowed("Your role does not reach this. An owner or admin can do it.")
    return operation
