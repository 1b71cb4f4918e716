"""A billing system makes services, gives them servers, changes and ends them: once each, and only its own."""

import pytest
from django.core.cache import cache
from tests.cast import a_cast
from tests.stage import a_product, a_service, a_stage, ask, run_all_jobs

from doublehop.api.tests.calling import Program
from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Permission
from doublehop.organisations.models import Client
from doublehop.services import actions
from doublehop.services.actions.catalogue import ProductForm
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import EarlierProduct, Operation, Product, Service, SupplyOrder

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast():
    cache.clear()
    return a_cast()


@pytest.fixture
def stage(cast):
    return a_stage(cast.rosa)


@pytest.fixture
def whmcs(cast):
    return Program(cast.rosa, billing_system="WHMCS")


def an_order(whmcs, cast, product, **more):
    body = {"product_id": product.pk, "client_id": cast.quillfeather.pk, "billing_reference": "41", **more}
    return whmcs.post("/services", body)


def test_the_same_reference_is_the_same_service(cast, stage, whmcs):
    product, other = a_product(cast.rosa), a_product(cast.rosa, "Dedicated L")
    first, again = an_order(whmcs, cast, product), an_order(whmcs, cast, product)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first["Location"] == f"/api/v1/services/{first.json()['id']}"
    assert first.json()["id"] == again.json()["id"]
    told = first.json()
    assert (told["status"], told["billed_by"], told["billing_reference"]) == ("pending", "WHMCS", "41")
    refused = an_order(whmcs, cast, other)
    assert (refused.status_code, refused.json()["code"]) == (409, "reference_taken")
    assert Service.objects.count() == 1
    found = whmcs.get("/services?billing_reference=41").json()["items"]
    assert [row["id"] for row in found] == [told["id"]]
    # Another billing system has references of its own.
    another = Program(cast.rosa, billing_system="Blesta")
    assert another.get("/services?billing_reference=41").json()["items"] == []
    assert an_order(another, cast, other).status_code == 201


def test_a_cancelled_order_lets_go_of_its_reference(cast, whmcs):
    product = a_product(cast.rosa)
    first = an_order(whmcs, cast, product).json()
    gone = whmcs.post(f"/services/{first['id']}/cancel", {"reason": "Not paid"}).json()
    assert (gone["status"], gone["ended_at"] is not None) == ("cancelled", True)
    second = an_order(whmcs, cast, product)
    assert second.status_code == 201
    assert second.json()["id"] != first["id"]


def test_a_product_with_a_pool_is_filled_and_another_waits_for_staff(cast, stage, whmcs):
    (web,) = stage.machines("web")
    group = fleet.create_server_group(cast.rosa, "Pool")
    fleet.set_group_members(cast.rosa, group.pk, [web.pk])
    pooled = a_product(cast.rosa)
    Product.objects.filter(pk=pooled.pk).update(server_group=group)
    made = an_order(whmcs, cast, pooled).json()
    run_all_jobs()
    told = whmcs.get(f"/services/{made['id']}").json()
    assert (told["status"], told["server_id"], told["hostname"]) == ("active", web.pk, "web.example.org")
    assert told["primary_address"] == web.primary_address
    assert told["next_due_on"] is None  # its due dates are kept where it is billed
    assert set(told["actions"]) >= {"reboot", "power_off", "suspend", "terminate"}
    by_hand = an_order(whmcs, cast, a_product(cast.rosa, "By hand"), billing_reference="42").json()
    run_all_jobs()
    assert whmcs.get(f"/services/{by_hand['id']}").json()["status"] == "pending"


def test_attach_swap_and_detach_happen_once_and_say_who_has_the_server(cast, stage, whmcs):
    web, spare = stage.machines("web", "spare")
    product = a_product(cast.rosa)
    one = an_order(whmcs, cast, product).json()["id"]
    other = an_order(whmcs, cast, product, billing_reference="42").json()
    tried = whmcs.post(f"/services/{one}/attach?dry_run=true", {"server_id": web.pk}, key="")
    assert (tried.status_code, tried.json()["status"]) == (200, "active")
    assert whmcs.get(f"/services/{one}").json()["status"] == "pending"
    for _ in range(2):
        told = whmcs.post(f"/services/{one}/attach", {"server_id": web.pk}, key="attach-41").json()
        assert (told["server_id"], told["status"]) == (web.pk, "active")
    taken = whmcs.post(f"/services/{other['id']}/attach", {"server_id": web.pk})
    assert (taken.status_code, taken.json()["code"]) == (409, "already_attached")
    assert f"S-{Service.objects.get(pk=one).number}" in taken.json()["title"]
    assert whmcs.post(f"/services/{one}/swap", {"server_id": spare.pk}).json()["server_id"] == spare.pk
    assert whmcs.post(f"/services/{one}/detach").json()["status"] == "pending"
    run_all_jobs()
    listed = whmcs.get("/servers?free=true").json()["items"]
    assert {row["id"] for row in listed} >= {web.pk, spare.pk}
    assert {row["status"] for row in listed} == {"free"}


def test_whoever_asks_may_say_why_and_the_house_reads_it(cast, stage, whmcs):
    web, spare = stage.machines("web", "spare")
    one = an_order(whmcs, cast, a_product(cast.rosa), reason="Ordered (admin 1 of WHMCS)").json()["id"]
    whmcs.post(f"/services/{one}/attach", {"server_id": web.pk, "reason": "Chosen (admin 2 of WHMCS)"})
    whmcs.post(f"/services/{one}/swap", {"server_id": spare.pk, "reason": "The disk is full"})
    whmcs.patch(f"/services/{one}", {"hostname": "new.example.org", "reason": "Asked by the client"})
    whmcs.post(f"/services/{one}/detach", {"reason": "Not this one"})
    lines = whmcs.get(f"/journal?service_id={one}").json()["items"]
    told = {line["verb"]: line["sentence"] for line in lines if line["verb"].startswith("service.")}
    assert told["service.ordered"].endswith(". Ordered (admin 1 of WHMCS)")
    assert told["service.attached"] == f"{web.label} to Quillfeather Books. Chosen (admin 2 of WHMCS)"
    assert told["service.swapped"].startswith(f"{web.label} replaced by {spare.label}. The disk is full")
    assert told["service.saved"] == "Asked by the client"
    assert told["service.detached"].endswith(". Not this one")


def test_what_is_only_tried_says_so(cast, stage, whmcs):
    web, spare = stage.machines("web", "spare")
    product = a_product(cast.rosa)
    one = an_order(whmcs, cast, product, server_id=web.pk).json()["id"]
    waits = an_order(whmcs, cast, product, billing_reference="42").json()["id"]

    def tried(path, body=None, method="POST"):
        answer = whmcs.send(method, f"/services/{path}?dry_run=true", body, key="")
        assert (answer.status_code, answer.json().get("dry_run")) == (200, True), path
        assert "Location" not in answer
        return answer.json()

    before = whmcs.get("/services").json()
    assert tried(f"{one}/swap", {"server_id": spare.pk})["server_id"] == spare.pk
    assert tried(f"{one}/detach")["status"] == "pending"
    assert tried(f"{one}", {"hostname": "new.example"}, "PATCH")["hostname"] == "new.example"
    assert tried(f"{waits}/attach", {"server_id": spare.pk})["status"] == "active"
    assert tried(f"{waits}/cancel", {"reason": "Not paid"})["status"] == "cancelled"
    assert whmcs.get("/services").json() == before
    assert "dry_run" not in whmcs.post(f"/services/{waits}/cancel", {"reason": "Not paid"}).json()


def test_a_server_is_given_with_the_order(cast, stage, whmcs):
    (web,) = stage.machines("web")
    made = an_order(whmcs, cast, a_product(cast.rosa), server_id=web.pk)
    assert (made.status_code, made.json()["status"]) == (201, "active")
    refused = an_order(whmcs, cast, a_product(cast.rosa, "Other"), billing_reference="42", server_id=web.pk)
    assert (refused.status_code, refused.json()["code"]) == (409, "already_attached")
    assert Service.objects.count() == 1  # nothing half done
    no_operate = Program(cast.rosa, "read", "billing", billing_system="WHMCS")
    refused = an_order(
        no_operate, cast, a_product(cast.rosa, "Third"), billing_reference="43", server_id=web.pk
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/attach", {"server_id": 0}),
        ("/detach", {}),
        ("/operations", {"kind": "suspend", "reason": "Late"}),
        ("/operations", {"kind": "unsuspend"}),
        ("/operations", {"kind": "terminate", "reason": "Late"}),
    ],
)
def test_another_billing_system_neither_binds_nor_suspends_nor_ends(cast, stage, whmcs, path, body):
    web, spare = stage.machines("web", "spare")
    service = an_order(whmcs, cast, a_product(cast.rosa), server_id=web.pk).json()
    if body.get("kind") == "unsuspend":
        whmcs.post(f"/services/{service['id']}/operations", {"kind": "suspend", "reason": "Late"})
    if "server_id" in body:
        whmcs.post(f"/services/{service['id']}/detach")
        body = {"server_id": spare.pk}
    before = Service.objects.values("status", "server_id").get(), Operation.objects.count()
    clone = Program(cast.rosa, billing_system="WHMCS (copy)")
    refused = clone.post(f"/services/{service['id']}{path}", body)
    assert (refused.status_code, refused.json()["code"]) == (409, "other_billing_system")
    assert (Service.objects.values("status", "server_id").get(), Operation.objects.count()) == before
    # The house itself may, and so may a token without a billing system.
    assert Program(cast.rosa).post(f"/services/{service['id']}{path}", body).status_code in {200, 202}


def test_another_product_brings_its_price_at_once_and_its_contract_later(cast, stage, whmcs):
    (web,) = stage.machines("web")
    small, large = a_product(cast.rosa), a_product(cast.rosa, "Dedicated L")
    form = ProductForm(name=large.name, group_id=large.group_id, price="199.00", client_rights=["view"])
    actions.update_product(cast.rosa, large.pk, form)
    service = an_order(whmcs, cast, small, server_id=web.pk).json()
    changed = whmcs.patch(
        f"/services/{service['id']}", {"product_id": large.pk, "hostname": "db.example.org"}
    )
    told = changed.json()
    assert (told["product_id"], told["price"], told["hostname"]) == (large.pk, "199.00", "db.example.org")
    mine = Permission.objects.get(client=cast.quillfeather, until__isnull=True)
    assert mine.rights == ["view"]
    assert EarlierProduct.objects.get().product_id == small.pk
    foreign = a_product(cast.tam)
    assert whmcs.patch(f"/services/{service['id']}", {"product_id": foreign.pk}).status_code == 404
    misspelt = whmcs.patch(f"/services/{service['id']}", {"host_name": "x"})
    assert (misspelt.status_code, misspelt.json()["field"]) == (422, "host_name")


def test_staffs_own_service_is_taken_over_by_a_reference(cast, stage, whmcs):
    (web,) = stage.machines("web")
    service = a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa), web)
    told = whmcs.patch(f"/services/{service.pk}", {"billing_reference": "41"}).json()
    assert (told["billed_by"], told["next_due_on"]) == ("WHMCS", None)
    other = a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa, "Other"))
    taken = whmcs.patch(f"/services/{other.pk}", {"billing_reference": "41"})
    assert (taken.status_code, taken.json()["code"]) == (409, "reference_taken")


def test_a_terminated_service_comes_back(cast, stage, whmcs):
    (web,) = stage.machines("web")
    service = an_order(whmcs, cast, a_product(cast.rosa), server_id=web.pk).json()["id"]
    ended = whmcs.post(f"/services/{service}/operations", {"kind": "terminate", "reason": "Left"})
    assert (ended.status_code, ended.json()["state"]) == (202, "done")
    assert whmcs.get(f"/services/{service}").json()["status"] == "terminated"
    back = whmcs.post(f"/services/{service}/restore")
    assert (back.status_code, back.json()["server_id"]) == (200, web.pk)


def test_terminate_may_ask_the_giver_to_take_the_server_back(cast):
    stage = a_stage(cast.ines)
    (web,) = stage.machines("web")
    fleet.allocate(cast.ines, web.pk, cast.alder.pk)
    whmcs = Program(cast.rosa, "read", "billing", "operate", billing_system="WHMCS")
    service = an_order(whmcs, cast, a_product(cast.rosa), server_id=web.pk).json()["id"]
    body = {"kind": "terminate", "reason": "Left", "mode": "ask_cancellation"}
    ended = whmcs.post(f"/services/{service}/operations", body)
    assert (ended.status_code, ended.json()["sentence"]) == (
        202,
        "Whoever gave WEB was asked to take it back.",
    )
    asked = SupplyOrder.objects.get()
    assert (asked.kind, asked.server_id, asked.giver_id) == ("cancel", web.pk, cast.provider.pk)


def test_where_nobody_can_be_asked_to_take_the_server_back_staff_are_told(cast, stage, whmcs):
    (web,) = stage.machines("web")
    service = an_order(whmcs, cast, a_product(cast.rosa), server_id=web.pk).json()["id"]
    body = {"kind": "terminate", "reason": "Left", "mode": "ask_cancellation"}
    ended = whmcs.post(f"/services/{service}/operations", body).json()
    assert ended["state"] == "done"
    assert (
        ended["sentence"] == "Nobody was asked to take WEB back. Cancel it in Rack A, if it is charged for."
    )
    assert not SupplyOrder.objects.exists()


def test_what_is_under_way_and_why_it_is_suspended_stand_at_the_service(cast, stage, whmcs):
    (web,) = stage.machines("web")
    service = a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa, ways=["port"]), web)
    asked = ask(cast.rosa, OperationKind.SUSPEND, service)
    shown = whmcs.get("/services").json()["items"][0]
    assert shown["open_operation"]["reference"] == asked.reference
    assert (shown["suspended_because"], shown["actions"]) == ("Pay invoice 1187.", None)
    mara = Program(cast.rosa, "read", client_id=cast.quillfeather.pk)
    told = mara.get(f"/services/{service.pk}").json()
    assert told["suspended_because"] == "Pay invoice 1187."
    assert (told["waits_because"], told["billed_by"]) == ("", "")
    run_all_jobs()
    assert whmcs.get(f"/services/{service.pk}").json()["open_operation"] is None


def test_clients_are_made_once_for_each_reference(cast, whmcs):
    body = {"name": "Larch Pictures", "email": "hello@larch.example", "billing_reference": "7"}
    first, again = whmcs.post("/clients", body), whmcs.post("/clients", body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert Client.objects.filter(billing_reference="7").count() == 1
    client_id = first.json()["id"]
    told = whmcs.patch(f"/clients/{client_id}", {"email": "new@larch.example"}).json()
    assert (told["name"], told["email"]) == ("Larch Pictures", "new@larch.example")
    clone = Program(cast.rosa, billing_system="WHMCS (copy)")
    refused = clone.patch(f"/clients/{client_id}", {"name": "Mine"})
    assert (refused.status_code, refused.json()["code"]) == (409, "other_billing_system")
    adopted = whmcs.patch(f"/clients/{cast.quillfeather.pk}", {"billing_reference": "7"})
    assert (adopted.status_code, adopted.json()["code"]) == (409, "reference_taken")
    adopted = whmcs.patch(f"/clients/{cast.quillfeather.pk}", {"billing_reference": "8"})
    assert adopted.json()["billed_by"] == "WHMCS"
    assert [row["id"] for row in whmcs.get("/clients?billing_reference=8").json()["items"]] == [
        cast.quillfeather.pk
    ]


@pytest.mark.parametrize("text", ["\0", "a\0b", "\u202e"])
def test_what_cannot_be_printed_is_refused_before_it_is_looked_up(cast, stage, whmcs, text):
    (web,) = stage.machines("web")
    service = a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa), web)
    asked = (
        ("/clients", {"name": "Larch Pictures", "billing_reference": text}),
        ("/services", {"product_id": 1, "client_id": 1, "billing_reference": text}),
        (f"/services/{service.pk}/operations", {"kind": "set_rdns", "address": text}),
    )
    for path, body in asked:
        refused = whmcs.post(path, body)
        assert (refused.status_code, refused.json()["code"]) == (422, "bad_input")


def test_me_says_who_asks(cast, whmcs):
    told = whmcs.get("/me").json()
    assert (told["kind"], told["organisation"], told["billing_system"]) == (
        "program",
        "Alder Hosting",
        "WHMCS",
    )
    assert (told["token"], told["scopes"]) == (whmcs.row.handle, ["billing", "operate", "read"])
    mara = Program(cast.rosa, "read", client_id=cast.quillfeather.pk).get("/me").json()
    assert (mara["kind"], mara["client_id"]) == ("client", cast.quillfeather.pk)


def test_a_product_says_what_is_included_and_where_its_servers_come_from(cast, whmcs):
    product = a_product(cast.rosa, ways=["port", "notify"])
    told = whmcs.get(f"/products/{product.pk}").json()
    assert (told["allowance"], told["suspend_ways"], told["module"]) == (
        "not limited",
        ["port", "notify"],
        "",
    )
    assert whmcs.get("/products").json()["items"] == [told]


def test_a_server_without_a_service_is_asked_by_itself(cast, stage, whmcs):
    (web,) = stage.machines("web")
    asked = whmcs.post(f"/servers/{web.pk}/operations", {"kind": "power_off"})
    assert (asked.status_code, asked.json()["service_id"]) == (202, None)
    run_all_jobs()
    assert len(stage.place.effects("web")) == 1
    told = whmcs.get(f"/servers/{web.pk}").json()
    assert (told["status"], told["free"], told["power_state"]) == ("free", True, "off")
    assert "power_on" in told["actions"]
    assert told["identifiers"]
    mara = Program(cast.rosa, "read", "operate", client_id=cast.quillfeather.pk)
    service = a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa), web)
    assert mara.post(f"/servers/{web.pk}/operations", {"kind": "reboot"}).status_code == 404
    told = mara.get(f"/servers/{web.pk}").json()
    assert (told["identifiers"], told["service_id"]) == ([], service.pk)
