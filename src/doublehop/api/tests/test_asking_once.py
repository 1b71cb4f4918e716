"""One key is one deed of any kind, a lost answer can be asked for, and what is misspelt is no deed at all."""

import pytest
from django.core.cache import cache
from tests.cast import a_cast
from tests.stage import a_product, a_service, a_stage, run_all_jobs, run_jobs

from doublehop.api.tests.calling import Program
from doublehop.organisations.models import Client as Customer
from doublehop.services.actions.supply import OfferForm, create_offer
from doublehop.services.models import Operation, SupplyOrder

pytestmark = pytest.mark.django_db


@pytest.fixture
def house():
    cache.clear()
    cast = a_cast()
    stage = a_stage(cast.rosa)
    (web,) = stage.machines("web")
    service = a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa, ways=["port"]), web)
    return cast, stage, service


@pytest.mark.parametrize("query", ["?dry-run=true", "?dryrun=1", "?dry_run=true&wait=5", "?fields=id"])
def test_a_misspelt_query_is_refused_before_anything_happens(house, query):
    cast, stage, service = house
    answer = Program(cast.rosa).post(f"/services/{service.pk}/operations{query}", {"kind": "reboot"})
    assert (answer.status_code, answer.json()["code"]) == (422, "unreadable")
    run_all_jobs()
    assert not stage.place.effects("web")
    assert not Operation.objects.exists()


def test_a_list_does_not_ignore_a_misspelt_filter(house):
    cast, _, service = house
    program = Program(cast.rosa)
    assert program.get("/services?client=3").status_code == 422
    assert program.get(f"/services?client_id={cast.quillfeather.pk}&fields=id").json()["items"] == [
        {"id": service.pk}
    ]


def test_a_key_is_one_deed_of_any_kind(house):
    cast, stage, service = house
    program = Program(cast.rosa)
    path = f"/services/{service.pk}"
    assert program.patch(path, {"hostname": "new.example.org"}, key="two").status_code == 200
    for body in ({"kind": "reboot"}, {"kind": "terminate", "reason": "Over"}):
        answer = program.post(f"{path}/operations", body, key="two")
        assert (answer.status_code, answer.json()["code"]) == (409, "key_reused")
    assert program.post(f"{path}/operations", {"kind": "reboot"}, key="one").status_code == 202
    again = program.post(f"{path}/detach", key="one")
    assert (again.status_code, again.json()["code"]) == (409, "key_reused")
    service.refresh_from_db()
    assert service.server_id is not None
    run_jobs()
    assert len(stage.place.effects("web")) == 1


@pytest.mark.parametrize("key", ["k" * 121, "sch\u00f6n"])
@pytest.mark.parametrize("kind", ["reboot", "terminate"])
def test_a_key_that_cannot_be_kept_is_refused(house, key, kind):
    cast, _, service = house
    body = {"kind": kind, "reason": "Over"}
    answer = Program(cast.rosa).post(f"/services/{service.pk}/operations", body, key=key)
    assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key")


def test_what_became_of_an_order_can_be_asked_by_its_key(house):
    cast, _, _ = house
    program = Program(cast.rosa)
    offer = create_offer(cast.ines, OfferForm(name="AX-64", price="71.00"))
    assert program.get("/requests/lost").status_code == 404
    made = program.post("/orders", {"offer_id": offer.pk}, key="lost").json()
    told = program.get("/requests/lost").json()
    assert (told["verb"], told["answer_id"]) == ("supply.order", made["id"])
    assert Program(cast.rosa).get("/requests/lost").status_code == 404, "another token's"
    assert SupplyOrder.objects.count() == 1


def test_a_changed_name_does_not_take_back_what_somebody_else_changed(house):
    cast, _, _ = house
    program, path = Program(cast.rosa), f"/clients/{cast.quillfeather.pk}"
    first = program.patch(path, {"name": "Quillfeather Press"}, key="one")
    program.patch(path, {"email": "office@quillfeather.example"})
    again = program.patch(path, {"name": "Quillfeather Press"}, key="one")
    assert (first.status_code, again.status_code) == (200, 200)
    row = Customer.objects.get(pk=cast.quillfeather.pk)
    assert (row.name, row.email) == ("Quillfeather Press", "office@quillfeather.example")


def test_lists_narrow_by_what_people_know(house):
    cast, _, service = house
    program = Program(cast.rosa)
    for words in (f"S-{service.number}", service.shown_hostname, service.server.primary_address):
        assert [one["id"] for one in program.get(f"/services?q={words}").json()["items"]] == [service.pk]
    assert program.get("/services?q=nothing").json()["items"] == []
    for words in (str(cast.quillfeather.number), "quillf"):
        assert [one["id"] for one in program.get(f"/clients?q={words}").json()["items"]] == [
            cast.quillfeather.pk
        ]
