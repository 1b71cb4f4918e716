"""What BMCs do that the emulator does not, and what the records say."""

import json

import httpx
import pytest

from doublehop.driver_kit.conformance.carrier import ScriptedCarrier
from doublehop.driver_kit.contract import Identifier, Login, PowerState, Proof, Ticket, TicketState
from doublehop.driver_kit.errors import NotFound, OutcomeUnknown, Refused
from doublehop.driver_kit.http import HttpClient
from doublehop.driver_kit.secret import Secret
from doublehop.drivers.rack import redfish
from doublehop.drivers.rack.driver import DRIVER
from doublehop.drivers.rack.redfish import Bmc

PATH = "/redfish/v1/Systems/1"
RESET = f"{PATH}/Actions/ComputerSystem.Reset"


class Place:
    """A BMC in a dictionary: path to (status, body, headers)."""

    def __init__(self, **system):
        self.system = {"PowerState": "On", "Actions": {"#ComputerSystem.Reset": {"target": RESET}}, **system}
        self.answers = {RESET: httpx.Response(204)}
        self.carrier = ScriptedCarrier(self.answer)
        self.bmc = Bmc(HttpClient("https://bmc.example.org", transport=self.carrier), "1")

    def answer(self, request):
        if request.url.path == PATH:
            return httpx.Response(200, json=self.system)
        return self.answers.get(request.url.path, httpx.Response(404))

    def sent(self):
        return [json.loads(r.content)["ResetType"] for r in self.carrier.requests if r.method == "POST"]


def allowing(*kinds):
    return {
        "Actions": {
            "#ComputerSystem.Reset": {"target": RESET, "ResetType@Redfish.AllowableValues": list(kinds)}
        }
    }


def test_a_reset_type_is_chosen_from_what_is_allowed():
    place = Place(**allowing("On", "PowerCycle"))
    place.bmc.reset(redfish.RESET_HARD, goal=None)
    assert place.sent() == ["PowerCycle"]
    with pytest.raises(Refused, match="GracefulRestart"):
        place.bmc.reset(redfish.RESET_GRACEFUL, goal=None)
    assert place.sent() == ["PowerCycle"]


def test_the_first_is_taken_where_nothing_is_said():
    place = Place()
    place.bmc.reset(redfish.OFF_HARD, goal=PowerState.OFF)
    assert place.sent() == ["ForceOff"]


def test_refused_because_it_is_already_so_counts_as_done():
    place = Place()
    place.answers[RESET] = httpx.Response(409)
    ticket = place.bmc.reset(redfish.ON, goal=PowerState.ON)
    assert place.bmc.follow_up(ticket).state is TicketState.DONE
    with pytest.raises(Refused):
        place.bmc.reset(redfish.OFF_HARD, goal=PowerState.OFF)
    with pytest.raises(Refused):
        place.bmc.reset(redfish.RESET_HARD, goal=None)


def test_a_restart_is_done_when_the_bmc_has_noted_it():
    place = Place(LastResetTime="2026-01-01T00:00:00Z")
    ticket = place.bmc.reset(redfish.RESET_HARD, goal=None)
    assert place.bmc.follow_up(ticket).state is TicketState.PENDING
    place.system["LastResetTime"] = "2026-01-02T00:00:00Z"
    assert place.bmc.follow_up(Ticket(ticket.text)).state is TicketState.DONE


def test_a_task_that_fails_fails_the_ticket():
    place = Place()
    place.answers[RESET] = httpx.Response(202, headers={"Location": "/redfish/v1/TaskService/Tasks/9"})
    place.answers["/redfish/v1/TaskService/Tasks/9"] = httpx.Response(200, json={"TaskState": "Exception"})
    ticket = place.bmc.reset(redfish.OFF_HARD, goal=PowerState.OFF)
    assert place.bmc.follow_up(ticket).state is TicketState.FAILED
    del place.answers["/redfish/v1/TaskService/Tasks/9"]
    assert place.bmc.follow_up(ticket).state is TicketState.PENDING


def test_500_on_a_reset_is_unknown():
    place = Place()
    place.answers[RESET] = httpx.Response(500)
    with pytest.raises(OutcomeUnknown):
        place.bmc.reset(redfish.RESET_HARD, goal=None)


def test_identity_leaves_out_what_identifies_nobody():
    place = Place(
        UUID="00000000-0000-0000-0000-000000000000",
        SerialNumber="To be filled by O.E.M.",
        EthernetInterfaces={"@odata.id": f"{PATH}/EthernetInterfaces"},
    )
    place.answers[f"{PATH}/EthernetInterfaces"] = httpx.Response(
        200, json={"Members": [{"@odata.id": "/n/1"}, {"@odata.id": "/n/2"}]}
    )
    place.answers["/n/1"] = httpx.Response(200, json={"MACAddress": "02-00-00-AA-00-01"})
    place.answers["/n/2"] = httpx.Response(200, json={"MACAddress": "00:00:00:00:00:00"})
    assert place.bmc.identify() == (Identifier("mac", "02:00:00:aa:00:01"),)


def test_several_systems_must_be_told_apart():
    listing = {"Members": [{"@odata.id": PATH}, {"@odata.id": "/redfish/v1/Systems/2"}]}
    carrier = ScriptedCarrier(lambda r: httpx.Response(200, json=listing))
    with pytest.raises(Refused, match="several"):
        Bmc(HttpClient("https://bmc.example.org", transport=carrier)).system()
    listing["Members"] = []
    with pytest.raises(NotFound):
        Bmc(HttpClient("https://bmc.example.org", transport=carrier)).system()


def open_rack(**record):
    return DRIVER.open(
        {"switch": "192.0.2.2", "read_community": Secret("r")}, {"1": {"label": "a", **record}}
    )


def test_parts_follow_from_the_record():
    bare = open_rack().server("1")
    assert (bare.power, bare.health, bare.port, bare.credentials) == (None, None, None, None)
    full = open_rack(
        bmc_url="https://192.0.2.7/redfish/v1/",
        switch_port="e1",
        login_username="root",
        login_password=Secret("w"),
    )
    assert full.server("1").power is not None
    # Without a write community the port is counted, never switched.
    assert full.server("1").port is None
    assert full.counters is not None
    assert full.counters.port_of("1") == "e1"
    credentials = full.server("1").credentials
    assert credentials is not None
    assert credentials.read() == Login("root", Secret("w"))


def test_what_stands_on_paper_is_weak():
    rack = open_rack(serial="S1", mac="02:00:00:00:00:AA", addresses=["192.0.2.5", "2001:db8::/64"])
    assert rack.inventory is not None
    (listed,) = rack.inventory.list()
    assert listed.primary_address == "192.0.2.5"
    assert all(i.proof is Proof.WEAK for i in listed.identifiers)
    assert rack.server("1").identify() == listed.identifiers


def test_an_address_that_is_none_is_refused():
    addresses = open_rack(addresses=["<b>"]).server("1").addresses
    assert addresses is not None
    with pytest.raises(Refused):
        addresses.list()
