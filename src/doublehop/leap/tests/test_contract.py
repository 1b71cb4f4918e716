"""Every command, in the shapes that real clients of the old APIs expect."""

import json

import pytest
from tests.stage import run_all_jobs

from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Address, Server
from doublehop.fleet.queries import servers_visible_to
from doublehop.leap.dropzone.commands import COMMANDS
from doublehop.leap.tests.conftest import TANDEM
from doublehop.leap.views import LEAP
from doublehop.organisations.models import Staff, TandemUser
from doublehop.organisations.queries import tandem_actor
from doublehop.services.actions.supply import OfferForm, create_offer
from doublehop.services.models import Operation, SupplyOrder

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    from datetime import timedelta  # noqa: PLC0415

    monkeypatch.setattr("doublehop.services.work.steps.EARLIEST_ON", timedelta(0))


def effects(house):
    return house.stage.place.effects("web")


def sees(night):
    return set(servers_visible_to(tandem_actor(night, night.user)).values_list("label", flat=True))


@pytest.fixture
def offers(house):
    pool = fleet.create_server_group(house.cast.ines, "Ready")
    form = OfferForm(
        name="Dedicated M",
        code="DED-M",
        processor="16 cores",
        memory="64 GB",
        disks="2 × 960 GB",
        bandwidth="20 TB",
        price="79.00",
        setup_fee="0",
        currency="EUR",
        server_group_id=pool.pk,
    )
    return create_offer(house.cast.ines, form)


class TestLeap:
    def test_account_details(self, house):
        told = house.alder.leap("account", "getAccountDetails")
        assert told["success"] is True
        assert told["data"]["clientid"] == int(house.alder.client_id)
        assert {
            "first",
            "last",
            "company",
            "address",
            "city",
            "state",
            "zip",
            "country",
            "phone",
            "fax",
            "email",
        } <= set(told["data"])
        assert "suspendServer" in told["data"]["extensions"]["server"]

    def test_list_servers(self, house):
        told = house.alder.leap("server", "listServers")
        assert [(one["server_id"], one["server"]) for one in told["servers"]] == [
            (str(house.web.pk), "web.example.org"),
            (str(house.spare.pk), "spare.example.org"),
        ]
        assert {one["status"] for one in told["servers"]} == {"online"}
        assert told["servers"][0]["suspended"] is False
        assert "foreign" not in json.dumps(told)

    def test_raw_json_in_the_address_and_a_post(self, house):
        text = json.dumps(house.alder.document("server", "listServers"))
        expected = house.alder.raw(text).json()
        assert house.alder.raw(text, encoded=False).json() == expected
        posted = house.alder.client.post("/leap/api.php", {"request": text}, REMOTE_ADDR=house.alder.source)
        assert posted.json() == expected

    def test_details_addresses_login_names(self, house):
        web = str(house.web.pk)
        details = house.alder.leap("server", "getServerDetails", serverid=web)["data"]
        assert (details["serverid"], details["hostname"], details["username"]) == (
            web,
            "web.example.org",
            "root",
        )
        told = house.alder.leap("server", "getServerIps", serverid=web)
        assert told["data"][0]["ip"] == house.web.primary_address
        assert house.alder.leap("server", "getServerLogin", serverid=web)["data"] == {"username": "root"}
        told = house.alder.leap("server", "updateRdns", **{house.web.primary_address: "mail.example.org"})
        assert told["success"] is True
        run_all_jobs()
        assert Address.objects.get(address=house.web.primary_address).rdns == "mail.example.org"
        names = house.alder.leap("server", "getRdnsList", serverid=web)["data"]
        assert names[house.web.primary_address].rstrip(".") == "mail.example.org"

    def test_bandwidth_has_days_and_a_unit(self, house):
        told = house.alder.leap("server", "getServerBandwidth", serverid=str(house.web.pk))["data"]
        assert set(told) >= {"intotal", "outtotal", "dailyusage", "unit"}
        assert told["unit"] == "octets"

    def test_a_reboot_answers_with_its_operation_and_again_with_the_same(self, house):
        first = house.alder.leap("server", "rebootServer", serverid=str(house.web.pk))
        again = house.alder.leap("server", "rebootServer", serverid=house.web.pk)
        assert first["success"] is True
        assert first["operation"] == again["operation"]
        run_all_jobs()
        assert effects(house) == ["power.reset:graceful"]
        state = house.alder.leap("server", "getOperation", operation=first["operation"])["data"]
        assert (state["kind"], state["state"]) == ("reboot", "done")

    def test_suspend_and_unsuspend(self, house):
        web = str(house.web.pk)
        assert "error" in house.alder.leap("server", "suspendServer", serverid=web)
        told = house.alder.leap("server", "suspendServer", serverid=web, reason="overdue")
        run_all_jobs()
        assert told["success"] is True
        assert house.alder.leap("server", "getServerDetails", serverid=web)["data"]["suspended"] is True
        assert "suspended" in house.alder.leap("server", "rebootServer", serverid=web)["error"]
        house.alder.leap("server", "unsuspendServer", serverid=web)
        run_all_jobs()
        assert house.alder.leap("server", "getServerDetails", serverid=web)["data"]["suspended"] is False

    def test_tandem(self, house):
        listed = house.alder.leap("account", "tandemList")["data"]
        assert listed[0]["pass"] == ""
        assert listed[0]["servers"] == [str(house.web.pk)]
        made = house.alder.leap(
            "account", "tandemAddUser", name="New One", email="new@alder.example", password="long-enough-1"
        )
        night = str(house.night.pk)
        ids = {"userid": night, "serverid": str(house.spare.pk)}
        assert house.alder.leap("account", "tandemAddUserPermission", **ids)["success"] is True
        assert sees(house.night) == {"WEB", "SPARE"}
        house.alder.leap("account", "tandemDeleteUserPermission", **ids)
        assert sees(house.night) == {"WEB"}
        assert house.alder.leap("account", "tandemDeleteUser", userid=made["id"])["success"] is True
        assert TandemUser.objects.get(pk=made["id"]).ended_at is not None

    def test_what_the_provider_offers_is_a_bare_array_of_texts(self, house, offers):
        told = house.alder.leap("server", "listAvailableServers")
        assert told[0]["name"] == "DED-M" or told[0]["realname"] == "Dedicated M"
        assert all(isinstance(text, str) for text in told[0].values())

    def test_a_cancellation_waits_for_the_provider(self, house):
        ask = {"servers": [str(house.spare.pk)], "happy": False, "reason": "Do not need a server"}
        told = house.alder.leap("server", "cancellationRequest", **ask)
        assert told["success"] is True
        order = SupplyOrder.objects.get()
        assert (order.kind, order.server_id, order.state) == ("cancel", house.spare.pk, "waiting")
        assert "error" in house.alder.leap("server", "cancellationRequest", **{**ask, "reason": "Bored"})

    def test_of_virtual_machines_there_are_none(self, house):
        assert house.alder.leap("server", "cascadeListSnapshots") == []
        assert "virtual machines" in house.alder.leap("server", "cascadeRebootVm", vmid="1")["error"]
        assert house.alder.leap("server", "getOsList", serverid=str(house.web.pk))["data"] == []
        assert "error" in house.alder.leap("server", "reinstallServer", serverid=str(house.web.pk), osid="1")

    def test_errors_as_seen(self, house):
        assert house.alder.raw("{").json() == {"error": "JSON Decoding error"}
        assert house.alder.leap("server", "noSuch") == {"error": "No Such Command"}
        assert house.alder.leap("billing", "list") == {"error": "No Such Command"}
        house.alder.password = "wrong"
        refused = house.alder.raw(json.dumps(house.alder.document("server", "listServers")))
        assert (refused.status_code, refused.json()) == (401, {"error": "Authentication Error"})
        assert "WWW-Authenticate" not in refused


class TestDropzone:
    def get(self, house, path, **more):
        answer = house.alder.dropzone(path, **more)
        assert answer.status_code == 200, answer.content
        told = answer.json()
        assert told["success"] is True
        return told.get("data")

    def test_list_is_keyed_by_id_and_a_tandem_user_sees_its_own(self, house):
        for path in ("server/list", "server/list/"):
            told = self.get(house, path)
            assert set(told) == {str(house.web.pk), str(house.spare.pk)}
        assert told[str(house.web.pk)]["hostname"] == "web.example.org"
        assert set(self.get(house, "server/list", login=TANDEM)) == {str(house.web.pk)}
        login = (house.alder.client_id, house.alder.api_key)
        assert set(self.get(house, "server/list", login=login)) == set(told)

    def test_view_network_login(self, house):
        view = self.get(house, f"server/view/{house.web.pk}")
        assert {"hostname", "status", "primaryip"} <= set(view)
        network = self.get(house, f"server/network/{house.web.pk}")
        assert set(network["public"][0]) == {"firstip", "allips", "gateway", "netmask"}
        assert network["public"][0]["firstip"] == house.web.primary_address
        assert isinstance(network["private_networks"], list)
        assert self.get(house, f"server/login/{house.web.pk}") == {"username": "root"}

    def test_bandwidth_in_both_orders(self, house):
        start, end, web = 1_790_000_000, 1_795_000_000, house.web.pk
        told = [
            self.get(house, f"server/bandwidth/{start}/{end}/{web}"),
            self.get(house, f"server/bandwidth/{web}/{start}/{end}"),
        ]
        assert told[0] == told[1]
        refused = house.alder.dropzone(f"server/bandwidth/1/2/{web}")
        assert (refused.status_code, refused.json()["success"]) == (422, False)

    def test_names_are_set_and_listed_with_their_final_dot(self, house):
        wanted = {"rdns": json.dumps({house.web.primary_address: "mail.example.org."})}
        told = house.alder.dropzone(f"server/rdns/{house.web.pk}", wanted).json()
        assert told["data"][0]["result"] == "ok"
        run_all_jobs()
        assert "mail.example.org." in json.dumps(self.get(house, f"server/rdns/{house.web.pk}"))

    def test_a_password_needs_the_pin(self, house):
        house.stage.place.machines["web"].password = "machine-secret"
        fleet.ask_refresh(house.cast.ines, house.web.pk)
        run_all_jobs()
        path = f"server/getpassword/{house.web.pk}"
        assert house.alder.dropzone(path, {}).json()["success"] is False
        assert house.alder.dropzone(path, {"pin": "00000000"}).json()["success"] is False
        assert house.alder.dropzone(path, {"pin": house.alder.pin}).json()["data"] == "machine-secret"
        assert house.alder.dropzone(path, {"pin": house.alder.pin}, login=TANDEM).json()["success"] is False

    def test_rescue_reboot_suspend(self, house):
        path = f"server/bailout/start/{house.web.pk}"
        assert house.alder.dropzone(path, {"pin": house.alder.pin}).json()["success"] is True
        run_all_jobs()
        assert self.get(house, f"server/view/{house.web.pk}")["status"] == "rescue"
        house.alder.dropzone(f"server/bailout/stop/{house.web.pk}", {"pin": house.alder.pin})
        run_all_jobs()
        assert house.alder.dropzone(f"server/reboot/{house.web.pk}").json()["success"] is True
        run_all_jobs()
        assert effects(house) == ["rescue.start", "rescue.stop", "power.reset:graceful"]
        assert self.get(house, f"server/checkinstall/{house.web.pk}")["progress"] == 100

    def test_a_tandem_user_may_what_it_may_and_no_more(self, house):
        assert house.alder.dropzone(f"server/reboot/{house.web.pk}", login=TANDEM).json()["success"] is True
        run_all_jobs()
        for path, form in (
            (f"server/reboot/{house.spare.pk}", None),
            (f"server/view/{house.spare.pk}", None),
            (f"server/suspend/{house.web.pk}", {"reason": "x"}),
            ("tandem/user/list", None),
            ("user/list", None),
            ("order/list", None),
            ("server/cancel/web.example.org", {}),
        ):
            answer = house.alder.dropzone(path, form, login=TANDEM)
            assert answer.status_code in {404, 409}, path
            assert answer.json()["success"] is False
        assert effects(house) == ["power.reset:graceful"]
        assert Operation.objects.count() == 1

    def test_tandem_users_are_added_edited_permitted_and_deleted(self, house):
        form = {
            "name": "New One",
            "email": "new@alder.example",
            "password": "long-enough-1",
            "servers": json.dumps([str(house.web.pk)]),
        }
        new_id = house.alder.dropzone("tandem/user/add", form).json()["data"]
        row = TandemUser.objects.get(pk=new_id)
        assert sees(row) == {"WEB"}
        changed = {**form, "id": new_id, "name": "Other", "servers": json.dumps([str(house.spare.pk)])}
        assert house.alder.dropzone("tandem/user/edit", changed).json()["success"] is True
        row = TandemUser.objects.select_related("user").get(pk=new_id)
        assert (row.user.name, sees(row)) == ("Other", {"SPARE"})
        servers = {"servers": json.dumps([house.web.pk])}
        house.alder.dropzone(f"tandem/user/addcomponent/{new_id}", servers)
        assert sees(row) == {"WEB", "SPARE"}
        house.alder.dropzone(f"tandem/user/removecomponent/{new_id}", servers)
        assert sees(row) == {"SPARE"}
        assert house.alder.dropzone(f"tandem/user/delete/{new_id}", {}).json()["success"] is True
        assert all(one["pass"] == "" for one in self.get(house, "tandem/user/list"))

    def test_sub_accounts_are_staff_and_never_owners(self, house):
        form = {
            "first": "Nia",
            "last": "Frost",
            "email": "nia@alder.example",
            "password": "quite-long-enough",
        }
        new_id = house.alder.dropzone("user/create", form).json()["data"]["id"]
        assert Staff.objects.get(pk=new_id).role == "read_only"
        told = house.alder.dropzone(f"user/permission/{new_id}", {"server": "all"}).json()
        assert told["success"] is True
        assert Staff.objects.get(pk=new_id).role == "support"
        rosa = Staff.objects.get(organisation=house.cast.alder, role="owner")
        taken = {"first": "R", "last": "L", "email": "evil@alder.example", "password": "quite-long-enough"}
        assert house.alder.dropzone(f"user/edit/{rosa.pk}", taken).json()["success"] is False
        assert {one["type"] for one in self.get(house, "user/list")} == {"primary", "secondary"}

    def test_orders_and_their_form(self, house, offers):
        line = self.get(house, "order/list")[0]
        assert (line["servername"], line["instock"]) == ("Dedicated M", False)
        form = self.get(house, f"order/formdetails/{line['orderformid']}")
        assert form["form"]["servername"] == "Dedicated M"
        assert isinstance(form["services"], dict)

    def test_a_cancellation_by_host_name(self, house):
        told = house.alder.dropzone("server/cancel/spare.example.org", {}).json()
        assert told["success"] is True
        assert SupplyOrder.objects.get().server_id == house.spare.pk
        assert house.alder.dropzone("server/cancel/foreign.example.org", {}).status_code == 404

    def test_what_is_not_offered_says_so_and_what_is_unknown_too(self, house):
        for path in ("billing/list/all/0/100", "support/list", "solution/services/list", "service/list/1"):
            answer = house.alder.dropzone(path)
            assert (answer.status_code, answer.json()["success"]) == (409, False), path
        unknown = house.alder.dropzone("server/nothing")
        assert (unknown.status_code, unknown.json()["error"]) == (404, "No Such Command")
        wrong = house.alder.dropzone("server/list", {"x": "y"})
        assert wrong.status_code == 405


def test_foreign_servers_answer_as_those_that_do_not_exist(house):
    for command in ("getServerDetails", "getServerIps", "getServerBandwidth", "getRdnsList", "rebootServer"):
        foreign = house.alder.leap("server", command, serverid=str(house.foreign.pk))
        nothing = house.alder.leap("server", command, serverid="99999999")
        assert foreign == nothing
        assert set(foreign) == {"error"}
    for path in ("view", "network", "rdns", "login", "reboot", "checkinstall"):
        foreign = house.alder.dropzone(f"server/{path}/{house.foreign.pk}")
        nothing = house.alder.dropzone(f"server/{path}/99999999")
        assert (foreign.status_code, foreign.content) == (nothing.status_code, nothing.content)
    assert Operation.objects.count() == 0


def test_a_list_costs_as_many_queries_however_long_it_is(house, django_assert_max_num_queries):
    house.alder.dropzone("server/list")
    names = [f"m{number}" for number in range(60)]
    for server in house.stage.machines(*names):
        fleet.allocate(house.cast.ines, server.pk, house.cast.alder.pk)
    assert Server.objects.count() > 60
    with django_assert_max_num_queries(12):
        assert len(house.alder.dropzone("server/list").json()["data"]) == 62
    with django_assert_max_num_queries(12):
        assert len(house.alder.leap("server", "listServers")["servers"]) == 62


def test_every_command_of_the_reference_is_there():
    account = {
        "getAccountDetails", "getAuthorizedContacts", "tandemList", "tandemAddUser", "tandemDeleteUser",
        "tandemAddUserPermission", "tandemDeleteUserPermission",
    }  # fmt: skip
    server = {
        "listServers", "getServerDetails", "getServerIps", "getServerBandwidth", "getRdnsList", "updateRdns",
        "rebootServer", "getOsList", "reinstallServer", "listAvailableServers", "cancellationRequest",
        "cascadeGetCpuUsage", "cascadeGetNodeProperties", "cascadeListSnapshots", "cascadeCreateVm", "cascadeEditVm",
        "cascadeMoveVm", "cascadeSnapshotVm", "cascadeDeleteVm", "cascadeShutdownVm", "cascadeStartVm", "cascadeRebootVm",
    }  # fmt: skip
    assert account <= set(LEAP["account"])
    assert server <= set(LEAP["server"])
    modules = {one.usage.split("/")[0] for one in COMMANDS}
    assert modules == {"billing", "order", "server", "service", "solution", "support", "tandem", "user"}
