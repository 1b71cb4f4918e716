"""An unknown outcome is settled by reading back, however late: what leaves a state by that state, what was sent once by what its
upstream knows of it. Nothing is sent; an edge step that left no ticket waits for a person."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from doublehop.driver_kit import errors
from doublehop.driver_kit.contract import PowerState, Ticket, TicketState
from doublehop.fleet import door
from doublehop.fleet.door import NotSent
from doublehop.organisations.vault import VaultClosed
from doublehop.services.actions.operations import ring_look_again
from doublehop.services.actions.planning import undoes_all
from doublehop.services.lifecycle import Nature, OperationState, StepState
from doublehop.services.models import Operation, Step
from doublehop.services.work.endings import fail, finish
from doublehop.services.work.sending import move
from doublehop.services.work.steps import edge_command, level_of

log = structlog.get_logger(__name__)

LOOK_AGAIN_EVERY = timedelta(minutes=5)
LOOKED_AT_FOR = timedelta(days=7)
"""After so long a person has decided, or it does not matter any more."""


def settleable() -> QuerySet[Operation]:
    """Unknown ones of which every undecided step can be read back, or asked for by its ticket."""
    undecided = Step.objects.filter(operation=OuterRef("pk"), state=StepState.UNKNOWN)
    readable = Q(nature=Nature.LEVEL) | (Q(nature=Nature.EDGE) & ~Q(ticket=""))
    return Operation.objects.filter(
        Exists(undecided.filter(readable)), ~Exists(undecided.exclude(readable)), state=OperationState.UNKNOWN
    )


def ring_settling() -> None:
    """With the sweep: those that were not looked at for a while."""
    now = timezone.now()
    due = Q(looked_again_at__isnull=True) | Q(looked_again_at__lt=now - LOOK_AGAIN_EVERY)
    rows = settleable().filter(due, asked_at__gt=now - LOOKED_AT_FOR)
    for operation in rows.select_related("server"):
        ring_look_again(operation, hurry=False)


def look_again(payload: Mapping[str, Any]) -> None:
    """Reads what one unknown operation wanted, and settles it if the machine says."""
    operation = (
        settleable()
        .select_related("server__upstream", "service")
        .filter(pk=int(payload["operation_id"]))
        .first()
    )
    if operation is None:
        return
    Operation.objects.filter(pk=operation.pk).update(looked_again_at=timezone.now())
    steps = list(operation.steps.filter(state=StepState.UNKNOWN))
    try:
        read = [(step, *_look(operation, step)) for step in steps]
    except (errors.UpstreamError, VaultClosed) as error:
        log.info("still not readable", operation=operation.reference, error=type(error).__name__)
        return
    if any(state in _UNTOLD for _, state, _ in read):
        return
    _settle(operation.pk, [(step.pk, state == wanted, str(state)) for step, state, wanted in read])


_UNTOLD = {None, PowerState.UNKNOWN, TicketState.PENDING, TicketState.UNKNOWN}


def _look(operation: Operation, step: Step) -> tuple[Any, object]:
    if step.nature == Nature.EDGE:
        status = door.follow_up(operation.server_id, edge_command(operation, step), Ticket(step.ticket))
        return status.state, TicketState.DONE
    _, question, wanted = level_of(operation, step)
    return question(operation.server_id), wanted


@transaction.atomic
def _settle(pk: int, read: list[tuple[int, bool, str]]) -> None:
    rows = Operation.objects.select_for_update(of=("self",)).select_related("server__upstream", "service")
    operation = rows.filter(pk=pk, state=OperationState.UNKNOWN).first()
    if operation is None:
        return  # a person was quicker
    for step_id, is_so, state in read:
        step = Step.objects.get(pk=step_id)
        if is_so:
            move(step, StepState.DONE)
            step.settled_at, step.note = timezone.now(), f"Read back later: {state}"
            step.save()
    unsent = operation.steps.filter(state=StepState.PENDING).exclude(nature=Nature.READ)
    if not all(is_so for _, is_so, _ in read):
        seen = ", ".join(state for _, is_so, state in read if not is_so)
        fail(operation, NotSent("read_back", f"Read back later: it did not happen, it reads {seen}."))
    elif unsent.exists() or not undoes_all(operation):
        fail(
            operation,
            NotSent("read_back", "Read back later: begun, but part of it was never sent. Ask for it again."),
        )
    else:
        # What would only have watched it has nothing to watch any more.
        operation.steps.filter(state=StepState.PENDING).update(
            state=StepState.DONE, settled_at=timezone.now(), note="Not read: it was over by then"
        )
        finish(operation)
