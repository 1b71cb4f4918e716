"""The emulators start as anybody, keep their state, log what they were asked, and leave nothing behind."""

import os
import socket

import gufo.snmp.sync
import httpx
import pytest

from doublehop.box import emulators
from doublehop.box.emulators import Emulators, EmulatorsUnavailable, machines_of


def test_machines_are_stable_and_distinct():
    assert machines_of(3) == machines_of(5)[:3]
    assert len({m.mac for m in machines_of(40)} | {m.uuid for m in machines_of(40)}) == 80


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(emulators.sys, "executable", str(tmp_path / "python"))
    with pytest.raises(EmulatorsUnavailable, match="sushy-emulator is missing"):
        Emulators(tmp_path, machines_of(1)).start()


def test_the_recording_is_sorted_and_the_reading_community_cannot_write():
    lines = emulators.switch_lines(["a", "b"], writable=False).splitlines()
    oids = [tuple(int(n) for n in line.split("|")[0].split(".")) for line in lines]
    assert oids == sorted(oids)
    assert sum("noaccess" in line for line in lines) == 2


@pytest.mark.long
def test_start_reset_stop_and_start_again(tmp_path):
    machine = machines_of(2)[1]
    path = f"/redfish/v1/Systems/{machine.uuid}/Actions/ComputerSystem.Reset"
    for resets in (1, 2):
        place = Emulators(tmp_path, machines_of(2), spare_ports=1)
        addresses = place.start()
        children = [child.pid for child in place._children]
        login = (addresses.bmc_username, addresses.bmc_password)
        body = {"ResetType": "ForceRestart"}
        assert httpx.post(addresses.bmc_url + path, json=body).status_code == 401
        before = place.resets(machine.uuid)
        assert httpx.post(addresses.bmc_url + path, json=body, auth=login).status_code == 204
        assert place.resets(machine.uuid) == before + 1
        assert place.resets(machine.uuid) >= resets
        assert place.resets(machines_of(1)[0].uuid) == 0
        host, port = addresses.switch.split(":")
        session = gufo.snmp.sync.SnmpSession(
            host, port=int(port), community=addresses.read_community, timeout=3
        )
        assert [name for _, name in session.getbulk("1.3.6.1.2.1.31.1.1.1.1")] == [
            b"Ethernet1",
            b"Ethernet2",
            b"Spare1",
        ]
        place.stop()
        place.stop()
        for pid in children:
            with pytest.raises(ProcessLookupError):
                os.killpg(pid, 0)


@pytest.mark.long
def test_a_taken_port_is_told_and_nothing_stays(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = Emulators(tmp_path, machines_of(1), bmc_port=taken.getsockname()[1])
        with pytest.raises(EmulatorsUnavailable, match="does not start; it said"):
            place.start()
    assert place._children == []
