"""How an operation ends: done, failed or unknown, with what is remembered of it. Each is one transaction.

A worker may come late: held up, it was taken for dead, and another took over, or a person decided meanwhile. What stands
then is left as it is.
"""

from django.db import transaction
from django.utils import timezone

from doublehop.driver_kit.contract import PowerState
from doublehop.fleet.actions import (
    lift_hold_row,
    record_effects,
    store_access,
    store_null_route,
    store_port,
    store_power,
    store_rdns,
    store_rescue,
)
from doublehop.fleet.actions.servers import ring_refresh
from doublehop.fleet.door import NotSent
from doublehop.organisations.actor import SYSTEM, house_of
from doublehop.services import wording
from doublehop.services.actions.operations import settle_row, write_line
from doublehop.services.actions.services import follow_holds
from doublehop.services.lifecycle import OperationKind, OperationState, StepKind, StepState
from doublehop.services.models import Operation, Step


def _is_settled_elsewhere(operation: Operation) -> bool:
    """Locks the row. A worker that was away for long finds here what another, or a person, made of it meanwhile."""
    rows = Operation.objects.select_for_update().filter(pk=operation.pk)
    return rows.values_list("state", flat=True).get() != operation.state


@transaction.atomic
def finish(operation: Operation) -> None:
    if _is_settled_elsewhere(operation):
        return
    steps = list(operation.steps.all())
    _keep_effects(operation)
    if operation.kind == OperationKind.UNSUSPEND and operation.hold_id is not None:
        lift_hold_row(operation.hold_id)
        follow_holds(operation.server_id)
    operation.restart_seen = any(step.kind == StepKind.AWAIT_ON and step.found for step in steps)
    settle_row(operation, OperationState.DONE)
    _store_seen(operation, steps)
    write_line(SYSTEM, f"operation.{operation.kind}.done", operation, result="done")


def _keep_effects(operation: Operation) -> None:
    """However a suspension ended: what it did, or may have done, is undone by the unsuspend."""
    if operation.kind == OperationKind.SUSPEND and operation.hold_id is not None:
        record_effects(operation.hold_id, _effects(list(operation.steps.all())))


def _effects(steps: list[Step]) -> list[dict[str, object]]:
    """What was changed, or sent without being read back. Only what was found otherwise needs undoing."""
    ways = {
        StepKind.PORT_OFF: "port",
        StepKind.UPSTREAM_SUSPEND: "upstream",
        StepKind.POWER_OFF: "power",
        StepKind.WITHDRAW_POWER: "power_withdrawn",
        StepKind.PERMISSION_OFF: "permission",
        StepKind.NULL_ROUTE_ON: "null_route",
    }
    return [
        {"way": ways[StepKind(step.kind)], "was": bool(step.found), **step.parameters}
        for step in steps
        if step.state == StepState.DONE or step.times_sent
    ]


def _store_seen(operation: Operation, steps: list[Step]) -> None:
    """What a read-back saw is shown at once, with the time at which it was seen: this may be a later life than that."""
    powers = {StepKind.POWER_ON: PowerState.ON, StepKind.POWER_OFF: PowerState.OFF}
    ports = {StepKind.PORT_ON: True, StepKind.PORT_OFF: False}
    rescues = {StepKind.RESCUE_START: True, StepKind.RESCUE_STOP: False}
    routes = {StepKind.NULL_ROUTE_ON: True, StepKind.NULL_ROUTE_OFF: False}
    permissions = {StepKind.PERMISSION_ON: True, StepKind.PERMISSION_OFF: False}
    for step in steps:
        kind, seen_at = StepKind(step.kind), step.settled_at or timezone.now()
        if kind in rescues:
            store_rescue(operation.server_id, rescues[kind], seen_at)
        if step.found is None:
            continue
        if kind in powers:
            store_power(operation.server_id, powers[kind], seen_at)
        elif kind in ports:
            store_port(operation.server_id, ports[kind], seen_at)
        elif kind in routes:
            address = str(step.parameters.get("address") or operation.parameters["address"])
            store_null_route(operation.server_id, address, routes[kind])
        elif kind in permissions:
            store_access(operation.server_id, permissions[kind])
        elif kind is StepKind.SET_RDNS:
            store_rdns(operation.server_id, {operation.parameters["address"]: operation.parameters["name"]})


@transaction.atomic
def fail(operation: Operation, refusal: NotSent) -> None:
    if _is_settled_elsewhere(operation):
        return
    operation.steps.exclude(state__in=(StepState.DONE, StepState.FAILED)).update(
        state=StepState.FAILED, settled_at=timezone.now(), note=refusal.text[:500]
    )
    _keep_effects(operation)
    settle_row(operation, OperationState.FAILED, code=refusal.code, text=refusal.text)
    if refusal.code == "wrong_machine":
        # Read anew, so that staff see both identities side by side.
        ring_refresh(operation.server, full=True)
    _tell(operation, "failed")


@transaction.atomic
def park(operation: Operation, code: str, text: str) -> None:
    if _is_settled_elsewhere(operation):
        return
    operation.steps.filter(state=StepState.SENT).update(state=StepState.UNKNOWN, note=text[:500])
    _keep_effects(operation)
    settle_row(operation, OperationState.UNKNOWN, code=code, text=text)
    _tell(operation, "unknown")


def _tell(operation: Operation, result: str) -> None:
    """Its own organisation reads the line, which need not be the one whose upstream failed."""
    house = house_of(operation.organisation_id, operation.organisation.name)
    sentence = wording.staff_sentence(house, operation)
    write_line(house, f"operation.{operation.kind}.{result}", operation, result=result, sentence=sentence)
