"""What a driver offers. A part that is ``None`` cannot be used, so what is declared and what is there cannot drift apart.

A driver module ``doublehop.drivers.<name>.driver`` exports one ``DRIVER: Driver``. Nothing in here waits: a change
returns a :class:`Ticket`, and ``follow_up`` says how it stands. Every method may raise the errors of
:mod:`doublehop.driver_kit.errors` and nothing else. Times are aware and in UTC; octets are integers.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from doublehop.driver_kit.secret import Secret

# ---------------------------------------------------------------- settings, declared as data


class FieldKind(StrEnum):
    TEXT = "text"
    URL = "url"
    HOST = "host"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    SECRET = "secret"  # noqa: S105 (a kind of field)
    LINES = "lines"
    FINGERPRINT = "fingerprint"
    CHOICE = "choice"
    """One of ``SettingField.choices``."""


@dataclass(frozen=True)
class SettingField:
    """One field of a form that a panel draws. ``name`` is stable; ``label`` and ``hint`` are for staff."""

    name: str
    label: str
    kind: FieldKind = FieldKind.TEXT
    required: bool = True
    hint: str = ""
    default: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    """Of a CHOICE: (value, words) each."""

    @property
    def is_secret(self) -> bool:
        return self.kind is FieldKind.SECRET


SettingValue = str | int | bool | Secret | Sequence[str]
Values = Mapping[str, SettingValue]
"""Parsed settings, with ``learned_<name>``, ``instruction`` and ``reach`` (docs/how-to/add-a-driver.md): a secret field holds a :class:`Secret`, LINES a sequence of str, others str, int or bool."""


# ---------------------------------------------------------------- identity


class Proof(StrEnum):
    STRONG = "strong"
    """Burnt into the machine or unique for ever at the upstream: serial, system UUID, MAC of the mainboard."""
    WEAK = "weak"
    """Stays with the machine usually: external id, primary address."""


@dataclass(frozen=True, order=True)
class Identifier:
    """One thing that a driver can prove about a machine, e.g. ``("serial", "CZ1234", STRONG)``. Never a hostname."""

    kind: str
    value: str
    proof: Proof = Proof.STRONG


@dataclass(frozen=True)
class ListedServer:
    """A line of an inventory. ``external_id`` names the server at this upstream and nowhere else."""

    external_id: str
    label: str
    hostname: str = ""
    primary_address: str = ""
    identifiers: tuple[Identifier, ...] = ()
    withheld: bool = False
    """It is there, but the login that works for us may not use it at present: withheld, not gone."""


# ---------------------------------------------------------------- receipts


class TicketState(StrEnum):
    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """The upstream itself does not know whether it happened. It may say so later."""


@dataclass(frozen=True)
class Ticket:
    """The upstream's receipt: plain text that survives a restart. An empty text means that there is nothing to follow."""

    text: str = ""


@dataclass(frozen=True)
class TicketStatus:
    state: TicketState
    detail: str = ""


class PowerState(StrEnum):
    ON = "on"
    OFF = "off"
    RESTARTING = "restarting"
    UNKNOWN = "unknown"


class Health(StrEnum):
    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"


# ---------------------------------------------------------------- parts of a server


class Power(Protocol):
    """``graceful`` asks the system, otherwise the power is cut. ``reset`` is edge: never send it twice.

    ``state`` is UNKNOWN, for ever, at an upstream that reboots machines and does not say whether they are on.
    """

    def state(self) -> PowerState: ...
    def reset(self, *, graceful: bool) -> Ticket: ...
    def follow_up(self, ticket: Ticket) -> TicketStatus: ...


class PowerSwitch(Protocol):
    """On and off, level; read back through ``Power.state``. Some upstreams reboot and offer nothing more."""

    def on(self) -> Ticket: ...
    def off(self, *, graceful: bool) -> Ticket: ...
    def follow_up(self, ticket: Ticket) -> TicketStatus: ...


class HealthReading(Protocol):
    def read(self) -> Health: ...


class PortControl(Protocol):
    """The switch port of a server. ``set_enabled`` is level: repeating it is harmless, ``is_enabled`` reads it back."""

    def is_enabled(self) -> bool: ...
    def set_enabled(self, enabled: bool) -> Ticket: ...
    def follow_up(self, ticket: Ticket) -> TicketStatus: ...


@dataclass(frozen=True)
class ServerAddress:
    """``address`` is an IP address or a network in prefix form; ``rdns`` is empty when not set or not known."""

    address: str
    primary: bool = False
    rdns: str = ""


class Addresses(Protocol):
    def list(self) -> Sequence[ServerAddress]: ...


@dataclass(frozen=True)
class Login:
    """How a person signs in on the machine itself. ``password`` is empty when the upstream does not hand it out."""

    username: str
    password: Secret = field(default_factory=lambda: Secret(""))


class Credentials(Protocol):
    def read(self) -> Login: ...


class Suspension(Protocol):
    """The upstream's own suspension, level."""

    def is_suspended(self) -> bool: ...
    def is_asked(self) -> bool:
        """Suspended, or asked for and not carried out, by now or at all: whatever ``unsuspend`` would take back."""

    def suspend(self, reason: str) -> Ticket: ...
    def unsuspend(self) -> Ticket: ...
    def follow_up(self, ticket: Ticket) -> TicketStatus: ...


class Access(Protocol):
    """The permission of the login that works for us, taken away and given back by the account above it; level.

    The machine itself stays online: whoever suspends this way says so.
    """

    def is_permitted(self) -> bool: ...
    def set_permitted(self, permitted: bool) -> Ticket: ...
    def follow_up(self, ticket: Ticket) -> TicketStatus: ...


class ReverseDns(Protocol):
    """Names of addresses, level. A name has no final dot here; an empty one removes the entry."""

    def read(self) -> Mapping[str, str]: ...
    def set(self, address: str, name: str) -> Ticket: ...
    def follow_up(self, ticket: Ticket) -> TicketStatus: ...


class NullRoute(Protocol):
    """Traffic to single addresses is dropped before it reaches the machine, level. The machine itself stays as it is."""

    def read(self) -> Collection[str]:
        """The addresses of this server whose traffic is dropped now, whoever asked for it."""
        ...

    def set(self, address: str, dropped: bool) -> Ticket: ...
    def follow_up(self, ticket: Ticket) -> TicketStatus: ...


class Rescue(Protocol):
    """The rescue system. Both calls restart the machine: edge, never sent twice."""

    def is_active(self) -> bool: ...
    def start(self) -> Ticket: ...
    def stop(self) -> Ticket: ...
    def follow_up(self, ticket: Ticket) -> TicketStatus: ...


@dataclass(frozen=True)
class TrafficTotal:
    """What the upstream counted from ``start`` to ``end``, from the server's side: ``octets_in`` came to the server."""

    start: datetime
    end: datetime
    octets_in: int
    octets_out: int
    sample_history: bool = False
    """The other side says that it made this figure up, for a demo: never billed, and marked wherever it is shown."""
    counted_seconds: int | None = None
    """Of how much of its time the other side says that it was counted. None: it says nothing, and all of it is taken to be."""


class Traffic(Protocol):
    """Totals that the upstream keeps, by day or by hour. Never mixed with counters of our own.

    ``source`` names the figures ("Dropzone"), ``unit`` the unit in which they came ("octets", "GB", ...): both are kept.
    """

    source: str
    unit: str

    def read(self, start: datetime, end: datetime) -> Sequence[TrafficTotal]:
        """Oldest first; what the upstream does not have is left out. May take minutes."""
        ...


class Server(Protocol):
    """One machine, through one upstream. Opening it costs no call; each part's methods do."""

    external_id: str
    power: Power | None
    power_switch: PowerSwitch | None
    health: HealthReading | None
    port: PortControl | None
    addresses: Addresses | None
    credentials: Credentials | None
    suspension: Suspension | None
    access: Access | None
    rdns: ReverseDns | None
    null_route: NullRoute | None
    rescue: Rescue | None
    traffic: Traffic | None

    def identify(self) -> Sequence[Identifier]:
        """Asks the machine now who it is. Raises NotFound when the upstream does not know it."""
        ...


SERVER_PARTS = (
    "power",
    "power_switch",
    "health",
    "port",
    "addresses",
    "credentials",
    "suspension",
    "access",
    "rdns",
    "null_route",
    "rescue",
    "traffic",
)


def capabilities_of(server: Server) -> tuple[str, ...]:
    """The names of the parts that are there: computed, never declared."""
    return tuple(name for name in SERVER_PARTS if getattr(server, name) is not None)


# ---------------------------------------------------------------- parts of an upstream


class Inventory(Protocol):
    def list(self) -> Sequence[ListedServer]: ...


@dataclass(frozen=True)
class PortCounter:
    """Octets since the counter began, as seen from the switch: ``in_octets`` came *from* the machine.

    ``bits`` is 64 or 32; ``speed_bps`` is 0 when the device does not say.
    """

    if_name: str
    in_octets: int
    out_octets: int
    bits: int = 64
    speed_bps: int = 0
    discontinuity: int = 0
    """ifCounterDiscontinuityTime in 1/100 s of device uptime; a change says that the counters jumped."""
    fingerprint: str = ""
    """What only this port has, e.g. its hardware address. Another one under the same name is another port; empty = not known."""
    after_centiseconds: int = 0
    """How much later than its reading's uptime its counters were read, by the device's own clock: a slow switch takes its time."""


@dataclass(frozen=True)
class CounterReading:
    """All ports of one switch, read together. ``uptime_centiseconds`` is the device's own clock at ``taken_at`` (it wraps at 2^32).

    ``device`` is the device itself, not its place: one that was replaced answers with another. ``boots`` and
    ``engine_seconds`` are how often it has started and for how long it has run since, without a wrap; both 0 = not known.
    """

    device: str
    taken_at: datetime
    uptime_centiseconds: int
    ports: tuple[PortCounter, ...]
    boots: int = 0
    engine_seconds: int = 0


class Counters(Protocol):
    def read(self) -> CounterReading: ...
    def port_of(self, external_id: str) -> str | None:
        """The ifName that the server is wired to, or None. No call is made."""
        ...


@dataclass(frozen=True)
class Price:
    """What somebody agrees to as a whole: an amount for each month, and one once."""

    monthly: Decimal
    setup_fee: Decimal
    currency: str

    def __str__(self) -> str:
        once = f" and {self.setup_fee} {self.currency} once" if self.setup_fee else ""
        return f"{self.monthly} {self.currency} a month{once}"


@dataclass(frozen=True)
class SupplyOffer:
    """Something that can be ordered there. ``stock`` None: a person fills orders by hand."""

    offer_id: str
    name: str
    hardware: str
    price: Price
    stock: int | None = None


class SupplyState(StrEnum):
    WAITING = "waiting"
    FILLED = "filled"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class SupplyStatus:
    """``external_id`` is the server's, once an order is FILLED. ``why`` is what was said with a refusal."""

    state: SupplyState
    external_id: str = ""
    why: str = ""


@dataclass(frozen=True)
class SupplyReceipt:
    """``number`` is what people over there call the order that ``order_id`` names."""

    order_id: str
    number: str
    status: SupplyStatus


class Ordering(Protocol):
    """Servers bought from whoever runs the upstream. Money is spent here, so the rules are strict.

    ``order`` may be repeated under one ``key``, by the same login, for at least a week: whatever became of the answers, one
    order comes of it. An upstream that cannot promise that has no such part. It is refused, with the problem PRICE_CHANGED,
    where the offer has another price by now. ``withdraw`` may be repeated; what came of it is read by ``look``.
    """

    def offers(self) -> Sequence[SupplyOffer]: ...
    def order(self, offer_id: str, *, price: Price, hostname: str, note: str, key: str) -> SupplyReceipt: ...
    def look(self, order_id: str) -> SupplyStatus: ...
    def withdraw(self, order_id: str) -> None: ...


PRICE_CHANGED = "price_changed"
"""``UpstreamError.problem`` of an order that was refused because the price is another one."""


@dataclass(frozen=True)
class ConnectionReport:
    """What *Test connection* found. ``lines`` are for staff: (what was tried, fine?, what was seen)."""

    lines: tuple[tuple[str, bool, str], ...]
    fingerprint: str = ""
    """SHA-256 of the certificate seen, when it could not be verified by a CA: staff may pin it."""
    learned: Mapping[str, str] = field(default_factory=dict)
    """What was found out about the other side and is worth keeping. ``open`` gets it back among the settings, each name
    with ``learned_`` before it; it is forgotten when the settings change."""

    @property
    def fine(self) -> bool:
        return all(ok for _, ok, _ in self.lines)


class Upstream(Protocol):
    """One account at one place where servers live, opened with its settings. Opening costs no call."""

    inventory: Inventory | None
    counters: Counters | None
    ordering: Ordering | None

    def server(self, external_id: str) -> Server: ...
    def test_connection(self) -> ConnectionReport:
        """Tries what the settings promise. Does not raise: what went wrong stands in the report."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Budget:
    """How much an upstream may be asked: never more than ``calls`` in any window of ``per_seconds``, ``at_once`` together.

    ``burst`` of them may follow each other without a pause, for an open page that asks several things. It is paid for in
    what can be asked for long: with 1 about 97 % of the allowance, with a quarter of ``calls`` about 73 %. ``at_once``
    holds in each process, the rest among all processes of an installation.
    """

    calls: int = 600
    per_seconds: float = 60.0
    burst: int = 60
    at_once: int = 4

    def __post_init__(self) -> None:
        if not (1 <= self.burst <= self.calls and self.per_seconds > 0 and self.at_once >= 1):
            raise ValueError(f"no budget: {self}")


class OpenUpstream(Protocol):
    def __call__(self, settings: Values, servers: Mapping[str, Values]) -> Upstream: ...


@dataclass(frozen=True)
class Driver:
    """What a driver folder exports as ``DRIVER``.

    ``server_settings`` is not empty where machines are our own: staff then record each machine (BMC, port, login),
    and ``open`` receives these records by external id. ``account_fields`` name the settings that, with the endpoint
    field, tell two upstreams apart.
    """

    name: str
    label: str
    settings: tuple[SettingField, ...]
    open: OpenUpstream
    server_settings: tuple[SettingField, ...] = ()
    endpoint_field: str = ""
    account_fields: tuple[str, ...] = ()
    budget: Budget = Budget()
    proves: tuple[tuple[str, Proof], ...] = ()
    """The identifiers that this driver can prove, with their strength."""
    for_training: bool = False
    """Not offered in forms: its machines exist in one process only."""
    module_label: str = ""
    """What the module is called in a product's Module Settings. Empty: not offered there."""
    servers_list_label: str = "Servers list"
    """What the menu is called in which staff choose one of its servers."""
