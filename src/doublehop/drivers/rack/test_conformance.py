"""The rack keeps the contract, against BMCs and a switch that nobody here wrote."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import pysnmp.hlapi.v1arch.asyncio as other_snmp
import pytest

from doublehop.box.emulators import Addresses, Emulators, machines_of
from doublehop.driver_kit.conformance.fault_proxy import FaultProxy, Mode
from doublehop.driver_kit.conformance.suite import Bench, Conformance
from doublehop.driver_kit.contract import SettingValue, Upstream
from doublehop.driver_kit.http import Limits
from doublehop.driver_kit.secret import Secret
from doublehop.drivers.rack.driver import DRIVER, RackUpstream

pytestmark = pytest.mark.long

MACHINES = machines_of(60)
LIMITS = Limits(connect_seconds=1, read_seconds=0.5, total_seconds=1.5)
PATIENT = Limits(connect_seconds=3, read_seconds=5, total_seconds=8)
PASSWORDS = ("bmc-password-of-the-test", "login-password-of-the-test")
WRITE_COMMUNITY = "private"


class RackBench:
    driver = DRIVER
    known = "7"
    unknown = "99"
    secrets = PASSWORDS
    settle_seconds = 20.0
    limit_seconds = 4.0

    def __init__(self, emulators: Emulators, number: int) -> None:
        self._emulators = emulators
        self._addresses: Addresses = emulators.addresses
        self._number = number
        self._machine = MACHINES[number]
        self.upstream = self.open(self._addresses.bmc_url, limits=PATIENT)

    def open(self, bmc_url: str, *, password: str = PASSWORDS[0], limits: Limits = LIMITS) -> Upstream:
        record: dict[str, SettingValue] = {
            "label": self._machine.name,
            "bmc_url": bmc_url,
            "bmc_system": self._machine.uuid,
            "bmc_username": "admin",
            "bmc_password": Secret(password),
            "switch_port": self._machine.if_name,
            "addresses": [self._machine.address, "2001:db8:0:7::/64"],
            "login_username": "root",
            "login_password": Secret(PASSWORDS[1]),
            "serial": "ON-PAPER-1",
        }
        settings = {
            "switch": self._addresses.switch,
            "read_community": Secret(self._addresses.read_community),
            "write_community": Secret(self._addresses.write_community),
        }
        return RackUpstream(settings, {self.known: record}, limits=limits)

    def effects(self) -> list[str]:
        return ["reset"] * self._emulators.resets(self._machine.uuid)

    def port_enabled(self) -> bool:
        oid = f"1.3.6.1.2.1.2.2.1.7.{101 + self._number}"
        return asyncio.run(_get(self._addresses.switch, oid)) == 1

    def wrong_credentials(self) -> AbstractContextManager[Upstream]:
        @contextmanager
        def opened() -> Iterator[Upstream]:
            yield self.open(self._addresses.bmc_url, password="wrong", limits=PATIENT)

        return opened()

    def faulty(self, mode: Mode, *, only_changes: bool) -> AbstractContextManager[Upstream]:
        @contextmanager
        def spoiled() -> Iterator[Upstream]:
            target = urlsplit(self._addresses.bmc_url)
            with FaultProxy((str(target.hostname), int(target.port or 0))) as proxy:
                upstream = self.open(proxy.url)
                if only_changes and mode is not Mode.REFUSE:
                    proxy.only = b"POST "
                proxy.mode = mode
                yield upstream
                upstream.close()
                changes = [line for line in proxy.requests if line.startswith(b"POST ")]
                assert len(changes) <= 1

        return spoiled()


async def _get(switch: str, oid: str) -> int:
    """By another library, and with the other community, than the driver reads."""
    host, port = switch.rsplit(":", 1)
    with other_snmp.SnmpDispatcher() as dispatcher:
        _, _, _, found = await other_snmp.get_cmd(
            dispatcher,
            other_snmp.CommunityData(WRITE_COMMUNITY, mpModel=1),  # noqa: S508
            await other_snmp.UdpTransportTarget.create((host, int(port)), timeout=3),
            other_snmp.ObjectType(other_snmp.ObjectIdentity(oid)),
        )
    return int(found[0][1])


@pytest.fixture(scope="module")
def emulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulators]:
    folder: Path = tmp_path_factory.mktemp("rack")
    with Emulators(folder, MACHINES, bmc_login=("admin", PASSWORDS[0])) as running:
        yield running


_machines = count()


class TestRackConformance(Conformance):
    @pytest.fixture
    def bench(self, emulators: Emulators) -> Iterator[Bench]:
        """Every test has a machine of its own, since a power change lands seconds later."""
        bench = RackBench(emulators, next(_machines))
        yield bench
        bench.upstream.close()
