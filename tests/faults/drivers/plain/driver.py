"""Every part of the contract over the plain HTTP of ``tests.faults.place``: so each command of the door passes a socket."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from doublehop.driver_kit.contract import (
    ConnectionReport,
    CounterReading,
    Driver,
    FieldKind,
    Health,
    Identifier,
    ListedServer,
    Login,
    PortCounter,
    PowerState,
    Proof,
    Server,
    ServerAddress,
    SettingField,
    Ticket,
    TicketState,
    TicketStatus,
    Upstream,
    Values,
)
from doublehop.driver_kit.errors import BadAnswer, UpstreamError
from doublehop.driver_kit.http import HttpClient, Limits
from doublehop.driver_kit.secret import Secret

LIMITS = Limits(connect_seconds=0.5, read_seconds=0.25, total_seconds=0.5)


class _Part:
    """One machine's part of that name. A change answers with a ticket, which every part follows alike."""

    def __init__(self, client: HttpClient, external_id: str, name: str) -> None:
        self._client, self._id, self._name = client, external_id, name

    def _look(self) -> dict[str, Any]:
        seen = self._client.read(f"/servers/{self._id}").object()
        if seen.get("id") != self._id:
            raise BadAnswer("answered about another machine")
        return seen

    def _change(self, call: str, **given: object) -> Ticket:
        answer = self._client.change("POST", f"/servers/{self._id}/{self._name}/{call}", json=given)
        said = answer.object()
        if said.get("id") != self._id or not isinstance(said.get("ticket"), str):
            raise answer.broken("answered about another machine")
        return Ticket(said["ticket"])

    def follow_up(self, ticket: Ticket) -> TicketStatus:
        if not ticket.text.startswith("t"):
            raise BadAnswer("this is no ticket of ours")
        said = self._client.read(f"/servers/{self._id}/tickets/{ticket.text}").object()
        if said.get("id") != self._id or said.get("state") not in set(TicketState):
            raise BadAnswer("answered about another machine")
        return TicketStatus(TicketState(said["state"]))


class _Power(_Part):
    def state(self) -> PowerState:
        return PowerState(self._look()["power"])

    def reset(self, *, graceful: bool) -> Ticket:
        return self._change("reset", graceful=graceful)

    def on(self) -> Ticket:
        return self._change("on")

    def off(self, *, graceful: bool) -> Ticket:
        return self._change("off", graceful=graceful)


class _Switch(_Part):
    """Port, suspension and access."""

    def is_enabled(self) -> bool:
        return bool(self._look()["port"])

    def set_enabled(self, enabled: bool) -> Ticket:
        return self._change("set", value=enabled)

    def is_suspended(self) -> bool:
        return bool(self._look()["suspended"])

    def is_asked(self) -> bool:
        return self.is_suspended()

    def suspend(self, reason: str) -> Ticket:
        return self._change("set", value=True)

    def unsuspend(self) -> Ticket:
        return self._change("set", value=False)

    def is_permitted(self) -> bool:
        return bool(self._look()["permitted"])

    def set_permitted(self, permitted: bool) -> Ticket:
        return self._change("set", value=permitted)


class _ReverseDns(_Part):
    def read(self) -> dict[str, str]:
        return dict(self._look()["rdns"])

    def set(self, address: str, name: str) -> Ticket:
        return self._change("set", address=address, name=name)


class _NullRoute(_Part):
    def read(self) -> frozenset[str]:
        return frozenset(self._look()["dropped"])

    def set(self, address: str, dropped: bool) -> Ticket:
        return self._change("set", address=address, value=dropped)


class _Rescue(_Part):
    def is_active(self) -> bool:
        return bool(self._look()["rescue"])

    def start(self) -> Ticket:
        return self._change("start")

    def stop(self) -> Ticket:
        return self._change("stop")


class _Addresses(_Part):
    def list(self) -> tuple[ServerAddress, ...]:
        seen = self._look()
        address = seen["address"]
        return (ServerAddress(address, primary=True, rdns=seen["rdns"].get(address, "")),)


class _Readings(_Part):
    def read(self) -> Health:
        self._look()
        return Health.OK


class _Credentials(_Part):
    def read(self) -> Login:
        self._look()
        return Login("root")


class PlainServer:
    traffic = None

    def __init__(self, client: HttpClient, external_id: str) -> None:
        self.external_id = external_id
        self._client = client
        self.power = self.power_switch = _Power(client, external_id, "power")
        self.health = _Readings(client, external_id, "health")
        self.port = _Switch(client, external_id, "port")
        self.addresses = _Addresses(client, external_id, "addresses")
        self.credentials = _Credentials(client, external_id, "credentials")
        self.suspension = _Switch(client, external_id, "suspension")
        self.access = _Switch(client, external_id, "access")
        self.rdns = _ReverseDns(client, external_id, "rdns")
        self.null_route = _NullRoute(client, external_id, "null_route")
        self.rescue = _Rescue(client, external_id, "rescue")

    def identify(self) -> tuple[Identifier, ...]:
        """Whoever answers says who it is; comparing is the door's."""
        return _identifiers(self._client.read(f"/servers/{self.external_id}").object())


def _identifiers(seen: Mapping[str, Any]) -> tuple[Identifier, ...]:
    return (Identifier("mac", str(seen["mac"])), Identifier("serial", str(seen["serial"])))


class _Inventory:
    def __init__(self, client: HttpClient) -> None:
        self._client = client

    def list(self) -> tuple[ListedServer, ...]:
        return tuple(
            ListedServer(
                line["id"],
                line["label"],
                line["hostname"],
                line["address"],
                _identifiers(line),
                withheld=not line["permitted"],
            )
            for line in self._client.read("/servers").object()["servers"]
        )


class _Counters:
    def __init__(self, client: HttpClient) -> None:
        self._client = client

    def read(self) -> CounterReading:
        counters = self._client.read("/counters").object()["counters"]
        now = datetime.now(UTC)
        ports = tuple(PortCounter(f"port-{name}", octets, octets) for name, octets in counters.items())
        return CounterReading("switch", now, int(now.timestamp() * 100) % 2**32, ports)

    def port_of(self, external_id: str) -> str | None:
        return f"port-{external_id}"


class PlainUpstream:
    def __init__(self, settings: Values) -> None:
        secret = settings["password"]
        assert isinstance(secret, Secret)
        self._client = HttpClient(
            str(settings["endpoint"]),
            login=(str(settings["account"]), secret),
            pin=str(settings.get("pin") or ""),
            limits=LIMITS,
            forbidden_is_login=False,
        )
        self.inventory = _Inventory(self._client)
        self.counters = _Counters(self._client)
        self.ordering = None

    def server(self, external_id: str) -> Server:
        return PlainServer(self._client, external_id)

    def test_connection(self) -> ConnectionReport:
        try:
            count = len(self.inventory.list())
        except UpstreamError as error:
            return ConnectionReport((("List", False, error.text),))
        return ConnectionReport((("List", True, f"{count} machines"),))

    def close(self) -> None:
        self._client.close()


def open_upstream(settings: Values, servers: Mapping[str, Values]) -> Upstream:
    return PlainUpstream(settings)


DRIVER = Driver(
    name="plain",
    label="Plain HTTP (tests)",
    settings=(
        SettingField("endpoint", "Address", FieldKind.URL),
        SettingField("account", "Account"),
        SettingField("password", "Password", FieldKind.SECRET),
        SettingField("pin", "Certificate", FieldKind.FINGERPRINT, required=False),
    ),
    open=open_upstream,
    endpoint_field="endpoint",
    account_fields=("account",),
    proves=(("serial", Proof.STRONG), ("mac", Proof.STRONG)),
    for_training=True,
)
