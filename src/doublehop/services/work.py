"""What the worker does with operations. The rows decide; being called decides nothing.

One call moves the running operation of one server as far as it goes without waiting, then rings again. Around every
sending: guards, identity (in the door), COMMIT "sent", the call, COMMIT the answer. A process that dies between the two
commits leaves a step that is sent without an answer: an edge step is then UNKNOWN and never sent again, a level step is
read back.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Case, IntegerField, Value, When
from django.utils import timezone

from doublehop.driver_kit import errors
from doublehop.driver_kit.contract import PowerState, Ticket, TicketState
from doublehop.fleet import door
from doublehop.fleet.actions import (
    lift_hold_row,
    record_effects,
    store_access,
    store_addresses,
    store_port,
    store_power,
    store_rdns,
    store_rescue,
)
from doublehop.fleet.door import Command, NotSent, Unsure
from doublehop.fleet.models import Server
from doublehop.fleet.permissions import may
from doublehop.fleet.queries import open_holds
from doublehop.jobs.engine import JobFunction, Periodic
from doublehop.organisations.actor import SYSTEM, Actor, ActorKind, house_of
from doublehop.organisations.queries import actor_of_user_id
from doublehop.organisations.vault import VaultClosed
from doublehop.services.actions.operations import (
    LEVEL_WITHIN,
    add_steps,
    ring_worker,
    settle_row,
    write_line,
)
from doublehop.services.actions.services import follow_holds
from doublehop.services.guards import HOLD_KINDS, NEEDS, POWER_KINDS
from doublehop.services.lifecycle import Nature, OperationKind, OperationState, StepKind, StepState
from doublehop.services.models import Operation, Step

log = structlog.get_logger(__name__)

LOOK_AGAIN_SECONDS = 1.0
SEND_AGAIN_AFTER = timedelta(seconds=20)
"""A level step that reads back unequal is sent again after so long: controllers take their time."""
ASKED_BEFORE_CUT = 3
BACK_OFF_SECONDS = (2, 5, 10, 20, 40, 60)
LONGEST_LOOK_SECONDS = 10.0
NOT_SEEN = "The reset was accepted, but the machine has not been seen on since."
EARLIEST_ON = timedelta(seconds=45)
"""A machine that was seen away and is on again has restarted. One that only ever read on may not have gone yet:
controllers take their time (seen on the emulator: up to 11 s), so "on" alone counts for something only after this."""


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
        _go_on(operation)
    except _Wait as wait:
        ring_worker(server, delay_seconds=wait.seconds)
        return
    except NotSent as refusal:
        _fail(operation, refusal)
    except Unsure as unsure:
        _park(operation, unsure.code, unsure.text)
    except Exception as error:
        # Our own fault. The doorbell tries again until the deadline; then a person is told, and the server is free.
        if timezone.now() <= operation.settle_before:
            raise
        log.exception("an operation cannot go on", operation=operation.reference)
        _give_up(operation, f"Our own code failed: {type(error).__name__}.")
    ring_worker(server)


def _go_on(operation: Operation) -> None:
    for step in operation.steps.all():
        if step.state in {StepState.PENDING, StepState.SENT}:
            _advance(operation, step)
    _finish(operation)


def sweep(payload: Mapping[str, Any]) -> None:
    """Finds what a crash left behind: open operations that nobody rings for. What waits its time is let wait."""
    open_servers = Operation.objects.filter(state__in=("queued", "running")).values("server_id")
    for server in Server.objects.filter(pk__in=open_servers):
        ring_worker(server, hurry=False)


def _give_up(operation: Operation, text: str) -> None:
    if operation.steps.filter(sent_at__isnull=False).exists():
        _park(operation, "our_fault", text)
    else:
        _fail(operation, NotSent("our_fault", text))


# ---------------------------------------------------------------- claiming


def _running(server: Server) -> Operation | None:
    rows = Operation.objects.select_related("server__upstream", "service")
    return rows.filter(server=server, state=OperationState.RUNNING).first()


@transaction.atomic
def _claim(server: Server) -> Operation | None:
    """The next waiting operation: suspend and unsuspend first, then in the order in which they were asked."""
    overtakes = When(kind__in=HOLD_KINDS, then=Value(0))
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
    if operation.kind in HOLD_KINDS:
        # It may have waited long, behind its opposite or for a worker: its own time begins now.
        operation.send_before = operation.settle_before = operation.claimed_at + LEVEL_WITHIN
    try:
        with transaction.atomic():
            operation.save(update_fields=["state", "claimed_at", "send_before", "settle_before"])
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
        "permission": StepKind.PERMISSION_ON,
    }
    kinds = [undo[str(effect["way"])] for effect in reversed(own.effects) if effect["was"]]
    add_steps(operation, list(dict.fromkeys(kinds)))


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


def _edge_command(operation: Operation, step: Step) -> Command:
    if step.kind == StepKind.RESET:
        return Command.RESET_GRACEFUL if operation.graceful else Command.RESET_HARD
    return {StepKind.RESCUE_START: Command.RESCUE_START, StepKind.RESCUE_STOP: Command.RESCUE_STOP}[
        StepKind(step.kind)
    ]


def _edge(operation: Operation, step: Step) -> None:
    command = _edge_command(operation, step)
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
    try:
        status = door.follow_up(operation.server_id, command, Ticket(step.ticket))
    except errors.UpstreamError as error:
        hopeless = isinstance(error, errors.CredentialsRejected)
        raise _unread(operation, step, error.code, error.text, hopeless=hopeless) from error
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
    StepKind.PERMISSION_OFF: (Command.PERMISSION_OFF, door.read_access, False),
    StepKind.PERMISSION_ON: (Command.PERMISSION_ON, door.read_access, True),
}
"""What is sent, how it is read back, and what it must read."""


def _level(operation: Operation, step: Step) -> None:
    command, read, wanted = _level_of(operation, step)
    if not step.times_sent and _is_held_by_others(operation):
        _done(step, note="Left as it is: somebody else holds the server too")
        return
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
    if now > _repeated_until(operation, step):
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


def _level_of(operation: Operation, step: Step) -> tuple[Command, Callable[[int], Any], object]:
    if step.kind != StepKind.SET_RDNS:
        return _LEVEL[StepKind(step.kind)]
    address = str(operation.parameters["address"])

    def read_name(server_id: int) -> str | None:
        names = door.read_rdns(server_id)
        return None if names is None else names.get(address, "")

    return Command.SET_RDNS, read_name, operation.parameters["name"]


def _repeated_until(operation: Operation, step: Step) -> datetime:
    """A power button is not pressed again long after somebody asked for it; a suspension is insisted on."""
    is_power = operation.kind in POWER_KINDS and step.times_sent
    return operation.send_before if is_power else operation.settle_before


def _is_held_by_others(operation: Operation) -> bool:
    """Placed while an unsuspend ran: what it has not undone yet is for the other one to undo."""
    if operation.kind != OperationKind.UNSUSPEND:
        return False
    holds = open_holds([operation.server_id])
    return any(hold.pk != operation.hold_id for hold in holds)


def _is_cut(operation: Operation, step: Step) -> bool:
    """A suspension must not depend on whether the system inside listens: asked in vain some times, the power is cut."""
    asked_in_vain = operation.kind == OperationKind.SUSPEND and step.times_sent >= ASKED_BEFORE_CUT
    return asked_in_vain or not operation.graceful


def _read_back(operation: Operation, step: Step, read: Callable[[int], Any]) -> Any:
    try:
        state = read(operation.server_id)
    except errors.UpstreamError as error:
        hopeless = isinstance(error, errors.CredentialsRejected | errors.NotFound)
        raise _unread(operation, step, error.code, error.text, hopeless=hopeless) from error
    except VaultClosed as error:
        raise _unread(operation, step, "settings", str(error), hopeless=True) from error
    if state is None:
        raise NotSent("not_offered", "this machine does not offer that")
    if state is PowerState.UNKNOWN:
        raise _unread(operation, step, "unread", "the machine does not say whether its power is on")
    return state


def _unread(operation: Operation, step: Step, code: str, text: str, *, hopeless: bool = False) -> Exception:
    """What to do without an answer: look again later, or, when that is ``hopeless`` or too late, tell a person."""
    step.note = text[:500]
    step.save(update_fields=["note"])
    if not hopeless and timezone.now() <= operation.settle_before:
        return _Wait(_back_off(operation))
    if step.times_sent:
        return Unsure(code, f"Sent, and it cannot be read back: {text}")
    return NotSent(code, text)


def _send(operation: Operation, step: Step, command: Command) -> Ticket:
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
            raise _Wait(max(_back_off(operation), (again_at - now).total_seconds())) from refusal
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
        raise _Wait(LOOK_AGAIN_SECONDS)
    step.state, step.sent_at, step.identity_checked_at = StepState.SENT, now, now
    step.times_sent = times


def _guard_again(operation: Operation, step: Step) -> None:
    """The last look before the first byte: the world may have changed since the operation was asked."""
    if _is_held_by_others(operation) and not step.times_sent:
        raise _Wait(0)
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
        step.note = error.text[:500]
        step.save(update_fields=["note"])
        if late or isinstance(error, errors.CredentialsRejected):
            raise Unsure("not_back", f"{NOT_SEEN} {error.text}") from error
        raise _Wait(min(_back_off(operation), LONGEST_LOOK_SECONDS)) from error
    if state in {PowerState.OFF, PowerState.RESTARTING} and not step.found:
        step.found = True
        step.save(update_fields=["found"])
    late_enough = timezone.now() > step.sent_at + EARLIEST_ON
    if state is PowerState.ON and (step.found or late_enough):
        store_power(operation.server_id, state)
        _done(step, note="Seen away, then on again" if step.found else "Power reads on; it was not seen away")
        return
    if state is PowerState.UNKNOWN and _never_says(operation, step) and late_enough:
        operation.not_confirmable = True
        _done(step, note="Sent, and not confirmable: the provider does not say whether the machine is on")
        return
    if late:
        raise Unsure("not_back", NOT_SEEN)
    raise _Wait(LOOK_AGAIN_SECONDS)


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
    }
    return [
        {"way": ways[StepKind(step.kind)], "was": bool(step.found)}
        for step in steps
        if step.state == StepState.DONE or step.times_sent
    ]


def _store_seen(operation: Operation, steps: list[Step]) -> None:
    """What a read-back saw is the newest reading there is: pages show it at once."""
    powers = {StepKind.POWER_ON: PowerState.ON, StepKind.POWER_OFF: PowerState.OFF}
    ports = {StepKind.PORT_ON: True, StepKind.PORT_OFF: False}
    rescues = {StepKind.RESCUE_START: True, StepKind.RESCUE_STOP: False}
    permissions = {StepKind.PERMISSION_ON: True, StepKind.PERMISSION_OFF: False}
    for step in steps:
        kind = StepKind(step.kind)
        if kind in rescues:
            store_rescue(operation.server_id, rescues[kind])
        if step.found is None:
            continue
        if kind in powers:
            store_power(operation.server_id, powers[kind])
        elif kind in ports:
            store_port(operation.server_id, ports[kind])
        elif kind in permissions:
            store_access(operation.server_id, permissions[kind])
        elif kind is StepKind.SET_RDNS:
            store_rdns(operation.server_id, {operation.parameters["address"]: operation.parameters["name"]})


@transaction.atomic
def _fail(operation: Operation, refusal: NotSent) -> None:
    operation.steps.filter(state__in=(StepState.PENDING, StepState.SENT)).update(
        state=StepState.FAILED, settled_at=timezone.now(), note=refusal.text[:500]
    )
    _keep_effects(operation)
    settle_row(operation, OperationState.FAILED, code=refusal.code, text=refusal.text)
    write_line(
        SYSTEM, f"operation.{operation.kind}.failed", operation, result="failed", sentence=refusal.text
    )


@transaction.atomic
def _park(operation: Operation, code: str, text: str) -> None:
    operation.steps.filter(state=StepState.SENT).update(state=StepState.UNKNOWN, note=text[:500])
    _keep_effects(operation)
    settle_row(operation, OperationState.UNKNOWN, code=code, text=text)
    write_line(SYSTEM, f"operation.{operation.kind}.unknown", operation, result="unknown", sentence=text)


JOBS: dict[str, JobFunction] = {"services.work": work, "services.sweep": sweep}
PERIODIC = (Periodic("services.sweep", 15),)
