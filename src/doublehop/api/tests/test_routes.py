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
    assert tam.get("/api/v1/servers").json()[1]["label"] == "WEB"
    assert tam.get(f"/api/v1/services/{service.pk}").json()["hostname"] == "web.example.org"
    assert rosa.get("/api/v1/servers").json() == []
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
    rest = ines.get(f"/api/v1/servers?limit=999999&after={first[-1]['id']}").json()
    assert [row["label"] for row in (*first, *rest)] == ["LAB", "A", "B", "C"]
