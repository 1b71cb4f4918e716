"""One step after the other: sent once, made so and read back, or only read. Each ends done, or raises what to do next."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from doublehop.driver_kit import errors
from doublehop.driver_kit.contract import PowerState, Ticket, TicketState
from doublehop.fleet import door
from doublehop.fleet.actions import store_addresses, store_power
from doublehop.fleet.door import Command, NotSent, Unsure
from doublehop.organisations.vault import VaultClosed
from doublehop.services.guards import POWER_KINDS
from doublehop.services.lifecycle import (
    Nature,
    OperationKind,
    OperationState,
    StepKind,
    StepState,
    Then,
    Trouble,
)
from doublehop.services.models import Operation, Step
from doublehop.services.work.sending import (
    LOOK_AGAIN_SECONDS,
    Wait,
    back_off,
    is_held_by_others,
    may_wait_for_login,
    move,
    pause,
    send,
    then,
)

SEND_AGAIN_AFTER = timedelta(seconds=20)
"""A level step that reads back unequal is sent again after so long: controllers take their time."""
ASKED_BEFORE_CUT = 3
LONGEST_LOOK_SECONDS = 10.0
READ_BACK = "Read back: it is so"
NOT_SEEN = "The reset was accepted, but the machine has not been seen on since."
EARLIEST_ON = timedelta(seconds=45)
"""A machine that was seen away and is on again has restarted. One that only ever read on may not have gone yet:
controllers take their time (seen on the emulator: up to 11 s), so "on" alone counts for something only after this."""


def advance(operation: Operation, step: Step) -> None:
    """Ends with the step done, or raises: Wait, NotSent (certain that it did not happen), Unsure."""
    kind = StepKind(step.kind)
    if kind in {StepKind.WITHDRAW_POWER, StepKind.RESTORE_POWER}:
        # Guards refuse power operations while a hold is open: the hold itself is the withdrawal.
        _done(step, found=True, note="Kept by this installation itself")
    elif kind is StepKind.AWAIT_ON:
        _await_on(operation, step)
    elif kind is StepKind.READ_ADDRESSES:
        _read_addresses(operation, step)
    elif step.nature == Nature.EDGE:
        _edge(operation, step)
    else:
        _level(operation, step)


def edge_command(operation: Operation, step: Step) -> Command:
    if step.kind == StepKind.RESET:
        return Command.RESET_GRACEFUL if operation.graceful else Command.RESET_HARD
    return {StepKind.RESCUE_START: Command.RESCUE_START, StepKind.RESCUE_STOP: Command.RESCUE_STOP}[
        StepKind(step.kind)
    ]


def _edge(operation: Operation, step: Step) -> None:
    command = edge_command(operation, step)
    if step.state == StepState.PENDING:
        try:
            ticket = send(operation, step, command)
        except Unsure as unsure:
            # By this it can be asked later whether it arrived; it is never sent again.
            step.ticket = unsure.ticket
            step.save(update_fields=["ticket"])
            raise
        step.ticket = ticket.text
        step.answered_at = timezone.now()
        step.note = "Accepted by the machine’s controller" if not ticket.text else "Accepted, being followed"
        # Evidence, whoever decides; its state is for whoever runs the operation now.
        step.save(update_fields=["ticket", "answered_at", "note"])
    elif step.answered_at is None and then(step, Trouble.INTERRUPTED) is Then.PARK:
        raise Unsure("interrupted", "We were interrupted after sending and before the answer.")
    if step.ticket:
        _follow(operation, step, command)
    if step.kind in {StepKind.RESCUE_START, StepKind.RESCUE_STOP}:
        _confirm_rescue(operation, step, wanted=step.kind == StepKind.RESCUE_START)
    _done(step, note=step.note)


def _follow(operation: Operation, step: Step, command: Command) -> None:
    try:
        status = door.follow_up(operation.server_id, command, Ticket(step.ticket))
    except errors.UpstreamError as error:
        hopeless = isinstance(error, errors.CredentialsRejected)
        raise _unread(operation, step, error.code, error.text, hopeless=hopeless) from error
    if status.state is TicketState.FAILED:
        raise NotSent("refused", status.detail or "the machine’s controller reports that it failed")
    if status.state is TicketState.UNKNOWN:
        raise Unsure("unknown_there", status.detail or "The other side does not know whether it happened.")
    if status.state is TicketState.PENDING:
        if timezone.now() > operation.settle_before:
            raise Unsure("deadline", f"Accepted, but not confirmed in time. {status.detail}".strip())
        raise Wait(LOOK_AGAIN_SECONDS)


def _confirm_rescue(operation: Operation, step: Step, *, wanted: bool) -> None:
    """Accepted is not yet so: what the machine can tell of it decides."""
    try:
        active = door.read_rescue(operation.server_id)
    except errors.UpstreamError as error:
        hopeless = isinstance(error, errors.CredentialsRejected)
        raise _unread(operation, step, error.code, error.text, hopeless=hopeless) from error
    if active is None:
        operation.not_confirmable = True
    elif active is not wanted:
        if timezone.now() > operation.settle_before:
            raise Unsure(
                "deadline", f"Accepted, but the rescue system still reads {'on' if active else 'off'}."
            )
        raise Wait(min(back_off(operation), LONGEST_LOOK_SECONDS))


_LEVEL: dict[StepKind, tuple[Command, Callable[[int], Any], object]] = {
    StepKind.POWER_ON: (Command.POWER_ON, door.read_power, PowerState.ON),
    StepKind.POWER_OFF: (Command.POWER_OFF_GRACEFUL, door.read_power, PowerState.OFF),
    StepKind.PORT_OFF: (Command.PORT_OFF, door.read_port, False),
    StepKind.PORT_ON: (Command.PORT_ON, door.read_port, True),
    StepKind.UPSTREAM_SUSPEND: (Command.SUSPEND, door.read_suspension, True),
    StepKind.UPSTREAM_UNSUSPEND: (Command.UNSUSPEND, door.read_suspension_asked, False),
    StepKind.PERMISSION_OFF: (Command.PERMISSION_OFF, door.read_access, False),
    StepKind.PERMISSION_ON: (Command.PERMISSION_ON, door.read_access, True),
}
"""What is sent, how it is read back, and what it must read."""


def _level(operation: Operation, step: Step) -> None:
    command, read, wanted = level_of(operation, step)
    if not step.times_sent and is_held_by_others(operation):
        step.found = None  # what an earlier look found is neither undone nor seen undone
        _done(step, note="Left as it is: somebody else holds the server too")
        return
    if not step.times_sent:
        _give_way(operation)
    if command is Command.POWER_OFF_GRACEFUL and _is_cut(operation, step):
        command = Command.POWER_OFF_HARD
    state = _read_back(operation, step, read)
    if step.found is None:
        # What stood there before is what an unsuspend goes back to: kept before anything is sent.
        step.found = state != wanted
        step.save(update_fields=["found"])
    if state == wanted:
        _done(step, note=READ_BACK if step.times_sent else "It was so already")
        return
    now = timezone.now()
    if now > _repeated_until(operation, step):
        raise NotSent("deadline", f"Sent {step.times_sent} times, and it still reads {state}.")
    if step.sent_at is not None and now < step.sent_at + SEND_AGAIN_AFTER:
        raise Wait(LOOK_AGAIN_SECONDS)
    if step.kind == StepKind.UPSTREAM_SUSPEND:
        _give_way(operation)
    send(operation, step, command)
    # Most are so at once, and then nobody has to wait, nor another job to run.
    if _read_back(operation, step, read) != wanted:
        raise Wait(LOOK_AGAIN_SECONDS)
    _done(step, note=READ_BACK)


def _give_way(operation: Operation) -> None:
    """A suspension that was taken back meanwhile is not sent any more, or not again: whoever paid does not wait for it.

    Of what was sent only an upstream's own suspension gives way: the upstream tells whether it still waits there, and an
    unsuspend takes that back too. A system that was asked to shut down may do so minutes later; its end is waited for.
    """
    if operation.kind != OperationKind.SUSPEND:
        return
    taken_back = Operation.objects.filter(
        server=operation.server_id,
        organisation=operation.organisation_id,
        kind=OperationKind.UNSUSPEND,
        state=OperationState.QUEUED,
        pk__gt=operation.pk,
    )
    if taken_back.exists():
        raise NotSent("taken_back", "It was unsuspended before this had taken effect.")


def level_of(operation: Operation, step: Step) -> tuple[Command, Callable[[int], Any], object]:
    if step.kind in _NULL_ROUTE:
        return _null_route_of(operation, step)
    if step.kind != StepKind.SET_RDNS:
        return _LEVEL[StepKind(step.kind)]
    address = str(operation.parameters["address"])

    def read_name(server_id: int) -> str | None:
        names = door.read_rdns(server_id)
        return None if names is None else names.get(address, "")

    return Command.SET_RDNS, read_name, operation.parameters["name"]


_NULL_ROUTE = {
    StepKind.NULL_ROUTE_ON: (Command.NULL_ROUTE_ON, True),
    StepKind.NULL_ROUTE_OFF: (Command.NULL_ROUTE_OFF, False),
}


def _null_route_of(operation: Operation, step: Step) -> tuple[Command, Callable[[int], Any], object]:
    command, wanted = _NULL_ROUTE[StepKind(step.kind)]
    address = str(step.parameters.get("address") or operation.parameters["address"])

    def is_dropped(server_id: int) -> bool | None:
        dropped = door.read_null_routes(server_id)
        return None if dropped is None else address in dropped

    return command, is_dropped, wanted


def _repeated_until(operation: Operation, step: Step) -> datetime:
    """A power button is not pressed again long after somebody asked for it; a suspension is insisted on."""
    is_power = operation.kind in POWER_KINDS and step.times_sent
    return operation.send_before if is_power else operation.settle_before


def _is_cut(operation: Operation, step: Step) -> bool:
    """A suspension must not depend on whether the system inside listens: asked in vain some times, the power is cut."""
    asked_in_vain = operation.kind == OperationKind.SUSPEND and step.times_sent >= ASKED_BEFORE_CUT
    return asked_in_vain or not operation.graceful


def _read_back(operation: Operation, step: Step, read: Callable[[int], Any]) -> Any:
    try:
        state = read(operation.server_id)
    except errors.UpstreamError as error:
        hopeless = isinstance(error, errors.CredentialsRejected | errors.NotFound)
        hopeless = hopeless and not may_wait_for_login(step, error.code)
        retry_at = error.retry_at if isinstance(error, errors.Busy) else None
        raise _unread(
            operation, step, error.code, error.text, hopeless=hopeless, retry_at=retry_at
        ) from error
    except VaultClosed as error:
        raise _unread(operation, step, "settings", str(error), hopeless=True) from error
    if state is None:
        raise _unread(operation, step, "not_offered", "this machine does not offer that", hopeless=True)
    if state is PowerState.UNKNOWN:
        raise _unread(operation, step, "unread", "the machine does not say whether its power is on")
    return state


def _unread(
    operation: Operation,
    step: Step,
    code: str,
    text: str,
    *,
    hopeless: bool = False,
    retry_at: datetime | None = None,
) -> Exception:
    """What to do without an answer: look again later, or, when that is ``hopeless`` or too late, tell a person."""
    step.note = text[:500]
    step.save(update_fields=["note"])
    if not hopeless and timezone.now() <= operation.settle_before:
        return Wait(pause(operation, retry_at))
    if step.times_sent:
        return Unsure(code, f"Sent, and it cannot be read back: {text}")
    return NotSent(code, text)


def _await_on(operation: Operation, step: Step) -> None:
    if step.sent_at is None:
        move(step, StepState.SENT)
        step.sent_at = timezone.now()
        step.save(update_fields=["state", "sent_at"])
    late = timezone.now() > operation.settle_before
    try:
        state = door.read_power(operation.server_id)
    except errors.UpstreamError as error:
        step.note = error.text[:500]
        step.save(update_fields=["note"])
        if late or isinstance(error, errors.CredentialsRejected):
            raise Unsure("not_back", f"{NOT_SEEN} {error.text}") from error
        raise Wait(min(back_off(operation), LONGEST_LOOK_SECONDS)) from error
    if state in {PowerState.OFF, PowerState.RESTARTING} and not step.found:
        step.found = True
        step.save(update_fields=["found"])
    late_enough = timezone.now() > step.sent_at + EARLIEST_ON
    if state is PowerState.ON and (step.found or late_enough):
        store_power(operation.server_id, state, timezone.now())
        _done(step, note="Seen away, then on again" if step.found else "Power reads on; it was not seen away")
        return
    if state is PowerState.UNKNOWN and _never_says(operation, step) and late_enough:
        operation.not_confirmable = True
        _done(step, note="Sent, and not confirmable: the provider does not say whether the machine is on")
        return
    if late:
        raise Unsure("not_back", NOT_SEEN)
    raise Wait(LOOK_AGAIN_SECONDS)


def _never_says(operation: Operation, step: Step) -> bool:
    """Neither before this nor since has the machine's power been read: its upstream reboots and says no more."""
    return not step.found and operation.server.power_state in {"", PowerState.UNKNOWN}


def _read_addresses(operation: Operation, step: Step) -> None:
    server = operation.server
    try:
        with door.reading(server.upstream_id, only=server.external_id) as upstream:
            part = upstream.server(server.external_id).addresses
            if part is None:
                raise NotSent("not_offered", "this machine does not offer that")
            found = part.list()
    except errors.UpstreamError as error:
        if isinstance(error, errors.Unreachable | errors.Busy) and timezone.now() < operation.settle_before:
            step.note = error.text[:500]
            step.save(update_fields=["note"])
            raise Wait(back_off(operation)) from error
        raise NotSent(error.code, error.text) from error
    store_addresses(server.pk, found)
    _done(step, note=f"{len(found)} addresses")


def _done(step: Step, *, note: str = "", found: bool | None = None) -> None:
    was = step.state
    move(step, StepState.DONE)
    step.settled_at, step.note = timezone.now(), note[:500]
    if found is not None:
        step.found = found
    # Not over what another worker wrote, nor after a person took the operation back.
    as_read = Step.objects.filter(pk=step.pk, state=was, operation__state=OperationState.RUNNING)
    if not as_read.update(state=step.state, settled_at=step.settled_at, note=step.note, found=step.found):
        raise Wait(LOOK_AGAIN_SECONDS)
