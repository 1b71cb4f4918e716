"""What is asked twice is done once; what is not theirs, or not known for certain, is not touched."""

import base64
import json
import re

import pytest
from django.test import Client
from tests.stage import a_stage, run_all_jobs, run_jobs

from doublehop.driver_kit.conformance.world import Fault
from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Permission, Server
from doublehop.leap.tests.conftest import TANDEM
from doublehop.organisations import actions as organisations
from doublehop.organisations.models import Brand, Organisation, User
from doublehop.services import actions
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import Operation, SupplyOrder

pytestmark = pytest.mark.django_db
FORBIDDEN = re.compile(rb"\b(leap|tandem|singlehop|upstreams?)\b", re.IGNORECASE)


def reboot(house, **more):
    return house.alder.leap("server", "rebootServer", serverid=str(house.web.pk), **more)


def ids(answer):
    return [one["server_id"] for one in answer["servers"]]


def test_after_an_unknown_outcome_a_reboot_needs_a_reason(house):
    house.stage.place.fault(Fault.UNKNOWN_AFTER_ACTING, on="power.reset")
    first = reboot(house)["operation"]
    run_all_jobs()
    assert house.alder.leap("server", "getOperation", operation=first)["data"]["state"] == "unknown"
    told = reboot(house)
    assert "unknown outcome" in told["error"]
    assert "needs a reason" in told["error"]
    tandem = house.alder.dropzone(f"server/reboot/{house.web.pk}", {"reason": "mine"}, login=TANDEM)
    assert (tandem.status_code, tandem.json()["success"]) == (409, False)
    assert Operation.objects.count() == 1
    second = reboot(house, reason="seen at the console: it hangs")["operation"]
    assert second != first
    assert Operation.objects.get(reference=second).reason == "seen at the console: it hangs"


def test_another_power_command_in_the_way_is_an_error(house):
    house.alder.dropzone(f"server/bailout/start/{house.web.pk}", {"pin": house.alder.pin})
    told = reboot(house)
    assert "already running" in told["error"]
    assert Operation.objects.get().kind == OperationKind.RESCUE_START


def test_a_reboot_that_the_provider_asked_for_is_not_theirs_to_follow(house):
    above = actions.request(
        house.cast.ines, OperationKind.REBOOT, server_id=house.web.pk, idempotency_key="k"
    )
    assert "already running" in reboot(house)["error"]
    assert "error" in house.alder.leap("server", "getOperation", operation=above.reference)
    assert Operation.objects.count() == 1


def test_names_are_set_all_or_none_and_the_same_wish_is_one(house):
    address = house.web.primary_address
    for wanted in (
        {address: "a.example.org", "198.51.100.1": "b.example.org"},
        {address: "no name"},
        {address: 7},
    ):
        assert "error" in house.alder.leap("server", "updateRdns", **wanted)
    assert "error" in house.alder.leap(
        "server", "updateRdns", **{house.foreign.primary_address: "x.example.org"}
    )
    assert not Operation.objects.exists()
    wishes = ["a.example.org.", "A.example.org", "b.example.org", "a.example.org"]
    told = [house.alder.leap("server", "updateRdns", **{address: name})["operation"] for name in wishes]
    assert told[0] == told[1]
    assert len(set(told)) == 3
    run_all_jobs()
    assert house.stage.place.machines["web"].rdns == {address: "a.example.org"}
    assert (
        house.alder.dropzone(f"server/rdns/{house.web.pk}", {"rdns": json.dumps({address: ""})}).status_code
        == 200
    )
    run_all_jobs()
    assert house.stage.place.machines["web"].rdns == {}


def test_a_cancellation_asked_again_is_the_one_that_waits(house):
    first = house.alder.dropzone("server/cancel/spare.example.org", {}).json()
    again = house.alder.dropzone("server/cancel/SPARE.example.org.", {"reason": "again"}).json()
    assert first == again
    asked = {"servers": [house.spare.pk], "reason": "Financial Reasons", "happy": "1"}
    assert house.alder.leap("server", "cancellationRequest", **asked)["data"] == {
        str(house.spare.pk): first["data"]
    }
    assert SupplyOrder.objects.count() == 1
    asked["servers"] = [house.web.pk, house.foreign.pk]
    assert "error" in house.alder.leap("server", "cancellationRequest", **asked)
    assert SupplyOrder.objects.count() == 1


def test_it_speaks_of_what_was_given_and_neither_of_own_machines_nor_of_passed_on_ones(house):
    own = a_stage(house.cast.rosa)
    (mine,) = own.machines("mine")
    fleet.permit_tandem(house.cast.rosa, house.night.pk, [mine.pk])
    below = organisations.create_organisation(house.cast.rosa, name="Cedar Servers")
    assert ids(house.alder.leap("server", "listServers")) == [str(house.web.pk), str(house.spare.pk)]
    fleet.allocate(house.cast.rosa, house.spare.pk, below.pk)
    assert ids(house.alder.leap("server", "listServers")) == [str(house.web.pk)]
    for pk in (mine.pk, house.spare.pk):
        assert "error" in house.alder.leap("server", "rebootServer", serverid=str(pk))
    # Writing its servers anew leaves what this API does not know.
    form = {"id": house.night.pk, "name": "Night", "email": TANDEM[0], "servers": "[]"}
    assert house.alder.dropzone("tandem/user/edit", form).json() == {"success": True}
    kept = Permission.objects.filter(tandem_user=house.night, until__isnull=True)
    assert [row.server_id for row in kept] == [mine.pk]
    assert Organisation.objects.get(pk=below.pk).parent_id == house.cast.alder.pk


def test_what_a_tandem_user_had_keeps_its_rights_when_it_is_given_again(house):
    fleet.permit_tandem(house.cast.rosa, house.night.pk, [house.web.pk], ["view", "rescue"])
    given = {"userid": str(house.night.pk), "serverid": str(house.web.pk)}
    assert house.alder.leap("account", "tandemAddUserPermission", **given) == {"success": True}
    assert Permission.objects.get(tandem_user=house.night).rights == ["view", "rescue"]


def test_a_tandem_user_reads_no_word_of_where_its_machines_stand(house):
    token = "qzx-hop-token"
    Organisation.objects.filter(pk=house.cast.provider.pk).update(name=token)
    Server.objects.update(label=f"{token}-label", refresh_failure=token)
    house.stage.place.fault(Fault.REFUSED, on="*", times=None, text=token)
    reference = house.alder.dropzone(f"server/reboot/{house.web.pk}", {}, login=TANDEM).json()["operation"]
    run_jobs()
    Operation.objects.update(staff_text=token)
    web = house.web.pk
    paths = [
        "server/list", f"server/view/{web}", f"server/network/{web}", f"server/rdns/{web}", f"server/login/{web}",
        f"server/operation/{reference}", f"server/checkinstall/{web}", "tandem/user/list", "user/list", "order/list",
        "billing/list", "nothing", f"server/view/{house.spare.pk}", "server/operation/NO-SUCH",
    ]  # fmt: skip
    forms = [f"server/{what}/{web}" for what in ("reboot", "suspend", "bailout/start", "getpassword", "rdns")]
    answers = [house.alder.dropzone(path, login=TANDEM) for path in paths]
    answers += [
        house.alder.dropzone(path, {"pin": house.alder.pin, "reason": "x"}, login=TANDEM) for path in forms
    ]
    for answer in answers:
        assert token.encode() not in answer.content
        assert FORBIDDEN.search(answer.content) is None, answer.content


def test_a_person_signed_in_in_the_same_browser_changes_nothing(house):
    browser = Client()
    browser.force_login(User.objects.get(pk=house.cast.tam.user_id))
    text = json.dumps(house.alder.document("server", "listServers"))
    told = browser.get("/leap/api.php", {"request": text})
    assert ids(told.json()) == [str(house.web.pk), str(house.spare.pk)]
    assert not told.cookies
    assert browser.get("/dropzone/server/list").status_code == 401


def test_a_hidden_face_answers_as_any_address_that_does_not_exist(house):
    Brand.objects.filter(organisation=house.cast.alder).update(host="panel.alder.example")
    browser = Client(HTTP_HOST="panel.alder.example", headers={"cookie": "sessionid=nobodys"})
    nothing = browser.get("/no-such-address")
    for path in ("/leap/api.php", "/dropzone", "/dropzone/", "/dropzone/server/list"):
        for answer in (browser.get(path), browser.post(path, {"request": "{}"})):
            assert (answer.status_code, answer.content) == (404, nothing.content)
            assert dict(answer.headers) == dict(nothing.headers)
            assert str(answer.cookies) == str(nothing.cookies)


def test_json_bodies_are_read_like_forms(house):
    body = {
        "name": "New One",
        "email": "new@alder.example",
        "password": "long-enough-1",
        "servers": [house.web.pk],
    }
    told = house.alder.client.post(
        "/dropzone/tandem/user/add",
        json.dumps(body),
        content_type="application/json",
        headers={"authorization": "Basic " + _basic(house)},
    )
    assert told.json()["success"] is True
    for text, kind, status in (
        ("[1", "application/json", 400),
        ("[]", "application/json", 422),
        ("x", "text/x", 422),
    ):
        told = house.alder.client.post(
            "/dropzone/tandem/user/add",
            text,
            content_type=kind,
            headers={"authorization": "Basic " + _basic(house)},
        )
        assert (told.status_code, told.json()["success"]) == (status, False)


def _basic(house):
    return base64.b64encode(f"{house.alder.username}:{house.alder.password}".encode()).decode()


def test_ten_servers_and_three_hundred_cost_the_same_questions(house, django_assert_num_queries):
    def more(first, last):
        for server in house.stage.machines(*(f"m{number}" for number in range(first, last))):
            fleet.allocate(house.cast.ines, server.pk, house.cast.alder.pk)

    house.alder.dropzone("server/list")
    more(0, 8)
    with django_assert_num_queries(3):
        assert len(house.alder.dropzone("server/list").json()["data"]) == 10
    more(8, 298)
    with django_assert_num_queries(3):
        assert len(house.alder.dropzone("server/list").json()["data"]) == 300
    with django_assert_num_queries(3):
        assert len(house.alder.leap("server", "listServers")["servers"]) == 300


@pytest.mark.parametrize("command", ["rebootServer", "suspendServer"])
def test_a_dry_run_tells_the_target_and_does_nothing(house, command):
    told = house.alder.leap("server", command, serverid=str(house.web.pk), reason="Overdue", dry_run="1")
    assert told["dry_run"]["serverid"] == str(house.web.pk)
    assert told["dry_run"]["primaryip"] == house.web.primary_address
    assert "operation" not in told
    path = "reboot" if command == "rebootServer" else "suspend"
    same = house.alder.dropzone(f"server/{path}/{house.web.pk}", {"reason": "Overdue", "dry_run": "yes"})
    assert same.json()["dry_run"] == told["dry_run"]
    assert not Operation.objects.exists()
