"""What a client's page says about a server, in one value. Causes from beyond the brand never come this far."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from doublehop.fleet.permissions import Right
from doublehop.panels.looks import NOT_READ, Look, is_stale, look
from doublehop.services.lifecycle import OPEN_STATES, OperationKind, OperationState, ServiceStatus
from doublehop.services.queries import Button, HistoryLine
from doublehop.services.queries.services import SuspensionNotice

UNDER_WAY: dict[str, str] = {
    OperationKind.REBOOT: "Restarting",
    OperationKind.POWER_ON: "Switching on",
    OperationKind.POWER_OFF: "Switching off",
    OperationKind.UNSUSPEND: "Coming back",
    OperationKind.SUSPEND: "Being suspended",
}
NAME: dict[str, str] = {
    OperationKind.REBOOT: "Reboot",
    OperationKind.POWER_ON: "Power on",
    OperationKind.POWER_OFF: "Power off",
    OperationKind.UNSUSPEND: "Unsuspend",
    OperationKind.SUSPEND: "Suspend",
}
POWER_KINDS = frozenset({OperationKind.REBOOT, OperationKind.POWER_ON, OperationKind.POWER_OFF})
ALIVE = {ServiceStatus.ACTIVE, ServiceStatus.SUSPENDED}


@dataclass(frozen=True)
class State:
    """One pill with its time. ``under`` is the power state when the pill says something else."""

    shown: Look
    moment: datetime | None = None
    before: str = ""
    stale: bool = False
    under: str = ""
    under_moment: datetime | None = None
    sentence: str = ""


def power_of(server: Any) -> State:
    """The machine's power as last read. ``server`` is fleet's row, or None where the client may not see it."""
    if server is None or server.power_read_at is None or not server.power_state:
        return State(NOT_READ)
    stale = is_stale(server.power_read_at)
    return State(
        look("power", server.power_state),
        moment=server.power_read_at,
        before="last read" if stale else "read",
        stale=stale,
    )


def state_of(service: Any, server: Any, operation: Any = None, held: SuspensionNotice | None = None) -> State:
    """Suspended outranks what is under way, which outranks the power state."""
    if service.status not in ALIVE:
        return State(
            look("service", service.status), moment=service.ended_at or service.created_at, before="since"
        )
    power = power_of(server)
    under = {"under": power.shown.word.lower(), "under_moment": power.moment} if power.moment else {}
    if service.status == ServiceStatus.SUSPENDED or held is not None:
        since = held.since if held is not None else None
        return State(look("service", "suspended"), moment=since, before="since", **under)  # type: ignore[arg-type]
    kind = operation.kind if operation is not None else ""
    if kind in UNDER_WAY and operation.state in OPEN_STATES:
        shown = Look(tone="working", icon="refresh", word=UNDER_WAY[kind], spin=True)
        if operation.state == OperationState.QUEUED:
            shown = Look(tone="working", icon="clock", word=f"{NAME[kind]} asked")
        return State(shown, moment=operation.asked_at, before="asked", **under)  # type: ignore[arg-type]
    if kind in POWER_KINDS and operation.state == OperationState.UNKNOWN:
        shown = Look(tone="unknown", icon="question-mark", word=f"{NAME[kind]} unknown")
        return State(shown, moment=operation.asked_at, before="asked", **under)  # type: ignore[arg-type]
    return power


@dataclass(frozen=True, kw_only=True)
class Glance:
    """What a poll needs: cheap to get, and enough to tell whether anything but an age changed."""

    service: Any
    server: Any
    name: str
    state: State
    operation: Any = None
    suspension: SuspensionNotice | None = None
    rights: frozenset[Right] = frozenset()

    @property
    def hostname(self) -> str:
        return str(self.service.hostname or (self.server.hostname if self.server else ""))

    @property
    def short_name(self) -> str:
        """``web1`` of web1.example.org, for a button; an address stays whole."""
        first = self.name.partition(".")[0]
        return self.name if first.isdigit() or ":" in self.name else first

    @property
    def shape(self) -> str:
        """Changes when anything but an age does: then all fragments are sent, else only state and ages."""
        server, operation = self.server, self.operation
        facts = (
            self.state.shown.word,
            self.state.stale,
            (self.service.status, self.name, self.service.username),
            (server.power_state, server.username, server.capabilities, server.protected) if server else None,
            (operation.pk, operation.state, operation.settled_at) if operation else None,
            self.suspension,
            sorted(self.rights),
        )
        return _digest(facts)

    @property
    def reading(self) -> str:
        """Changes with each reading."""
        times = (self.server.power_read_at, self.server.username_read_at) if self.server else ()
        return _digest((self.state.moment, times))


@dataclass(frozen=True, kw_only=True)
class ServerPage(Glance):
    """Everything on a server's page that may change while it is open."""

    buttons: list[Button]
    lines: list[HistoryLine]
    now_running: HistoryLine | None = None
    just_ended: HistoryLine | None = None
    """Stays for a while in the place of what ran, so that nobody misses how it ended."""
    undecided: HistoryLine | None = None
    may_take_back: bool = False


def _digest(facts: object) -> str:
    return sha256(repr(facts).encode()).hexdigest()[:16]


def name_of(service: Any, server: Any) -> str:
    """What a client calls the machine: its hostname, else the address, else the service."""
    for text in (
        service.hostname,
        server.hostname if server else "",
        server.primary_address if server else "",
    ):
        if text:
            return str(text)
    return str(service)
