"""One machine of the rack: what its record says, what its BMC says, what its switch port does."""

import ipaddress
import json
from collections.abc import Sequence

from doublehop.driver_kit.budget import meter_for
from doublehop.driver_kit.contract import (
    Access,
    Addresses,
    Budget,
    Credentials,
    Health,
    HealthReading,
    Identifier,
    ListedServer,
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
    SettingField,
    Suspension,
    Ticket,
    TicketState,
    TicketStatus,
    Traffic,
    Values,
)
from doublehop.driver_kit.contract import FieldKind as Kind
from doublehop.driver_kit.errors import BadAnswer, NotFound, Refused
from doublehop.driver_kit.http import HttpClient, Limits
from doublehop.driver_kit.reach import ANYWHERE, Reach
from doublehop.driver_kit.secret import Secret
from doublehop.drivers.rack import redfish
from doublehop.drivers.rack.redfish import Bmc
from doublehop.drivers.rack.switch import Switch

FIELDS = (
    SettingField("label", "Label", hint="What staff call it, e.g. rack1-u07"),
    SettingField("hostname", "Hostname", required=False),
    SettingField(
        "addresses", "Addresses", Kind.LINES, required=False, hint="One a line, the main address first"
    ),
    SettingField("bmc_url", "BMC address", Kind.URL, required=False, hint="https://192.0.2.7"),
    SettingField("bmc_username", "BMC username", required=False),
    SettingField("bmc_password", "BMC password", Kind.SECRET, required=False),
    SettingField("bmc_system", "Redfish system", required=False, hint="Empty: the only one of this BMC"),
    SettingField(
        "bmc_fingerprint",
        "BMC certificate",
        Kind.FINGERPRINT,
        required=False,
        hint="SHA-256. Empty: it must be signed by a known authority",
    ),
    SettingField("switch_port", "Switch port", required=False, hint="Its name on the switch (ifName)"),
    SettingField("login_username", "Username", required=False, default="root"),
    SettingField("login_password", "Password", Kind.SECRET, required=False, hint="Of the machine itself"),
    SettingField("serial", "Serial number", required=False, hint="As on the label"),
    SettingField("mac", "MAC address", required=False),
)
PROVES = (
    ("system_uuid", Proof.STRONG),
    ("serial", Proof.STRONG),
    ("mac", Proof.STRONG),
    ("recorded_serial", Proof.WEAK),
    ("recorded_mac", Proof.WEAK),
)
BMC_BUDGET = Budget(calls=240, per_seconds=60, burst=60, at_once=2)
"""BMCs are small computers: two questions together are plenty."""
BMC_LIMITS = Limits(connect_seconds=5, read_seconds=10, total_seconds=20)


def text_of(record: Values, name: str) -> str:
    value = record.get(name, "")
    return value if isinstance(value, str) else ""


def secret_of(record: Values, name: str) -> Secret:
    value = record.get(name)
    return value if isinstance(value, Secret) else Secret("")


def addresses_of(record: Values) -> list[str]:
    lines = record.get("addresses", ())
    return [str(line) for line in lines] if isinstance(lines, Sequence) and not isinstance(lines, str) else []


def bmc_client(record: Values, limits: Limits = BMC_LIMITS, reach: Reach = ANYWHERE) -> HttpClient | None:
    """None where no BMC is recorded. Raises Unreachable when its address cannot be used."""
    url = text_of(record, "bmc_url").rstrip("/").removesuffix("/redfish/v1")
    if not url:
        return None
    username = text_of(record, "bmc_username")
    return HttpClient(
        url,
        login=(username, secret_of(record, "bmc_password")) if username else None,
        pin=text_of(record, "bmc_fingerprint"),
        limits=limits,
        meter=meter_for(f"rack {url}", BMC_BUDGET),
        reach=reach,
    )


def listed(external_id: str, record: Values) -> ListedServer:
    """From the record alone. What stands on paper is weak; the BMC proves."""
    addresses = addresses_of(record)
    written = (
        ("recorded_serial", text_of(record, "serial")),
        ("recorded_mac", text_of(record, "mac").lower()),
    )
    return ListedServer(
        external_id,
        text_of(record, "label") or external_id,
        text_of(record, "hostname"),
        addresses[0] if addresses else "",
        tuple(Identifier(kind, value, Proof.WEAK) for kind, value in written if value),
    )


class RackPower:
    def __init__(self, bmc: Bmc) -> None:
        self._bmc = bmc

    def state(self) -> PowerState:
        return self._bmc.power()

    def on(self) -> Ticket:
        return self._bmc.reset(redfish.ON, goal=PowerState.ON)

    def off(self, *, graceful: bool) -> Ticket:
        return self._bmc.reset(redfish.OFF_GRACEFUL if graceful else redfish.OFF_HARD, goal=PowerState.OFF)

    def reset(self, *, graceful: bool) -> Ticket:
        return self._bmc.reset(redfish.RESET_GRACEFUL if graceful else redfish.RESET_HARD, goal=None)

    def follow_up(self, ticket: Ticket) -> TicketStatus:
        return self._bmc.follow_up(ticket)


class RackHealth:
    def __init__(self, bmc: Bmc) -> None:
        self._bmc = bmc

    def read(self) -> Health:
        return self._bmc.health()


class RackPort:
    def __init__(self, switch: Switch, if_name: str) -> None:
        self._switch = switch
        self._if_name = if_name

    def is_enabled(self) -> bool:
        return self._switch.is_enabled(self._if_name)

    def set_enabled(self, enabled: bool) -> Ticket:
        self._switch.set_enabled(self._if_name, enabled)
        return Ticket(json.dumps({"enabled": enabled}))

    def follow_up(self, ticket: Ticket) -> TicketStatus:
        try:
            wanted = json.loads(ticket.text)["enabled"]
        except (ValueError, TypeError, KeyError):
            raise BadAnswer("this is no ticket of this driver") from None
        done = self.is_enabled() == wanted
        return TicketStatus(TicketState.DONE if done else TicketState.PENDING)


class RackAddresses:
    def __init__(self, record: Values) -> None:
        self._lines = addresses_of(record)

    def list(self) -> tuple[ServerAddress, ...]:
        """Raises Refused when the record holds something that is no address."""
        for line in self._lines:
            try:
                ipaddress.ip_interface(line)
            except ValueError:
                raise Refused(f"the record holds {line!r}, which is no address") from None
        return tuple(ServerAddress(line, primary=number == 0) for number, line in enumerate(self._lines))


class RackCredentials:
    def __init__(self, record: Values) -> None:
        self._login = Login(text_of(record, "login_username"), secret_of(record, "login_password"))

    def read(self) -> Login:
        return self._login


class RackServer:
    """``client`` and ``switch`` are None where the record names no BMC or no port."""

    def __init__(
        self, external_id: str, record: Values, client: HttpClient | None, switch: Switch | None
    ) -> None:
        self.external_id = external_id
        self._listed = listed(external_id, record)
        self._bmc = Bmc(client, text_of(record, "bmc_system")) if client else None
        if_name = text_of(record, "switch_port")
        may_switch = switch is not None and switch.may_write and bool(if_name)
        power = RackPower(self._bmc) if self._bmc else None
        self.power: Power | None = power
        self.power_switch: PowerSwitch | None = power
        self.health: HealthReading | None = RackHealth(self._bmc) if self._bmc else None
        self.port: PortControl | None = RackPort(switch, if_name) if switch and may_switch else None
        self.addresses: Addresses | None = RackAddresses(record)
        self.credentials: Credentials | None = (
            RackCredentials(record) if text_of(record, "login_username") else None
        )
        self.suspension: Suspension | None = None
        self.access: Access | None = None
        self.rdns: ReverseDns | None = None
        self.null_route: NullRoute | None = None
        self.rescue: Rescue | None = None
        self.traffic: Traffic | None = None

    def identify(self) -> tuple[Identifier, ...]:
        return (*(self._bmc.identify() if self._bmc else ()), *self._listed.identifiers)


class UnknownMachine:
    """A machine without a record: nobody knows it, so it has no part."""

    power: Power | None = None
    power_switch: PowerSwitch | None = None
    health: HealthReading | None = None
    port: PortControl | None = None
    addresses: Addresses | None = None
    credentials: Credentials | None = None
    suspension: Suspension | None = None
    access: Access | None = None
    rdns: ReverseDns | None = None
    null_route: NullRoute | None = None
    rescue: Rescue | None = None
    traffic: Traffic | None = None

    def __init__(self, external_id: str) -> None:
        self.external_id = external_id

    def identify(self) -> tuple[Identifier, ...]:
        raise NotFound(f"there is no record of {self.external_id}")
