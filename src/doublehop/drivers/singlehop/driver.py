"""A provider that speaks LEAP (2011) or Dropzone (2012): SingleHop as it was, or another Doublehop."""

from collections.abc import Callable, Mapping

from doublehop.driver_kit.budget import meter_for
from doublehop.driver_kit.contract import (
    Budget,
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
from doublehop.driver_kit.errors import BadAnswer
from doublehop.driver_kit.http import Limits
from doublehop.driver_kit.reach import reach_of
from doublehop.driver_kit.transport import Carrier
from doublehop.drivers.singlehop.account import Account
from doublehop.drivers.singlehop.doors import PATIENT, USUAL, Doors
from doublehop.drivers.singlehop.figures import UNITS
from doublehop.drivers.singlehop.finding import Found
from doublehop.drivers.singlehop.machine import PROVES, SinglehopServer, identifiers_of
from doublehop.drivers.singlehop.report import report
from doublehop.drivers.singlehop.words import Line, Logins

BUDGET = Budget(calls=240, per_seconds=60, burst=120, at_once=4)


class SinglehopInventory:
    def __init__(self, account: Account) -> None:
        self._account = account

    def list(self) -> tuple[ListedServer, ...]:
        """Every server of the LEAP account; withheld are those without the Tandem user's permission."""
        permitted = self._account.tandem_user().servers
        self._account.check_tandem_login()
        if permitted is None:
            raise BadAnswer("the servers that the Tandem user may use cannot be read")
        return tuple(_listed(line, line.id in permitted) for line in self._account.lines().values())


def _listed(line: Line, permitted: bool) -> ListedServer:
    label = line.hostname or f"Server {line.id}"
    return ListedServer(
        external_id=line.id,
        label=f"{label} (VM)" if line.is_virtual else label,
        hostname=line.hostname,
        primary_address=line.address,
        identifiers=identifiers_of(line),
        withheld=not permitted,
    )


class SinglehopUpstream:
    """Tests shorten the limits, and replace the network by ``carrier``."""

    counters: Counters | None = None
    ordering: Ordering | None = None

    def __init__(
        self,
        settings: Values,
        *,
        usual: Limits = USUAL,
        patient: Limits = PATIENT,
        carrier: Callable[[], Carrier] | None = None,
    ) -> None:
        self._logins = Logins.of(settings)
        meter = meter_for(f"singlehop {self._logins.endpoint} {self._logins.leap_username}", BUDGET)
        self._doors = Doors(
            self._logins, meter, usual=usual, patient=patient, reach=reach_of(settings), carrier=carrier
        )
        self._account = Account(self._logins, Found.read(settings), self._doors)
        self.inventory: Inventory | None = SinglehopInventory(self._account)

    def server(self, external_id: str) -> Server:
        return SinglehopServer(self._account, external_id)

    def test_connection(self) -> ConnectionReport:
        return report(self._logins, self._doors)

    def close(self) -> None:
        self._doors.close()


def open_upstream(settings: Values, servers: Mapping[str, Values]) -> Upstream:
    return SinglehopUpstream(settings)


DRIVER = Driver(
    name="singlehop",
    label="Singlehop (LEAP and Dropzone)",
    settings=(
        SettingField(
            "endpoint",
            "Address",
            FieldKind.URL,
            default="https://leap.singlehop.com",
            hint="From your provider: the host is enough.",
        ),
        SettingField("leap_username", "LEAP username"),
        SettingField("leap_password", "LEAP password", FieldKind.SECRET),
        SettingField(
            "tandem_username",
            "Tandem username",
            hint="The Tandem user's e-mail. Its permissions decide what the servers list offers.",
        ),
        SettingField("tandem_password", "Tandem password", FieldKind.SECRET),
        SettingField("api_key", "API key", FieldKind.SECRET, hint="In LEAP under Leap > Accounts."),
        SettingField(
            "pin", "PIN", FieldKind.SECRET, required=False, hint="For passwords and rescue; empty: without."
        ),
        SettingField(
            "api",
            "API",
            FieldKind.CHOICE,
            required=False,
            default="auto",
            choices=(
                ("auto", "find out"),
                ("leap", "LEAP API (2011)"),
                ("dropzone", "Dropzone (2012)"),
            ),
            hint="Find out uses both where both are there.",
        ),
        SettingField(
            "bandwidth_unit",
            "Unit of bandwidth",
            FieldKind.CHOICE,
            required=False,
            default="GB",
            choices=UNITS,
            hint="Used where the other side does not say its unit. GB is 10^9 octets. Compare one day with your provider's own page.",
        ),
    ),
    open=open_upstream,
    endpoint_field="endpoint",
    account_fields=("leap_username", "tandem_username"),
    budget=BUDGET,
    proves=PROVES,
    module_label="Singlehop",
    servers_list_label="SingleHop Servers List",
)
