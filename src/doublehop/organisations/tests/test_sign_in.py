"""Signing in under a brand: nobody enters by another door, and nobody learns which addresses exist."""

import re

import pytest
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.cast import PASSWORD, a_cast

from doublehop.journal.models import Entry
from doublehop.journal.queries import entries_for_organisation
from doublehop.organisations import actions, hosts
from doublehop.organisations.models import Brand, Staff, User

pytestmark = pytest.mark.django_db
ALDER, BIRCH = "panel.alder.example", "panel.birch.example"
LONG = "another-long-one"


@pytest.fixture
def cast():
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
    twin = twin_of_mara(cast, LONG)
    sign_in(client, BIRCH, "mara@quillfeather.example", LONG)
    assert get_user(client) == twin.user
    client.logout()
    sign_in(client, "127.0.0.1", "mara@quillfeather.example", PASSWORD)
    assert get_user(client).brand_organisation_id == cast.alder.pk


@pytest.fixture
def hashed(monkeypatch):
    """One item per password hashed: the work that a visitor could measure."""
    seen = []
    real = MD5PasswordHasher.encode
    monkeypatch.setattr(
        MD5PasswordHasher, "encode", lambda self, *words: seen.append(words) or real(self, *words)
    )
    return seen


def twin_of_mara(cast, password):
    return actions.create_client_person(
        cast.tam,
        client_id=cast.juniper.pk,
        name="Mara Quill",
        email="mara@quillfeather.example",
        password=password,
    )


@pytest.mark.parametrize(("host", "work"), [(ALDER, 1), ("127.0.0.1", 3)])
def test_no_hint_whether_an_address_exists(client, cast, hashed, host, work):
    twin_of_mara(cast, LONG)
    User.objects.filter(email="ivo@alder.example").update(is_active=False)
    answers, costs = [], []
    for local, password in (
        ("mara@quillfeather", "wrong-but-long"),  # two brands know her
        ("lena@juniper", "wrong-but-long"),  # another brand does
        ("nobody@quillfeather", "wrong-but-long"),
        ("ivo@alder", PASSWORD),  # switched off, and it is his password
    ):
        hashed.clear()
        answer = sign_in(client, host, f"{local}.example", password)
        costs.append(len(hashed))
        words = answer.content.decode().replace(local, "")
        words = re.sub(r"[A-Za-z0-9]{64}|\d{4}-\d\d-\d\dT[\d:.]+", "", words)  # CSRF tokens, the time
        answers.append((answer.status_code, words, sorted(answer.headers)))
    assert costs == [work] * 4
    assert answers[1:] == answers[:-1]
    assert "That e-mail address and password do not match." in answers[0][1]
    assert who(client) is None


def test_two_that_match_are_refused_as_if_wrong(client, cast):
    twin_of_mara(cast, PASSWORD)
    assert sign_in(client, "127.0.0.1", "mara@quillfeather.example").status_code == 200
    assert who(client) is None
    sign_in(client, ALDER, "mara@quillfeather.example")
    assert get_user(client).brand_organisation_id == cast.alder.pk


def test_guessing_is_slowed_down_for_a_known_and_an_unknown_address_alike(client, cast):
    for email in ("mara@quillfeather.example", "nobody@quillfeather.example"):
        cache.clear()
        for _ in range(5):
            sign_in(client, ALDER, email, "wrong-but-long")
        answer = sign_in(client, ALDER, email)
        assert "Too many attempts have failed" in answer.content.decode()
        assert who(client) is None
    sign_in(client, ALDER, "rosa@alder.example")
    assert who(client) == "rosa@alder.example", "others are not held up"


def test_both_outcomes_stand_in_the_journal_of_that_brand(client, cast):
    sign_in(client, ALDER, "nobody@" + "x" * 60 + ".example", "my-secret-guess")
    sign_in(client, ALDER, "mara@quillfeather.example")
    done, failed = entries_for_organisation(cast.alder.pk)
    assert (done.verb, done.actor_label, done.target_label) == ("sign_in.done", "Mara Quill", "127.0.0.1")
    assert (failed.verb, failed.result, failed.actor_id) == ("sign_in.failed", "failed", None)
    assert failed.actor_label.startswith("nobody@xxx")
    assert "my-secret-guess" not in str(Entry.objects.values())
    assert entries_for_organisation(cast.provider.pk) == entries_for_organisation(cast.birch.pk) == []


def test_an_address_typed_on_a_shared_host_is_read_by_nobodys_staff(client, cast):
    sign_in(client, "127.0.0.1", "mara@quillfeather.example", "wrong-but-long")
    assert Entry.objects.get().verb == "sign_in.failed"
    for organisation in (cast.provider, cast.alder, cast.birch):
        assert entries_for_organisation(organisation.pk) == []


def test_the_session_is_a_new_one_after_signing_in(client, cast):
    client.get("/sign-in/", HTTP_HOST=ALDER)
    session = client.session
    session["planted"] = True
    session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = before = session.session_key
    sign_in(client, ALDER, "mara@quillfeather.example")
    assert client.cookies[settings.SESSION_COOKIE_NAME].value != before
    assert who(client) == "mara@quillfeather.example"


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example/", "//evil.example/", "http://127.0.0.1:8000/", "http://panel.birch.example/"],
)
def test_signing_in_leads_to_this_host_only(client, cast, elsewhere):
    values = {"login": "mara@quillfeather.example", "password": PASSWORD}
    answer = client.post("/sign-in/", {**values, "next": elsewhere}, HTTP_HOST=ALDER)
    assert answer["Location"] == "/"


def test_it_answers_with_pages_only(client, cast):
    answer = client.get("/sign-in/", HTTP_HOST=ALDER, HTTP_ACCEPT="application/json")
    assert answer["Content-Type"].startswith("text/html")


class TestRequest:
    """What the views behind the middleware find."""

    def seen(self, client, host, path="/sign-in/"):
        return client.get(path, HTTP_HOST=host).wsgi_request

    def test_on_a_shared_host_nobody_is_named_until_somebody_is_known(self, client, cast):
        request = self.seen(client, "127.0.0.1")
        assert (request.actor, request.brand) == (None, hosts.NOBODY)
        sign_in(client, "127.0.0.1", "mara@quillfeather.example")
        request = self.seen(client, "127.0.0.1")
        assert request.actor == cast.mara
        assert (request.brand.name, request.brand.is_shared) == ("Alder Hosting", True)

    def test_on_a_brands_host_it_is_that_brand(self, client, cast):
        request = self.seen(client, ALDER)
        assert (request.brand.organisation_id, request.brand.is_shared) == (cast.alder.pk, False)

    @pytest.mark.parametrize("person", ["ines", "rosa", "ivo", "tam", "mara", "lena"])
    def test_everybody_is_who_they_are(self, client, cast, person):
        actor = getattr(cast, person)
        client.force_login(User.objects.get(pk=actor.user_id))
        assert self.seen(client, "127.0.0.1").actor == actor

    def test_it_costs_one_query_for_the_person_and_one_for_the_brand(self, client, cast):
        sign_in(client, "127.0.0.1", "mara@quillfeather.example")
        with CaptureQueriesContext(connection) as queries:
            self.seen(client, "127.0.0.1")  # the sign-in page sends her on without a question of its own
        assert len(queries) == 3, "session, person, brand"

    def test_somebody_without_a_place_is_nobody(self, client, cast):
        Staff.objects.filter(user_id=cast.ivo.user_id).delete()
        client.force_login(User.objects.get(pk=cast.ivo.user_id))
        request = self.seen(client, "127.0.0.1")
        assert request.actor is None
        assert not request.user.is_authenticated

    def test_who_is_switched_off_is_out_at_once(self, client, cast):
        sign_in(client, ALDER, "mara@quillfeather.example")
        User.objects.filter(pk=cast.mara.user_id).update(is_active=False)
        assert self.seen(client, ALDER).actor is None

    def test_a_new_password_ends_the_old_sessions(self, client, cast):
        sign_in(client, ALDER, "mara@quillfeather.example")
        user = User.objects.get(pk=cast.mara.user_id)
        user.set_password(LONG)
        user.save()
        assert self.seen(client, ALDER).actor is None


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("panel.alder.example", "panel.alder.example"),
        ("Panel.ALDER.example.:8443", "panel.alder.example"),
        ("127.0.0.1:80", "127.0.0.1"),
        ("[::1]:8000", "::1"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
        *(
            (bad, "")
            for bad in (
                *("", ".", "..", "a..b", "-a.example", "a-.example", "a_b.example", "a.example..", ":80"),
                *("a.example:", "a.example:x", "a.example:123456", "a.example:80:80", "a@b.example", "a b"),
                *(
                    " a.example",
                    "a.example\n",
                    "a.example,b.example",
                    "a.example/",
                    "a.example\x00",
                    "ä.example",
                ),
                *("[::1", "::1", "[a.example]", "a" * 64 + ".example", "a." * 200 + "example", "%61.example"),
            )
        ),
    ],
)
def test_a_host_header_is_read_strictly(header, name):
    assert hosts.bare_host(header) == name


def test_what_a_host_was_is_remembered_for_seconds_and_forgotten_on_change(client, cast):
    assert client.get("/sign-in/", HTTP_HOST="new.alder.example").status_code == 404
    with CaptureQueriesContext(connection) as queries:
        client.get("/sign-in/", HTTP_HOST="new.alder.example")
    assert len(queries) == 0
    actions.set_brand(
        cast.rosa,
        name="Alder",
        host="new.alder.example",
        colour="#0b6b5d",
        colour_dark="#5fd3bf",
        support_email="",
    )
    assert client.get("/sign-in/", HTTP_HOST="new.alder.example").status_code == 200
    assert client.get("/sign-in/", HTTP_HOST=ALDER).status_code == 404


def test_remembering_hosts_has_an_end(cast):
    for number in range(2100):
        hosts._remembered[f"h{number}.example"] = (0.0, None)
        if number % 1050 == 0:
            hosts.brand_for_host(f"x{number}.example")
    hosts.brand_for_host("last.example")
    assert len(hosts._remembered) < 1010


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
