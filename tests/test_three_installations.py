"""A provider, a reseller and a reseller of that one, each with an installation of its own, on loopback: two hops to a client.

Northgate owns the machines. Alder buys from Northgate, Cedar from Alder, and Heron Press is a client of Cedar. Each house is a
process with its own database; between them there is HTTP and nothing else. What happens is read from the world behind Northgate.
"""

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from doublehop.driver_kit.conformance.fault_proxy import FaultProxy, Mode
from tests.peers.served import Served

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

WEB, SPARE, STOCK = "web.example.org", "spare.example.org", "stock.example.org"
PATIENCE_SECONDS = 120.0
ABOVE = ("Northgate", "Alder", "The house above", "peer", "upstream", "provider", "reseller")


@dataclass
class Row:
    """``between`` stands in front of Alder, where Cedar looks for it. ``sold``: what Cedar's client has."""

    north: Served
    alder: Served
    cedar: Served
    between: FaultProxy
    tests: list[list[Any]]
    sold: dict[str, Any]

    @property
    def effects(self) -> list[str]:
        return self.north.ask("effects", "web")

    def press(self, kind: str) -> str:
        """What Heron Press asks with its own token, of Cedar's API; answers with the reference."""
        answer = self._client("POST", f"/services/{self.sold['service']}/operations", {"kind": kind})
        assert answer.status_code == 202, answer.text
        return answer.json()["reference"]

    def told(self, reference: str) -> dict[str, Any]:
        return self._client("GET", f"/operations/{reference}").json()

    def _client(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return httpx.request(
            method,
            f"{self.cedar.url}/api/v1{path}",
            json=body,
            headers={"authorization": f"Bearer {self.sold['token']}", "idempotency-key": str(uuid4())},
            timeout=30,
            trust_env=False,
        )

    def ends(self, reference: str, state: str) -> list[str]:
        def is_so() -> bool:
            return self.cedar.ask("state_of", reference)[0] == state

        wait_for(is_so, lambda: f"{self.cedar.ask('operations')} {self.alder.ask('operations')}")
        found: list[str] = self.cedar.ask("state_of", reference)
        return found


def wait_for(is_so: Callable[[], bool], why: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < until, why()
        time.sleep(0.2)


@pytest.fixture(scope="module")
def row(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Row]:
    folders: list[Path] = [tmp_path_factory.mktemp(name) for name in ("north", "alder", "cedar")]
    with ThreadPoolExecutor(3) as pool:
        houses = list(pool.map(Served, folders))
    north, alder, cedar = houses
    try:
        for house, name in zip(houses, ("Northgate Metal", "Alder Hosting", "Cedar Cloud"), strict=True):
            house.ask("begin", name)
        north.ask("machines", "web", "spare", "stock")
        token = north.ask("reseller", "Alder Hosting")
        for host in (WEB, SPARE):
            north.ask("give", host, "Alder Hosting")
        north.ask("long_ago")
        tests = [alder.ask("buy_from", north.url, token)]
        token = alder.ask("reseller", "Cedar Cloud")
        for host in (WEB, SPARE):
            alder.ask("give", host, "Cedar Cloud")
        alder.ask("long_ago")
        alder.ask("fetch_figures", WEB)
        with FaultProxy(alder.address) as between:
            tests.append(cedar.ask("buy_from", between.url, token))
            sold = cedar.ask("sell", WEB, "Heron Press")
            # Nobody asks for its figures: they are fetched because the server was attached.
            wait_for(
                lambda: len(cedar.ask("kept_figures", WEB)) >= 25, lambda: cedar.ask("kept_figures", WEB)
            )
            yield Row(north, alder, cedar, between, tests, sold)
    finally:
        for house in reversed(houses):
            house.end()


@pytest.fixture(autouse=True)
def _calm(row: Row) -> Iterator[None]:
    """Each test begins with nothing under way anywhere."""
    row.between.mode = Mode.PASS
    row.between.only = b""
    if not row.alder.is_running:
        row.alder.start()
    for house in (row.cedar, row.alder, row.north):
        house.ask("rest")
    yield
    row.between.mode = Mode.PASS


def test_each_house_tests_the_one_above_and_sees_the_same_machine(row: Row) -> None:
    for said, whom in zip(row.tests, ("Alder Hosting", "Cedar Cloud"), strict=True):
        assert all(fine for _, fine, _ in said), said
        assert any(f"as {whom}" in seen for _, _, seen in said)
    near, middle, far = (house.ask("server", WEB) for house in (row.north, row.alder, row.cedar))
    assert near["identifiers"] == middle["identifiers"] == far["identifiers"] != []
    assert not far["withheld"]
    assert "rescue" in far["capabilities"]


def test_a_press_at_the_far_end_is_one_reset_at_the_near_end(row: Row) -> None:
    before = row.effects
    reference = row.press("reboot")
    row.ends(reference, "done")
    assert row.effects == [*before, "power.reset:graceful"]
    assert row.told(reference)["state"] == "done"
    assert [row.alder.ask("operations")[-1][:2], row.north.ask("operations")[-1][:2]] == [
        ["reboot", "done"]
    ] * 2


def test_a_suspension_travels_to_the_machine_and_back_and_its_reason_stays(row: Row) -> None:
    row.ends(row.cedar.ask("press", "suspend", WEB), "done")
    assert row.north.ask("port_enabled", "web") is False
    assert row.cedar.ask("service_status", WEB) == "suspended"
    assert "1187" in str(row.cedar.ask("operations"))
    for above in (row.alder, row.north):
        assert "1187" not in str(above.ask("operations"))
        assert "Heron" not in str(above.ask("operations"))
    row.ends(row.cedar.ask("press", "unsuspend", WEB), "done")
    assert row.north.ask("port_enabled", "web") is True
    assert row.cedar.ask("service_status", WEB) == "active"


def test_figures_of_weeks_arrive_over_two_hops_with_unit_and_source(row: Row) -> None:
    today = datetime.now(UTC).date()
    span = [(today - timedelta(days=days)).isoformat() for days in (6, 1)]
    measured = row.north.ask("figures", WEB, *span)
    kept = row.cedar.ask("kept_figures", WEB)
    there = [line for line in kept if span[0] <= line[0] <= span[1]]
    assert len(measured) == 6
    assert [line[:3] for line in there] == measured
    assert {tuple(line[3:]) for line in kept} == {("Doublehop", "octets")}


def test_a_lost_answer_is_unknown_at_the_far_end_and_settled_by_asking(row: Row) -> None:
    before = row.effects
    row.between.only = b"POST "
    row.between.mode = Mode.ANSWER_LOST
    reference = row.press("reboot")
    row.ends(reference, "unknown")
    assert row.told(reference)["state"] == "unknown"
    row.between.mode = Mode.PASS
    row.ends(reference, "done")
    assert row.effects == [*before, "power.reset:graceful"]


def test_the_middle_house_is_killed_and_the_reboot_happens_once(row: Row) -> None:
    """Down before it was asked: not sent, and sent when it is back. Down after: followed when it is back."""
    before, asked_above = row.effects, len(row.alder.ask("operations"))
    row.alder.kill()
    reference = row.press("reboot")
    wait_for(
        lambda: any(line[1] == "running" for line in row.cedar.ask("operations")),
        lambda: row.cedar.ask("operations"),
    )
    assert row.cedar.ask("state_of", reference) == ["running", ""]
    assert row.effects == before
    row.alder.start()
    wait_for(lambda: len(row.alder.ask("operations")) > asked_above, lambda: row.alder.ask("operations"))
    row.alder.kill()
    row.alder.start()
    row.ends(reference, "done")
    assert row.effects == [*before, "power.reset:graceful"]


def test_no_name_of_a_house_above_reaches_the_client(row: Row) -> None:
    pages = row.cedar.ask("client_pages", WEB)
    assert WEB in pages
    words = re.sub(r"<(script|style|head)\b.*?</\1>|<[^>]*>", " ", pages, flags=re.DOTALL)
    found = {word for word in ABOVE if re.search(rf"\b{re.escape(word)}\b", words, re.IGNORECASE)}
    assert found == set()
    assert str(row.alder.port) not in pages
    assert str(row.between.port) not in pages
    answers = str(row._client("GET", f"/services/{row.sold['service']}").json())
    assert not any(word.lower() in answers.lower() for word in ("Northgate", "Alder", "house above"))


def test_what_a_client_ordered_is_bought_hop_by_hop_and_the_machine_comes_down_to_them(row: Row) -> None:
    row.north.ask("stock", STOCK, "AX-64", "71.00")
    row.alder.ask("offer", "Alder L", "99.00")
    row.cedar.ask("order", "Wren Books")
    wait_for(lambda: row.alder.ask("orders") != [], lambda: row.cedar.ask("ids"))
    assert row.alder.ask("orders") == [["Alder L", "99.00"]]
    # Alder has none left, and buys one in turn, which Northgate has.
    row.alder.ask("order", "")

    def come(house: Served) -> bool:
        house.ask("look_after_orders")
        return STOCK in house.ask("ids")

    wait_for(lambda: come(row.alder), lambda: row.north.ask("orders"))
    row.alder.ask("fill", STOCK)
    wait_for(lambda: come(row.cedar) and row.cedar.ask("sold", STOCK), lambda: row.alder.ask("orders"))
    assert row.alder.ask("orders") == row.north.ask("orders") == []
    row.ends(row.cedar.ask("press", "reboot", STOCK), "done")
    assert row.north.ask("effects", "stock") == ["power.reset:graceful"]


def test_a_server_that_is_taken_back_is_gone_below_and_nothing_is_sent(row: Row) -> None:
    row.cedar.ask("sell", SPARE, "Swift Press")
    row.north.ask("take_back", SPARE)
    for house in (row.alder, row.cedar):
        house.ask("sync")
    near, far = row.alder.ask("server", SPARE), row.cedar.ask("server", SPARE)
    assert (near["gone"], far["gone"], far["withheld"]) == (True, False, True)
    row.ends(row.cedar.ask("press", "reboot", SPARE), "failed")
    assert "missing" in row.cedar.ask("operations")[-1][4]
    assert row.north.ask("effects", "spare") == []
