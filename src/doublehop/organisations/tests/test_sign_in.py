"""Signing in under a brand: nobody enters by another door, and nobody learns which addresses exist."""

import pytest
from django.contrib.auth import get_user
from django.contrib.auth.hashers import check_password, make_password
from django.core.cache import cache
from tests.cast import PASSWORD, a_cast

from doublehop.journal.models import Entry
from doublehop.organisations import actions, hosts
from doublehop.organisations.models import Brand, User

pytestmark = pytest.mark.django_db
ALDER, BIRCH = "panel.alder.example", "panel.birch.example"


@pytest.fixture
def cast():
    hosts.forget_hosts()
    cache.clear()
    cast = a_cast()
    Brand.objects.filter(organisation=cast.alder).update(host=ALDER)
    Brand.objects.filter(organisation=cast.birch).update(host=BIRCH)
    return cast


def sign_in(client, host, email, password=PASSWORD):
    return client.post("/sign-in/", {"login": email, "password": password}, HTTP_HOST=host)


def who(client):
    user = get_user(client)
    return user.email if user.is_authenticated else None


def test_on_its_own_host_and_on_a_shared_one(client, cast):
    for host in (ALDER, "127.0.0.1:8000", "localhost"):
        assert sign_in(client, host, "MARA@quillfeather.example ").status_code == 302
        assert who(client) == "mara@quillfeather.example"
        client.logout()


def test_not_under_another_brand(client, cast):
    answer = sign_in(client, BIRCH, "mara@quillfeather.example")
    assert answer.status_code == 200
    assert who(client) is None


def test_a_session_of_another_brand_is_not_honoured(client, cast):
    sign_in(client, ALDER, "mara@quillfeather.example")
    answer = client.get("/servers/", HTTP_HOST=BIRCH)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in/")


@pytest.mark.parametrize(
    "host", ["panel.example.net", "", "127.0.0.1.evil.example", "alder.example/..", "[::1"]
)
def test_a_host_that_is_nobodys_names_nobody(client, cast, host):
    answer = client.get("/sign-in/", HTTP_HOST=host)
    assert (answer.status_code, answer.content) == (404, b"Not found.")


def test_a_host_is_known_however_it_is_written(client, cast):
    for host in (ALDER.upper(), ALDER + ".", ALDER + ":8443"):
        assert client.get("/sign-in/", HTTP_HOST=host).status_code == 200


def test_one_address_under_two_brands_are_two_people(client, cast):
    twin = actions.create_client_person(
        cast.tam,
        client_id=cast.juniper.pk,
        name="Mara Quill",
        email="mara@quillfeather.example",
        password="another-long-one",
    )
    sign_in(client, BIRCH, "mara@quillfeather.example", "another-long-one")
    assert get_user(client) == twin.user
    client.logout()
    sign_in(client, "127.0.0.1", "mara@quillfeather.example", PASSWORD)
    assert get_user(client).brand_organisation_id == cast.alder.pk


def test_an_unknown_address_and_a_wrong_password_look_the_same(client, cast, monkeypatch):
    hashed = []
    for name, real in (("check_password", check_password), ("make_password", make_password)):
        monkeypatch.setattr(
            f"doublehop.organisations.sign_in.{name}",
            lambda *a, real=real, name=name: hashed.append(name) or real(*a),
        )
    known = sign_in(client, ALDER, "mara@quillfeather.example", "wrong-but-long")
    unknown = sign_in(client, ALDER, "nora@quillfeather.example", "wrong-but-long")
    assert known.status_code == unknown.status_code == 200
    assert known.context["form"].errors == unknown.context["form"].errors
    assert len(hashed) == 2, "each costs one hash"
    assert list(Entry.objects.values_list("verb", flat=True)) == ["sign_in.failed"] * 2


def test_who_was_switched_off_cannot_enter(client, cast):
    User.objects.filter(email="mara@quillfeather.example").update(is_active=False)
    sign_in(client, ALDER, "mara@quillfeather.example")
    assert who(client) is None


def test_nobody_registers(client, cast):
    for path in ("/sign-in/new/", "/sign-in/forgotten/"):
        assert client.get(path, HTTP_HOST=ALDER)["Location"] == "/sign-in/"


def test_signing_out_is_a_post(client, cast):
    sign_in(client, ALDER, "mara@quillfeather.example")
    assert client.get("/sign-out/", HTTP_HOST=ALDER).status_code == 405
    client.post("/sign-out/", HTTP_HOST=ALDER)
    assert who(client) is None
