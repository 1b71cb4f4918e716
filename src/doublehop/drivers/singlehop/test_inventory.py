"""Which servers there are, and which of them are withheld."""

import pytest

from doublehop.driver_kit.errors import (
    BadAnswer,
    CredentialsRejected,
    NotFound,
)
from doublehop.drivers.singlehop.fake.bench import opened, provider

LEAP = {"dropzone_at": ""}
DROPZONE = {"leap_at": ""}
OLD_LEAP = {"ours": False, "dropzone_at": ""}
OLD_DROPZONE = {"ours": False, "leap_at": ""}
ALL = [LEAP, DROPZONE, {}, OLD_LEAP, OLD_DROPZONE]
NAMES = ["leap", "dropzone", "both", "leap of 2011", "dropzone of 2012"]
each = pytest.mark.parametrize("quirks", ALL, ids=NAMES)


@each
@pytest.mark.parametrize("success", [True, 1, "1", "true"])
def test_servers_without_permission_are_withheld_and_not_gone(quirks, success):
    with provider(**quirks, success=success) as there, opened(there) as upstream:
        there.tandems["7"].servers = ["15", "000001"]
        found = {line.external_id: line for line in upstream.inventory.list()}
        assert set(found) == {"12", "15", "000001", "123456"}
        assert [key for key, line in found.items() if line.withheld] == ["12", "123456"]
        assert found["123456"].label == "vm.example.org (VM)"
        assert found["000001"].label == "node.example.org"
        assert found["12"].hostname == "web1.example.org"
        assert found["12"].primary_address == ("" if quirks is OLD_LEAP else "192.0.2.12")


@pytest.mark.parametrize("name", ["PANEL@alder.example", "Alder Panel", "7"])
def test_the_tandem_user_is_known_by_mail_name_or_id(name):
    with provider(**LEAP) as there, opened(there, tandem_username=name) as upstream:
        assert sum(not line.withheld for line in upstream.inventory.list()) == 2


def test_a_name_that_two_have_is_none():
    with provider(**LEAP) as there, opened(there, tandem_username="Alder Panel") as upstream:
        there.tandems["8"].name = "Alder Panel"
        with pytest.raises(CredentialsRejected, match="several"):
            upstream.inventory.list()


@pytest.mark.parametrize(
    ("servers", "permitted"),
    [
        (None, 0),
        ([], 0),
        ([12, "15"], 2),
        ("12,15", 2),
        ({"12": {"hostname": "x"}, "15": {}}, 2),
        ({"0": "12", "3": "15"}, 2),
        ([{"serverid": 12}, {"id": "15"}], 2),
        ({"12": True, "15": True}, 2),
    ],
)
def test_permissions_come_in_many_shapes(servers, permitted):
    users = {"success": "1", "data": [{"id": 7, "email": "panel@alder.example", "servers": servers}]}
    with provider(**LEAP, canned={"tandemList": users}) as there, opened(there) as upstream:
        assert sum(not line.withheld for line in upstream.inventory.list()) == permitted


def test_permissions_that_cannot_be_read_are_not_taken_for_none():
    users = {"success": "1", "data": [{"id": 7, "email": "panel@alder.example"}]}
    with (
        provider(**LEAP, canned={"tandemList": users}) as there,
        opened(there) as upstream,
        pytest.raises(BadAnswer, match="cannot be read"),
    ):
        upstream.inventory.list()


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {"success": True},
        {"servers": "none"},
        {"servers": [{"server": "without an id"}]},
        7,
        "text",
        [1, 2],
        {"success": "maybe"},
    ],
)
def test_a_list_that_makes_no_sense_is_a_bad_answer_and_not_an_empty_list(answer):
    with provider(**OLD_LEAP, canned={"listServers": answer}) as there, opened(there) as upstream:
        for question in (upstream.inventory.list, upstream.server("12").identify):
            with pytest.raises(BadAnswer):
                question()


@pytest.mark.parametrize("answer", [{"success": True, "servers": None}, {"success": 1, "servers": []}, []])
def test_an_empty_list_is_empty(answer):
    with provider(**OLD_LEAP, canned={"listServers": answer}) as there, opened(there) as upstream:
        assert upstream.inventory.list() == ()
        with pytest.raises(NotFound):
            upstream.server("12").identify()
