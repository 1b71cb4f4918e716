"""The reference twin: a thin driver over :mod:`doublehop.driver_kit.conformance.world`. No network."""

from collections.abc import Mapping

from doublehop.driver_kit.conformance.world import World, world
from doublehop.driver_kit.contract import (
    ConnectionReport,
    CounterReading,
    Counters,
    Driver,
    FieldKind,
    Inventory,
    ListedServer,
    Ordering,
    PortCounter,
    Proof,
    Server,
    SettingField,
    Upstream,
    Values,
)
from doublehop.driver_kit.errors import UpstreamError
from doublehop.driver_kit.secret import Secret
from doublehop.drivers.memory.ordering import MemoryOrdering
from doublehop.drivers.memory.server import MemoryServer, call, identifiers_of

_SAMPLE = (
    "m1 | web1 | web1.example.org | 192.0.2.11",
    "m2 | web2 | web2.example.org | 192.0.2.12",
    "m3 | db1 | db1.example.org | 192.0.2.13",
)


class MemoryUpstream:
    def __init__(self, settings: Values) -> None:
        self._world = world(str(settings["endpoint"]))
        secret = settings.get("password", "")
        self._password = secret if isinstance(secret, Secret) else Secret("")
        lines = settings.get("servers") or ()
        _fill(self._world, [lines] if isinstance(lines, str) else [str(line) for line in lines])  # type: ignore[union-attr]
        self.inventory: Inventory | None = MemoryInventory(self._world, self._password)
        self.counters: Counters | None = MemoryCounters(self._world, self._password)
        self.ordering: Ordering | None = (
            MemoryOrdering(self._world, self._password) if self._world.offers else None
        )

    def server(self, external_id: str) -> Server:
        return MemoryServer(self._world, external_id, self._password)

    def test_connection(self) -> ConnectionReport:
        try:
            count = len(MemoryInventory(self._world, self._password).list())
        except UpstreamError as error:
            return ConnectionReport((("Memory", False, error.text),))
        return ConnectionReport((("Memory", True, f"{count} machines"),))

    def close(self) -> None:
        """Nothing is open."""


class MemoryInventory:
    def __init__(self, place: World, password: Secret) -> None:
        self._world = place
        self._password = password

    def list(self) -> tuple[ListedServer, ...]:
        call(self._world, "inventory.list", "", self._password)
        return tuple(
            ListedServer(
                m.external_id, m.label, m.hostname, m.address, identifiers_of(m), withheld=not m.permitted
            )
            for m in list(self._world.machines.values())
        )


class MemoryCounters:
    def __init__(self, place: World, password: Secret) -> None:
        self._world = place
        self._password = password

    def read(self) -> CounterReading:
        call(self._world, "counters.read", "", self._password)
        now = self._world.clock()
        seconds = max(0.0, (now - self._world.booted_at).total_seconds())
        ports = tuple(
            PortCounter(
                machine.if_name,
                int(machine.in_octets_per_second * seconds) % 2**64,
                int(machine.out_octets_per_second * seconds) % 2**64,
                speed_bps=1_000_000_000,
            )
            for machine in list(self._world.machines.values())
            if machine.if_name
        )
        return CounterReading(self._world.endpoint, now, int(seconds * 100) % 2**32, ports)

    def port_of(self, external_id: str) -> str | None:
        machine = self._world.machines.get(external_id)
        return machine.if_name or None if machine else None


def _fill(place: World, lines: list[str]) -> None:
    if not lines and not place.machines:
        lines = list(_SAMPLE)
    for line in lines:
        external_id, *rest = (word.strip() for word in line.split("|"))
        label, hostname, address = ([*rest, "", "", ""])[:3]
        if external_id and external_id not in place.machines:
            place.add(external_id, label=label, hostname=hostname, address=address)


def open_upstream(settings: Values, servers: Mapping[str, Values]) -> Upstream:
    return MemoryUpstream(settings)


DRIVER = Driver(
    name="memory",
    label="Memory (for tests and training)",
    settings=(
        SettingField(
            "endpoint", "Place", default="memory", hint="Any name; the same name shows the same machines"
        ),
        SettingField("account", "Account", default="demo"),
        SettingField("password", "Password", FieldKind.SECRET),
        SettingField(
            "servers",
            "Machines",
            FieldKind.LINES,
            required=False,
            hint="id | label | hostname | address, one a line",
        ),
    ),
    open=open_upstream,
    endpoint_field="endpoint",
    account_fields=("account",),
    proves=(("serial", Proof.STRONG), ("mac", Proof.STRONG), ("primary_address", Proof.WEAK)),
    for_training=True,
    module_label="Memory",
    servers_list_label="Memory Servers List",
)
