"""The reference twin keeps the contract."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal

import pytest

from doublehop.driver_kit.conformance.fault_proxy import Mode
from doublehop.driver_kit.conformance.suite import Bench, Conformance
from doublehop.driver_kit.conformance.world import PASSWORD, World
from doublehop.driver_kit.conformance.world import world as place_named
from doublehop.driver_kit.contract import Price, SupplyOffer, Upstream
from doublehop.driver_kit.secret import Secret
from doublehop.drivers.memory.driver import DRIVER


class MemoryBench:
    driver = DRIVER
    known = "m1"
    unknown = "m99"
    secrets = (PASSWORD, "the-root-password")
    settle_seconds = 2.0
    limit_seconds = 1.0

    def __init__(self, place: World) -> None:
        self.place = place
        self.upstream = self.open(PASSWORD)

    def open(self, password: str) -> Upstream:
        return DRIVER.open(
            {"endpoint": self.place.endpoint, "account": "demo", "password": Secret(password)}, {}
        )

    def effects(self) -> list[str]:
        return self.place.effects(self.known)

    def port_enabled(self) -> bool:
        return self.place.machines[self.known].port_enabled

    def wrong_credentials(self) -> AbstractContextManager[Upstream]:
        @contextmanager
        def opened() -> Iterator[Upstream]:
            yield self.open("wrong")

        return opened()

    def faulty(self, mode: Mode, *, only_changes: bool) -> None:
        return None


class TestMemoryConformance(Conformance):
    @pytest.fixture
    def bench(self, request: pytest.FixtureRequest) -> Bench:
        place = place_named(f"conformance {request.node.name}")
        place.settle_seconds = 0.05
        if not place.machines:
            place.add("m1", address="192.0.2.1", password="the-root-password")
            place.add("m2", address="192.0.2.2")
        place.offers = {"1": SupplyOffer("1", "AX-64", "8 cores", Price(Decimal("71.00"), Decimal(0), "EUR"))}
        return MemoryBench(place)
