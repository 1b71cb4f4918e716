"""Own machines in a rack: Redfish BMCs, one SNMP switch, and our own records of addresses and logins."""

from collections.abc import Mapping
from dataclasses import dataclass

from doublehop.driver_kit.certificates import look
from doublehop.driver_kit.contract import (
    ConnectionReport,
    CounterReading,
    Counters,
    Driver,
    FieldKind,
    Inventory,
    ListedServer,
    Ordering,
    Server,
    SettingField,
    Upstream,
    Values,
)
from doublehop.driver_kit.errors import UpstreamError
from doublehop.driver_kit.http import HttpClient, Limits
from doublehop.driver_kit.reach import Reach, reach_of
from doublehop.drivers.rack.machine import (
    BMC_LIMITS,
    FIELDS,
    PROVES,
    RackServer,
    UnknownMachine,
    bmc_client,
    listed,
    secret_of,
    text_of,
)
from doublehop.drivers.rack.redfish import Bmc
from doublehop.drivers.rack.snmp import (
    AUTH_NAMES,
    DEFAULT_AUTH,
    DEFAULT_PRIV,
    PRIV_NAMES,
    Communities,
    Login,
    User,
)
from doublehop.drivers.rack.switch import Switch

_V2C, _V3 = "v2c", "v3"
_TESTED_BMCS = 3
_TEST_LIMITS = Limits(connect_seconds=3, read_seconds=5, total_seconds=8)


@dataclass(frozen=True)
class RackInventory:
    records: Mapping[str, Values]

    def list(self) -> tuple[ListedServer, ...]:
        return tuple(listed(external_id, record) for external_id, record in sorted(self.records.items()))


@dataclass(frozen=True)
class RackCounters:
    switch: Switch
    records: Mapping[str, Values]

    def read(self) -> CounterReading:
        return self.switch.read()

    def port_of(self, external_id: str) -> str | None:
        return text_of(self.records.get(external_id, {}), "switch_port") or None


class RackUpstream:
    """``limits`` and ``snmp_seconds`` are shortened by tests."""

    def __init__(
        self,
        settings: Values,
        records: Mapping[str, Values],
        *,
        limits: Limits = BMC_LIMITS,
        snmp_seconds: float = 3.0,
    ) -> None:
        self._records = records
        self._limits = limits
        address = text_of(settings, "switch")
        self._reach = reach_of(settings)
        self._switch = (
            Switch(address, _login(settings), seconds=snmp_seconds, reach=self._reach) if address else None
        )
        self._clients: dict[str, HttpClient | None] = {}
        self.inventory: Inventory | None = RackInventory(records)
        self.counters: Counters | None = RackCounters(self._switch, records) if self._switch else None
        self.ordering: Ordering | None = None

    def server(self, external_id: str) -> Server:
        record = self._records.get(external_id)
        if record is None:
            return UnknownMachine(external_id)
        if external_id not in self._clients:
            self._clients[external_id] = bmc_client(record, self._limits, self._reach)
        return RackServer(external_id, record, self._clients[external_id], self._switch)

    def test_connection(self) -> ConnectionReport:
        """The switch, and the first three BMCs: a report must not take minutes."""
        lines: list[tuple[str, bool, str]] = []
        if self._switch is not None:
            lines.append(self._test_switch(self._switch))
        seen = ""
        with_bmc = [r for _, r in sorted(self._records.items()) if text_of(r, "bmc_url")]
        for record in with_bmc[:_TESTED_BMCS]:
            line, fingerprint = _test_bmc(
                record, min(self._limits, _TEST_LIMITS, key=_total_seconds), self._reach
            )
            lines.append(line)
            seen = seen or fingerprint
        if len(with_bmc) > _TESTED_BMCS:
            lines.append(("Further BMCs", True, f"{len(with_bmc) - _TESTED_BMCS} not tried"))
        if not self._records:
            lines.append(("Machines", True, "none recorded yet"))
        return ConnectionReport(tuple(lines), seen)

    def close(self) -> None:
        for client in self._clients.values():
            if client is not None:
                client.close()
        if self._switch is not None:
            self._switch.close()

    def _test_switch(self, switch: Switch) -> tuple[str, bool, str]:
        what = f"Switch {switch.address}"
        try:
            names = {port.if_name for port in switch.read().ports}
        except UpstreamError as error:
            return what, False, error.text
        wired = {text_of(record, "switch_port") for record in self._records.values()} - {""}
        missing = sorted(wired - names)
        if missing:
            return what, False, f"has no port named {', '.join(missing[:5])}"
        may = "ports can be switched" if switch.may_write else "read only"
        return what, True, f"{len(names)} ports, {may}"


def _total_seconds(limits: Limits) -> float:
    return limits.total_seconds


def _test_bmc(record: Values, limits: Limits, reach: Reach) -> tuple[tuple[str, bool, str], str]:
    what = f"BMC of {text_of(record, 'label') or 'a machine'}"
    try:
        client = bmc_client(record, limits, reach)
        assert client is not None  # noqa: S101 (the caller chose records with a BMC)
        try:
            bmc = Bmc(client, text_of(record, "bmc_system"))
            text = f"power is {bmc.power()}; identity: " + ", ".join(
                i.kind.replace("_", " ") for i in bmc.identify()
            )
        finally:
            client.close()
    except UpstreamError as error:
        certificate = look(text_of(record, "bmc_url"), seconds=limits.connect_seconds, reach=reach)
        unproven = "" if certificate.verified else certificate.fingerprint
        return (what, False, error.text + (f"; it shows {unproven}" if unproven else "")), unproven
    return (what, True, text), ""


def _login(settings: Values) -> Login:
    if text_of(settings, "snmp_version") != _V3:
        return Communities(secret_of(settings, "read_community"), secret_of(settings, "write_community"))
    return User(
        text_of(settings, "snmp_user"),
        secret_of(settings, "snmp_auth_password"),
        secret_of(settings, "snmp_priv_password"),
        auth=text_of(settings, "snmp_auth") or DEFAULT_AUTH,
        priv=text_of(settings, "snmp_priv") or DEFAULT_PRIV,
        may_write=settings.get("snmp_may_switch") is True,
    )


def open_upstream(settings: Values, servers: Mapping[str, Values]) -> Upstream:
    return RackUpstream(settings, servers)


DRIVER = Driver(
    name="rack",
    label="Own rack (Redfish and SNMP)",
    settings=(
        SettingField(
            "switch",
            "Switch",
            FieldKind.HOST,
            required=False,
            hint="Its management address, e.g. 192.0.2.2 or host:1161",
        ),
        SettingField(
            "snmp_version",
            "SNMP version",
            FieldKind.CHOICE,
            required=False,
            default=_V2C,
            choices=((_V2C, "v2c, with communities"), (_V3, "v3, with a user")),
        ),
        SettingField("read_community", "Read community", FieldKind.SECRET, required=False, hint="Of v2c"),
        SettingField(
            "write_community",
            "Write community",
            FieldKind.SECRET,
            required=False,
            hint="Of v2c. Empty: ports are counted but never switched",
        ),
        SettingField("snmp_user", "User", required=False, hint="Of v3"),
        SettingField(
            "snmp_auth",
            "Authentication",
            FieldKind.CHOICE,
            required=False,
            default=DEFAULT_AUTH,
            choices=tuple((name, name) for name in AUTH_NAMES),
            hint="Of v3",
        ),
        SettingField(
            "snmp_auth_password",
            "Authentication password",
            FieldKind.SECRET,
            required=False,
            hint="Of v3; 8 characters or more",
        ),
        SettingField(
            "snmp_priv",
            "Encryption",
            FieldKind.CHOICE,
            required=False,
            default=DEFAULT_PRIV,
            choices=tuple((name, name) for name in PRIV_NAMES),
            hint="Of v3",
        ),
        SettingField(
            "snmp_priv_password",
            "Encryption password",
            FieldKind.SECRET,
            required=False,
            hint="Of v3; 8 characters or more. Empty: signed, but not encrypted",
        ),
        SettingField(
            "snmp_may_switch",
            "The v3 user may switch ports",
            FieldKind.BOOLEAN,
            required=False,
            hint="Off: ports are counted but never switched",
        ),
    ),
    open=open_upstream,
    server_settings=FIELDS,
    endpoint_field="switch",
    proves=PROVES,
)
