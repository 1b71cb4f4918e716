"""Operations are listed, followed and taken back; orders go to the organisation above; records are for staff."""

import pytest
from django.core.cache import cache
from tests.cast import a_cast
from tests.stage import a_product, a_service, a_stage, ask, run_all_jobs, run_jobs

from doublehop.api import records
from doublehop.api.tests.calling import Program
from doublehop.driver_kit.conformance.world import Fault
from doublehop.fleet import actions as fleet
from doublehop.services.actions.supply import OfferForm, create_offer
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import Operation, SupplyOrder

pytestmark = pytest.mark.django_db


@pytest.fixture
def house():
    cache.clear()
    cast = a_cast()
    stage = a_stage(cast.rosa)
    (web,) = stage.machines("web")
    return cast, stage, a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa), web)


def test_what_waits_is_taken_back_once_by_who_asked(house):
    cast, stage, service = house
    shop = Program(cast.rosa)
    client = Program(cast.rosa, "read", "operate", client_id=cast.quillfeather.pk)
    reference = shop.post(f"/services/{service.pk}/operations", {"kind": "reboot"}).json()["reference"]
    # A client's token takes back what came with it, not what its seller asked.
    assert client.post(f"/operations/{reference}/cancel").status_code == 404
    tried = shop.post(f"/operations/{reference}/cancel?dry_run=true", key="")
    assert (tried.status_code, tried.json()["state"], tried.json()["dry_run"]) == (200, "cancelled", True)
    assert Operation.objects.get().state == "queued"
    answers = [shop.post(f"/operations/{reference}/cancel", key="back") for _ in range(2)]
    assert [(one.status_code, one.json()["state"]) for one in answers] == [(200, "cancelled")] * 2
    assert "dry_run" not in answers[0].json()
    run_all_jobs()
    assert stage.place.effects("web") == []
    mine = client.post(f"/services/{service.pk}/operations", {"kind": "reboot"}).json()["reference"]
    assert client.post(f"/operations/{mine}/cancel").json()["state"] == "cancelled"


def test_lists_are_newest_first_and_narrowed(house):
    cast, _, service = house
    shop = Program(cast.rosa)
    done = ask(cast.rosa, OperationKind.REFRESH_ADDRESSES, service)
    run_all_jobs()
    waiting = ask(cast.rosa, OperationKind.REBOOT, service)
    told = [row["reference"] for row in shop.get("/operations").json()["items"]]
    assert told == [waiting.reference, done.reference]
    page = shop.get("/operations?limit=1").json()
    rest = shop.get(f"/operations?limit=1&after={page['next']}").json()
    assert [row["reference"] for row in rest["items"]] == [done.reference]
    for query, expected in (
        ("?state=queued", [waiting.reference]),
        (f"?service_id={service.pk}&state=done", [done.reference]),
        (f"?server_id={service.server_id + 99}", []),
    ):
        assert [row["reference"] for row in shop.get(f"/operations{query}").json()["items"]] == expected
    assert shop.get("/operations?state=broken").status_code == 422
    of_server = shop.get(f"/servers/{service.server_id}/operations").json()["items"]
    assert [row["reference"] for row in of_server] == told


def test_steps_are_for_staff_and_an_unknown_outcome_is_read_again(house):
    cast, stage, service = house
    shop = Program(cast.rosa)
    stage.place.fault(Fault.UNKNOWN_AFTER_ACTING, on="power.reset")
    reference = shop.post(f"/services/{service.pk}/operations", {"kind": "reboot"}).json()["reference"]
    run_jobs()
    assert shop.get(f"/operations/{reference}").json()["state"] == "unknown"
    first, *_ = shop.get(f"/operations/{reference}/steps").json()
    assert (first["kind"], first["times_sent"], first["state"]) == ("reset", 1, "unknown")
    looked = shop.post(f"/operations/{reference}/look-again")
    assert (looked.status_code, looked.json()["reference"]) == (202, reference)
    client = Program(cast.rosa, "read", client_id=cast.quillfeather.pk)
    assert client.get(f"/operations/{reference}").status_code == 200
    assert client.get(f"/operations/{reference}/steps").status_code == 404
    refused = Program(cast.rosa, "read", "billing").post(f"/operations/{reference}/cancel")
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")


def test_a_reseller_orders_above_and_gives_a_server_back():
    cast = a_cast()
    cache.clear()
    stage = a_stage(cast.ines)
    (web,) = stage.machines("web")
    group = fleet.create_server_group(cast.ines, "Pool")
    fleet.set_group_members(cast.ines, group.pk, [web.pk])
    by_hand = create_offer(cast.ines, OfferForm(name="AX-64", price="71.00"))
    at_once = create_offer(cast.ines, OfferForm(name="AX-32", price="51.00", server_group_id=group.pk))
    shop = Program(cast.rosa)
    offers = {row["name"]: row for row in shop.get("/offers").json()["items"]}
    assert (offers["AX-64"]["stock"], offers["AX-32"]["stock"], offers["AX-64"]["price"]) == (
        None,
        1,
        "71.00",
    )
    first = shop.post("/orders", {"offer_id": at_once.pk, "hostname": "web.example.org"}, key="one")
    again = shop.post("/orders", {"offer_id": at_once.pk, "hostname": "web.example.org"}, key="one")
    assert (first.status_code, first.json()) == (201, again.json())
    assert (first.json()["state"], first.json()["server_id"]) == ("filled", web.pk)
    assert SupplyOrder.objects.count() == 1
    agreed = {"offer_id": by_hand.pk, "price": f"{by_hand.price}", "currency": by_hand.currency}
    for dear in ({"price": "1.00"}, {"setup_fee": "9.00"}, {"currency": "USD"}):
        refused = shop.post("/orders", {**agreed, **dear})
        assert (refused.status_code, refused.json()["code"]) == (409, "price_changed")
    waits = shop.post("/orders", agreed).json()
    assert waits["state"] == "waiting"
    assert shop.post(f"/orders/{waits['id']}/withdraw").json()["state"] == "withdrawn"
    back = shop.post(f"/servers/{web.pk}/cancellation", {"reason": "Not needed"})
    assert (back.status_code, back.json()["kind"], back.json()["server_id"]) == (201, "cancel", web.pk)
    assert [row["id"] for row in shop.get("/orders?state=waiting").json()["items"]] == [back.json()["id"]]
    refused = shop.post(f"/servers/{web.pk}/cancellation", {"reason": "Not needed"})
    assert (refused.status_code, refused.json()["code"]) == (409, "already_asked")
    # Neither neighbours nor whoever only bills or reads may order; the giver's own list does not hold it.
    assert Program(cast.tam).get(f"/orders/{waits['id']}").status_code == 404
    assert Program(cast.rosa, "read", "billing").post("/orders", {"offer_id": by_hand.pk}).status_code == 403
    assert Program(cast.ines).get("/orders").json()["items"] == []
    assert Program(cast.ines).post("/orders", {"offer_id": by_hand.pk}).status_code == 404


def test_a_trial_of_an_order_names_none():
    cast = a_cast()
    cache.clear()
    offer = create_offer(cast.ines, OfferForm(name="AX-64", price="71.00"))
    (server,) = a_stage(cast.ines).machines("web")
    fleet.allocate(cast.ines, server.pk, cast.alder.pk)
    shop = Program(cast.rosa)
    for path, body in (
        ("/orders", {"offer_id": offer.pk}),
        (f"/servers/{server.pk}/cancellation", {"reason": "Not needed"}),
    ):
        tried = shop.post(f"{path}?dry_run=true", body, key="")
        told = tried.json()
        assert (tried.status_code, told["dry_run"], told["state"]) == (200, True, "waiting")
        assert (told["id"], told["number"], "Location" in tried) == (None, None, False)
        assert not SupplyOrder.objects.exists()
    waits = shop.post("/orders", {"offer_id": offer.pk})
    assert "dry_run" not in waits.json()
    order = waits.json()["id"]
    assert waits["Location"] == f"/api/v1/orders/{order}"
    tried = shop.post(f"/orders/{order}/withdraw?dry_run=true", key="").json()
    assert (tried["dry_run"], tried["id"], tried["state"]) == (True, order, "withdrawn")
    assert shop.get(f"/orders/{order}").json()["state"] == "waiting"
    assert "dry_run" not in shop.post(f"/orders/{order}/withdraw").json()


def test_records_are_for_the_house_alone(house):
    cast, _, service = house
    shop, client = Program(cast.rosa), Program(cast.rosa, "read", client_id=cast.quillfeather.pk)
    (upstream,) = shop.get("/upstreams").json()["items"]
    assert (upstream["driver"], upstream["armed"], upstream["state"]) == ("memory", True, "fine")
    assert shop.get(f"/upstreams/{upstream['id']}").json() == upstream
    lines = shop.get(f"/journal?service_id={service.pk}").json()["items"]
    assert [line["verb"] for line in lines] == ["service.ordered", "service.attached"]
    assert lines[1]["by"] == "Rosa Lind"
    newer = shop.get(f"/journal?service_id={service.pk}&after={lines[0]['id']}").json()["items"]
    assert newer == lines[1:]
    for stranger in (client, Program(cast.tam)):
        assert stranger.get("/upstreams").json()["items"] == []
        assert stranger.get(f"/upstreams/{upstream['id']}").status_code == 404
        told = stranger.get(f"/journal?service_id={service.pk}").json()["items"]
        assert told == []


def test_a_line_is_told_when_none_can_come_before_it_any_more(house, monkeypatch):
    cast, _, service = house
    shop, path = Program(cast.rosa), f"/journal?service_id={service.pk}"
    ordered, attached = shop.get(path).json()["items"]
    monkeypatch.setattr(records, "first_unsettled_id", lambda: attached["id"])
    assert shop.get(path).json()["items"] == [ordered]
    assert shop.get(f"{path}&after={ordered['id']}").json()["items"] == []


def test_the_house_above_cannot_try_out_which_machines_belong_together():
    cache.clear()
    cast = a_cast()
    (web,) = a_stage(cast.ines).machines("web")
    fleet.allocate(cast.ines, web.pk, cast.alder.pk)
    service = a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa), web)
    ask(cast.rosa, OperationKind.REBOOT, service)
    above, below = Program(cast.ines), Program(cast.rosa)
    mara = Program(cast.rosa, "read", client_id=cast.quillfeather.pk)

    def found(program, path, **only):
        query = "&".join(f"{name}={value}" for name, value in only.items())
        return len(program.get(f"{path}?{query}").json()["items"])

    for path in ("/journal", "/operations"):
        assert found(above, path, server_id=web.pk)
        assert found(above, path, server_id=web.pk, service_id=service.pk) == 0
        assert found(below, path, server_id=web.pk, service_id=service.pk)
    assert found(above, "/journal", client_id=cast.quillfeather.pk) == 0
    assert found(below, "/journal", client_id=cast.quillfeather.pk)
    assert found(mara, "/operations", service_id=service.pk) == 1


def test_permissions_say_what_one_may_and_what_was_passed_on(house):
    cast, _, service = house
    told = Program(cast.rosa).get(f"/servers/{service.server_id}/permissions").json()
    assert "suspend" in told["rights"]
    assert [(row["to"], row["id"]) for row in told["given"]] == [("client", cast.quillfeather.pk)]
    mine = Program(cast.rosa, "read", client_id=cast.quillfeather.pk)
    told = mine.get(f"/servers/{service.server_id}/permissions").json()
    assert (told["given"], "suspend" in told["rights"], "view" in told["rights"]) == ([], False, True)


def test_whatever_was_read_of_a_machine_has_its_time_beside_it(house):
    cast, _, service = house
    run_all_jobs()
    told = Program(cast.rosa).get(f"/servers/{service.server_id}").json()
    assert (told["power_state"], told["health"], told["rescue_active"]) == ("on", "ok", False)
    assert all(told[f"{what}_read_at"] for what in ("power", "health", "rescue"))
