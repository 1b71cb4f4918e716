"""Own machines in a rack: Redfish BMCs, one SNMP switch, and our own records of addresses and logins."""

from collections.abc import Mapping
from dataclasses import dataclass

from doublehop.driver_kit.certificates import look
from doublehop.driver_kit.contract import (
    Budget,
    ConnectionReport,
    CounterReading,
    Counters,
    Driver,
    FieldKind,
    Inventory,
    ListedServer,
    Server,
    SettingField,
    Upstream,
    Values,
)
from doublehop.driver_kit.errors import UpstreamError
from doublehop.driver_kit.http import HttpClient, Limits
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
from doublehop.drivers.rack.switch import Switch

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
        reads, writes = secret_of(settings, "read_community"), secret_of(settings, "write_community")
        self._switch = Switch(address, reads, writes, seconds=snmp_seconds) if address else None
        self._clients: dict[str, HttpClient | None] = {}
        self.inventory: Inventory | None = RackInventory(records)
        self.counters: Counters | None = RackCounters(self._switch, records) if self._switch else None

    def server(self, external_id: str) -> Server:
        record = self._records.get(external_id)
        if record is None:
            return UnknownMachine(external_id)
        if external_id not in self._clients:
            self._clients[external_id] = bmc_client(record, self._limits)
        return RackServer(external_id, record, self._clients[external_id], self._switch)

    def test_connection(self) -> ConnectionReport:
        """The switch, and the first three BMCs: a report must not take minutes."""
        lines: list[tuple[str, bool, str]] = []
        if self._switch is not None:
            lines.append(self._test_switch(self._switch))
        seen = ""
        with_bmc = [r for _, r in sorted(self._records.items()) if text_of(r, "bmc_url")]
        for record in with_bmc[:_TESTED_BMCS]:
            line, fingerprint = _test_bmc(record, min(self._limits, _TEST_LIMITS, key=_total_seconds))
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


def _test_bmc(record: Values, limits: Limits) -> tuple[tuple[str, bool, str], str]:
    what = f"BMC of {text_of(record, 'label') or 'a machine'}"
    try:
        client = bmc_client(record, limits)
        assert client is not None  # noqa: S101 (the caller chose records with a BMC)
        try:
            bmc = Bmc(client, text_of(record, "bmc_system"))
            text = f"power is {bmc.power()}; identity: " + ", ".join(i.kind for i in bmc.identify())
        finally:
            client.close()
    except UpstreamError as error:
        certificate = look(text_of(record, "bmc_url"), seconds=limits.connect_seconds)
        unproven = "" if certificate.verified else certificate.fingerprint
        return (what, False, error.text + (f"; it shows {unproven}" if unproven else "")), unproven
    return (what, True, text), ""


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
        SettingField("read_community", "Read community", FieldKind.SECRET, required=False, hint="SNMP v2c"),
        SettingField(
            "write_community",
            "Write community",
            FieldKind.SECRET,
            required=False,
            hint="Empty: ports are counted but never switched",
        ),
    ),
    open=open_upstream,
    server_settings=FIELDS,
    endpoint_field="switch",
    budget=Budget(per_minute=600, at_once=4),
    proves=PROVES,
)
