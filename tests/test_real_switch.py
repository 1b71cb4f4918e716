"""Our octets against the kernel's: a bridge of 48 ports, Debian's snmpd, real frames, from the driver to the slots."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from doublehop.bandwidth import collector, store
from doublehop.bandwidth.models import Collection
from doublehop.bandwidth.slots import slot_of
from doublehop.box.emulators import Addresses, Emulators, machines_of
from doublehop.driver_kit.conformance.suite import wait_for
from doublehop.driver_kit.errors import CredentialsRejected, Refused, UpstreamError
from doublehop.driver_kit.secret import Secret
from doublehop.drivers.rack.driver import DRIVER, RackCounters, RackUpstream
from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Port, Server, Upstream
from doublehop.services.lifecycle import OperationKind, OperationState, ServiceStatus
from doublehop.services.models import Operation
from tests import real_switch
from tests.cast import a_cast
from tests.real_switch import RealSwitch
from tests.stage import a_product, a_service, ask, run_all_jobs, run_jobs

pytestmark = [pytest.mark.long, pytest.mark.timeout(120), pytest.mark.django_db]

PORTS = 48
ANSWERS_WITHIN_SECONDS = 20.0
"""snmpd looks at the kernel every few seconds only."""
FIVE = timedelta(minutes=5)

V2C = {"read_community": real_switch.READ, "write_community": real_switch.WRITE}
V3 = {
    "snmp_version": "v3",
    "snmp_user": real_switch.USER,
    "snmp_auth": "SHA-256",
    "snmp_auth_password": real_switch.AUTH,
    "snmp_priv": "AES-128",
    "snmp_priv_password": real_switch.PRIV,
    "snmp_may_switch": "on",
}


@pytest.fixture(autouse=True)
def _the_rack_is_inside(settings) -> None:
    settings.DOUBLEHOP_UPSTREAM_NETWORKS = ("127.0.0.0/8",)


@pytest.fixture(scope="module")
def switch(tmp_path_factory) -> Iterator[RealSwitch]:
    real_switch.need_namespaces()
    with RealSwitch(tmp_path_factory.mktemp("switch"), ports=PORTS) as running, running.inside():
        wait_for(lambda: answers(opened(running)), ANSWERS_WITHIN_SECONDS)
        yield running


def opened(switch, values=V2C):
    settings = {"switch": switch.addresses[0]}
    for field in DRIVER.settings:
        if field.name in values:
            settings[field.name] = Secret(values[field.name]) if field.is_secret else values[field.name]
    settings["snmp_may_switch"] = values.get("snmp_may_switch") == "on"
    return RackUpstream(settings, {}, snmp_seconds=1.0)


def answers(upstream) -> bool:
    with suppress(UpstreamError):
        return bool(upstream.counters.read().ports)
    return False


class Rounds:
    """Rounds of the collector. Our clock and the device's are both moved on by a slot between two of them; all else is real."""

    def __init__(self, switch, upstream, monkeypatch):
        self.switch, self.upstream = switch, upstream
        self.passed = timedelta()
        self.first = None
        true = RackCounters.read

        def shifted(counters):
            found = true(counters)
            self.first = self.first or found.taken_at.replace(minute=0, second=0, microsecond=0)
            seconds = int(self.passed.total_seconds())
            return replace(
                found,
                taken_at=self.first + self.passed,
                uptime_centiseconds=100_000_000 + 100 * seconds,
                engine_seconds=1_000_000 + seconds,
                # All ports at the beginning of a slot, so that no octets are left in the one that is still open.
                ports=tuple(replace(port, after_centiseconds=0) for port in found.ports),
            )

        monkeypatch.setattr(RackCounters, "read", shifted)

    def read(self):
        self.wait_for_agent()
        collector.collect_slot(
            [self.upstream.pk], slot_of(self.first or Upstream.objects.get().created_at) + self.number
        )
        self.passed += FIVE

    @property
    def number(self):
        return self.passed // FIVE

    def wait_for_agent(self):
        """Until snmpd tells of every port what the kernel does."""

        def same():
            try:
                ports = opened(self.switch).counters.read().ports
            except UpstreamError:
                return False  # it is busy: the other tests share the machine with it
            told = {port.if_name: (port.in_octets, port.out_octets) for port in ports}
            return all(told[f"p{port}"] == self.switch.kernel_counters(port) for port in range(1, PORTS + 1))

        wait_for(same, ANSWERS_WITHIN_SECONDS)

    def octets(self):
        """By number of the port: octets (out, in) of its server in all slots, which are in and out at the switch."""
        names = dict(Port.objects.values_list("pk", "if_name"))
        first = slot_of(self.first)
        _, records = store.read(self.upstream.pk, names, first, first + self.number)
        found = dict.fromkeys(range(1, PORTS + 1), (0, 0))
        for port, octets_in, octets_out in records.tolist():
            number = int(names[port][1:])
            found[number] = (found[number][0] + octets_out, found[number][1] + octets_in)
        return found


def rack(cast, switch, values):
    upstream = fleet.create_upstream(
        cast.rosa, driver="rack", name="Rack A", values={"switch": switch.addresses[0], **values}
    )
    run_jobs()
    fleet.arm(cast.rosa, upstream.pk)
    for number in range(1, PORTS + 1):
        machine = Server.objects.create(upstream=upstream, external_id=f"m{number}", label=f"m{number}")
        Port.objects.create(upstream=upstream, server=machine, if_name=f"p{number}")
    return upstream


BMC = machines_of(1)[0]


@pytest.fixture(scope="module")
def bmc(switch, tmp_path_factory) -> Iterator[Addresses]:
    """Nothing is switched at a machine that has not said who it is: it needs a BMC, in the switch's network too."""
    with Emulators(tmp_path_factory.mktemp("bmc"), [BMC]) as running:
        yield running.addresses


def machine(cast, upstream, port, bmc):
    values = {
        "label": "rack1-u05",
        "switch_port": f"p{port}",
        "addresses": BMC.address,
        "bmc_url": bmc.bmc_url,
        "bmc_system": BMC.uuid,
        "bmc_username": bmc.bmc_username,
        "bmc_password": bmc.bmc_password,
    }
    Server.objects.filter(ports__if_name=f"p{port}").delete()
    Port.objects.filter(if_name=f"p{port}").delete()
    row = fleet.add_server(cast.rosa, upstream.pk, values)
    run_jobs()
    row.refresh_from_db()
    return row


@pytest.mark.parametrize("values", [V2C, V3], ids=["v2c", "v3"])
def test_our_volume_is_the_kernels_to_the_byte(switch, values, monkeypatch):
    rounds = Rounds(switch, rack(a_cast(), switch, values), monkeypatch)
    rounds.read()
    before = {port: switch.kernel_counters(port) for port in range(1, PORTS + 1)}
    sent = dict.fromkeys(range(1, PORTS + 1), 0)
    for frames, size in ((2_000, 1_500), (1_777, 61), (333, 1_499)):
        for host in (3, 5, 48):
            sent[host] += switch.send(host, frames + host, size)
        rounds.read()
    after = {port: switch.kernel_counters(port) for port in range(1, PORTS + 1)}
    by_kernel = {
        port: (after[port][0] - before[port][0], after[port][1] - before[port][1]) for port in before
    }
    assert rounds.octets() == by_kernel
    assert {port: received for port, (received, _) in by_kernel.items()} == sent
    # Nothing came in at port 7; how much goes out there is the bridge's affair (it floods, drops, and adds frames of its own).
    assert by_kernel[7][0] == 0
    assert by_kernel[7][1] > 0
    assert Collection.objects.get().discarded == 0


@pytest.mark.parametrize("values", [V2C, V3], ids=["v2c", "v3"])
def test_a_suspension_stops_the_traffic_and_its_end_brings_it_back(switch, bmc, values):
    cast = a_cast()
    upstream = rack(cast, switch, values)
    server = machine(cast, upstream, 5, bmc)
    assert "port" in server.capabilities
    service = a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa, ways=["port"]), server)

    def passes():
        before = switch.kernel_counters(6)[1]
        with suppress(OSError):
            switch.send(5, 10)
        return switch.kernel_counters(6)[1] - before

    assert passes() == 15_000
    operation = ask(cast.rosa, OperationKind.SUSPEND, service)
    run_all_jobs()
    assert Operation.objects.get(pk=operation.pk).state == OperationState.DONE
    assert not switch.has_carrier(5)
    assert passes() == 0
    ask(cast.rosa, OperationKind.UNSUSPEND, service)
    run_all_jobs()
    service.refresh_from_db()
    assert service.status == ServiceStatus.ACTIVE
    wait_for(lambda: switch.has_carrier(5) and passes() == 15_000, ANSWERS_WITHIN_SECONDS)


def test_what_the_switch_says_of_itself_and_of_its_ports(switch):
    wait_for(lambda: answers(opened(switch)), ANSWERS_WITHIN_SECONDS)
    by_v2c, by_v3 = (opened(switch, values).counters.read() for values in (V2C, V3))
    assert by_v2c.device == by_v3.device
    assert by_v2c.device.startswith("engine 8000")
    assert by_v2c.boots >= 1
    found = {port.if_name: port for port in by_v2c.ports}
    assert found["p5"].fingerprint == switch.mac(5)
    assert (found["p5"].bits, found["p5"].speed_bps) == (64, 10_000_000_000)


def test_an_agent_that_started_again_is_the_same_device_with_one_start_more(switch):
    before = opened(switch).counters.read()
    switch.restart_agent()
    wait_for(lambda: answers(opened(switch)), ANSWERS_WITHIN_SECONDS)
    after = opened(switch).counters.read()
    assert after.device == before.device
    assert after.boots == before.boots + 1
    assert after.uptime_centiseconds < before.uptime_centiseconds or before.uptime_centiseconds < 2_000


def test_another_device_at_the_same_address_is_another_device(switch):
    before = opened(switch).counters.read()
    with switch.replaced():
        wait_for(lambda: answers(opened(switch)), ANSWERS_WITHIN_SECONDS)
        assert opened(switch).counters.read().device != before.device
    wait_for(lambda: answers(opened(switch)), ANSWERS_WITHIN_SECONDS)
    assert opened(switch).counters.read().device == before.device


@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        ({"snmp_auth_password": "another-password"}, CredentialsRejected, "refuses the SNMPv3 user"),
        ({"snmp_user": "nobody"}, CredentialsRejected, "refuses the SNMPv3 user"),
        ({"snmp_auth": "SHA-512"}, CredentialsRejected, "refuses the SNMPv3 user"),
        ({"snmp_priv_password": "another-password"}, UpstreamError, "privacy password"),
        ({"snmp_auth_password": "short"}, Refused, "8 characters"),
    ],
)
def test_a_wrong_user_is_said(switch, wrong, error, text):
    with pytest.raises(error, match=text):
        opened(switch, {**V3, **wrong}).counters.read()
