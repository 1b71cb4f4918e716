"""What a person decides about an operation that was asked: taken back, read again, settled. Nothing is ever sent here."""

from django.db import transaction
from django.utils import timezone

from doublehop.fleet.actions import lift_hold_row
from doublehop.fleet.models import Server
from doublehop.organisations import texts
from doublehop.organisations.actor import Actor, Duty
from doublehop.organisations.once import caller_of, once
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, WrongState
from doublehop.services.actions.operations import ring_look_again, ring_worker, settle_row, write_line
from doublehop.services.actions.planning import undoes_all
from doublehop.services.actions.services import follow_holds
from doublehop.services.guards import was_given_way_to
from doublehop.services.lifecycle import CANCELLABLE, OperationKind, OperationState, StepState
from doublehop.services.models import Operation
from doublehop.services.wording import name_of


def _again(actor: Actor, operation_id: int) -> Operation:
    return _seen(actor, Operation.objects.only("reference").get(pk=operation_id).reference)


@once("operation.look_again", again=_again)
@transaction.atomic
def ask_look_again(actor: Actor, reference: str, *, key: str = "") -> Operation:
    """Reads an unknown outcome back now, where the machine can tell. Nothing is sent."""
    operation = _locked(actor, reference)
    if operation.state != OperationState.UNKNOWN:
        raise WrongState(f"{name_of(operation)} is not unknown any more.")
    ring_look_again(operation)
    return operation


@once("operation.cancel", again=_again)
@transaction.atomic
def cancel(actor: Actor, reference: str, *, key: str = "") -> Operation:
    """Takes back what was not sent yet. A suspension is taken back by unsuspending."""
    # Sending takes its turn at the server's row: what is marked as sent while we wait here is seen below.
    Server.objects.select_for_update(of=("self",)).get(pk=_seen(actor, reference).server_id)
    operation = _locked(actor, reference)
    if operation.state not in CANCELLABLE or operation.steps.filter(times_sent__gt=0).exists():
        raise WrongState(f"{name_of(operation)} has begun or ended; it cannot be taken back.")
    if operation.hold_id is not None:
        raise WrongState("A suspension is taken back by Unsuspend.")
    if was_given_way_to(operation):
        raise WrongState("The suspension gives way to it. Suspend again when it is done.")
    settle_row(operation, OperationState.CANCELLED, by=_decider(actor))
    write_line(actor, f"operation.{operation.kind}.cancelled", operation, result="cancelled")
    return operation


@transaction.atomic
def settle(actor: Actor, reference: str, *, happened: bool, why: str) -> Operation:
    """A person decides what became of an operation with unknown outcome. Nothing is sent."""
    operation = _locked(actor, reference)
    if not (actor.is_staff or actor.is_system):
        raise NotHere
    if operation.state != OperationState.UNKNOWN:
        raise WrongState("Only an operation with an unknown outcome is decided by a person.")
    why = texts.remark(why, field="why")
    if not why:
        raise BadInput("How do you know? It stands in the journal with your name.", field="why")
    begun = not operation.steps.filter(state=StepState.PENDING).exists() and undoes_all(operation)
    if happened and operation.kind == OperationKind.UNSUSPEND and not begun:
        raise WrongState("Part of it was never begun. Say that it did not happen, and ask Unsuspend again.")
    state = OperationState.DONE if happened else OperationState.FAILED
    operation.steps.filter(state=StepState.UNKNOWN).update(
        state=StepState.DONE if happened else StepState.FAILED, settled_at=timezone.now()
    )
    settle_row(operation, state, by=_decider(actor), why=why[:300])
    if happened and operation.kind == OperationKind.UNSUSPEND and operation.hold_id is not None:
        lift_hold_row(operation.hold_id)
        follow_holds(operation.server_id)
    result = "done" if happened else "failed"
    write_line(actor, f"operation.{operation.kind}.settled", operation, result=result, sentence=why[:300])
    ring_worker(operation.server)
    return operation


def _decider(actor: Actor) -> str:
    """As the page of the operation names them. A person of the installation has no name below it; the journal has it."""
    return "the operator of this installation" if actor.is_system else actor.label


def _locked(actor: Actor, reference: str) -> Operation:
    rows = Operation.objects.select_for_update(of=("self",)).filter(pk=_seen(actor, reference).pk)
    return rows.select_related("server__upstream").get()


def _seen(actor: Actor, reference: str) -> Operation:
    """The actor's own operation, not locked. Raises NotHere, NotAllowed."""
    rows = Operation.objects.all()
    if actor.is_white_label:
        mine = (
            {"client_id": actor.client_id} if actor.is_client else {"organisation_id": actor.organisation_id}
        )
        # A token has no person: its own are those that came with it.
        own = {"caller": caller_of(actor)} if actor.token_id else {"actor_user_id": actor.user_id}
        rows = rows.filter(**own, **mine)
    elif not actor.is_system:
        rows = rows.filter(organisation_id=actor.organisation_id)
    operation = rows.filter(reference=texts.searched(reference).upper()).first()
    if operation is None:
        raise NotHere
    if actor.is_staff and not (actor.has(Duty.OPERATE) or actor.has(Duty.SELL)):
        raise NotAllowed("Your role does not reach this. An owner or admin can do it.")
    return operation
