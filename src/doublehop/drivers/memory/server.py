"""One machine of the memory world and its parts."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from doublehop.driver_kit.budget import meter_for
from doublehop.driver_kit.conformance.world import Fault, Machine, World, speak_after
from doublehop.driver_kit.contract import (
    SERVER_PARTS,
    Access,
    Addresses,
    Credentials,
    Health,
    HealthReading,
    Identifier,
    Login,
    NullRoute,
    PortControl,
    Power,
    PowerState,
    PowerSwitch,
    Proof,
    Rescue,
    ReverseDns,
    ServerAddress,
    Suspension,
    Ticket,
    TicketState,
    TicketStatus,
    Traffic,
    TrafficTotal,
)
from doublehop.driver_kit.errors import BadAnswer, Busy
from doublehop.driver_kit.secret import Secret

BUDGET_WAIT_SECONDS = 5.0


def call(place: World, name: str, external_id: str, password: Secret) -> Fault | None:
    """As the HTTP client of other drivers does it: in turn where there is a budget, and a rest holds for the account."""
    if place.budget is None:
        return place.call(name, external_id, password)
    meter = meter_for(f"memory {place.endpoint}", place.budget)
    with meter.turn(BUDGET_WAIT_SECONDS):
        try:
            return place.call(name, external_id, password)
        except Busy as busy:
            if busy.rests and busy.retry_at is not None:
                meter.rest(busy.retry_at)
            raise


class _Reach:
    """How every part reaches its machine: the call is noted, faults are played, then the world is asked."""

    def __init__(self, place: World, external_id: str, password: Secret) -> None:
        self._world = place
        self._id = external_id
        self._password = password

    def look(self, name: str) -> tuple[Machine, Fault | None]:
        fault = call(self._world, name, self._id, self._password)
        machine = self._world.find(self._id)
        speak_after(fault)
        return machine, fault

    def act(self, name: str, detail: str, change: Callable[[Machine], None]) -> None:
        fault = call(self._world, name, self._id, self._password)
        self._world.find(self._id)
        if fault is not Fault.LIE:
            self._world.act(self._id, f"{name}:{detail}" if detail else name, change)
        speak_after(fault)


class MemoryPower(_Reach):
    def state(self) -> PowerState:
        return self.look("power.state")[0].power

    def on(self) -> Ticket:
        self.act("power.on", "", lambda m: self._world.move_power(m, PowerState.ON, m.power))
        return _ticket(power="on")

    def off(self, *, graceful: bool) -> Ticket:
        detail = "graceful" if graceful else "hard"
        self.act("power.off", detail, lambda m: self._world.move_power(m, PowerState.OFF, m.power))
        return _ticket(power="off")

    def reset(self, *, graceful: bool) -> Ticket:
        boots = self._world.find(self._id).boots
        self.act("power.reset", "graceful" if graceful else "hard", self._restart)
        return _ticket(boots=boots + 1)

    def follow_up(self, ticket: Ticket) -> TicketStatus:
        machine, _ = self.look("power.follow_up")
        wanted = _read(ticket)
        if "boots" in wanted:
            done = machine.boots >= int(str(wanted["boots"])) and machine.pending is None
        else:
            done = machine.power.value == wanted.get("power")
        return TicketStatus(TicketState.DONE if done else TicketState.PENDING, f"power is {machine.power}")

    def _restart(self, machine: Machine) -> None:
        machine.boots += 1
        self._world.move_power(machine, PowerState.ON, PowerState.RESTARTING)


class MemoryHealth(_Reach):
    def read(self) -> Health:
        return Health(self.look("health.read")[0].health)


class MemoryPort(_Reach):
    def is_enabled(self) -> bool:
        return self.look("port.is_enabled")[0].port_enabled

    def set_enabled(self, enabled: bool) -> Ticket:
        def change(machine: Machine) -> None:
            machine.port_enabled = enabled

        self.act("port.set_enabled", "on" if enabled else "off", change)
        return _ticket(port=enabled)

    def follow_up(self, ticket: Ticket) -> TicketStatus:
        machine, _ = self.look("port.follow_up")
        done = machine.port_enabled == _read(ticket).get("port")
        return TicketStatus(TicketState.DONE if done else TicketState.PENDING)


class MemoryAddresses(_Reach):
    def list(self) -> tuple[ServerAddress, ...]:
        machine, _ = self.look("addresses.list")
        names = machine.rdns
        first = (
            (ServerAddress(machine.address, primary=True, rdns=names.get(machine.address, "")),)
            if machine.address
            else ()
        )
        return (*first, *(ServerAddress(one, rdns=names.get(one, "")) for one in machine.addresses))


class MemoryCredentials(_Reach):
    def read(self) -> Login:
        machine, _ = self.look("credentials.read")
        return Login(machine.username, Secret(machine.password))


class MemorySuspension(_Reach):
    def is_suspended(self) -> bool:
        return self.look("suspension.is_suspended")[0].suspended_reason is not None

    def is_asked(self) -> bool:
        return self.is_suspended()

    def suspend(self, reason: str) -> Ticket:
        return self._set("suspension.suspend", reason)

    def unsuspend(self) -> Ticket:
        return self._set("suspension.unsuspend", None)

    def follow_up(self, ticket: Ticket) -> TicketStatus:
        machine, _ = self.look("suspension.follow_up")
        done = (machine.suspended_reason is not None) == _read(ticket).get("suspended")
        return TicketStatus(TicketState.DONE if done else TicketState.PENDING)

    def _set(self, name: str, reason: str | None) -> Ticket:
        def change(machine: Machine) -> None:
            machine.suspended_reason = reason

        self.act(name, "", change)
        return _ticket(suspended=reason is not None)


class MemoryAccess(_Reach):
    def is_permitted(self) -> bool:
        return self.look("access.is_permitted")[0].permitted

    def set_permitted(self, permitted: bool) -> Ticket:
        def change(machine: Machine) -> None:
            machine.permitted = permitted

        self.act("access.set_permitted", "yes" if permitted else "no", change)
        return _ticket(permitted=permitted)

    def follow_up(self, ticket: Ticket) -> TicketStatus:
        machine, _ = self.look("access.follow_up")
        done = machine.permitted == _read(ticket).get("permitted")
        return TicketStatus(TicketState.DONE if done else TicketState.PENDING)


class MemoryReverseDns(_Reach):
    def read(self) -> dict[str, str]:
        return dict(self.look("rdns.read")[0].rdns)

    def set(self, address: str, name: str) -> Ticket:
        def change(machine: Machine) -> None:
            machine.rdns = {known: text for known, text in machine.rdns.items() if known != address}
            if name:
                machine.rdns[address] = name

        self.act("rdns.set", f"{address}={name}", change)
        return _ticket(address=address, name=name)

    def follow_up(self, ticket: Ticket) -> TicketStatus:
        machine, _ = self.look("rdns.follow_up")
        wanted = _read(ticket)
        done = machine.rdns.get(str(wanted.get("address")), "") == wanted.get("name")
        return TicketStatus(TicketState.DONE if done else TicketState.PENDING)


class MemoryNullRoute(_Reach):
    def read(self) -> frozenset[str]:
        return self.look("null_route.read")[0].null_routed

    def set(self, address: str, dropped: bool) -> Ticket:
        def change(machine: Machine) -> None:
            machine.null_routed = (
                machine.null_routed | {address} if dropped else machine.null_routed - {address}
            )

        self.act("null_route.set", f"{address} {'dropped' if dropped else 'let through'}", change)
        return _ticket(address=address, dropped=dropped)

    def follow_up(self, ticket: Ticket) -> TicketStatus:
        machine, _ = self.look("null_route.follow_up")
        wanted = _read(ticket)
        done = (str(wanted.get("address")) in machine.null_routed) == wanted.get("dropped")
        return TicketStatus(TicketState.DONE if done else TicketState.PENDING)


class MemoryRescue(_Reach):
    def is_active(self) -> bool:
        return self.look("rescue.is_active")[0].rescue

    def start(self) -> Ticket:
        return self._set("rescue.start", True)

    def stop(self) -> Ticket:
        return self._set("rescue.stop", False)

    def follow_up(self, ticket: Ticket) -> TicketStatus:
        machine, _ = self.look("rescue.follow_up")
        done = machine.rescue == _read(ticket).get("rescue")
        return TicketStatus(TicketState.DONE if done else TicketState.PENDING)

    def _set(self, name: str, active: bool) -> Ticket:
        def change(machine: Machine) -> None:
            machine.rescue = active
            machine.boots += 1

        self.act(name, "", change)
        return _ticket(rescue=active)


class MemoryTraffic(_Reach):
    """Whole UTC days at the machine's own rates."""

    source = "memory"
    unit = "octets"

    def read(self, start: datetime, end: datetime) -> list[TrafficTotal]:
        machine, _ = self.look("traffic.read")
        day = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        found = []
        while day + timedelta(days=1) <= end:
            following = day + timedelta(days=1)
            found.append(
                TrafficTotal(
                    day,
                    following,
                    machine.out_octets_per_second * 86400,
                    machine.in_octets_per_second * 86400,
                )
            )
            day = following
        return found


class MemoryServer:
    """A part is there when the machine has it; an unknown machine shows all, and each of them raises NotFound."""

    def __init__(self, place: World, external_id: str, password: Secret) -> None:
        self.external_id = external_id
        self._reach = _Reach(place, external_id, password)
        known = place.machines.get(external_id)
        arguments = (place, external_id, password)
        parts = known.parts if known else frozenset(SERVER_PARTS)
        self.power: Power | None = MemoryPower(*arguments) if "power" in parts else None
        self.power_switch: PowerSwitch | None = MemoryPower(*arguments) if "power_switch" in parts else None
        self.health: HealthReading | None = MemoryHealth(*arguments) if "health" in parts else None
        self.port: PortControl | None = MemoryPort(*arguments) if "port" in parts else None
        self.addresses: Addresses | None = MemoryAddresses(*arguments) if "addresses" in parts else None
        self.credentials: Credentials | None = (
            MemoryCredentials(*arguments) if "credentials" in parts else None
        )
        self.suspension: Suspension | None = MemorySuspension(*arguments) if "suspension" in parts else None
        self.access: Access | None = MemoryAccess(*arguments) if "access" in parts else None
        self.rdns: ReverseDns | None = MemoryReverseDns(*arguments) if "rdns" in parts else None
        self.null_route: NullRoute | None = MemoryNullRoute(*arguments) if "null_route" in parts else None
        self.rescue: Rescue | None = MemoryRescue(*arguments) if "rescue" in parts else None
        self.traffic: Traffic | None = MemoryTraffic(*arguments) if "traffic" in parts else None

    def identify(self) -> tuple[Identifier, ...]:
        machine, fault = self._reach.look("identify")
        if fault is Fault.WRONG_IDENTITY:
            return (Identifier("serial", "SOMEBODY-ELSE"), Identifier("mac", "02:ff:ff:ff:ff:ff"))
        return identifiers_of(machine)


def identifiers_of(machine: Machine) -> tuple[Identifier, ...]:
    """A machine without serial and MAC shows its address, as at upstreams that know no more of any."""
    pairs = (("serial", machine.serial), ("mac", machine.mac))
    strong = tuple(Identifier(kind, value) for kind, value in pairs if value)
    weak = (Identifier("primary_address", machine.address, Proof.WEAK),) if machine.address else ()
    return strong or weak


def _ticket(**wanted: object) -> Ticket:
    return Ticket(json.dumps(wanted))


def _read(ticket: Ticket) -> dict[str, object]:
    try:
        wanted = json.loads(ticket.text)
    except ValueError:
        wanted = None
    if not isinstance(wanted, dict):
        raise BadAnswer("this is no ticket of this driver")
    return wanted
