"""What the worker does with operations. The rows decide; being called decides nothing.

One call moves the running operation of one server as far as it goes without waiting, then rings again. Around every
sending: guards, identity (in the door), COMMIT "sent", the call, COMMIT the answer. A process that dies between the two
commits leaves a step that is sent without an answer: an edge step is then UNKNOWN and never sent again, a level step is
read back.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Case, IntegerField, Value, When
from django.utils import timezone

from doublehop.driver_kit import errors
from doublehop.driver_kit.contract import PowerState, Ticket, TicketState
from doublehop.fleet import door
from doublehop.fleet.actions import lift_hold_row, record_effects, store_addresses, store_power
from doublehop.fleet.door import Command, NotSent, Unsure
from doublehop.fleet.models import Server
from doublehop.fleet.queries import open_holds
from doublehop.jobs.engine import JobFunction, Periodic
from doublehop.organisations.actor import SYSTEM
from doublehop.services.actions.operations import add_steps, ring_worker, settle_row, write_line
from doublehop.services.actions.services import follow_holds
from doublehop.services.guards import POWER_KINDS
from doublehop.services.lifecycle import Nature, OperationKind, OperationState, StepKind, StepState
from doublehop.services.models import Operation, Step

log = structlog.get_logger(__name__)

LOOK_AGAIN_SECONDS = 1.0
SEND_AGAIN_AFTER = timedelta(seconds=20)
"""A level step that reads back unequal is sent again after so long: controllers take their time."""
ASKED_BEFORE_CUT = 3
BACK_OFF_SECONDS = (2, 5, 10, 20, 40, 60)
EARLIEST_ON = timedelta(seconds=5)
"""Right after a reset was accepted the power still reads on; only a later reading says anything."""


class _Wait(Exception):
    """Nothing more to do now; look again after ``seconds``."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def work(payload: Mapping[str, Any]) -> None:
    """Moves the operations of one server."""
    server = Server.objects.filter(pk=int(payload["server_id"])).first()
    if server is None:
        return
    operation = _running(server) or _claim(server)
    if operation is None:
        return
    try:
        for step in operation.steps.all():
            if step.state in {StepState.PENDING, StepState.SENT}:
                _advance(operation, step)
    except _Wait as wait:
        ring_worker(server, delay_seconds=wait.seconds)
        return
    except NotSent as refusal:
        _fail(operation, refusal)
    except Unsure as unsure:
        _park(operation, unsure.code, unsure.text)
    else:
        _finish(operation)
    ring_worker(server)


def sweep(payload: Mapping[str, Any]) -> None:
    """Finds what a crash left behind: open operations that nobody rings for."""
    open_servers = Operation.objects.filter(state__in=("queued", "running")).values("server_id")
    for server in Server.objects.filter(pk__in=open_servers):
        ring_worker(server)


# ---------------------------------------------------------------- claiming


def _running(server: Server) -> Operation | None:
    rows = Operation.objects.select_related("server__upstream", "service")
    return rows.filter(server=server, state=OperationState.RUNNING).first()


@transaction.atomic
def _claim(server: Server) -> Operation | None:
    """The next waiting operation: suspend and unsuspend first, then in the order in which they were asked."""
    overtakes = When(kind__in=(OperationKind.SUSPEND, OperationKind.UNSUSPEND), then=Value(0))
    operation = (
        Operation.objects.select_for_update(of=("self",))
        .select_related("server__upstream", "service")
        .filter(server=server, state=OperationState.QUEUED)
        .order_by(Case(overtakes, default=Value(1), output_field=IntegerField()), "id")
        .first()
    )
    if operation is None:
        return None
    operation.state, operation.claimed_at = OperationState.RUNNING, timezone.now()
    try:
        with transaction.atomic():
            operation.save(update_fields=["state", "claimed_at"])
    except IntegrityError:
        return None  # another worker was quicker: one running operation per server is an index, not a hope
    if operation.kind == OperationKind.UNSUSPEND:
        _plan_unsuspend(operation)
    return operation


def _plan_unsuspend(operation: Operation) -> None:
    """Exactly what the suspension did is undone, the last first; nothing while somebody else holds the server too."""
    holds = list(open_holds([operation.server_id]))
    own = next((hold for hold in holds if hold.organisation_id == operation.organisation_id), None)
    if own is None:
        return
    operation.hold_id = own.pk
    operation.save(update_fields=["hold_id"])
    if len(holds) > 1:
        return
    undo = {
        "port": StepKind.PORT_ON,
        "upstream": StepKind.UPSTREAM_UNSUSPEND,
        "power": StepKind.POWER_ON,
        "power_withdrawn": StepKind.RESTORE_POWER,
    }
    add_steps(operation, [undo[str(effect["way"])] for effect in reversed(own.effects) if effect["was"]])


# ---------------------------------------------------------------- steps


def _advance(operation: Operation, step: Step) -> None:
    """Ends with the step done, or raises: _Wait, NotSent (certain that it did not happen), Unsure."""
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


def _edge(operation: Operation, step: Step) -> None:
    command = Command.RESET_GRACEFUL if operation.graceful else Command.RESET_HARD
    if step.state == StepState.PENDING:
        ticket = _send(operation, step, command)
        step.ticket = ticket.text
        step.answered_at = timezone.now()
        step.note = "Accepted by the machine’s controller" if not ticket.text else "Accepted, being followed"
        step.save()
    elif step.answered_at is None:
        raise Unsure("interrupted", "We were interrupted after sending and before the answer.")
    if step.ticket:
        _follow(operation, step, command)
    _done(step, note=step.note)


def _follow(operation: Operation, step: Step, command: Command) -> None:
    status = door.follow_up(operation.server_id, command, Ticket(step.ticket))
    if status.state is TicketState.FAILED:
        raise NotSent("refused", status.detail or "the machine’s controller reports that it failed")
    if status.state is TicketState.PENDING:
        if timezone.now() > operation.settle_before:
            raise Unsure("deadline", f"Accepted, but not confirmed in time. {status.detail}".strip())
        raise _Wait(LOOK_AGAIN_SECONDS)


_LEVEL: dict[StepKind, tuple[Command, Callable[[int], Any], object]] = {
    StepKind.POWER_ON: (Command.POWER_ON, door.read_power, PowerState.ON),
    StepKind.POWER_OFF: (Command.POWER_OFF_GRACEFUL, door.read_power, PowerState.OFF),
    StepKind.PORT_OFF: (Command.PORT_OFF, door.read_port, False),
    StepKind.PORT_ON: (Command.PORT_ON, door.read_port, True),
    StepKind.UPSTREAM_SUSPEND: (Command.SUSPEND, door.read_suspension, True),
    StepKind.UPSTREAM_UNSUSPEND: (Command.UNSUSPEND, door.read_suspension, False),
}
"""What is sent, how it is read back, and what it must read."""


def _level(operation: Operation, step: Step) -> None:
    command, read, wanted = _LEVEL[StepKind(step.kind)]
    if command is Command.POWER_OFF_GRACEFUL and _is_cut(operation, step):
        command = Command.POWER_OFF_HARD
    state = _read_back(operation, step, read)
    if step.found is None:
        # What stood there before is what an unsuspend goes back to: kept before anything is sent.
        step.found = state != wanted
        step.save(update_fields=["found"])
    if state == wanted:
        _done(step, note="Read back: so" if step.times_sent else "It was so already")
        return
    now = timezone.now()
    if now > operation.settle_before:
        raise NotSent("deadline", f"Sent {step.times_sent} times, and it still reads {state}.")
    if step.sent_at is not None and now < step.sent_at + SEND_AGAIN_AFTER:
        raise _Wait(LOOK_AGAIN_SECONDS)
    try:
        _send(operation, step, command)
    except Unsure as unsure:
        # A level step may be repeated: what counts is what is read back.
        step.note = unsure.text[:500]
        step.save(update_fields=["note"])
    raise _Wait(LOOK_AGAIN_SECONDS)


def _is_cut(operation: Operation, step: Step) -> bool:
    """A suspension must not depend on whether the system inside listens: asked in vain some times, the power is cut."""
    asked_in_vain = operation.kind == OperationKind.SUSPEND and step.times_sent >= ASKED_BEFORE_CUT
    return asked_in_vain or not operation.graceful


def _read_back(operation: Operation, step: Step, read: Callable[[int], Any]) -> Any:
    try:
        state = read(operation.server_id)
    except errors.UpstreamError as error:
        step.note = error.text[:500]
        step.save(update_fields=["note"])
        if timezone.now() > operation.settle_before:
            if step.times_sent:
                raise Unsure(error.code, f"Sent, and it cannot be read back: {error.text}") from error
            raise NotSent(error.code, error.text) from error
        if isinstance(error, errors.CredentialsRejected | errors.NotFound) and not step.times_sent:
            raise NotSent(error.code, error.text) from error
        raise _Wait(_back_off(operation)) from error
    if state is None:
        raise NotSent("not_offered", "this machine does not offer that")
    return state


def _send(operation: Operation, step: Step, command: Command) -> Ticket:
    """Sends once. NotSent that may be tried again becomes a wait until the operation's ``send_before``."""

    def mark_sent() -> None:
        _guard_again(operation)
        step.state, step.sent_at = StepState.SENT, timezone.now()
        step.identity_checked_at = step.sent_at
        step.times_sent += 1
        step.save()

    before = (step.state, step.sent_at)
    try:
        return door.send(operation.server_id, command, mark_sent=mark_sent, reason=operation.reason)
    except NotSent as refusal:
        # Proven not to have acted: the step is as it was, and may be sent again.
        step.state, step.sent_at = before
        step.note = refusal.text[:500]
        step.save()
        if refusal.retry and timezone.now() < operation.send_before:
            raise _Wait(_back_off(operation)) from refusal
        raise


def _guard_again(operation: Operation) -> None:
    """The last look before the first byte: the world may have changed since the operation was asked."""
    if operation.kind in POWER_KINDS and open_holds([operation.server_id]).exists():
        raise NotSent("suspended", "The server was suspended before this was sent.")
    if operation.kind in POWER_KINDS and timezone.now() > operation.send_before:
        raise NotSent("too_late", "It could not be sent in time; a late one would be a surprise.")
    if operation.service_id is not None:
        attached = (
            Server.objects.filter(services__pk=operation.service_id).values_list("pk", flat=True).first()
        )
        if attached != operation.server_id:
            raise NotSent("detached", "The server was detached before this was sent.")


def _back_off(operation: Operation) -> float:
    waited = (timezone.now() - (operation.claimed_at or operation.asked_at)).total_seconds()
    return next(
        (float(seconds) for seconds in BACK_OFF_SECONDS if waited < seconds * 2), float(BACK_OFF_SECONDS[-1])
    )


def _await_on(operation: Operation, step: Step) -> None:
    if step.sent_at is None:
        step.state, step.sent_at = StepState.SENT, timezone.now()
        step.save(update_fields=["state", "sent_at"])
    late = timezone.now() > operation.settle_before
    try:
        state = door.read_power(operation.server_id)
    except errors.UpstreamError as error:
        state, step.note = None, error.text[:500]
        step.save(update_fields=["note"])
    if state is PowerState.ON and timezone.now() > step.sent_at + EARLIEST_ON:
        store_power(operation.server_id, state)
        _done(step, note="Power reads on")
        return
    if late:
        raise Unsure("not_back", "The reset was accepted, but the machine has not been seen on since.")
    raise _Wait(LOOK_AGAIN_SECONDS)


def _read_addresses(operation: Operation, step: Step) -> None:
    server = operation.server
    try:
        with door.reading(server.upstream_id, only=server.external_id) as upstream:
            part = upstream.server(server.external_id).addresses
            found = part.list() if part is not None else []
    except errors.UpstreamError as error:
        if isinstance(error, errors.Unreachable | errors.Busy) and timezone.now() < operation.settle_before:
            step.note = error.text[:500]
            step.save(update_fields=["note"])
            raise _Wait(_back_off(operation)) from error
        raise NotSent(error.code, error.text) from error
    store_addresses(server.pk, found)
    _done(step, note=f"{len(found)} addresses")


def _done(step: Step, *, note: str = "", found: bool | None = None) -> None:
    step.state, step.settled_at = StepState.DONE, timezone.now()
    step.note = note[:500]
    if found is not None:
        step.found = found
    step.save()


# ---------------------------------------------------------------- endings


@transaction.atomic
def _finish(operation: Operation) -> None:
    steps = list(operation.steps.all())
    if operation.kind == OperationKind.SUSPEND and operation.hold_id is not None:
        record_effects(operation.hold_id, _effects(steps))
    if operation.kind == OperationKind.UNSUSPEND and operation.hold_id is not None:
        lift_hold_row(operation.hold_id)
        follow_holds(operation.server_id)
    settle_row(operation, OperationState.DONE)
    _store_seen(operation, steps)
    write_line(SYSTEM, f"operation.{operation.kind}.done", operation, result="done")


def _effects(steps: list[Step]) -> list[dict[str, object]]:
    """What was changed and must be undone: only steps that found the machine otherwise."""
    ways = {
        StepKind.PORT_OFF: "port",
        StepKind.UPSTREAM_SUSPEND: "upstream",
        StepKind.POWER_OFF: "power",
        StepKind.WITHDRAW_POWER: "power_withdrawn",
    }
    return [
        {"way": ways[StepKind(step.kind)], "was": bool(step.found)}
        for step in steps
        if step.state == StepState.DONE
    ]


def _store_seen(operation: Operation, steps: list[Step]) -> None:
    """What a read-back saw is the newest reading there is: pages show it at once."""
    seen = {StepKind.POWER_ON: PowerState.ON, StepKind.POWER_OFF: PowerState.OFF}
    for step in steps:
        if StepKind(step.kind) in seen:
            store_power(operation.server_id, seen[StepKind(step.kind)])


@transaction.atomic
def _fail(operation: Operation, refusal: NotSent) -> None:
    operation.steps.filter(state__in=(StepState.PENDING, StepState.SENT)).update(
        state=StepState.FAILED, settled_at=timezone.now(), note=refusal.text[:500]
    )
    if operation.kind == OperationKind.SUSPEND and operation.hold_id is not None:
        # What was done before the failure is still undone by an unsuspend.
        record_effects(operation.hold_id, _effects(list(operation.steps.all())))
    settle_row(operation, OperationState.FAILED, code=refusal.code, text=refusal.text)
    write_line(
        SYSTEM, f"operation.{operation.kind}.failed", operation, result="failed", sentence=refusal.text
    )


@transaction.atomic
def _park(operation: Operation, code: str, text: str) -> None:
    operation.steps.filter(state=StepState.SENT).update(state=StepState.UNKNOWN, note=text[:500])
    settle_row(operation, OperationState.UNKNOWN, code=code, text=text)
    write_line(SYSTEM, f"operation.{operation.kind}.unknown", operation, result="unknown", sentence=text)


JOBS: dict[str, JobFunction] = {"services.work": work, "services.sweep": sweep}
PERIODIC = (Periodic("services.sweep", 15),)
