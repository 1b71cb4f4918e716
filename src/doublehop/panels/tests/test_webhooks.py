"""Pages of webhooks: for whoever governs a house, and for a client's own people."""

import re

import pytest
from django.test import Client
from tests.cast import a_cast
from tests.stage import run_jobs

from doublehop.journal.models import Entry
from doublehop.notices import sending
from doublehop.notices.endpoints import EndpointForm, create_endpoint
from doublehop.notices.models import WebhookDelivery, WebhookEndpoint
from doublehop.notices.tests.receiver import OK, answer, is_signed, open_loopback, receiving
from doublehop.organisations.models import User

pytestmark = pytest.mark.django_db
ADMIN, CLIENT = "/admin/setup/webhooks/", "/webhooks/"
SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{43}=")


@pytest.fixture
def cast(monkeypatch):
    open_loopback(monkeypatch)
    return a_cast()


def browser(actor):
    client = Client()
    client.force_login(User.objects.get(pk=actor.user_id))
    return client


@pytest.fixture(params=["admin", "client"])
def house(request, cast):
    """(the pages, whose browser, whose actor)."""
    who, root = (cast.rosa, ADMIN) if request.param == "admin" else (cast.mara, CLIENT)
    return root, browser(who), who


def made(browser, root, receiver, key="one", **more):
    form = {"url": f"http://127.0.0.1:{receiver.port}/hook", "kinds": "service.attached", "key": key, **more}
    return browser.post(f"{root}new/", form)


def text(answer):
    return answer.content.decode()


def test_an_empty_page_says_what_to_do_next(house):
    root, person, _ = house
    page = text(person.get(root))
    assert "No webhook yet" in page
    assert f'href="{root}new/"' in page


def test_the_secret_is_shown_once_and_signs_what_arrives(house):
    root, person, _ = house
    with receiving(answer(200, b"<b>thanks</b> & more")) as receiver:
        first = made(person, root, receiver)
        (secret,) = set(SECRET.findall(text(first)))
        assert f'data-copy="{secret}"' in text(first)
        assert first["Cache-Control"] == "no-store"
        again = made(person, root, receiver)
        assert "was made and shown before" in text(again)
        row = WebhookEndpoint.objects.get()
        page = f"{root}{row.pk}/"
        assert not SECRET.search(text(person.get(page)) + text(person.get(root)) + text(again))
        person.post(f"{page}test/", {"key": "two"})
        assert "The answer appears here" in text(person.get(page))
        run_jobs()
    assert is_signed(secret, *receiver.got[0])
    seen = text(person.get(page))
    assert "It answered 200." in seen
    assert "&lt;b&gt;thanks&lt;/b&gt; &amp; more" in seen
    assert "<b>thanks" not in seen


def test_the_answer_of_a_test_arrives_on_the_open_page(house):
    root, person, _ = house
    with receiving(answer(418, b"short")) as receiver:
        made(person, root, receiver)
        page = f"{root}{WebhookEndpoint.objects.get().pk}/"
        person.post(f"{page}test/", {"key": "two"})
        first = person.get(f"{page}live/")
        assert (first.status_code, 'data-poll="1"' in text(first)) == (200, True)
        same = person.get(f"{page}live/", headers={"If-None-Match": first["ETag"]})
        assert same.status_code == 304
        run_jobs()
        changed = person.get(f"{page}live/", headers={"If-None-Match": first["ETag"]})
    assert "It answers 418." in text(changed)
    assert 'data-poll="8"' in text(changed)
    assert WebhookDelivery.objects.get().state == "failed", "a test is not tried again for days"


def test_what_is_wrong_stands_at_its_field_and_nothing_typed_is_lost(house, monkeypatch):
    root, person, _ = house
    monkeypatch.setattr(sending, "networks_for", lambda *, is_operators: ())
    form = {
        "url": "https://10.1.2.3/x",
        "description": "Shop & more",
        "kinds": "service.attached",
        "key": "a",
    }
    refused = person.post(f"{root}new/", form)
    page = text(refused)
    assert refused.status_code == 422
    assert 'href="#f-url"' in page
    assert "private or reserved network" in page
    assert "DOUBLEHOP_WEBHOOK_NETWORKS" not in page, "only the operator reads how to open it"
    assert 'value="Shop &amp; more"' in page
    assert re.search(r'value="service.attached"[^>]* checked', page)
    refused = person.post(f"{root}new/", {"url": "https://hooks.example.org/", "key": "b"})
    assert (refused.status_code, 'href="#f-kinds"' in text(refused)) == (422, True)
    assert not WebhookEndpoint.objects.exists()


def test_a_new_secret_says_until_when_the_old_one_signs_too(house):
    root, person, _ = house
    with receiving(OK) as receiver:
        (old,) = set(SECRET.findall(text(made(person, root, receiver))))
        page = f"{root}{WebhookEndpoint.objects.get().pk}/"
        rotated = person.post(f"{page}rotate/", {"key": "two"})
        (new,) = set(SECRET.findall(text(rotated)))
        assert new != old
        assert "signed with the old secret too" in text(rotated)
        assert "The one before signs too until" in text(person.get(page))
        person.post(f"{page}test/", {"key": "three"})
        run_jobs()
    assert is_signed(old, *receiver.got[0])
    assert is_signed(new, *receiver.got[0])


def test_pause_resume_change_and_delete(house):
    root, person, who = house
    with receiving(OK) as receiver:
        made(person, root, receiver)
        row = WebhookEndpoint.objects.get()
        page = f"{root}{row.pk}/"
        person.post(f"{page}pause/", {"key": "p"})
        paused = text(person.get(page))
        assert "Paused: nothing is sent" in paused
        assert f"Paused by {who.label}." in paused
        assert "It is paused, so nothing is sent" in text(
            person.post(f"{page}test/", {"key": "t"}, follow=True)
        )
        person.post(f"{page}resume/", {"key": "r"})
        url = f"http://127.0.0.1:{receiver.port}/other"
        person.post(f"{page}edit/", {"url": url, "kinds": ["service.swapped", "bandwidth.alert"], "key": "e"})
        row.refresh_from_db()
        assert (row.url, row.kinds, row.state) == (url, ["service.swapped", "bandwidth.alert"], "active")
        assert "Usage alert: a service has used a chosen share" in text(person.get(page))
        assert person.post(f"{page}delete/", {"key": "d"})["Location"] == root
    assert person.get(page).status_code == 404
    verbs = list(
        Entry.objects.filter(verb__startswith="webhook.").order_by("pk").values_list("verb", flat=True)
    )
    assert verbs == [f"webhook.{end}" for end in ("created", "paused", "resumed", "changed", "deleted")]


def test_the_log_tells_each_attempt_and_sends_again(house):
    root, person, _ = house
    with receiving(answer(500, b"x" * 400), OK) as receiver:
        made(person, root, receiver)
        row = WebhookEndpoint.objects.get()
        page = f"{root}{row.pk}/"
        person.post(f"{page}test/", {"key": "t"})
        run_jobs()
        delivery = WebhookDelivery.objects.get()
        log = text(person.get(page))
        assert "Times are in UTC" in log
        assert delivery.webhook_id in log
        assert "1 attempt<" in log
        assert "x" * 301 not in log, "only the beginning of an answer"
        assert "No delivery matches" in text(person.get(f"{page}?state=delivered"))
        person.post(f"{page}deliveries/{delivery.pk}/again/", {"key": "again"})
        run_jobs()
    assert receiver.ids == [delivery.webhook_id] * 2
    assert delivery.webhook_id in text(person.get(f"{page}?state=delivered"))
    assert "answered 204" in text(person.get(root))


def test_staff_read_whose_a_clients_is_and_the_client_not_who_paused_it(cast):
    rosa, mara = browser(cast.rosa), browser(cast.mara)
    with receiving(OK) as receiver:
        made(mara, CLIENT, receiver)
    pk = WebhookEndpoint.objects.get().pk
    assert WebhookEndpoint.objects.get().client_id == cast.quillfeather.pk
    assert "of Quillfeather" in text(rosa.get(ADMIN))
    rosa.post(f"{ADMIN}{pk}/pause/", {"key": "p"})
    seen = text(mara.get(f"{CLIENT}{pk}/"))
    assert "Paused by Alder" in seen
    assert cast.rosa.label not in seen


def test_a_client_sees_only_its_own_and_cannot_choose_what_is_not_for_clients(cast):
    ours = create_endpoint(cast.rosa, EndpointForm("https://a.example/", kinds=["mail.failed"]))
    theirs = create_endpoint(cast.lena, EndpointForm("https://b.example/", kinds=["service.saved"]))
    mara = browser(cast.mara)
    page = text(mara.get(f"{CLIENT}new/"))
    assert "mail.failed" not in page
    assert "upstream" not in page.lower()
    assert "No webhook yet" in text(mara.get(CLIENT))
    for pk in (ours.pk, theirs.pk):
        for end in ("", "live/", "edit/"):
            assert mara.get(f"{CLIENT}{pk}/{end}").status_code == 404
        for end in ("edit/", "rotate/", "test/", "pause/", "resume/", "delete/"):
            assert (
                mara.post(f"{CLIENT}{pk}/{end}", {"key": end, "url": "https://c.example/"}).status_code == 404
            )
    refused = mara.post(
        f"{CLIENT}new/", {"url": "https://c.example/", "kinds": ["mail.failed"], "client_id": "1", "key": "x"}
    )
    assert refused.status_code == 422
    assert "not told of mail.failed" in text(refused)


def test_one_delivery_is_not_sent_again_through_another_webhook(cast):
    rosa = browser(cast.rosa)
    with receiving(OK) as receiver:
        made(rosa, ADMIN, receiver, "a")
        made(rosa, ADMIN, receiver, "b")
    first, second = WebhookEndpoint.objects.order_by("pk")
    rosa.post(f"{ADMIN}{first.pk}/test/", {"key": "t"})
    delivery = WebhookDelivery.objects.get()
    wrong = rosa.post(f"{ADMIN}{second.pk}/deliveries/{delivery.pk}/again/", {"key": "again"})
    assert wrong.status_code == 404
    gone = rosa.post(f"{ADMIN}{first.pk}/deliveries/{10**17}/again/", {"key": "again"})
    assert gone.status_code == 404


def test_who_may_not_govern_reads_and_changes_nothing(cast):
    with receiving(OK) as receiver:
        made(browser(cast.rosa), ADMIN, receiver)
    pk = WebhookEndpoint.objects.get().pk
    ivo = browser(cast.ivo)
    page = text(ivo.get(f"{ADMIN}{pk}/"))
    assert "Send a test</button>" not in page
    assert 'form="w-test-form"' not in page
    answered = ivo.post(f"{ADMIN}{pk}/test/", {"key": "t"}, follow=True)
    assert "An owner or admin can do it" in text(answered)
    assert not WebhookDelivery.objects.exists()
