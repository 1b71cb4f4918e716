"""What each part does at a provider with its own ideas. Effects are read from the provider's ledger."""

import json

import pytest

from doublehop.driver_kit.contract import PowerState, Ticket, TicketState
from doublehop.driver_kit.errors import (
    BadAnswer,
    Refused,
)
from doublehop.drivers.singlehop import account as account_module
from doublehop.drivers.singlehop.fake.bench import opened, provider

LEAP = {"dropzone_at": ""}
DROPZONE = {"leap_at": ""}
OLD_LEAP = {"ours": False, "dropzone_at": ""}
OLD_DROPZONE = {"ours": False, "leap_at": ""}
ALL = [LEAP, DROPZONE, {}, OLD_LEAP, OLD_DROPZONE]
NAMES = ["leap", "dropzone", "both", "leap of 2011", "dropzone of 2012"]
each = pytest.mark.parametrize("quirks", ALL, ids=NAMES)


# ---------------------------------------------------------------- power


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("online", PowerState.ON),
        ("rescue", PowerState.ON),
        ("offline", PowerState.OFF),
        ("Rebooting", PowerState.RESTARTING),
        ("migrating", PowerState.UNKNOWN),
        ("", PowerState.UNKNOWN),
    ],
)
def test_states_are_said_as_far_as_they_are_known(word, state):
    with provider(**OLD_DROPZONE) as there, opened(there) as upstream:
        there.machines["12"].status = word
        assert upstream.server("12").power.state() is state


def test_a_provider_that_never_says_leaves_the_state_unknown():
    with provider(**OLD_LEAP) as there, opened(there) as upstream:
        assert upstream.server("12").power.state() is PowerState.UNKNOWN


def test_many_states_are_one_list_and_never_an_old_one(monkeypatch):
    with provider(**DROPZONE) as there, opened(there) as upstream:
        there.asked.clear()
        for _ in range(3):
            for external_id in there.machines:
                upstream.server(external_id).power.state()
        assert there.asked == ["/server/view", "/server/list"]
        there.machines["12"].status = "offline"
        monkeypatch.setattr(account_module, "RECENT_SECONDS", -1.0)
        upstream.server("12").rdns.set("192.0.2.12", "a.example.org")
        assert upstream.server("12").power.state() is PowerState.OFF


def test_over_dropzone_the_tandem_user_reboots_so_its_permissions_hold():
    for quirks in (DROPZONE, {}, OLD_DROPZONE):
        with provider(**quirks) as there, opened(there) as upstream:
            upstream.server("12").power.reset(graceful=True)
            assert there.agents == ["7"]
            there.tandems["7"].servers.remove("12")
            with pytest.raises(Refused, match="no permission"):
                upstream.server("12").power.reset(graceful=True)
            assert there.ledger == [("reboot", "12")]


def test_over_leap_the_account_reboots_and_a_vm_in_its_own_way():
    with provider(**OLD_LEAP) as there, opened(there) as upstream:
        for external_id in ("12", "123456"):
            status = upstream.server(external_id).power.follow_up(
                upstream.server(external_id).power.reset(graceful=False)
            )
            assert status.state is TicketState.DONE
        assert there.asked.count("rebootServer") == there.asked.count("cascadeRebootVm") == 1
        assert there.ledger == [("reboot", "12"), ("reboot", "123456")]


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("held", TicketState.PENDING),
        ("queued", TicketState.PENDING),
        ("running", TicketState.PENDING),
        ("done", TicketState.DONE),
        ("failed", TicketState.FAILED),
        ("cancelled", TicketState.FAILED),
        ("unknown", TicketState.PENDING),
        ("???", TicketState.PENDING),
    ],
)
@pytest.mark.parametrize("quirks", [LEAP, DROPZONE, {}], ids=["leap", "dropzone", "both"])
def test_the_operation_over_there_is_followed(quirks, word, state):
    with provider(**quirks) as there, opened(there) as upstream:
        power = upstream.server("12").power
        ticket = power.reset(graceful=True)
        (reference,) = there.operations
        assert json.loads(ticket.text)["operation"] == reference
        there.operations[reference] = word
        assert power.follow_up(ticket).state is state


@pytest.mark.parametrize("reference", [7, {"a": 1}, "a/../b", "x" * 300, None, ""])
def test_an_operation_that_cannot_be_asked_about_is_not(reference):
    canned = {"rebootServer": {"success": True, "operation": reference}}
    with provider(**LEAP, canned=canned) as there, opened(there) as upstream:
        power = upstream.server("12").power
        ticket = power.reset(graceful=True)
        if reference != 7:
            there.asked.clear()
            assert power.follow_up(ticket).state is TicketState.DONE
            assert there.asked == []


@pytest.mark.parametrize(
    "text",
    [
        '{"way": "elsewhere", "operation": ""}',
        '{"way": "leap"}',
        '{"way": "leap", "operation": 7}',
        '{"way": ["leap"], "operation": ""}',
        "[" * 5000,
    ],
)
def test_a_ticket_of_somebody_else_is_a_bad_answer(text):
    with provider() as there, opened(there) as upstream, pytest.raises(BadAnswer):
        upstream.server("12").power.follow_up(Ticket(text))


# ---------------------------------------------------------------- addresses and names


def test_addresses_are_the_machines_own_and_the_main_one_is_that_of_the_list():
    with provider() as there, opened(there) as upstream:
        found = upstream.server("12").addresses.list()
        assert [one.address for one in found] == ["192.0.2.12", "192.0.2.112", "2001:db8::12", "10.0.0.5"]
        assert [one.address for one in found if one.primary] == ["192.0.2.12"]
    with provider(**OLD_LEAP) as there, opened(there) as upstream:
        # The list shows none, so none may be the main one today and another tomorrow.
        assert [one.primary for one in upstream.server("12").addresses.list()] == [False] * 3


@pytest.mark.parametrize(
    "data",
    [
        ["192.0.2.12", "192.0.2.112"],
        {"192.0.2.12": "web1.example.org", "192.0.2.112": ""},
        {"0": {"ipaddress": "192.0.2.12", "netmask": "255.255.255.0"}, "1": {"ip": "192.0.2.112"}},
        {
            "primary": "192.0.2.12",
            "secondary": ["192.0.2.112"],
            "gateway": "192.0.2.1",
            "dns": ["192.0.2.53"],
        },
        {"public": {"networks": [{"allips": ["192.0.2.12", "192.0.2.112"], "broadcast": "192.0.2.255"}]}},
    ],
)
def test_addresses_come_in_many_shapes(data):
    canned = {"getServerIps": {"success": "1", "data": data}}
    with provider(**LEAP, canned=canned) as there, opened(there) as upstream:
        found = upstream.server("12").addresses.list()
        assert [one.address for one in found] == ["192.0.2.12", "192.0.2.112"]


def test_addresses_are_worth_having_without_names():
    canned = {"getRdnsList": {"error": "No Such Command"}}
    with provider(**LEAP, canned=canned) as there, opened(there) as upstream:
        assert len(upstream.server("12").addresses.list()) == 3


@each
def test_a_name_has_its_dot_on_the_wire_only(quirks):
    with provider(**quirks) as there, opened(there) as upstream:
        rdns = upstream.server("12").rdns
        ticket = rdns.set("2001:DB8:0::12", "mail.example.org.")
        assert there.ledger == [("rdns", "2001:db8::12", "mail.example.org.")]
        assert rdns.read()["2001:db8::12"] == "mail.example.org"
        assert rdns.follow_up(ticket).state is TicketState.DONE
        assert {one.address: one.rdns for one in upstream.server("12").addresses.list()}["2001:db8::12"]
        rdns.set("2001:db8::12", "")
        assert there.ledger[-1] == ("rdns", "2001:db8::12", "")
        assert rdns.read()["2001:db8::12"] == ""


@each
def test_a_name_that_is_refused_inside_a_success_is_refused(quirks):
    with provider(**quirks) as there, opened(there) as upstream:
        with pytest.raises(Refused, match="RDNS refused"):
            upstream.server("12").rdns.set("198.51.100.1", "mail.example.org")
        with pytest.raises(Refused, match="one address"):
            upstream.server("12").rdns.set("192.0.2.0/24", "mail.example.org")
        assert there.ledger == []


@pytest.mark.parametrize(
    "data",
    [
        {"192.0.2.12": "a.example.org."},
        [{"ip": "192.0.2.12", "rdns": "a.example.org."}],
        {"0": {"ipaddress": "192.0.2.12", "ptr": "a.example.org"}},
        {"192.0.2.12": {"hostname": "a.example.org."}},
        {"192.0.2.12": ["a.example.org."]},
        {"ip": "192.0.2.12", "name": "a.example.org."},
        {"12": {"192.0.2.12": "a.example.org."}},
    ],
)
def test_names_come_in_many_shapes(data):
    canned = {"/server/rdns": {"success": "1", "data": data}}
    with provider(**DROPZONE, canned=canned) as there, opened(there) as upstream:
        assert upstream.server("12").rdns.read() == {"192.0.2.12": "a.example.org"}


# ---------------------------------------------------------------- permissions, suspension, rescue, logins


@each
def test_a_permission_is_taken_from_one_server_and_nothing_else_is_touched(quirks):
    with provider(**quirks) as there, opened(there) as upstream:
        access = upstream.server("12").access
        access.set_permitted(False)
        assert there.tandems["7"].servers == ["15"]
        assert not access.is_permitted()
        assert there.tandems["7"].password == "tandem-password-of-the-fake"
        assert there.tandems["7"].email == "panel@alder.example"
        access.set_permitted(True)
        assert sorted(there.tandems["7"].servers) == ["12", "15"]
        assert there.ledger == [("withhold", "12"), ("permit", "12")]


def test_a_list_that_cannot_be_read_is_not_written_anew():
    users = {"success": "1", "data": [{"id": 7, "email": "panel@alder.example", "servers": 3}]}
    with provider(**OLD_DROPZONE) as there, opened(there) as upstream:
        there.quirks.canned["/tandem/user/list"] = users
        with pytest.raises(Refused, match="cannot be read"):
            upstream.server("12").access.set_permitted(True)
        with pytest.raises(BadAnswer, match="cannot be read"):
            upstream.server("12").access.is_permitted()
        assert there.ledger == []


def test_a_suspension_is_there_only_where_it_is_announced():
    for quirks in (OLD_LEAP, OLD_DROPZONE):
        with provider(**quirks) as there, opened(there) as upstream:
            assert upstream.server("12").suspension is None
    for quirks in (LEAP, DROPZONE, {}):
        with provider(**quirks) as there, opened(there) as upstream:
            upstream.server("12").suspension.suspend("")
            assert there.machines["12"].suspended
            assert there.ledger == [("suspend", "12")]


def test_what_is_not_said_of_a_suspension_is_not_guessed():
    canned = {"getServerDetails": {"success": True, "data": {"hostname": "web1.example.org"}}}
    with (
        provider(**LEAP, canned=canned) as there,
        opened(there) as upstream,
        pytest.raises(BadAnswer, match="does not say"),
    ):
        upstream.server("12").suspension.is_suspended()


def test_rescue_needs_a_pin_and_dropzone():
    for quirks, pin, offered in (
        (DROPZONE, "pin-4711", True),
        (DROPZONE, "", False),
        (LEAP, "pin-4711", False),
    ):
        with provider(**quirks) as there, opened(there, pin=pin) as upstream:
            assert (upstream.server("12").rescue is not None) is offered


def test_a_wrong_pin_is_refused_and_does_not_condemn_the_login():
    with provider() as there, opened(there, pin="0000") as upstream:
        server = upstream.server("12")
        with pytest.raises(Refused, match="PIN is not accepted"):
            server.rescue.start()
        login = server.credentials.read()
        assert (login.username, login.password.reveal()) == ("root", "")
        assert there.ledger == []


def test_a_login_brings_what_the_provider_gives():
    with provider() as there, opened(there) as upstream:
        login = upstream.server("12").credentials.read()
        assert (login.username, login.password.reveal()) == ("root", there.machines["12"].password)
    with provider(**OLD_LEAP) as there, opened(there) as upstream:
        login = upstream.server("12").credentials.read()
        assert (login.username, login.password.reveal()) == ("", "")
