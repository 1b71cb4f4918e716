"""Another Doublehop, spoken to through its REST API v1: so any number of resellers may stand in a row."""

from collections.abc import Callable, Mapping

from doublehop.driver_kit.contract import (
    ConnectionReport,
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
from doublehop.driver_kit.http import Limits
from doublehop.driver_kit.transport import Carrier
from doublehop.drivers.peer.api import BUDGET, USUAL, Api
from doublehop.drivers.peer.machine import OPERATE, PeerServer
from doublehop.drivers.peer.ordering import PeerOrdering
from doublehop.drivers.peer.report import report
from doublehop.drivers.peer.shapes import PROVES, Line


class PeerInventory:
    """Remembers what it listed, for as long as this upstream is open: what each server offers stands in its line."""

    def __init__(self, api: Api, *, with_hostnames: bool) -> None:
        self._api = api
        self._with_hostnames = with_hostnames
        self.lines: dict[str, Line] = {}

    def list(self) -> tuple[ListedServer, ...]:
        self.lines = {line.id: line for line in self._api.lines()}
        return tuple(
            ListedServer(
                external_id=line.id,
                label=line.label,
                # Clients read it: whoever names machines after itself over there would be known to them.
                hostname=line.hostname if self._with_hostnames else "",
                primary_address=line.address,
                identifiers=line.identifiers,
                withheld=not line.usable,
            )
            for line in self.lines.values()
        )


class PeerUpstream:
    """Tests shorten the limits, and replace the network by ``carrier``."""

    counters: Counters | None = None

    def __init__(
        self, settings: Values, *, limits: Limits = USUAL, carrier: Callable[[], Carrier] | None = None
    ) -> None:
        self._api = Api(settings, limits=limits, carrier=carrier)
        learned = settings.get("learned_scopes")
        self._scopes = frozenset(str(learned).split()) if learned else None
        self._listing = PeerInventory(self._api, with_hostnames=settings.get("hostnames") is True)
        self.inventory: Inventory | None = self._listing
        may_order = self._scopes is None or OPERATE in self._scopes
        self.ordering: Ordering | None = PeerOrdering(self._api) if may_order else None

    def server(self, external_id: str) -> Server:
        return PeerServer(self._api, external_id, self._listing.lines.get(external_id), self._scopes)

    def test_connection(self) -> ConnectionReport:
        return report(self._api)

    def close(self) -> None:
        self._api.close()


def open_upstream(settings: Values, servers: Mapping[str, Values]) -> Upstream:
    return PeerUpstream(settings)


DRIVER = Driver(
    name="peer",
    label="Another Doublehop",
    settings=(
        SettingField(
            "endpoint",
            "Address of their panel",
            FieldKind.URL,
            hint="Where your provider’s panel is, such as https://panel.example.org.",
        ),
        SettingField(
            "token",
            "API token",
            FieldKind.SECRET,
            hint="Made over there under API tokens, for your organisation, with the scopes read, operate and billing.",
        ),
        SettingField(
            "pin",
            "Certificate",
            FieldKind.FINGERPRINT,
            required=False,
            hint="Only where no known authority signed it. Test connection shows what it sees.",
        ),
        SettingField(
            "hostnames",
            "Take over their hostnames",
            FieldKind.BOOLEAN,
            required=False,
            hint="Your clients read them. Without: the hostname that was typed or ordered here, else the address.",
        ),
    ),
    open=open_upstream,
    endpoint_field="endpoint",
    budget=BUDGET,
    proves=PROVES,
    module_label="Another Doublehop",
    servers_list_label="Servers of the other Doublehop",
)
