"""Batches that a brake holds: approved, refused, undone. Decided by a person once; carried out by the worker, row by row."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from doublehop.fleet.models import Hold, Server
from doublehop.jobs.actions import ring
from doublehop.jobs.engine import JobFunction
from doublehop.organisations import record, texts
from doublehop.organisations.actor import Actor, Duty, house_of
from doublehop.organisations.models import Organisation
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, Refusal, WrongState
from doublehop.services.actions.operations import begin, request, set_deadlines, settle_row, write_line
from doublehop.services.actions.termination import end, restore
from doublehop.services.guards import asker_of, why_not
from doublehop.services.lifecycle import OperationKind, OperationState
from doublehop.services.models import Batch, Operation, Service
from doublehop.services.wording import NAME


@transaction.atomic
def approve(actor: Actor, batch_id: int, *, count: int) -> Batch:
    """Everything of the batch goes on, each after its guards ran again. ``count`` is what the person saw and typed.

    Raises BadInput when more or fewer wait by now.
    """
    batch = _open_batch(actor, batch_id)
    waiting = batch.operations.filter(state=OperationState.HELD).count()
    if count != waiting:
        raise BadInput(f"{waiting} wait now. Look at the list again, then type {waiting}.", field="typed")
    return _decide(actor, batch, Batch.State.APPROVED, sentence=f"{waiting} operations")


@transaction.atomic
def refuse(actor: Actor, batch_id: int, *, why: str) -> Batch:
    """Nothing of what is held is done."""
    why = texts.remark(why, field="why")
    if not why:
        raise BadInput("Say why: it stands in the journal with your name.", field="why")
    return _decide(actor, _open_batch(actor, batch_id), Batch.State.REFUSED, why=why, sentence=why)


@transaction.atomic
def undo(actor: Actor, batch_id: int, *, why: str) -> Batch:
    """Everything that was done for the batch, and just before it, is undone: unsuspended, given its server back.

    What is still held must be decided first.
    """
    why = texts.remark(why, field="why")
    if not why:
        raise BadInput("Say why: it stands in the journal with your name.", field="why")
    batch = _own_batch(actor, batch_id)
    if batch.state == Batch.State.OPEN and batch.operations.filter(state=OperationState.HELD).exists():
        raise WrongState("Approve or refuse what waits first.", code="undecided")
    if batch.undone_at is not None:
        raise WrongState(f"{batch} was undone by {batch.undone_by} already.", code="already_settled")
    batch.undone_at, batch.undone_by = timezone.now(), actor.label
    batch.save(update_fields=["undone_at", "undone_by"])
    _write(actor, "batch.undone", batch, why)
    _ring(batch)
    return batch


def work_batch(payload: Mapping[str, Any]) -> None:
    """Carries out what was decided, each operation in a transaction of its own. May run any number of times."""
    batch = Batch.objects.get(pk=int(payload["batch_id"]))
    held = batch.operations.filter(state=OperationState.HELD).order_by("id").values_list("pk", flat=True)
    for pk in list(held) if batch.state != Batch.State.OPEN else []:
        if batch.state == Batch.State.APPROVED:
            _release(pk)
        else:
            _call_off(pk, batch)
    if batch.undone_at is not None:
        _undo_all(batch)


JOBS: dict[str, JobFunction] = {"services.batch": work_batch}


def _own_batch(actor: Actor, batch_id: int) -> Batch:
    if not actor.is_staff:
        raise NotHere
    # As the brake does: nothing joins the batch while it is decided, so what was counted is what is decided.
    Organisation.objects.select_for_update(no_key=True).filter(pk=actor.organisation_id).first()
    rows = Batch.objects.select_for_update(of=("self",))
    batch = rows.filter(pk=batch_id, organisation_id=actor.organisation_id).first()
    if batch is None:
        raise NotHere
    if not actor.has(Duty.GOVERN):
        raise NotAllowed("Your role does not reach this. An owner or admin can do it.")
    return batch


def _open_batch(actor: Actor, batch_id: int) -> Batch:
    batch = _own_batch(actor, batch_id)
    if batch.state != Batch.State.OPEN:
        raise WrongState(f"{batch} was {batch.state} by {batch.decided_by} already.", code="already_settled")
    return batch


def _decide(actor: Actor, batch: Batch, state: Batch.State, *, why: str = "", sentence: str) -> Batch:
    batch.state, batch.decided_at, batch.decided_by = state, timezone.now(), actor.label
    batch.decided_why = why[:300]
    batch.save()
    _write(actor, f"batch.{state.value}", batch, sentence)
    _ring(batch)
    return batch


def _ring(batch: Batch) -> None:
    ring("services.batch", key=f"batch:{batch.pk}", payload={"batch_id": batch.pk})


def _write(actor: Actor, verb: str, batch: Batch, sentence: str) -> None:
    record.write(
        actor, verb, ("batch", batch.pk), target_label=f"{batch} of {batch.caller_label}", sentence=sentence
    )


def _locked(pk: int) -> Operation | None:
    """Locked in the order of a request, service, server, operation; None when it is not held any more."""
    row = Operation.objects.get(pk=pk)
    if row.service_id is not None:
        Service.objects.select_for_update(of=("self",)).get(pk=row.service_id)
    Server.objects.select_for_update(of=("self",)).get(pk=row.server_id)
    rows = Operation.objects.select_for_update(of=("self",)).select_related(
        "server__upstream", "service__product__suspend_policy", "organisation", "batch"
    )
    return rows.filter(pk=pk, state=OperationState.HELD).first()


@transaction.atomic
def _release(pk: int) -> None:
    operation = _locked(pk)
    if operation is None:
        return
    asker = asker_of(operation)
    try:
        with transaction.atomic():
            if asker is None:
                raise NotAllowed("Whoever asked for this may not do it any more.")
            _go_on(asker, operation)
    except Refusal as refusal:
        operation.refresh_from_db(fields=["state", "hold_id"])
        settle_row(operation, OperationState.FAILED, code=refusal.code, text=refusal.sentence)
        line = {"result": "failed", "sentence": refusal.sentence}
        write_line(asker or _house(operation), f"operation.{operation.kind}.failed", operation, **line)


def _go_on(asker: Actor, operation: Operation) -> None:
    if operation.kind == OperationKind.TERMINATE:
        end(asker, operation)
        return
    # Out of the way of its own guard.
    settle_row(operation, OperationState.QUEUED)
    operation_kind = OperationKind(operation.kind)
    refusal = why_not(asker, operation_kind, operation.server, operation.service, besides=operation.pk)
    if refusal is not None:
        raise refusal
    if operation.service_id is None and _is_in_other_hands(operation):
        raise WrongState(
            f"{operation.server.label} was given to somebody else after this was asked.",
            code="in_other_hands",
        )
    set_deadlines(operation)
    operation.save(update_fields=["send_before", "settle_before"])
    begin(asker, operation)


def _is_in_other_hands(operation: Operation) -> bool:
    """Asked of the machine alone: whoever got it since, a client or an organisation below, is not whom it was meant for."""
    since, server = {"since__gt": operation.asked_at}, operation.server
    attached = server.attachments.filter(service__organisation_id=operation.organisation_id, **since)
    return (
        attached.exists() or server.allocations.filter(giver_id=operation.organisation_id, **since).exists()
    )


@transaction.atomic
def _call_off(pk: int, batch: Batch) -> None:
    operation = _locked(pk)
    if operation is None:
        return
    settle_row(operation, OperationState.CANCELLED, by=batch.decided_by, why=batch.decided_why)
    verb = f"operation.{operation.kind}.cancelled"
    write_line(_house(operation), verb, operation, result="cancelled", sentence=batch.decided_why)


def _house(operation: Operation) -> Actor:
    return house_of(operation.organisation_id, operation.organisation.name)


def _undo_all(batch: Batch) -> None:
    """By what is so now: what was lifted or restored meanwhile needs nothing more."""
    house = house_of(batch.organisation_id, batch.organisation.name)
    left: dict[str, str] = {}
    for operation in batch.operations.exclude(state=OperationState.CANCELLED).order_by("id"):
        try:
            with transaction.atomic():
                _undo_one(house, batch, operation)
        except Refusal as refusal:
            left[operation.reference] = f"{NAME[operation.kind]}: {refusal.sentence}"
    Batch.objects.filter(pk=batch.pk).update(not_undone=left)


def _undo_one(house: Actor, batch: Batch, operation: Operation) -> None:
    why = f"{batch} undone by {batch.undone_by}"
    if operation.kind == OperationKind.TERMINATE:
        if operation.state == OperationState.DONE and operation.service_id is not None:
            restore(house, operation.service_id, reason=why)
        return
    if operation.hold_id is None or not Hold.objects.filter(pk=operation.hold_id, lifted_at=None).exists():
        return
    request(
        house,
        OperationKind.UNSUSPEND,
        server_id=operation.server_id,
        idempotency_key=f"undo:{batch.pk}:{operation.pk}",
        reason=why,
    )
