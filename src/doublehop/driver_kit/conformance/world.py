"""A small data centre without a network: the machines behind ``drivers/memory``, with a ledger that the driver cannot edit.

    from doublehop.driver_kit.conformance.world import Fault, world

    place = world("test-1")                       # the upstream's setting "endpoint"; one per name in this process
    place.add("m1", label="web1", address="192.0.2.11")
    place.fault(Fault.UNKNOWN_AFTER_ACTING, on="power.reset")    # the next one only; times=None for ever
    ...
    assert place.effects("m1") == ["power.reset:hard"]           # what truly happened, in order
    assert place.calls("m1") == ["identify", "power.reset"]      # what was asked, effects or not

Worker threads and tests of one process see the same machines. ``forget()`` empties every world.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from doublehop.driver_kit.contract import (
    SERVER_PARTS,
    Budget,
    PowerState,
    SupplyOffer,
    SupplyReceipt,
    SupplyState,
    SupplyStatus,
)
from doublehop.driver_kit.errors import (
    BadAnswer,
    Busy,
    CredentialsRejected,
    NotFound,
    OutcomeUnknown,
    Refused,
    Unreachable,
)
from doublehop.driver_kit.secret import Secret

PASSWORD = "memory-world-password"  # noqa: S105 (opens nothing but this toy)


class Fault(StrEnum):
    UNREACHABLE = "unreachable"
    """Raises Unreachable; nothing happened."""
    UNKNOWN_AFTER_ACTING = "unknown_after_acting"
    """Acts, then raises OutcomeUnknown: the answer was lost."""
    UNKNOWN_BEFORE_ACTING = "unknown_before_acting"
    """Does nothing, then raises OutcomeUnknown: the request was lost."""
    LIE = "lie"
    """Answers as if it had acted, and does nothing."""
    WRONG_IDENTITY = "wrong_identity"
    """``identify`` shows another machine."""
    BUSY = "busy"
    """Raises Busy; nothing happened. With ``seconds`` the place asks for patience, and the whole account rests."""
    CREDENTIALS = "credentials"
    REFUSED = "refused"
    NOT_FOUND = "not_found"
    BAD_ANSWER = "bad_answer"
    """Raises BadAnswer after acting."""
    SLOW = "slow"
    """Takes ``seconds`` and then goes on as if nothing was."""


@dataclass(frozen=True)
class Effect:
    """Something that truly happened to a machine. ``what`` is ``part.verb`` or ``part.verb:detail``."""

    at: datetime
    external_id: str
    what: str


@dataclass
class Machine:
    external_id: str
    label: str
    hostname: str = ""
    address: str = ""
    serial: str = ""
    mac: str = ""
    username: str = "root"
    password: str = field(default="", repr=False)
    if_name: str = ""
    parts: frozenset[str] = frozenset(SERVER_PARTS)
    rdns: dict[str, str] = field(default_factory=dict)
    """By address."""
    null_routed: frozenset[str] = frozenset()
    permitted: bool = True
    rescue: bool = False
    health: str = "ok"
    power: PowerState = PowerState.ON
    port_enabled: bool = True
    suspended_reason: str | None = None
    pending: tuple[float, PowerState] | None = None
    """(monotonic time at which it lands, state to land in)."""
    boots: int = 1
    addresses: tuple[str, ...] = ()
    """Further addresses and networks."""
    in_octets_per_second: int = 125_000
    """From the machine into the switch."""
    out_octets_per_second: int = 1_250_000


@dataclass
class _Planned:
    fault: Fault
    on: str
    external_id: str | None
    times: int | None
    seconds: float
    text: str


@dataclass
class World:
    """One place. Every method may be called from any thread."""

    endpoint: str
    password: str = field(default=PASSWORD, repr=False)
    settle_seconds: float = 0.0
    """How long a power change takes to land; its ticket is pending until then."""
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    booted_at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    """Since when the switch counts: octets are rate × seconds since then, so they move with the clock alone."""
    machines: dict[str, Machine] = field(default_factory=dict)
    offers: dict[str, SupplyOffer] = field(default_factory=dict)
    """By id. A place without any sells nothing: it has no ordering."""
    orders: dict[str, SupplyReceipt] = field(default_factory=dict)
    """By the key under which each was asked."""
    budget: Budget | None = None
    """What the driver keeps to. The place itself only writes down when calls come (``arrivals``)."""
    _ledger: list[Effect] = field(default_factory=list)
    _calls: list[tuple[str, str]] = field(default_factory=list)
    _called_at: list[float] = field(default_factory=list)
    _planned: list[_Planned] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def add(
        self,
        external_id: str,
        *,
        label: str = "",
        hostname: str = "",
        address: str = "",
        serial: str | None = None,
        mac: str | None = None,
        username: str = "root",
        password: str = "",
        if_name: str | None = None,
        parts: frozenset[str] | None = None,
    ) -> Machine:
        """Puts a machine in its place. ``parts`` (default: all) are those that this machine offers."""
        with self._lock:
            number = len(self.machines) + 1
            machine = Machine(
                external_id,
                label or external_id,
                hostname,
                address,
                f"SN-{external_id}" if serial is None else serial,
                f"02:00:00:00:{number // 256:02x}:{number % 256:02x}" if mac is None else mac,
                username,
                password,
                f"port{number}" if if_name is None else if_name,
                frozenset(SERVER_PARTS) if parts is None else parts,
            )
            self.machines[external_id] = machine
            return machine

    def fault(
        self,
        fault: Fault,
        *,
        on: str = "*",
        machine: str | None = None,
        times: int | None = 1,
        seconds: float = 0.0,
        text: str = "planned fault",
    ) -> None:
        """Plans a fault for calls named ``on``: ``power.reset``, ``power.*``, ``identify``, ``inventory.list``,
        ``counters.read``, ``ordering.order`` or ``*``. ``seconds`` is the delay of SLOW and the patience that BUSY asks for."""
        with self._lock:
            self._planned.append(_Planned(fault, on, machine, times, seconds, text))

    def clear_faults(self) -> None:
        with self._lock:
            self._planned.clear()

    def ledger(self) -> tuple[Effect, ...]:
        """All effects, oldest first."""
        with self._lock:
            return tuple(self._ledger)

    def effects(self, external_id: str) -> list[str]:
        return [effect.what for effect in self.ledger() if effect.external_id == external_id]

    def calls(self, external_id: str) -> list[str]:
        """Names of the calls that reached this place, reads included, faulty ones too."""
        with self._lock:
            return [name for known, name in self._calls if known == external_id]

    def arrivals(self) -> list[float]:
        """When calls came, oldest first, in seconds of this place's own clock (monotonic)."""
        with self._lock:
            return list(self._called_at)

    def restart_switch(self) -> None:
        """Counters and uptime begin anew."""
        self.booted_at = self.clock()

    def answer(self, order_id: str, state: SupplyState, *, external_id: str = "", why: str = "") -> None:
        """What the people of the place make of an order that waits."""
        with self._lock:
            for key, order in self.orders.items():
                if order.order_id == order_id:
                    self.orders[key] = replace(order, status=SupplyStatus(state, external_id, why))

    # ------------------------------------------------------------ for the driver

    def find(self, external_id: str) -> Machine:
        with self._lock:
            if external_id not in self.machines:
                raise NotFound(f"no machine {external_id} here")
            machine = self.machines[external_id]
            if machine.pending and time.monotonic() >= machine.pending[0]:
                machine.power, machine.pending = machine.pending[1], None
            return machine

    def call(self, name: str, external_id: str, password: Secret) -> Fault | None:
        """Notes a call, and lets a planned fault speak first. Returns a fault that the caller has to play."""
        with self._lock:
            self._calls.append((external_id, name))
            self._called_at.append(time.monotonic())
            due = [p for p in self._planned if _fits(p, name, external_id)]
            plan = next((p for p in due if p.fault is not Fault.SLOW), None)
            delay = sum(p.seconds for p in due if p.fault is Fault.SLOW)
            for planned in due:
                if planned is plan or planned.fault is Fault.SLOW:
                    self._use_up(planned)
        if delay:
            time.sleep(delay)
        if password != Secret(self.password):
            raise CredentialsRejected("the password is wrong")
        if plan is None:
            return None
        _speak(plan)
        return plan.fault

    def act(self, external_id: str, what: str, change: Callable[[Machine], None]) -> None:
        """Changes a machine and writes the ledger, both or neither."""
        with self._lock:
            change(self.find(external_id))
            self._ledger.append(Effect(datetime.now(UTC), external_id, what))

    def move_power(self, machine: Machine, state: PowerState, meanwhile: PowerState) -> None:
        if self.settle_seconds:
            machine.power = meanwhile
            machine.pending = (time.monotonic() + self.settle_seconds, state)
        else:
            machine.power, machine.pending = state, None

    def _use_up(self, planned: _Planned) -> None:
        if planned.times is not None:
            planned.times -= 1
            if planned.times <= 0:
                self._planned.remove(planned)


def _fits(planned: _Planned, name: str, external_id: str) -> bool:
    if planned.external_id not in (None, external_id):
        return False
    if planned.fault is Fault.WRONG_IDENTITY and name != "identify":
        return False
    return planned.on in ("*", name) or (planned.on.endswith(".*") and name.startswith(planned.on[:-1]))


def _speak(plan: _Planned) -> None:
    match plan.fault:
        case Fault.UNREACHABLE:
            raise Unreachable(plan.text)
        case Fault.UNKNOWN_BEFORE_ACTING:
            raise OutcomeUnknown(plan.text)
        case Fault.BUSY:
            retry_at = datetime.now(UTC) + timedelta(seconds=plan.seconds)
            raise Busy(plan.text, retry_at=retry_at, rests=plan.seconds > 0)
        case Fault.CREDENTIALS:
            raise CredentialsRejected(plan.text)
        case Fault.REFUSED:
            raise Refused(plan.text)
        case Fault.NOT_FOUND:
            raise NotFound(plan.text)
        case _:
            return


def speak_after(fault: Fault | None) -> None:
    """The faults that come after the act."""
    if fault is Fault.UNKNOWN_AFTER_ACTING:
        raise OutcomeUnknown("planned fault: the answer was lost")
    if fault is Fault.BAD_ANSWER:
        raise BadAnswer("planned fault: the answer made no sense")


_worlds: dict[str, World] = {}
_worlds_lock = threading.Lock()


def world(endpoint: str = "memory") -> World:
    """The place of that name in this process; an empty one when it is new."""
    with _worlds_lock:
        return _worlds.setdefault(endpoint, World(endpoint))


def forget() -> None:
    """Forgets every place (for tests)."""
    with _worlds_lock:
        _worlds.clear()
