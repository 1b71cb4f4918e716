"""A token has done what its scopes name, once for each key, to its own services, and to nobody else's."""

import json

import pytest
from django.core.cache import cache
from django.test import Client
from tests.cast import a_cast
from tests.stage import a_product, a_service, a_stage, run_all_jobs, run_jobs

from doublehop.organisations import actions as organisations
from doublehop.organisations.actions import TokenForm
from doublehop.organisations.models import ApiToken, User
from doublehop.services.models import Operation

pytestmark = pytest.mark.django_db
EVERYTHING = ("read", "operate", "billing")


@pytest.fixture
def house():
    cache.clear()
    cast = a_cast()
    stage = a_stage(cast.rosa)
    (web,) = stage.machines("web")
    return cast, stage, a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa, ways=["port"]), web)


def token(staff, *scopes, client_id=None):
    row = organisations.create_token(staff, TokenForm("Shop", scopes or EVERYTHING, client_id=client_id))
    return row.shown.reveal()


def ask(text, service_id, body, key="", query=""):
    headers = {"Authorization": f"Bearer {text}", **({"Idempotency-Key": key} if key else {})}
    path = f"/api/v1/services/{service_id}/operations{query}"
    return Client(headers=headers).post(path, json.dumps(body), content_type="application/json")


def test_a_reboot_is_answered_at_once_and_happens_once_for_its_key(house):
    cast, stage, service = house
    text = token(cast.rosa)
    first = ask(text, service.pk, {"kind": "reboot"}, "one")
    again = ask(text, service.pk, {"kind": "reboot"}, "one")
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["reference"] == again.json()["reference"]
    other = ask(text, service.pk, {"kind": "power_off"}, "one")
    assert (other.status_code, other.json()["code"]) == (409, "key_reused")
    run_jobs()
    assert len(stage.place.effects("web")) == 1
    told = Client(headers={"Authorization": f"Bearer {text}"}).get(first["Location"])
    assert told.json()["state"] == "running"  # the machine is not on again yet
    keyless = ask(text, service.pk, {"kind": "reboot"})
    assert (keyless.status_code, keyless.json()["field"]) == (422, "Idempotency-Key")


@pytest.mark.parametrize("kind", ["suspend", "terminate", "reboot"])
def test_a_dry_run_says_what_would_happen_and_changes_nothing(house, kind):
    cast, stage, service = house
    before = stage.place.ledger()
    answer = ask(token(cast.rosa), service.pk, {"kind": kind, "reason": "Late"}, query="?dry_run=true")
    assert (answer.status_code, answer.json()["kind"]) == (200, kind)
    run_all_jobs()
    service.refresh_from_db()
    assert (Operation.objects.count(), stage.place.ledger(), service.status) == (0, before, "active")


def test_what_no_scope_names_is_refused(house):
    cast, _, service = house
    for scopes, kind in ((("read",), "reboot"), (("operate",), "suspend"), (("billing",), "reboot")):
        refused = ask(token(cast.rosa, *scopes), service.pk, {"kind": kind, "reason": "Late"}, "one")
        assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    unread = Client(headers={"Authorization": f"Bearer {token(cast.rosa, 'billing')}"})
    assert unread.get("/api/v1/services").status_code == 403
    assert not Operation.objects.exists()


def test_strangers_find_nothing_and_nobody_writes_with_a_session(house):
    cast, stage, service = house
    before = stage.place.ledger()
    strangers = [token(cast.tam), token(cast.ines), token(cast.tam, client_id=cast.juniper.pk)]
    for text in strangers:
        for kind in ("reboot", "suspend", "null_route"):
            answer = ask(text, service.pk, {"kind": kind, "reason": "Late"}, "one")
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    path = f"/api/v1/services/{service.pk}/operations"
    browser = Client()
    browser.force_login(User.objects.get(pk=cast.rosa.user_id))
    assert browser.post(path, {"kind": "reboot"}, content_type="application/json").status_code == 401
    wrong = Client(headers={"Authorization": "Bearer dh_wrong"})
    wrong.cookies = browser.cookies
    assert wrong.get("/api/v1/services").status_code == 401
    assert (stage.place.ledger(), Operation.objects.count()) == (before, 0)


def test_a_clients_token_reads_no_word_from_beyond_the_brand(house):
    cast, _, service = house
    type(service.server).objects.filter(pk=service.server_id).update(
        label="HOP-TOKEN", external_id="HOP-TOKEN-id"
    )
    text = token(cast.rosa, "read", "operate", client_id=cast.quillfeather.pk)
    client = Client(headers={"Authorization": f"Bearer {text}"})
    answers = [
        client.get("/api/v1/servers"),
        client.get(f"/api/v1/servers/{service.server_id}"),
        client.get(f"/api/v1/services/{service.pk}"),
        ask(text, service.pk, {"kind": "refresh"}, "one"),
        ask(text, service.pk, {"kind": "reboot"}, query="?dry_run=true"),
        ask(text, service.pk, {"kind": "suspend", "reason": "HOP"}, "two"),
    ]
    assert [answer.status_code for answer in answers[:3]] == [200, 200, 200]
    for answer in answers:
        assert b"HOP-TOKEN" not in answer.content
        assert "upstream" not in answer.content.decode().lower()


def test_what_a_revoked_token_asked_is_not_sent_any_more(house):
    cast, stage, service = house
    assert ask(token(cast.rosa), service.pk, {"kind": "reboot"}, "one").status_code == 202
    organisations.revoke_token(cast.rosa, ApiToken.objects.get().pk)
    run_all_jobs()
    operation = Operation.objects.get()
    assert (stage.place.effects("web"), operation.state) == ([], "failed")
    assert operation.failure_code == "not_allowed"


def test_the_scope_billing_alone_suspends(house):
    cast, _, service = house
    answer = ask(token(cast.rosa, "billing"), service.pk, {"kind": "suspend", "reason": "Late"}, "one")
    assert answer.status_code == 202
    service.refresh_from_db()
    assert service.status == "suspended"
