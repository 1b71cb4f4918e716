"""Sending one step once: guards, identity (in the door), COMMIT "sent", the call. What waits, says for how long."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from doublehop.driver_kit.contract import Ticket
from doublehop.driver_kit.errors import CredentialsRejected
from doublehop.fleet import door
from doublehop.fleet.door import Command, NotSent, Unsure
from doublehop.fleet.models import Server
from doublehop.fleet.permissions import may
from doublehop.fleet.queries import open_holds
from doublehop.organisations.actor import ActorKind
from doublehop.organisations.installation import name_of_installation
from doublehop.services.guards import NEEDS, POWER_KINDS, asker_of
from doublehop.services.lifecycle import (
    RULES,
    STEP_LIFE,
    Nature,
    OperationKind,
    OperationState,
    StepState,
    Then,
    Trouble,
)
from doublehop.services.models import Operation, Step

LOOK_AGAIN_SECONDS = 1.0
BACK_OFF_SECONDS = (2, 5, 10, 20, 40, 60)
IN_TURN_SECONDS = 0.05


class Wait(Exception):
    """Nothing more to do now; look again after ``seconds``."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def then(step: Step, trouble: Trouble) -> Then:
    return RULES[Nature(step.nature), trouble]


def move(step: Step, state: StepState) -> None:
    """Moves a step along STEP_LIFE, not yet saved, or fails loudly: a wrong move is our own fault."""
    if state not in STEP_LIFE[StepState(step.state)]:
        raise AssertionError(f"{step}: {step.state} cannot become {state}")
    step.state = state


def send(operation: Operation, step: Step, command: Command) -> Ticket:
    """Sends once. What the rules say is to be tried again, or to be read back, becomes a Wait."""

    before = {"state": step.state, "sent_at": step.sent_at, "times_sent": step.times_sent}

    def mark_sent() -> None:
        with transaction.atomic(durable=True):
            # Whoever suspends or takes the server away locks this row too: they come before this look, or after the mark.
            Server.objects.select_for_update(of=("self",)).get(pk=operation.server_id)
            _guard_again(operation, step)
            _mark(step)

    try:
        arguments = {"reason": operation.reason, **operation.parameters, **step.parameters}
        return door.send(
            operation.server_id,
            command,
            mark_sent=mark_sent,
            arguments=arguments,
            instruction=_instruction(operation, step),
        )
    except NotSent as refusal:
        # Proven not to have acted: the step is as it was, and may be sent again.
        _put_back(step, {**before, "note": refusal.text[:500]})
        again_at = max(timezone.now(), refusal.retry_at or timezone.now())
        is_safe = refusal.retry or may_wait_for_login(step, refusal.code)
        trouble = Trouble.NEVER_LEFT if is_safe else Trouble.REFUSED
        if then(step, trouble) is Then.AGAIN and again_at < operation.send_before:
            raise Wait(pause(operation, refusal.retry_at)) from refusal
        raise
    except Unsure as unsure:
        if then(step, Trouble.UNCLEAR) is not Then.READ_BACK:
            raise
        step.note = unsure.text[:500]
        step.save(update_fields=["note"])
        raise Wait(LOOK_AGAIN_SECONDS) from unsure


def _instruction(operation: Operation, step: Step) -> str:
    """The same after a crash and in a restored copy. A level step that is sent again is another instruction."""
    return f"{name_of_installation()}:{operation.reference}:{step.position}.{step.times_sent + 1}"


def _mark(step: Step) -> None:
    """Only who finds the step as it was read may send: another worker on the same step is stopped here."""
    now = timezone.now()
    as_read = _as_we_know_it(step)
    was = step.state
    move(step, StepState.SENT)
    times = step.times_sent + 1
    if not as_read.update(state=StepState.SENT, sent_at=now, identity_checked_at=now, times_sent=times):
        step.state = was
        raise Wait(LOOK_AGAIN_SECONDS)
    step.sent_at, step.identity_checked_at, step.times_sent = now, now, times


def _put_back(step: Step, values: Mapping[str, Any]) -> None:
    """Likewise: what another worker has marked since is not taken back, and not called failed."""
    if not _as_we_know_it(step).update(**values):
        raise Wait(LOOK_AGAIN_SECONDS)
    for name, value in values.items():
        setattr(step, name, value)


def _as_we_know_it(step: Step) -> QuerySet[Step]:
    return Step.objects.filter(
        pk=step.pk,
        state=step.state,
        times_sent=step.times_sent,
        operation__state=OperationState.RUNNING,
    )


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
    actor = asker_of(operation)
    return actor is not None and may(actor, NEEDS[OperationKind(operation.kind)][0], operation.server)


def may_wait_for_login(step: Step, code: str) -> bool:
    """What is made so, rather than done once, goes on by itself when the refused login of an account was mended."""
    refused = step.nature == Nature.LEVEL and code == CredentialsRejected.code
    return refused and door.waits_for_login(step.operation.server_id)


def pause(operation: Operation, retry_at: datetime | None) -> float:
    """Seconds to wait. An upstream, or our own budget for it, that says when: until then, and no longer than there is time.

    Those that waited for the same moment then come in this order: unsuspensions, suspensions, everything else.
    """
    if retry_at is None:
        return back_off(operation)
    until = min(retry_at, operation.settle_before + timedelta(seconds=1))
    turn = {OperationKind.UNSUSPEND: 0, OperationKind.SUSPEND: 1}.get(OperationKind(operation.kind), 2)
    return max(0.0, (until - timezone.now()).total_seconds()) + turn * IN_TURN_SECONDS


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
