"""What a machine's state looks like to staff, for one page or for a whole list at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from doublehop.fleet.permissions import Right
from doublehop.fleet.queries import open_holds
from doublehop.organisations.actor import Actor
from doublehop.panels.looks import NOT_READ, Look, is_stale, look
from doublehop.services.lifecycle import OPEN_STATES, OperationKind, OperationState
from doublehop.services.queries import operations_visible_to
from doublehop.services.wording import NAME

UNDER_WAY: dict[str, str] = {
    OperationKind.REBOOT: "Restarting",
    OperationKind.POWER_ON: "Switching on",
    OperationKind.POWER_OFF: "Switching off",
    OperationKind.SUSPEND: "Being suspended",
    OperationKind.UNSUSPEND: "Coming back",
    OperationKind.RESCUE_START: "Starting rescue",
    OperationKind.RESCUE_STOP: "Leaving rescue",
}

RIGHTS: dict[str, str] = {
    Right.VIEW: "See the server",
    Right.POWER: "Reboot, power on and off",
    Right.SUSPEND: "Suspend it",
    Right.REINSTALL: "Reinstall",
    Right.RESCUE: "Rescue system",
    Right.RDNS: "Reverse DNS",
    Right.CONSOLE: "Console",
    Right.CREDENTIALS: "See the username",
    Right.BANDWIDTH: "See the bandwidth",
}


def rights_in_words(rights: Iterable[str]) -> str:
    """ "See the server, reboot, power on and off": in one order, whatever order they are stored in."""
    held = set(rights)
    told = [words for right, words in RIGHTS.items() if right in held]
    return ", ".join(told[:1] + [words[:1].lower() + words[1:] for words in told[1:]])


@dataclass(frozen=True)
class State:
    """One pill with its time. ``under`` is the power state when the pill says something else."""

    shown: Look
    moment: datetime | None = None
    before: str = ""
    stale: bool = False
    under: str = ""
    under_moment: datetime | None = None
    reference: str = ""


def power_of(server: Any) -> State:
    if server.power_read_at is None or not server.power_state:
        return State(NOT_READ)
    stale = is_stale(server.power_read_at)
    before = "last read" if stale else "read"
    return State(look("power", server.power_state), server.power_read_at, before, stale)


def state_of(server: Any, operation: Any = None, hold: Any = None) -> State:
    """What is under way outranks a suspension, which outranks an unknown outcome, which outranks the power state."""
    power = power_of(server)
    under = power.shown.word.lower() if power.moment else ""
    told: dict[str, Any] = {"under": under, "under_moment": power.moment}
    if operation is not None and operation.state in OPEN_STATES and operation.kind in UNDER_WAY:
        if operation.state == OperationState.QUEUED:
            shown = Look("working", icon="clock", word=f"{NAME[operation.kind]} asked")
        else:
            shown = Look("working", icon="refresh", word=UNDER_WAY[operation.kind], spin=True)
        return State(shown, operation.asked_at, "asked", reference=operation.reference, **told)
    if hold is not None:
        return State(look("service", "suspended"), hold.since, "since", **told)
    if operation is not None and operation.state == OperationState.UNKNOWN:
        shown = Look("unknown", icon="question-mark", word=f"{NAME[operation.kind]} unknown")
        return State(shown, operation.asked_at, "asked", reference=operation.reference, **told)
    return power


def states_of(actor: Actor, servers: Iterable[Any]) -> dict[int, State]:
    """By server id, in two queries however many there are."""
    rows = {row.pk: row for row in servers}
    if not rows:
        return {}
    holds = {hold.server_id: hold for hold in reversed(list(open_holds(rows)))}
    pressing = operations_visible_to(actor).filter(
        server_id__in=list(rows), state__in=(*OPEN_STATES, OperationState.UNKNOWN)
    )
    operations: dict[int, Any] = {}
    for operation in pressing.order_by("id"):
        known = operations.get(operation.server_id)
        if known is None or known.state == OperationState.UNKNOWN:
            operations[operation.server_id] = operation
    return {pk: state_of(row, operations.get(pk), holds.get(pk)) for pk, row in rows.items()}


def state_now(actor: Actor, server: Any) -> State:
    return states_of(actor, [server])[server.pk]
