"""What a page says about a server, in one value, for clients and for users without a service.

Causes from beyond the brand never come this far.
"""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from doublehop.fleet.permissions import Right
from doublehop.panels.client.progress import Due, Progress
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
    OperationKind.RESCUE_START: "Going into rescue",
    OperationKind.RESCUE_STOP: "Leaving rescue",
}
NAME: dict[str, str] = {
    OperationKind.REBOOT: "Reboot",
    OperationKind.POWER_ON: "Power on",
    OperationKind.POWER_OFF: "Power off",
    OperationKind.UNSUSPEND: "Unsuspend",
    OperationKind.SUSPEND: "Suspend",
    OperationKind.RESCUE_START: "Rescue system",
    OperationKind.RESCUE_STOP: "Leaving rescue",
}
POWER_KINDS = frozenset(
    {
        OperationKind.REBOOT,
        OperationKind.POWER_ON,
        OperationKind.POWER_OFF,
        OperationKind.RESCUE_START,
        OperationKind.RESCUE_STOP,
    }
)
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
    """Suspended outranks what is under way, which outranks the power state. ``service`` is None where there is none."""
    if service is not None and service.status not in ALIVE:
        return State(
            look("service", service.status), moment=service.ended_at or service.created_at, before="since"
        )
    power = power_of(server)
    under = {"under": power.shown.word.lower(), "under_moment": power.moment} if power.moment else {}
    if held is not None or (service is not None and service.status == ServiceStatus.SUSPENDED):
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


@dataclass(frozen=True)
class Places:
    """The addresses of one server's pages, forms and fragments."""

    page: str
    live: str
    do: str
    take_back: str
    read_again: str
    rdns: str
    bandwidth: str
    bandwidth_json: str
    bandwidth_csv: str
    home: str


@dataclass(frozen=True, kw_only=True)
class Glance:
    """What a poll needs: cheap to get, and enough to tell whether anything but an age changed.

    ``service`` is None for who has no services, ``server`` is None while a service waits for one, or has ended.
    """

    at: Places
    service: Any
    server: Any
    name: str
    state: State
    operation: Any = None
    suspension: SuspensionNotice | None = None
    rights: frozenset[Right] = frozenset()

    @property
    def hostname(self) -> str:
        if self.service is not None:
            return str(self.service.shown_hostname)
        return str(self.server.hostname) if self.server else ""

    @property
    def short_name(self) -> str:
        """``web1`` of web1.example.org, for a button; an address stays whole."""
        first = self.name.partition(".")[0]
        return self.name if first.isdigit() or ":" in self.name else first

    @property
    def shows_username(self) -> bool:
        """A client bought the server; for everybody else it is a right like others."""
        return self.service is not None or Right.CREDENTIALS in self.rights

    @property
    def in_rescue(self) -> bool:
        return self.server is not None and bool(self.server.rescue_active) and Right.RESCUE in self.rights

    @property
    def shape(self) -> str:
        """Changes when anything but an age does: then all fragments are sent, else only state and ages."""
        service, server, operation = self.service, self.server, self.operation
        facts = (
            self.state.shown.word,
            self.state.stale,
            self.name,
            (service.status, service.username, service.next_due_on, service.welcomed_at) if service else None,
            (server.pk, server.power_state, server.username, server.capabilities, server.protected)
            if server
            else None,
            (server.rescue_active, server.addresses_read_at) if server else None,
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


@dataclass(frozen=True)
class AddressLine:
    """``pending`` is the name that is being set, None when none is; ``error`` is about what was typed into the line."""

    number: int
    address: str
    primary: bool
    rdns: str
    pending: str | None = None
    may_name: bool = False
    typed: str = ""
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class ServerPage(Glance):
    """Everything on a server's page that may change while it is open."""

    buttons: list[Button]
    lines: list[HistoryLine]
    addresses: list[AddressLine]
    now_running: HistoryLine | None = None
    just_ended: HistoryLine | None = None
    """Stays for a while in the place of what ran, so that nobody misses how it ended."""
    undecided: HistoryLine | None = None
    may_take_back: bool = False
    progress: Progress | None = None
    due: Due | None = None

    @property
    def may_leave_rescue(self) -> bool:
        return any(button.kind == OperationKind.RESCUE_STOP and not button.why_not for button in self.buttons)


@dataclass(frozen=True)
class Card:
    """One line of *My servers*."""

    at: Places
    name: str
    state: State
    service: Any = None
    server: Any = None
    suspension: SuspensionNotice | None = None
    due: Due | None = None


def _digest(facts: object) -> str:
    return sha256(repr(facts).encode()).hexdigest()[:16]


def name_of(service: Any, server: Any) -> str:
    """What people call the machine: its hostname, else the one that was ordered, its address, the service's number. Never our label of it."""
    for text in (
        service.hostname if service is not None else "",
        server.hostname if server else "",
        service.ordered_hostname if service is not None else "",
        server.primary_address if server else "",
    ):
        if text:
            return str(text)
    return str(service) if service is not None else f"Server {server.pk}"
