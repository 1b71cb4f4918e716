"""Webhooks through the API: what panels can do, a token with the scope can; each key once; nobody else's."""

import json

import pytest
from django.core.cache import cache
from django.test import Client
from tests.cast import a_cast
from tests.stage import run_jobs

from doublehop.notices import endpoints, sending
from doublehop.notices.endpoints import EndpointForm, create_endpoint, send_test
from doublehop.notices.models import WebhookDelivery, WebhookEndpoint
from doublehop.notices.tests.receiver import OK, answer, is_signed, open_loopback, receiving
from doublehop.organisations import actions as organisations
from doublehop.organisations.actions import TokenForm
from doublehop.organisations.models import User

pytestmark = pytest.mark.django_db
ROOT = "/api/v1/webhooks"


@pytest.fixture
def cast(monkeypatch):
    cache.clear()
    open_loopback(monkeypatch)
    return a_cast()


class Caller:
    def __init__(self, staff, *scopes, client_id=None):
        form = TokenForm("Shop", scopes or ("webhooks",), client_id=client_id)
        self.text = organisations.create_token(staff, form).shown.reveal()

    def __call__(self, method, path="", body=None, key="", **query):
        headers = {"Authorization": f"Bearer {self.text}", **({"Idempotency-Key": key} if key else {})}
        more = "?" + "&".join(f"{name}={value}" for name, value in query.items()) if query else ""
        data = json.dumps(body) if body is not None else ""
        return Client(headers=headers).generic(
            method, f"{ROOT}{path}{more}", data, content_type="application/json"
        )


def hook(receiver, **more):
    return {"url": f"http://127.0.0.1:{receiver.port}/h", "kinds": ["service.attached"], **more}


def test_a_webhook_is_made_once_for_its_key_and_its_secret_told_once(cast):
    call = Caller(cast.rosa)
    with receiving(answer(200, b"thanks")) as receiver:
        made = call("POST", body=hook(receiver, description="Shop"), key="one")
        assert (made.status_code, made["Cache-Control"]) == (201, "no-store")
        one = made.json()
        assert made["Location"] == f"{ROOT}/{one['id']}"
        again = call("POST", body=hook(receiver, description="Shop"), key="one")
        assert (again.status_code, again.json()["id"], again.json()["secret"]) == (201, one["id"], None)
        other = call("POST", body=hook(receiver), key="one")
        assert (other.status_code, other.json()["code"]) == (409, "key_reused")
        sent = call("POST", f"/{one['id']}/test", key="two")
        assert (sent.status_code, sent.json()["state"]) == (202, "waiting")
        assert call("POST", f"/{one['id']}/test", key="two").json()["id"] == sent.json()["id"]
        run_jobs()
    assert len(receiver.got) == 1
    assert is_signed(one["secret"], *receiver.got[0])
    (told,) = call("GET", f"/{one['id']}/deliveries").json()["items"]
    assert (told["id"], told["state"], told["status"], told["answer"]) == (
        sent.json()["id"],
        "delivered",
        200,
        "thanks",
    )
    assert told["next_try_at"] is None
    seen = call("GET", f"/{one['id']}").json()
    assert "secret" not in seen
    assert (seen["description"], seen["state"], seen["client_id"]) == ("Shop", "active", None)


def test_change_pause_resume_rotate_and_delete(cast):
    call = Caller(cast.rosa)
    with receiving(OK) as receiver:
        one = call("POST", body=hook(receiver, description="Shop"), key="one").json()
        path = f"/{one['id']}"
        changed = call("PATCH", path, {"kinds": ["bandwidth.alert"]}, key="change")
        assert (changed.json()["kinds"], changed.json()["description"]) == (["bandwidth.alert"], "Shop")
        call("PATCH", path, {"description": "Later"}, key="later")
        replayed = call("PATCH", path, {"kinds": ["bandwidth.alert"]}, key="change")
        assert (replayed.status_code, replayed.json()["description"]) == (200, "Later")
        paused = call("POST", f"{path}/pause", key="pause").json()
        assert (paused["state"], paused["paused_because"][:10]) == ("paused", "Paused by ")
        refused = call("POST", f"{path}/test", key="test")
        assert (refused.status_code, refused.json()["code"]) == (409, "webhook_paused")
        assert call("POST", f"{path}/resume", key="resume").json()["state"] == "active"
        rotated = call("POST", f"{path}/rotate", key="rotate")
        assert rotated.json()["secret"] not in (None, one["secret"])
        assert rotated.json()["previous_secret_until"]
        assert call("POST", f"{path}/rotate", key="rotate").json()["secret"] is None
        tried = call("DELETE", path, dry_run="true")
        assert (tried.status_code, tried.json()) == (200, {"dry_run": True, "waiting": 0})
        assert call("GET", path).status_code == 200
        for _ in range(2):
            assert call("DELETE", path, key="delete").status_code == 204
        assert call("DELETE", path, key="another").status_code == 404


def test_every_write_needs_a_key(cast):
    call = Caller(cast.rosa)
    with receiving(OK) as receiver:
        row = create_endpoint(cast.rosa, EndpointForm(**hook(receiver)))
        delivery = send_test(cast.rosa, row.pk)
        for method, path, body in (
            ("POST", "", hook(receiver)),
            ("PATCH", f"/{row.pk}", {}),
            ("DELETE", f"/{row.pk}", None),
            *(("POST", f"/{row.pk}/{verb}", None) for verb in ("rotate", "pause", "resume", "test")),
            ("POST", f"/{row.pk}/deliveries/{delivery.pk}/redeliver", None),
        ):
            refused = call(method, path, body)
            assert (refused.status_code, refused.json()["field"]) == (422, "Idempotency-Key"), path
    assert (WebhookEndpoint.objects.count(), WebhookDelivery.objects.count()) == (1, 1)


def test_redelivery_and_paging_of_the_log(cast):
    call = Caller(cast.rosa)
    with receiving(answer(500, b"no"), OK) as receiver:
        row = create_endpoint(cast.rosa, EndpointForm(**hook(receiver)))
        other = create_endpoint(cast.rosa, EndpointForm(**hook(receiver)))
        first = send_test(cast.rosa, row.pk)
        run_jobs()
        for _ in range(2):
            send_test(cast.rosa, row.pk)
        run_jobs()
        newest = call("GET", f"/{row.pk}/deliveries", limit=2).json()
        rest = call("GET", f"/{row.pk}/deliveries", limit=2, after=newest["next"]).json()
        assert [one["id"] for one in rest["items"]] == [first.pk]
        assert rest["next"] is None
        (failed,) = call("GET", f"/{row.pk}/deliveries", state="failed").json()["items"]
        assert (failed["id"], failed["failure"]) == (first.pk, "It answers 500.")
        wrong = call("POST", f"/{other.pk}/deliveries/{first.pk}/redeliver", key="again")
        assert wrong.status_code == 404
        again = call("POST", f"/{row.pk}/deliveries/{first.pk}/redeliver", key="again")
        assert (again.status_code, again.json()["webhook_id"]) == (202, first.webhook_id)
        run_jobs()
    assert receiver.ids.count(first.webhook_id) == 2
    pages = call("GET", limit=1).json()
    assert [pages["items"][0]["id"], pages["next"]] == [row.pk, row.pk]
    assert [one["id"] for one in call("GET", after=pages["next"]).json()["items"]] == [other.pk]


def test_what_is_wrong_names_its_field(cast, monkeypatch):
    call = Caller(cast.rosa)
    monkeypatch.setattr(sending, "networks_for", lambda *, is_operators: ())
    for body, field, code in (
        ({"url": "https://10.0.0.1/", "kinds": ["service.attached"]}, "url", "address_not_allowed"),
        ({"url": "http://hooks.example.org/", "kinds": ["service.attached"]}, "url", "address_not_allowed"),
        ({"url": "nonsense", "kinds": ["service.attached"]}, "url", "bad_input"),
        ({"url": "https://a.example/", "kinds": []}, "kinds", "bad_input"),
        ({"url": "https://a.example/", "kinds": ["no.such"]}, "kinds", "bad_input"),
        (
            {"url": "https://a.example/", "kinds": ["service.attached"], "client_id": 4711},
            "client_id",
            "bad_input",
        ),
        ({"kinds": ["service.attached"]}, "url", "bad_input"),
    ):
        refused = call("POST", body=body, key="one")
        assert (refused.status_code, refused.json()["field"], refused.json()["code"]) == (422, field, code)


def test_without_the_scope_nothing_is_read_or_changed(cast):
    with receiving(OK) as receiver:
        row = create_endpoint(cast.rosa, EndpointForm(**hook(receiver)))
        before = WebhookEndpoint.objects.values().get()
        for call in (
            Caller(cast.rosa, "read", "operate", "billing"),
            Caller(cast.rosa, "read", "operate", "billing", client_id=cast.quillfeather.pk),
        ):
            for method, path, body in everything(row.pk, 1, receiver):
                refused = call(method, path, body, key="k")
                assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed"), (method, path)
    assert WebhookEndpoint.objects.values().get() == before


def everything(webhook_id, delivery_id, receiver):
    return [
        ("GET", "", None),
        ("POST", "", hook(receiver)),
        ("GET", f"/{webhook_id}", None),
        ("PATCH", f"/{webhook_id}", {"description": "x"}),
        ("DELETE", f"/{webhook_id}", None),
        *(("POST", f"/{webhook_id}/{verb}", None) for verb in ("rotate", "pause", "resume", "test")),
        ("GET", f"/{webhook_id}/deliveries", None),
        ("POST", f"/{webhook_id}/deliveries/{delivery_id}/redeliver", None),
    ]


def test_strangers_find_nothing_and_change_nothing(cast):
    with receiving(OK) as receiver:
        row = create_endpoint(cast.mara, EndpointForm(**hook(receiver)))
        delivery = send_test(cast.mara, row.pk)
        run_jobs()
        before = [*WebhookEndpoint.objects.values(), *WebhookDelivery.objects.values()]
        strangers = [
            Caller(cast.tam),
            Caller(cast.ines),
            Caller(cast.tam, client_id=cast.juniper.pk),
        ]
        for call in strangers:
            assert call("GET").json() == {"items": [], "next": None}
            for method, path, body in everything(row.pk, delivery.pk, receiver):
                if not path:
                    continue
                refused = call(method, path, body, key="k")
                assert (refused.status_code, refused.json()["code"]) == (404, "not_found"), (method, path)
            assert call("DELETE", f"/{row.pk}", dry_run="true").status_code == 404
        browser = Client()
        browser.force_login(User.objects.get(pk=cast.rosa.user_id))
        for method, path, body in everything(row.pk, delivery.pk, receiver):
            answered = browser.generic(
                method, f"{ROOT}{path}", json.dumps(body), content_type="application/json"
            )
            assert answered.status_code == 401, "a session is no token"
        run_jobs()
        assert [*WebhookEndpoint.objects.values(), *WebhookDelivery.objects.values()] == before
    assert len(receiver.got) == 1


def test_a_clients_token_makes_its_own_and_reads_neutral_words(cast):
    call = Caller(cast.rosa, client_id=cast.quillfeather.pk)
    ours = create_endpoint(cast.rosa, EndpointForm("https://a.example/", kinds=["mail.failed"]))
    made = call(
        "POST",
        body={"url": "https://b.example/", "kinds": ["bandwidth.alert"], "client_id": cast.juniper.pk},
        key="a",
    )
    assert (made.status_code, made.json()["client_id"]) == (201, cast.quillfeather.pk)
    assert [one["id"] for one in call("GET").json()["items"]] == [made.json()["id"]]
    assert call("GET", f"/{ours.pk}").status_code == 404
    refused = call("POST", body={"url": "https://10.0.0.1/", "kinds": ["bandwidth.alert"]}, key="b")
    assert refused.json()["code"] == "address_not_allowed"
    assert "DOUBLEHOP" not in refused.json()["title"]
    refused = call("POST", body={"url": "https://b.example/", "kinds": ["mail.failed"]}, key="c")
    assert (refused.status_code, refused.json()["field"]) == (422, "kinds")


def test_a_client_has_room_of_its_own_and_does_not_use_up_its_houses(cast, monkeypatch):
    monkeypatch.setattr(endpoints, "MOST_ENDPOINTS", 1)
    monkeypatch.setattr(endpoints, "MOST_OF_CLIENT", 2)
    call, of_client = Caller(cast.rosa), Caller(cast.rosa, client_id=cast.quillfeather.pk)
    body = {"url": "https://a.example/", "kinds": ["service.attached"]}
    assert [of_client("POST", body=body, key=f"{n}").status_code for n in range(3)] == [201, 201, 409]
    assert [call("POST", body=body, key=f"{n}").status_code for n in range(2)] == [201, 409]
