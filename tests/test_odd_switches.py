"""Odd devices, played by snmpsim: what each costs is a gap and a sentence, never an octet too many."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from doublehop.bandwidth import collector, store
from doublehop.bandwidth.models import Collection
from doublehop.bandwidth.queries.health import last_rounds
from doublehop.bandwidth.slots import slot_of
from doublehop.bandwidth.tests.switch import T0
from doublehop.box.emulators import free_port, script
from doublehop.driver_kit.conformance.suite import wait_for
from doublehop.driver_kit.errors import Unreachable, UpstreamError
from doublehop.driver_kit.secret import Secret
from doublehop.drivers.rack.driver import RackCounters, RackUpstream
from doublehop.drivers.rack.snmp import Communities
from doublehop.drivers.rack.switch import Switch
from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Port, Server
from tests.cast import a_cast
from tests.stage import run_jobs

pytestmark = [pytest.mark.long, pytest.mark.timeout(90), pytest.mark.django_db]

IF, IFX = "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1"
FIVE = timedelta(minutes=5)
DAY_CS = 8_640_000
SLOT_CS = 30_000


@dataclass(frozen=True)
class Device:
    """As it stands at one moment; ``ports`` is ifName to octets (in, out), numbered from ``first`` on."""

    ports: dict[str, tuple[int, int]]
    uptime: int = DAY_CS
    first: int = 1
    bits: int = 64
    megabits: int = 1000
    jump: int = 0
    serial: str = "S-1"
    delay_ms: int = 0

    def after(self, **changes: object) -> "Device":
        return replace(self, **{"uptime": self.uptime + SLOT_CS, **changes})  # type: ignore[arg-type]

    def lines(self) -> str:
        uptime = (
            f"67:delay|value={self.uptime},wait={self.delay_ms}" if self.delay_ms else f"67|{self.uptime}"
        )
        found = {
            "1.3.6.1.2.1.1.3.0": uptime,
            "1.3.6.1.2.1.2.1.0": f"2|{len(self.ports)}",
            "1.3.6.1.2.1.47.1.1.1.1.5.1": "2|3",
            "1.3.6.1.2.1.47.1.1.1.1.11.1": f"4|{self.serial}",
        }
        for index, (name, (octets_in, octets_out)) in enumerate(self.ports.items(), self.first):
            found |= {f"{IF}.7.{index}": "2|1", f"{IF}.8.{index}": "2|1", f"{IFX}.1.{index}": f"4|{name}"}
            found |= {f"{IFX}.15.{index}": f"66|{self.megabits}", f"{IFX}.19.{index}": f"67|{self.jump}"}
            if self.bits == 64:
                found |= {f"{IFX}.6.{index}": f"70|{octets_in}", f"{IFX}.10.{index}": f"70|{octets_out}"}
            else:
                found |= {f"{IF}.10.{index}": f"65|{octets_in}", f"{IF}.16.{index}": f"65|{octets_out}"}
        in_order = sorted(found, key=lambda oid: tuple(map(int, oid.split("."))))
        return "".join(f"{oid}|{found[oid]}\n" for oid in in_order)


PLAIN = Device({"e1": (1_000, 5_000), "e2": (7_000, 9_000)})
NARROW = Device({"e1": (2**32 - 300, 5_000), "e2": (0, 0)}, bits=32, megabits=100)
GROWN = {"e1": (1_300, 5_700), "e2": (7_000, 9_000)}
MEASURED = {"e1": (300, 700), "e2": (0, 0)}
NOTHING: dict[str, tuple[int, int]] = {}

# Before, after: what is measured in the slot between them, and why the rest is not.
STORIES: dict[str, tuple[Device, Device, dict[str, tuple[int, int]], str]] = {
    "plain": (PLAIN, PLAIN.after(ports=GROWN), MEASURED, ""),
    "32 bits that wrapped": (
        NARROW,
        NARROW.after(ports={"e1": (400, 5_700), "e2": (0, 0)}),
        {"e1": (700, 700), "e2": (0, 0)},
        "",
    ),
    "32 bits at a speed that wraps twice": (
        replace(NARROW, megabits=1000),
        replace(NARROW, megabits=1000).after(ports={"e1": (400, 5_700), "e2": (0, 0)}),
        NOTHING,
        "32-bit counters are too small",
    ),
    "restarted": (PLAIN, PLAIN.after(uptime=100, ports={"e1": (40, 50), "e2": (0, 0)}), NOTHING, ""),
    "set to nothing without a restart": (
        PLAIN,
        PLAIN.after(ports={"e1": (40, 50), "e2": (7_000, 9_000)}),
        {"e2": (0, 0)},
        "went backwards",
    ),
    "says that its counters jumped": (
        PLAIN,
        PLAIN.after(ports=GROWN, jump=DAY_CS + 5),
        NOTHING,
        "counters jumped",
    ),
    "numbered anew": (PLAIN, PLAIN.after(ports=GROWN, first=101), MEASURED, ""),
    "numbered the other way round": (
        PLAIN,
        PLAIN.after(ports={name: GROWN[name] for name in ("e2", "e1")}),
        MEASURED,
        "",
    ),
    "replaced by another": (PLAIN, PLAIN.after(ports=GROWN, serial="S-2"), NOTHING, "another device"),
    "faster than its cable": (
        PLAIN,
        PLAIN.after(ports={**GROWN, "e1": (10**12, 5_700)}),
        {"e2": (0, 0)},
        "more than the port can carry",
    ),
}


def community(story: str, moment: str) -> str:
    return f"{story.replace(' ', '-')}-{moment}"


@pytest.fixture(scope="module")
def simulator(tmp_path_factory) -> Iterator[str]:
    """Its address. Each story has two communities: the same device before and after."""
    folder = tmp_path_factory.mktemp("snmpsim")
    data = folder / "data"
    data.mkdir()
    for story, (before, after, _, _) in STORIES.items():
        (data / f"{community(story, 'before')}.snmprec").write_text(before.lines())
        (data / f"{community(story, 'after')}.snmprec").write_text(after.lines())
    many = {f"e{n}": (0, 0) for n in range(1, 49)}
    (data / "slow.snmprec").write_text(replace(PLAIN, ports=many, delay_ms=100).lines())
    address = f"127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    command = [script("snmpsim-command-responder"), f"--data-dir={data}", f"--cache-dir={folder / 'cache'}"]
    if os.geteuid() == 0:
        command += ["--process-user=root", "--process-group=root"]
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(
            [*command, "--logging-method=stderr", "--log-level=error", f"--agent-udpv4-endpoint={address}"],
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(lambda: answers(address, community("plain", "before")), 20)
        yield address
    finally:
        running.terminate()
        running.wait(10)


def answers(address: str, read: str) -> bool:
    upstream = RackUpstream({"switch": address, "read_community": Secret(read)}, {}, snmp_seconds=0.5)
    with suppress(UpstreamError):
        return upstream.counters is not None and bool(upstream.counters.read().ports)
    return False


@pytest.fixture
def collected(monkeypatch):
    """Makes an upstream with two ports, and collects a round of it: slot by slot, at T0 and every five minutes."""
    cast = a_cast()
    true = RackCounters.read
    moment = [T0]
    monkeypatch.setattr(RackCounters, "read", lambda counters: replace(true(counters), taken_at=moment[0]))

    class Collected:
        def __init__(self, address: str) -> None:
            self.upstream = fleet.create_upstream(
                cast.ines, driver="rack", name="Rack A", values=self.values(address, "plain-before")
            )
            run_jobs()
            self.address = address
            self.rounds = 0
            for name in ("e1", "e2"):
                server = Server.objects.create(upstream=self.upstream, external_id=name, label=name)
                Port.objects.create(upstream=self.upstream, server=server, if_name=name)

        @staticmethod
        def values(address: str, read: str) -> dict[str, str]:
            return {"switch": address, "read_community": read}

        def round(self, read: str) -> None:
            values = self.values(self.address, read)
            fleet.update_upstream(cast.ines, self.upstream.pk, name="Rack A", values=values)
            moment[0] = T0 + self.rounds * FIVE
            collector.collect_slot([self.upstream.pk], slot_of(moment[0]))
            self.rounds += 1

        def measured(self) -> dict[str, tuple[int, int]]:
            """As the switch counts: octets (in, out) of each port that has a figure in the slot of T0."""
            names = dict(Port.objects.values_list("pk", "if_name"))
            _, records = store.read(self.upstream.pk, names, slot_of(T0), slot_of(T0) + 1)
            return {names[port]: (octets_out, octets_in) for port, octets_in, octets_out in records.tolist()}

        def line(self) -> Collection:
            return Collection.objects.get(upstream_id=self.upstream.pk)

    return Collected


@pytest.mark.parametrize("story", STORIES)
def test_what_an_odd_device_tells_becomes_a_figure_or_a_gap_with_its_reason(simulator, collected, story):
    _, _, expected, reason = STORIES[story]
    rack = collected(simulator)
    rack.round(community(story, "before"))
    rack.round(community(story, "after"))
    assert rack.measured() == expected
    assert reason in rack.line().last_discard
    assert bool(rack.line().discarded) is bool(reason)
    assert not rack.line().failing_since


def test_a_wrong_community_is_a_gap_that_says_so_and_ends(simulator, collected):
    rack = collected(simulator)
    rack.round(community("plain", "before"))
    rack.round("a-wrong-community")
    assert rack.line().failure_text.endswith("it is off, or the read community is wrong")
    assert rack.line().failing_since
    assert rack.measured() == {}
    rack.round(community("plain", "after"))
    assert not rack.line().failing_since


def test_silence_is_a_gap_that_says_so(collected):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        rack = collected(f"127.0.0.1:{silent.getsockname()[1]}")
        rack.round("any")
    assert "does not answer" in rack.line().failure_text
    assert rack.upstream.pk not in last_rounds()


def test_a_device_too_slow_for_its_deadline_is_a_gap_that_says_so(simulator):
    login = Communities(Secret("slow"), Secret(""))
    with pytest.raises(Unreachable, match="too slow to be read"):
        Switch(simulator, login, seconds=2.0, read_within_seconds=0.4).read()
    assert len(Switch(simulator, login, seconds=2.0).read().ports) == 48, "slow, but it answers"
