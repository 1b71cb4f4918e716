"""What switches answer that neither snmpd nor an emulator does: too little room, ports that move while they are read."""

from itertools import count

import pytest

from doublehop.driver_kit.errors import BadAnswer, Unreachable
from doublehop.driver_kit.secret import Secret
from doublehop.drivers.rack import identity
from doublehop.drivers.rack.driver import DRIVER
from doublehop.drivers.rack.switch import Switch

IF, IFX = "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1"
NUMBER = "1.3.6.1.2.1.2.1.0"
_addresses = (f"192.0.2.1:{port}" for port in count(1000))
"""Each test has a switch of its own: what was learned of one is kept."""


class Agent:
    """Objects in a dictionary. It answers with nothing where more is asked for than ``room`` objects, as gufo does at tooBig."""

    may_write = False
    silence = "it is off"

    def __init__(self, names=("e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8"), *, first=1, room=1000):
        self.room = room
        self.asked = []
        self.before = lambda: None
        self.objects = {identity.UPTIME: 1000}
        self.give(names, first)

    def give(self, names, first=1):
        self.objects = {oid: value for oid, value in self.objects.items() if not oid.startswith((IF, IFX))}
        self.objects[NUMBER] = len(names)
        for index, name in enumerate(names, first):
            for column, value in (
                (f"{IFX}.1", name.encode()),
                (f"{IFX}.6", 10 * index),
                (f"{IFX}.10", 100 * index),
                (f"{IFX}.15", 1000),
                (f"{IF}.7", 1),
                (f"{IF}.8", 1),
                (f"{IF}.6", bytes((2, 0, 0, 0, 0, index))),
            ):
                self.objects[f"{column}.{index}"] = value

    def session(self, host, port, seconds):
        return self

    def get_many(self, oids):
        self.before()
        self.asked.append(list(oids))
        if len(oids) > self.room:
            return {}
        return {oid: self.objects[oid] for oid in oids if oid in self.objects}

    def getbulk(self, oid):
        self.asked.append([oid])
        return iter([(one, value) for one, value in self.objects.items() if one.startswith(oid + ".")])


def switch_of(agent, **more):
    return Switch(next(_addresses), agent, **more)


def names_of(reading):
    return [port.if_name for port in reading.ports]


def test_a_ports_identity_its_counters_and_the_clock_come_in_one_answer():
    agent = Agent()
    reading = switch_of(agent).read()
    assert names_of(reading) == ["e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8"]
    assert (reading.ports[2].in_octets, reading.ports[2].out_octets) == (30, 300)
    assert reading.ports[2].fingerprint == "02:00:00:00:00:03"
    for asked in agent.asked:
        if f"{IFX}.6.3" in asked:
            assert {identity.UPTIME, f"{IFX}.1.3", f"{IFX}.10.3", f"{IF}.6.3", f"{IFX}.19.3"} <= set(asked)


@pytest.mark.parametrize("bits", [64, 32])
def test_each_port_tells_when_its_own_counters_were_read(bits):
    """A slow switch answers about its last ports a while after the first."""
    agent = Agent()
    if bits == 32:
        for index in range(1, 9):
            del agent.objects[f"{IFX}.6.{index}"]
            agent.objects |= {f"{IF}.10.{index}": 10 * index, f"{IF}.16.{index}": 100 * index}
    switch = switch_of(agent)
    switch.read()
    clock = count(1000, 400)
    agent.before = lambda: agent.objects.update({identity.UPTIME: next(clock)})
    reading = switch.read()
    assert reading.uptime_centiseconds == 1000
    after = [port.after_centiseconds for port in reading.ports]
    assert after == ([400] * 7 + [800] if bits == 64 else [*range(800, 800 + 7 * 400, 400), 4000])


def test_names_are_walked_once_and_confirmed_by_every_answer():
    agent = Agent()
    switch = switch_of(agent)
    switch.read()
    first = len(agent.asked)
    assert names_of(switch.read())[0] == "e1"
    assert len(agent.asked) - first == first - 2, (
        "neither the walk nor the count of interfaces is asked again"
    )


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (["e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8"], 101),
        (["e2", "e1", "e3", "e4", "e5", "e6", "e7", "e8"], 1),
        (["e1", "e2"], 1),
        (["e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8", "e9"], 1),
    ],
    ids=["shifted", "swapped", "fewer", "more"],
)
def test_ports_that_were_numbered_anew_are_found_by_their_names(names, first):
    agent = Agent()
    switch = switch_of(agent)
    switch.read()
    agent.give(names, first)
    reading = switch.read()
    assert names_of(reading) == names
    assert [port.in_octets for port in reading.ports] == [10 * n for n in range(first, first + len(names))]


def test_ports_that_move_all_the_time_spoil_the_reading():
    agent = Agent()
    first = count(1)
    agent.before = lambda: agent.give(["e1", "e2"], next(first))
    with pytest.raises(BadAnswer, match="numbered anew"):
        switch_of(agent).read()


def test_a_restart_in_the_midst_of_a_reading_spoils_it():
    agent = Agent()
    left = count(1000, -1)
    agent.before = lambda: agent.objects.update({identity.UPTIME: next(left)})
    with pytest.raises(BadAnswer, match="restarted while it was read"):
        switch_of(agent).read()


def test_a_device_with_little_room_is_asked_for_fewer_ports_and_remembered():
    agent = Agent(room=17)
    switch = switch_of(agent)
    assert names_of(switch.read()) == ["e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8"]
    agent.asked.clear()
    switch.read()
    assert all(len(asked) <= agent.room for asked in agent.asked)
    agent.room = 7
    with pytest.raises(BadAnswer, match="does not tell its uptime"):
        switch.read()


def test_a_reading_has_a_deadline_of_its_own():
    with pytest.raises(Unreachable, match="too slow"):
        switch_of(Agent(), read_within_seconds=0.0).read()


def test_a_device_is_known_by_the_hardest_proof_that_it_gives():
    seen = {}
    assert identity.device_of(seen, "sw1") == "address sw1"
    seen["1.3.6.1.6.3.10.2.1.1.0"] = b"\x80\x00\x01"
    assert identity.device_of(seen, "sw1") == "engine 800001"
    seen["1.3.6.1.2.1.17.1.1.0"] = bytes((2, 0, 0, 0, 0, 1))
    assert identity.device_of(seen, "sw1") == "MAC 02:00:00:00:00:01"
    seen["1.3.6.1.2.1.47.1.1.1.1.11.1"] = b" FDO1234\x00 "
    assert identity.device_of(seen, "sw1") == "MAC 02:00:00:00:00:01", "a serial number of what?"
    seen["1.3.6.1.2.1.47.1.1.1.1.5.1"] = 3
    assert identity.device_of(seen, "sw1") == "serial FDO1234"


@pytest.mark.parametrize(
    ("settings", "may"),
    [
        ({}, False),
        ({"write_community": Secret("w")}, True),
        ({"snmp_version": "v3", "write_community": Secret("w")}, False),
        ({"snmp_version": "v3", "snmp_user": "u", "snmp_may_switch": True}, True),
        ({"snmp_version": "v2c", "snmp_may_switch": True}, False),
    ],
)
def test_ports_are_switched_only_where_it_was_said(settings, may):
    rack = DRIVER.open({"switch": "192.0.2.2", **settings}, {"1": {"label": "a", "switch_port": "e1"}})
    assert (rack.server("1").port is not None) is may
