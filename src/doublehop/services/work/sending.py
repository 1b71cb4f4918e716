"""Sending one step once: guards, identity (in the door), COMMIT "sent", the call. What waits, says for how long."""

from django.db import transaction
from django.utils import timezone

from doublehop.driver_kit.contract import Ticket
from doublehop.fleet import door
from doublehop.fleet.door import Command, NotSent
from doublehop.fleet.models import Server
from doublehop.fleet.permissions import may
from doublehop.fleet.queries import open_holds
from doublehop.organisations.actor import Actor, ActorKind, house_of
from doublehop.organisations.queries import actor_of_user_id
from doublehop.services.guards import NEEDS, POWER_KINDS
from doublehop.services.lifecycle import OperationKind, OperationState, StepState
from doublehop.services.models import Operation, Step

LOOK_AGAIN_SECONDS = 1.0
BACK_OFF_SECONDS = (2, 5, 10, 20, 40, 60)


class Wait(Exception):
    """Nothing more to do now; look again after ``seconds``."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def send(operation: Operation, step: Step, command: Command) -> Ticket:
    """Sends once. NotSent that may be tried again becomes a wait until the operation's ``send_before``."""

    before = (step.state, step.sent_at, step.times_sent)

    def mark_sent() -> None:
        with transaction.atomic(durable=True):
            # Whoever suspends or takes the server away locks this row too: they come before this look, or after the mark.
            Server.objects.select_for_update(of=("self",)).get(pk=operation.server_id)
            _guard_again(operation, step)
            _mark(step)

    try:
        arguments = {"reason": operation.reason, **operation.parameters}
        return door.send(operation.server_id, command, mark_sent=mark_sent, arguments=arguments)
    except NotSent as refusal:
        # Proven not to have acted: the step is as it was, and may be sent again.
        step.state, step.sent_at, step.times_sent = before
        step.note = refusal.text[:500]
        step.save()
        now = timezone.now()
        again_at = refusal.retry_at or now
        if refusal.retry and max(now, again_at) < operation.send_before:
            raise Wait(max(back_off(operation), (again_at - now).total_seconds())) from refusal
        raise


def _mark(step: Step) -> None:
    """Only who finds the step as it was read may send: another worker on the same step is stopped here."""
    now = timezone.now()
    untouched = Step.objects.filter(
        pk=step.pk,
        state=step.state,
        times_sent=step.times_sent,
        operation__state=OperationState.RUNNING,
    )
    times = step.times_sent + 1
    if not untouched.update(state=StepState.SENT, sent_at=now, identity_checked_at=now, times_sent=times):
        raise Wait(LOOK_AGAIN_SECONDS)
    step.state, step.sent_at, step.identity_checked_at = StepState.SENT, now, now
    step.times_sent = times


def _guard_again(operation: Operation, step: Step) -> None:
    """The last look before the first byte: the world may have changed since the operation was asked."""
    if is_held_by_others(operation) and not step.times_sent:
        raise Wait(0)
    if operation.kind in POWER_KINDS and open_holds([operation.server_id]).exists():
        raise NotSent("suspended", "The server was suspended before this was sent.")
    if operation.kind in POWER_KINDS and not step.times_sent and timezone.now() > operation.send_before:
        raise NotSent("too_late", "It could not be sent in time; a late one would be a surprise.")
    if operation.service_id is not None:
        attached = (
            Server.objects.filter(services__pk=operation.service_id).values_list("pk", flat=True).first()
        )
        if attached != operation.server_id:
            raise NotSent("detached", "The server was detached before this was sent.")
    if operation.kind in POWER_KINDS and not _may_still(operation):
        raise NotSent("not_allowed", "Whoever asked for this may not do it any more.")


def _may_still(operation: Operation) -> bool:
    """Rights that were taken away since count as taken away, a person's and an organisation's own."""
    if operation.actor_kind == ActorKind.SYSTEM:
        return True
    actor: Actor | None = house_of(operation.actor_organisation_id or 0, "")
    if operation.actor_user_id is not None:
        actor = actor_of_user_id(operation.actor_user_id)
    return actor is not None and may(actor, NEEDS[OperationKind(operation.kind)][0], operation.server)


def back_off(operation: Operation) -> float:
    waited = (timezone.now() - (operation.claimed_at or operation.asked_at)).total_seconds()
    return next(
        (float(seconds) for seconds in BACK_OFF_SECONDS if waited < seconds * 2), float(BACK_OFF_SECONDS[-1])
    )


def is_held_by_others(operation: Operation) -> bool:
    """Placed while an unsuspend ran: what it has not undone yet is for the other one to undo."""
    if operation.kind != OperationKind.UNSUSPEND:
        return False
    holds = open_holds([operation.server_id])
    return any(hold.pk != operation.hold_id for hold in holds)
