"""The driver keeps the contract, against another Doublehop that is really served."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from tests.peers.served import Served

from doublehop.driver_kit.conformance.fault_proxy import FaultProxy, Mode
from doublehop.driver_kit.conformance.suite import Bench, Conformance
from doublehop.driver_kit.contract import Upstream, capabilities_of
from doublehop.driver_kit.http import Limits
from doublehop.driver_kit.secret import Secret
from doublehop.drivers.peer.driver import DRIVER, PeerUpstream

pytestmark = pytest.mark.long

LIMITS = Limits(connect_seconds=1, read_seconds=1.0, total_seconds=2.0, body_octets=2 * 1024 * 1024)
PATIENT = Limits(connect_seconds=5, read_seconds=20, total_seconds=30)
HOST = "web.example.org"


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str]]:
    """A provider that has given ``web`` to Alder, with Alder's token."""
    folder: Path = tmp_path_factory.mktemp("provider")
    house = Served(folder)
    try:
        house.ask("begin", "Northgate Metal")
        house.ask("machines", "web")
        token = house.ask("reseller", "Alder Hosting")
        house.ask("give", HOST, "Alder Hosting")
        house.ask("offer", "AX-64", "71.00")
        house.ask("long_ago")
        yield house, token
    finally:
        house.end()


class PeerBench:
    driver = DRIVER
    unknown = "99999"
    settle_seconds = 60.0
    limit_seconds = 8.0

    def __init__(self, house: Served, token: str) -> None:
        self._house, self._token = house, token
        self.known = str(house.ask("ids")[HOST])
        self.secrets = (token, token.split("_")[2])
        self.upstream = self.open(house.url, limits=PATIENT)

    def open(self, url: str, *, token: str = "", limits: Limits = LIMITS) -> Upstream:
        settings = {"endpoint": url, "token": Secret(token or self._token), "pin": ""}
        return PeerUpstream(settings, limits=limits)

    def effects(self) -> list[str]:
        return [one for one in self._house.ask("effects", "web") if one.startswith("power.reset")]

    def port_enabled(self) -> bool:
        raise AssertionError("there is no port")

    def wrong_credentials(self) -> AbstractContextManager[Upstream]:
        @contextmanager
        def opened() -> Iterator[Upstream]:
            upstream = self.open(self._house.url, token="dh_AAAAAAAAAA_" + "x" * 40, limits=PATIENT)
            yield upstream
            upstream.close()

        return opened()

    def faulty(self, mode: Mode, *, only_changes: bool) -> AbstractContextManager[Upstream]:
        @contextmanager
        def spoiled() -> Iterator[Upstream]:
            with FaultProxy(self._house.address) as proxy:
                upstream = self.open(proxy.url)
                if only_changes and mode is not Mode.REFUSE:
                    proxy.only = b"POST "
                proxy.mode = mode
                yield upstream
                upstream.close()
                assert sum(line.startswith(b"POST ") for line in proxy.requests) <= 1

        return spoiled()


class TestPeerConformance(Conformance):
    @pytest.fixture
    def bench(self, there: tuple[Served, str]) -> Iterator[Bench]:
        there[0].ask("rest")
        bench = PeerBench(*there)
        yield bench
        bench.upstream.close()

    def test_what_it_offers(self, bench: Bench) -> None:
        assert bench.upstream.inventory is not None
        bench.upstream.inventory.list()
        assert set(capabilities_of(bench.upstream.server(bench.known))) == {
            "power", "power_switch", "addresses", "credentials", "suspension", "rdns", "null_route", "rescue", "traffic",
        }  # fmt: skip
