"""A billing system signs its client in to the panel: once, within a minute, nobody else, and nowhere else."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from tests.cast import PASSWORD, a_cast
from tests.signing import signed_post
from tests.stage import a_product, a_service, a_stage

from doublehop.journal.models import Entry
from doublehop.organisations import actions
from doublehop.organisations.actions import TokenForm
from doublehop.organisations.actions.sign_in_links import FORGOTTEN_AFTER, forget_old_links
from doublehop.organisations.hosts import forget_hosts
from doublehop.organisations.models import Brand, ClientPerson, SignInLink, Staff, User

pytestmark = pytest.mark.django_db
LINKS = "/api/v1/sign-in-links"


@pytest.fixture
def cast():
    cache.clear()
    forget_hosts()
    yield a_cast()
    forget_hosts()


def shop(staff, *scopes):
    form = TokenForm("Shop", scopes or ["billing"], billing_system="WHMCS", signed_only=True)
    return actions.create_token(staff, form).shown.reveal()


def asked(text, key="one", **body):
    return signed_post(text, LINKS, body, key=key)


def made(text, **body):
    answer = asked(text, key=f"press-{SignInLink.objects.count()}", **body)
    assert answer.status_code == 201, answer.content
    return urlsplit(answer.json()["url"])


def who(browser):
    return int(browser.session.get("_auth_user_id", 0))


def test_the_clients_first_person_is_signed_in_where_the_link_leads(cast):
    (web,) = a_stage(cast.rosa).machines("web")
    service = a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa), web)
    actions.create_client_person(
        cast.rosa, client_id=cast.quillfeather.pk, name="Nils Quill", email="n@q.example", password=PASSWORD
    )
    url = made(shop(cast.rosa), service_id=service.pk)
    assert (url.scheme, url.netloc) == ("http", "127.0.0.1:8000")
    browser = Client()
    answer = browser.post(url.path)
    assert (answer.status_code, answer["Location"]) == (302, f"/servers/{service.pk}/")
    assert who(browser) == cast.mara.user_id
    assert browser.get(answer["Location"]).status_code == 200
    verbs = list(Entry.objects.filter(client_id=cast.quillfeather.pk).values_list("verb", flat=True))
    assert [verb for verb in verbs if "link" in verb] == ["sign_in_link.made", "sign_in_link.used"]
    assert Entry.objects.filter(verb="sign_in.done").count() == 1
    assert url.path.split("/")[3] not in str(list(Entry.objects.values()))


def test_looking_at_it_uses_nothing_up_and_its_form_posts_itself(cast):
    url = made(shop(cast.rosa), client_id=cast.quillfeather.pk)
    preview = Client()
    for _ in range(3):
        page = preview.get(url.path)
        assert (page.status_code, page["Cache-Control"]) == (200, "no-store")
        assert "data-posts-itself" in page.content.decode()
        assert "Mara" not in page.content.decode()
    assert preview.head(url.path).status_code == 200
    assert who(preview) == 0
    strict = Client(enforce_csrf_checks=True)
    assert strict.post(url.path).status_code == 403
    token = strict.get(url.path).content.decode().partition('csrfmiddlewaretoken" value="')[2][:64]
    assert strict.post(url.path, {"csrfmiddlewaretoken": token}).status_code == 302
    assert who(strict) == cast.mara.user_id


def test_it_opens_once_and_the_back_button_of_the_same_person_leads_on(cast):
    url = made(shop(cast.rosa), client_id=cast.quillfeather.pk)
    first, second = Client(), Client()
    assert first.post(url.path)["Location"] == "/servers/"
    for again in (second.post(url.path), second.get(url.path)):
        assert again.status_code == 404
        assert "This link is over" in again.content.decode()
    assert who(second) == 0
    assert first.get(url.path)["Location"] == first.post(url.path)["Location"] == "/servers/"


def test_it_lasts_a_minute(cast):
    url = made(shop(cast.rosa), client_id=cast.quillfeather.pk)
    row = SignInLink.objects.get()
    assert row.expires_at - row.created_at <= timedelta(seconds=61)
    SignInLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    browser = Client()
    assert browser.post(url.path).status_code == browser.get(url.path).status_code == 404
    assert who(browser) == 0
    SignInLink.objects.update(created_at=timezone.now() - FORGOTTEN_AFTER - timedelta(seconds=1))
    assert (forget_old_links(), SignInLink.objects.count()) == (1, 0)


def test_a_guessed_or_changed_link_and_a_new_secret_key_open_nothing(cast, settings):
    url = made(shop(cast.rosa), client_id=cast.quillfeather.pk)
    end = "1" if url.path[-2] != "1" else "2"
    for path in (f"{url.path[:-2]}{end}/", "/sign-in/link/x/", f"/sign-in/link/{'a' * 24}.{'0' * 64}/"):
        assert Client().post(path).status_code == 404
    settings.SECRET_KEY = "another-" + "x" * 40
    assert Client().post(url.path).status_code == 404


def test_it_opens_under_the_brands_own_name_only(cast):
    Brand.objects.filter(organisation=cast.alder).update(host="panel.alder.example")
    Brand.objects.filter(organisation=cast.birch).update(host="panel.birch.example")
    url = made(shop(cast.rosa), client_id=cast.quillfeather.pk)
    assert url.netloc == "panel.alder.example:8000"
    for host in ("testserver", "panel.birch.example"):
        browser = Client(headers={"Host": host})
        assert browser.post(url.path).status_code == 404
        assert who(browser) == 0
    assert Client(headers={"Host": "panel.alder.example"}).post(url.path).status_code == 302
    # Somebody without a name of their own is served under the shared one, and not under another's.
    Brand.objects.filter(organisation=cast.alder).update(host="")
    forget_hosts()
    url = made(shop(cast.rosa), client_id=cast.quillfeather.pk)
    assert Client(headers={"Host": "panel.birch.example"}).post(url.path).status_code == 404
    assert Client().post(url.path).status_code == 302


def test_somebody_else_who_is_signed_in_is_asked_first(cast):
    url = made(shop(cast.rosa), client_id=cast.quillfeather.pk)
    browser = Client()
    browser.force_login(User.objects.get(pk=cast.rosa.user_id))
    page = browser.get(url.path).content.decode()
    assert "data-posts-itself" not in page
    assert "Rosa Lind is signed in here now" in page
    assert who(browser) == cast.rosa.user_id
    browser.post(url.path)
    assert who(browser) == cast.mara.user_id


def test_a_client_without_a_person_gets_one_that_signs_in_by_links_only(cast):
    larch = actions.create_client(cast.rosa, name="Larch Films", email="office@larch.example")
    text = shop(cast.rosa)
    browser = Client()
    browser.post(made(text, client_id=larch.pk).path)
    person = ClientPerson.objects.get(client=larch)
    assert who(browser) == person.user_id
    assert (person.user.name, person.user.email) == ("Larch Films", "office@larch.example")
    assert not person.user.has_usable_password()
    made(text, client_id=larch.pk)
    assert ClientPerson.objects.filter(client=larch).count() == 1


@pytest.mark.parametrize("email", ["", "rosa@alder.example"])
def test_who_cannot_be_given_a_person_is_said(cast, email):
    larch = actions.create_client(cast.rosa, name="Larch Films", email=email)
    answer = asked(shop(cast.rosa), client_id=larch.pk)
    assert (answer.status_code, answer.json()["code"]) == (409, "no_person")
    assert not ClientPerson.objects.filter(client=larch).exists()


def test_staff_and_closed_sign_ins_are_never_signed_in(cast):
    text = shop(cast.rosa)
    url = made(text, client_id=cast.quillfeather.pk)
    mara = User.objects.get(pk=cast.mara.user_id)
    Staff.objects.create(user=mara, organisation=cast.alder, role="owner")
    browser = Client()
    assert browser.post(url.path).status_code == 404
    assert who(browser) == 0
    assert asked(text, key="two", client_id=cast.quillfeather.pk).json()["code"] == "no_person"
    Staff.objects.filter(user=mara).delete()
    User.objects.filter(pk=mara.pk).update(is_active=False)
    assert browser.post(url.path).status_code == 404
    assert asked(text, key="three", client_id=cast.quillfeather.pk).json()["code"] == "no_person"


def test_a_link_ends_when_its_person_goes_to_another_client(cast):
    larch = actions.create_client(cast.rosa, name="Larch Films")
    url = made(shop(cast.rosa), client_id=cast.quillfeather.pk)
    ClientPerson.objects.filter(user_id=cast.mara.user_id).update(client=larch)
    assert Client().post(url.path).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "/servers/..//evil.example/",
        "/servers/%2e%2e/",
        "javascript:alert(1)",
        "servers/",
        "/servers/\r\nX: y",
        "/servers/#x",
        "/admin/",
        "/admin/setup/tokens/",
        "/sign-out/",
        "/sign-in/link/x/",
        "/api/v1/services",
        "/nowhere/",
        "/machines/",
        "/servers/?next=//evil.example/",
        " /servers/",
        "/" + "a" * 400,
    ],
)
def test_it_leads_nowhere_but_to_pages_of_the_client_panel(cast, path):
    answer = asked(shop(cast.rosa), client_id=cast.quillfeather.pk, path=path)
    assert (answer.status_code, answer.json()["field"]) == (422, "path")
    assert not SignInLink.objects.exists()


@pytest.mark.parametrize(
    "path", ["/", "/servers/", "/orders/new/", "/servers/7/bandwidth/?span=month", "/help/"]
)
def test_any_page_of_the_client_panel_may_be_named(cast, path):
    url = made(shop(cast.rosa), client_id=cast.quillfeather.pk, path=path)
    assert Client().post(url.path)["Location"] == path


def test_the_same_key_answers_with_the_same_link(cast):
    text = shop(cast.rosa)
    first = asked(text, client_id=cast.quillfeather.pk).json()
    assert asked(text, client_id=cast.quillfeather.pk).json() == first
    assert asked(text, client_id=cast.quillfeather.pk, path="/help/").json()["code"] == "key_reused"
    assert asked(text, key="two", client_id=cast.quillfeather.pk).json()["url"] != first["url"]
    answer = signed_post(text, LINKS, {"client_id": cast.quillfeather.pk})
    assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key")


def test_others_clients_and_services_are_not_there(cast):
    (web,) = a_stage(cast.tam).machines("web")
    service = a_service(cast.tam, cast.juniper.pk, a_product(cast.tam), web)
    text = shop(cast.rosa)
    for body in ({"client_id": cast.juniper.pk}, {"service_id": service.pk}, {"client_id": 0}):
        answer = asked(text, key=str(body), **body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    # Nor is a provider the one to sign in the clients of its resellers.
    assert asked(shop(cast.ines), client_id=cast.quillfeather.pk).status_code == 404
    assert not SignInLink.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"client_id": 1, "service_id": 1},
        {"client_id": "x"},
        {"client_id": -1},
        {"client_id": 2**63},
        {"client_id": 1, "path": "/" * 301},
        {"client_id": [1]},
    ],
)
def test_what_is_asked_wrongly_is_said(cast, body):
    answer = asked(shop(cast.rosa), **body)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_input")


def test_only_billing_systems_make_links(cast):
    assert asked(shop(cast.rosa, "read", "operate"), client_id=cast.quillfeather.pk).status_code == 403
    plain = actions.create_token(cast.rosa, TokenForm("Shop", ["billing"])).shown.reveal()
    of_client = actions.create_token(
        cast.rosa, TokenForm("Own", ["billing"], client_id=cast.quillfeather.pk)
    ).shown.reveal()
    for text, status in ((plain, 403), (of_client, 404)):
        caller = Client(headers={"Authorization": f"Bearer {text}", "Idempotency-Key": "one"})
        answer = caller.post(LINKS, {"client_id": cast.quillfeather.pk}, content_type="application/json")
        assert answer.status_code == status
    browser = Client()
    browser.force_login(User.objects.get(pk=cast.rosa.user_id))
    answer = browser.post(LINKS, {"client_id": cast.quillfeather.pk}, content_type="application/json")
    assert answer.status_code == 401
    assert not SignInLink.objects.exists()
