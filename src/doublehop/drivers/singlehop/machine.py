"""The parts of one server."""

import ipaddress
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

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
from doublehop.driver_kit.errors import BadAnswer, NotFound, Refused
from doublehop.driver_kit.secret import Secret
from doublehop.drivers.singlehop import figures
from doublehop.drivers.singlehop.account import Account
from doublehop.drivers.singlehop.words import DROPZONE, LEAP, TANDEM, Line, Receipt

_WAYS = (LEAP, DROPZONE, TANDEM)
PROVES = (("server_id", Proof.WEAK), ("primary_address", Proof.WEAK))


def identifiers_of(line: Line) -> tuple[Identifier, ...]:
    pairs = (("server_id", line.id), ("primary_address", line.address))
    return tuple(Identifier(kind, value, Proof.WEAK) for kind, value in pairs if value)


class _Part:
    def __init__(self, account: Account, external_id: str) -> None:
        self._account = account
        self._id = external_id

    def _ticket(self, way: str, receipt: Receipt, **wanted: object) -> Ticket:
        self._account.forget()
        return Ticket(json.dumps({"way": way, "operation": receipt.operation, **wanted}))

    def _follow(self, ticket: Ticket, is_so: Callable[[dict[str, Any]], bool] | None) -> TicketStatus:
        """By the other side's operation where it gave one, else by reading back, else nothing more is ever known."""
        wanted = _read(ticket)
        api = self._account.way(wanted["way"]) if wanted["operation"] else None
        if api is not None and api.can("operation"):
            state = api.operation(wanted["operation"])
            return TicketStatus(
                _OPERATION_STATES.get(state, TicketState.PENDING), f"over there it is {state or 'not told'}"
            )
        if is_so is None:
            return TicketStatus(TicketState.DONE, "accepted; more is not told")
        return TicketStatus(TicketState.DONE if is_so(wanted) else TicketState.PENDING)


# "unknown" stays pending: whether it happened is told by nobody, and "failed" would invite to send it again.
_OPERATION_STATES = {
    "done": TicketState.DONE,
    "failed": TicketState.FAILED,
    "cancelled": TicketState.FAILED,
}


class SinglehopPower(_Part):
    def state(self) -> PowerState:
        return self._account.recent_line(self._id).power

    def reset(self, *, graceful: bool) -> Ticket:
        """The APIs know one kind of reboot."""
        api = self._account.rebooting
        line = self._account.recent_line(self._id) if api.reboots_by_kind else Line(self._id)
        return self._ticket(api.way, api.reboot(line), act="reboot")

    def follow_up(self, ticket: Ticket) -> TicketStatus:
        return self._follow(ticket, None)


class SinglehopAddresses(_Part):
    def list(self) -> tuple[ServerAddress, ...]:
        """The main one is that of the list of servers, which is what the machine is recognised by; where the list shows
        none, none is."""
        api = self._account.main
        main = self._account.recent_line(self._id).address
        found = self._account.about(self._id, lambda: api.addresses(self._id))
        names = self._names()
        ordered = [main, *(one for one in found if one != main)] if main else found
        return tuple(ServerAddress(one, one == main, names.get(one, "")) for one in ordered)

    def _names(self) -> Mapping[str, str]:
        """Addresses are worth having without their names."""
        try:
            return self._account.main.names(self._id)
        except (Refused, NotFound, BadAnswer):
            return {}


class SinglehopTraffic(_Part):
    # One name for both APIs: the figures are the same, and must not count twice when the other one is asked.
    source = "LEAP"

    def __init__(self, account: Account, external_id: str) -> None:
        super().__init__(account, external_id)
        known = account.known.dropzone_extensions.bandwidth_unit if account.known else ""
        known = known or (account.known.leap_extensions.bandwidth_unit if account.known else "")
        self.unit = known if figures.is_unit(known) else account.logins.bandwidth_unit

    def read(self, start: datetime, end: datetime) -> tuple[TrafficTotal, ...]:
        api = self._account.main
        came = self._account.about(self._id, lambda: api.figures(self._id, start, end))
        announced = api.extensions.bandwidth_unit
        self.unit = next(
            (one for one in (came.unit, announced) if figures.is_unit(one)),
            self._account.logins.bandwidth_unit,
        )
        return tuple(figures.totals(came, self.unit, start, end, datetime.now(UTC)))


class SinglehopReverseDns(_Part):
    def read(self) -> dict[str, str]:
        api = self._account.main
        return self._account.about(self._id, lambda: api.names(self._id))

    def set(self, address: str, name: str) -> Ticket:
        api = self._account.main
        plain, name = _plain(address), name.rstrip(".")
        return self._ticket(api.way, api.set_name(self._id, plain, name), address=plain, name=name)

    def follow_up(self, ticket: Ticket) -> TicketStatus:
        return self._follow(
            ticket, lambda wanted: self.read().get(wanted.get("address", ""), "") == wanted.get("name")
        )


def _plain(address: str) -> str:
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        raise Refused(f"a name belongs to one address, and {address[:50]} is none") from None


class SinglehopCredentials(_Part):
    def read(self) -> Login:
        """A password that is not handed out is empty: no PIN, no Dropzone, or a PIN that does not fit."""
        self._account.recent_line(self._id)
        api = self._account.main
        username = self._account.about(self._id, lambda: api.username(self._id)) if api.can("login") else ""
        return Login(username, Secret(self._password()))

    def _password(self) -> str:
        dropzone = self._account.dropzone if self._account.logins.pin else None
        if dropzone is None:
            return ""
        try:
            return self._account.about(self._id, lambda: dropzone.password(self._id))
        except Refused:
            return ""


class SinglehopSuspension(_Part):
    """Only where the other side announces it: the two old APIs had none."""

    def is_suspended(self) -> bool:
        suspended = self._account.line(self._id).suspended
        if suspended is None:
            raise BadAnswer("the other side does not say whether this server is suspended")
        return suspended

    def is_asked(self) -> bool:
        """It tells no more than this."""
        return self.is_suspended()

    def suspend(self, reason: str) -> Ticket:
        """Our own reason is about a client of ours, and none of their business."""
        api = self._account.main
        return self._ticket(api.way, api.suspend(self._id, "Suspended"), suspended=True)

    def unsuspend(self) -> Ticket:
        api = self._account.main
        return self._ticket(api.way, api.unsuspend(self._id), suspended=False)

    def follow_up(self, ticket: Ticket) -> TicketStatus:
        return self._follow(ticket, lambda wanted: self.is_suspended() is wanted.get("suspended"))


class SinglehopAccess(_Part):
    """The permission of the Tandem user on this server, written by the LEAP account."""

    def is_permitted(self) -> bool:
        servers = self._account.tandem_user().servers
        if servers is None:
            raise BadAnswer("the servers that the Tandem user may use cannot be read")
        if self._id not in servers:
            self._account.line(self._id)
        return self._id in servers

    def set_permitted(self, permitted: bool) -> Ticket:
        api = self._account.permissions
        receipt = api.permit(self._account.tandem_user(), self._id, permitted)
        return self._ticket(api.way, receipt, permitted=permitted)

    def follow_up(self, ticket: Ticket) -> TicketStatus:
        return self._follow(ticket, lambda wanted: self.is_permitted() is wanted.get("permitted"))


class SinglehopRescue(_Part):
    def is_active(self) -> bool:
        return self._account.line(self._id).in_rescue

    def start(self) -> Ticket:
        return self._set(True)

    def stop(self) -> Ticket:
        return self._set(False)

    def follow_up(self, ticket: Ticket) -> TicketStatus:
        return self._follow(ticket, lambda wanted: self.is_active() is wanted.get("rescue"))

    def _set(self, active: bool) -> Ticket:
        dropzone = self._account.dropzone
        if dropzone is None:
            raise Refused("only Dropzone has a rescue system")
        return self._ticket(DROPZONE, dropzone.rescue(self._id, start=active), rescue=active)


class SinglehopServer:
    """Which parts are there follows from what a test learned; before one, what is certain of every account."""

    power_switch: PowerSwitch | None = None
    health: HealthReading | None = None
    port: PortControl | None = None
    null_route: NullRoute | None = None

    def __init__(self, account: Account, external_id: str) -> None:
        self.external_id = external_id
        self._account = account
        of = (account, external_id)
        self.power: Power | None = SinglehopPower(*of)
        self.addresses: Addresses | None = SinglehopAddresses(*of)
        self.credentials: Credentials | None = SinglehopCredentials(*of)
        self.suspension: Suspension | None = SinglehopSuspension(*of) if _suspends(account) else None
        self.access: Access | None = SinglehopAccess(*of)
        self.rdns: ReverseDns | None = SinglehopReverseDns(*of)
        self.rescue: Rescue | None = SinglehopRescue(*of) if _rescues(account) else None
        self.traffic: Traffic | None = SinglehopTraffic(*of)

    def identify(self) -> tuple[Identifier, ...]:
        return identifiers_of(self._account.line(self.external_id))


def _suspends(account: Account) -> bool:
    return account.known is not None and account.main.can("suspension")


def _rescues(account: Account) -> bool:
    has_dropzone = bool(account.known.dropzone) if account.known else account.logins.api == DROPZONE
    return has_dropzone and bool(account.logins.pin)


def _read(ticket: Ticket) -> dict[str, Any]:
    try:
        wanted = json.loads(ticket.text)
    except (ValueError, RecursionError):
        wanted = None
    if (
        not isinstance(wanted, dict)
        or wanted.get("way") not in _WAYS
        or not isinstance(wanted.get("operation"), str)
    ):
        raise BadAnswer("this is no ticket of this driver")
    return wanted
