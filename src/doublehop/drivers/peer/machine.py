"""The parts of one server."""

import ipaddress
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from doublehop.driver_kit.contract import (
    Access,
    Addresses,
    Credentials,
    HealthReading,
    Identifier,
    Login,
    NullRoute,
    PortControl,
    Power,
    PowerState,
    PowerSwitch,
    Rescue,
    ReverseDns,
    ServerAddress,
    Suspension,
    Ticket,
    TicketStatus,
    Traffic,
    TrafficTotal,
)
from doublehop.driver_kit.errors import Refused
from doublehop.drivers.peer.api import Api
from doublehop.drivers.peer.asking import follow, make_so, once
from doublehop.drivers.peer.shapes import Line

SUSPENDED = "Suspended by the organisation that resells it"
"""What the other side's journal says. Our own reason is about a client of ours, and none of their business."""
LOOKED_AT_FOR_SECONDS = 2.0
"""One look at a server asks several parts, which all stand in the same answer."""

OPERATE, BILLING = "operate", "billing"


class Look:
    """One server as it reads. What one look at everything needs twice is asked once; every opening asks anew, so no identity
    and no read-back is ever of an earlier one."""

    def __init__(self, api: Api, external_id: str) -> None:
        self.api = api
        self.id = external_id
        self._line: Line | None = None
        self._addresses: list[tuple[ServerAddress, bool]] | None = None
        self._until = 0.0

    def now(self) -> Line:
        self._line, self._until = self.api.line(self.id), time.monotonic() + LOOKED_AT_FOR_SECONDS
        return self._line

    def recent(self) -> Line:
        return self._line if self._line is not None and time.monotonic() < self._until else self.now()

    def addresses(self) -> list[tuple[ServerAddress, bool]]:
        if self._addresses is None or time.monotonic() >= self._until:
            self.recent()
            self._addresses = self.api.addresses(self.id)
        return self._addresses

    def changes(self) -> None:
        """Before a change, so that no look shows what was before."""
        self._line = self._addresses = None


class _Part:
    def __init__(self, look: Look) -> None:
        self._look = look
        self._api = look.api
        self._id = look.id

    def _make_so(self, kind: str, **given: object) -> Ticket:
        self._look.changes()
        return make_so(self._api, self._id, kind, **given)

    def _once(self, kind: str, **given: object) -> Ticket:
        self._look.changes()
        return once(self._api, self._id, kind, **given)

    def follow_up(self, ticket: Ticket) -> TicketStatus:
        self._look.changes()
        return follow(self._api, self._id, ticket)


class PeerPower(_Part):
    def state(self) -> PowerState:
        return self._api.line_among_many(self._id).power

    def reset(self, *, graceful: bool) -> Ticket:
        return self._once("reboot", graceful=graceful)


class PeerPowerSwitch(_Part):
    def on(self) -> Ticket:
        return self._make_so("power_on")

    def off(self, *, graceful: bool) -> Ticket:
        return self._make_so("power_off", graceful=graceful)


class PeerAddresses(_Part):
    def list(self) -> tuple[ServerAddress, ...]:
        return tuple(address for address, _ in self._look.addresses())


class PeerCredentials(_Part):
    def read(self) -> Login:
        """The API hands out no passwords."""
        return Login(self._look.recent().username)


class PeerSuspension(_Part):
    """A real one: over there it takes whatever way the other side has."""

    def is_suspended(self) -> bool:
        return self._look.now().suspended

    def is_asked(self) -> bool:
        return self._look.now().suspension_asked

    def suspend(self, reason: str) -> Ticket:
        return self._make_so("suspend", reason=SUSPENDED)

    def unsuspend(self) -> Ticket:
        return self._make_so("unsuspend")


class PeerReverseDns(_Part):
    def read(self) -> Mapping[str, str]:
        found = (address for address, _ in self._look.addresses())
        return {one.address: one.rdns for one in found if "/" not in one.address}

    def set(self, address: str, name: str) -> Ticket:
        return self._make_so("set_rdns", address=_plain(address), name=name.rstrip("."))


class PeerNullRoute(_Part):
    def read(self) -> Collection[str]:
        return frozenset(one.address for one, dropped in self._look.addresses() if dropped)

    def set(self, address: str, dropped: bool) -> Ticket:
        return self._make_so("null_route" if dropped else "null_route_end", address=_plain(address))


def _plain(address: str) -> str:
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        raise Refused(f"one address is needed, and {address[:50]} is none") from None


class PeerRescue(_Part):
    def is_active(self) -> bool:
        return self._look.recent().in_rescue

    def start(self) -> Ticket:
        return self._once("rescue_start")

    def stop(self) -> Ticket:
        return self._once("rescue_stop")


class PeerTraffic:
    """Whole UTC days. What the other side counted by slots, or was told by another one above it."""

    source = "Doublehop"
    unit = "octets"

    def __init__(self, look: Look) -> None:
        self._look = look

    def read(self, start: datetime, end: datetime) -> Sequence[TrafficTotal]:
        found = self._look.api.days(self._look.id, start.astimezone(UTC), end.astimezone(UTC))
        now = datetime.now(UTC)
        within = (one for one in found if one.start < end and one.end > start and one.end <= now)
        return sorted(within, key=lambda one: one.start)


class PeerServer:
    """``line`` is what a list has just told; without one, everything that the API knows is offered and it may refuse.

    ``scopes`` are those of the token, as a test found them; None before the first test.
    """

    health: HealthReading | None = None
    port: PortControl | None = None
    access: Access | None = None

    def __init__(
        self, api: Api, external_id: str, line: Line | None = None, scopes: frozenset[str] | None = None
    ) -> None:
        self.external_id = external_id
        self._look = look = Look(api, external_id)

        def has(part: str, scope: str = "") -> bool:
            permitted = not scope or scopes is None or scope in scopes
            return permitted and (line is None or not part or part in line.parts)

        self.power: Power | None = PeerPower(look) if has("power", OPERATE) else None
        self.power_switch: PowerSwitch | None = (
            PeerPowerSwitch(look) if has("power_switch", OPERATE) else None
        )
        self.addresses: Addresses | None = PeerAddresses(look)
        self.credentials: Credentials | None = PeerCredentials(look) if has("credentials") else None
        # Over there a suspension has always a way, be it only a mark: nothing of the machine is needed for it.
        self.suspension: Suspension | None = PeerSuspension(look) if has("", BILLING) else None
        self.rdns: ReverseDns | None = PeerReverseDns(look) if has("rdns", OPERATE) else None
        self.null_route: NullRoute | None = PeerNullRoute(look) if has("null_route", OPERATE) else None
        self.rescue: Rescue | None = PeerRescue(look) if has("rescue", OPERATE) else None
        self.traffic: Traffic | None = PeerTraffic(look)

    def identify(self) -> Sequence[Identifier]:
        return self._look.recent().identifiers
