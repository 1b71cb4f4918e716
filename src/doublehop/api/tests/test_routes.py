"""The API shows what its asker may see, and nothing else."""

import pytest
from django.test import Client
from tests.cast import a_cast
from tests.stage import a_product, a_service, a_stage

from doublehop.organisations.models import User

pytestmark = pytest.mark.django_db


def signed_in(actor):
    client = Client()
    client.force_login(User.objects.get(pk=actor.user_id))
    return client


def test_it_shows_ones_own_and_hides_the_rest():
    cast = a_cast()
    stage = a_stage(cast.tam)
    (web,) = stage.machines("web")
    service = a_service(cast.tam, cast.juniper.pk, a_product(cast.tam), web)
    tam, rosa = signed_in(cast.tam), signed_in(cast.rosa)
    assert tam.get("/api/v1/servers").json()["items"][1]["label"] == "WEB"
    assert tam.get(f"/api/v1/services/{service.pk}").json()["hostname"] == "web.example.org"
    assert rosa.get("/api/v1/servers").json() == {"items": [], "next": None}
    foreign = rosa.get(f"/api/v1/services/{service.pk}")
    assert (foreign.status_code, foreign["Content-Type"]) == (404, "application/problem+json")
    assert foreign.json()["code"] == "not_found"
    for stranger in (signed_in(cast.lena), Client()):
        assert stranger.get("/api/v1/servers").status_code == 401


def test_paging_is_by_key_and_bounded():
    cast = a_cast()
    stage = a_stage(cast.ines)
    stage.machines("a", "b", "c")
    ines = signed_in(cast.ines)
    first = ines.get("/api/v1/servers?limit=2").json()
    rest = ines.get(f"/api/v1/servers?limit=999999&after={first['next']}").json()
    assert [row["label"] for row in (*first["items"], *rest["items"])] == ["LAB", "A", "B", "C"]
    assert rest["next"] is None


@pytest.mark.parametrize("what", ["", "/addresses", "/bandwidth?first=2026-01-01&last=2026-01-02"])
def test_a_strangers_server_is_not_there(what):
    cast = a_cast()
    (web,) = a_stage(cast.tam).machines("web")
    assert signed_in(cast.tam).get(f"/api/v1/servers/{web.pk}{what}").status_code == 200
    assert signed_in(cast.rosa).get(f"/api/v1/servers/{web.pk}{what}").json()["code"] == "not_found"
    assert signed_in(cast.rosa).get(f"/api/v1/servers/{10**30}{what}").status_code == 422


def test_clients_and_products_are_those_of_ones_own():
    cast = a_cast()
    a_product(cast.tam)
    (product,) = signed_in(cast.tam).get("/api/v1/products").json()["items"]
    assert (product["price"], product["currency"]) == ("129.00", "EUR")
    assert signed_in(cast.rosa).get("/api/v1/products").json()["items"] == []
    assert [row["id"] for row in signed_in(cast.rosa).get("/api/v1/clients").json()["items"]] == [
        cast.quillfeather.pk
    ]
