"""What every answer has: a problem body, an ETag, only the fields that were asked for, a limit, and no endless waiting."""

import threading

import pytest
from django.core.cache import cache
from django.test import Client
from tests.cast import a_cast
from tests.stage import a_product, a_service, a_stage, run_all_jobs

from doublehop.api import limits, waiting
from doublehop.api.limits import Counter, TooManyRequests
from doublehop.api.tests.calling import Program
from doublehop.organisations.models import User
from doublehop.services.lifecycle import OperationState
from doublehop.services.models import Operation

pytestmark = pytest.mark.django_db


@pytest.fixture
def house():
    cache.clear()
    cast = a_cast()
    stage = a_stage(cast.rosa)
    (web,) = stage.machines("web")
    return cast, a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa), web)


def test_an_unknown_address_and_a_wrong_method_have_problem_bodies(house):
    shop = Program(house[0].rosa)
    for answer, status, code in (
        (shop.get("/nothing/here"), 404, "not_found"),
        (Client().get("/api/v1/nothing"), 404, "not_found"),
        (Client().get("/api/v1/"), 404, "not_found"),
        (shop.send("DELETE", "/services"), 405, "method_not_allowed"),
        (shop.http.head("/api/v1/services"), 405, ""),
    ):
        assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
        assert not code or answer.json()["code"] == code
    assert shop.send("DELETE", "/services")["Allow"] == "GET, POST"


def test_what_has_not_changed_is_not_told_again(house):
    cast, service = house
    shop = Program(cast.rosa)
    first = shop.get(f"/services/{service.pk}")
    again = shop.get(f"/services/{service.pk}", **{"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    shop.patch(f"/services/{service.pk}", {"hostname": "db.example.org"})
    changed = shop.get(f"/services/{service.pk}", **{"If-None-Match": first["ETag"]})
    assert (changed.status_code, changed.json()["hostname"]) == (200, "db.example.org")
    # Another asker has another answer, whoever brings its ETag.
    stranger = Program(cast.tam).get(f"/services/{service.pk}", **{"If-None-Match": first["ETag"]})
    assert stranger.status_code == 404


def test_only_the_fields_that_were_asked_for(house):
    cast, service = house
    shop = Program(cast.rosa)
    assert shop.get(f"/services/{service.pk}?fields=id,status").json() == {
        "id": service.pk,
        "status": "active",
    }
    listed = shop.get("/services?fields=number").json()
    assert listed == {"items": [{"number": service.number}], "next": None}
    assert shop.get(f"/servers/{service.server_id}/addresses?fields=address").json() == [
        {"address": service.server.primary_address}
    ]
    refused = shop.get("/services?fields=id,colour")
    assert (refused.status_code, refused.json()["field"]) == (422, "fields")


def test_what_is_left_to_ask_stands_in_the_headers_and_the_rest_waits(house, monkeypatch):
    cast, _ = house
    monkeypatch.setattr(limits, "_COUNTER", Counter(2))
    monkeypatch.setattr(limits.time, "time", lambda: 1000.0)
    shop, other = Program(cast.rosa), Program(cast.rosa)
    first, second, third = (shop.get("/me") for _ in range(3))
    assert [(one.status_code, one["RateLimit-Remaining"]) for one in (first, second)] == [
        (200, "1"),
        (200, "0"),
    ]
    assert (third.status_code, third.json()["code"]) == (429, "too_many_requests")
    assert (third["Retry-After"], third["RateLimit-Reset"]) == ("20", "20")
    assert other.get("/me").status_code == 200
    monkeypatch.setattr(limits.time, "time", lambda: 1020.0)
    assert shop.get("/me").status_code == 200
    assert "RateLimit-Limit" not in Client().get("/api/v1/me")


def test_a_window_that_is_over_is_forgotten_with_all_its_callers():
    counter = Counter(1)
    for number in range(50):
        counter.count(f"token:{number}", 0.0)
    with pytest.raises(TooManyRequests):
        counter.count("token:0", 59.9)
    counter.count("token:0", 60.0)
    assert len(counter._counts) == 1


def test_an_answer_waits_until_the_operation_has_ended(house, monkeypatch):
    cast, service = house
    shop = Program(cast.rosa)

    def works(_):
        run_all_jobs()

    monkeypatch.setattr(waiting.time, "sleep", works)
    path = f"/services/{service.pk}/operations"
    told = shop.post(path, {"kind": "power_off"}, Prefer="respond-async, wait=7")
    assert (told.status_code, told["Preference-Applied"], told.json()["state"]) == (202, "wait=7", "done")
    assert "Preference-Applied" not in shop.post(path, {"kind": "power_on"})


def test_nobody_waits_longer_than_allowed_nor_beyond_the_places(house, monkeypatch):
    cast, service = house
    shop = Program(cast.rosa)
    reference = shop.post(f"/services/{service.pk}/operations", {"kind": "power_off"}).json()["reference"]
    now = [0.0]
    monkeypatch.setattr(waiting.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(waiting.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    told = shop.get(f"/operations/{reference}", Prefer="wait=100000")
    assert (told["Preference-Applied"], told.json()["state"]) == ("wait=10", "queued")
    assert now[0] == pytest.approx(10.0)
    monkeypatch.setattr(waiting, "_places", threading.BoundedSemaphore(1))
    with waiting._places:
        at_once = shop.get(f"/operations/{reference}", Prefer="wait=5")
    assert "Preference-Applied" not in at_once
    assert now[0] == pytest.approx(10.0)
    assert waiting.MOST_WAITING == 1
    # What waits for a person is not waited for, and the place is free again after each.
    Operation.objects.update(state=OperationState.UNKNOWN)
    for _ in range(2):
        assert shop.get(f"/operations/{reference}", Prefer="wait=5")["Preference-Applied"] == "wait=5"
    assert now[0] == pytest.approx(10.0)


def test_the_document_is_for_staff(house):
    cast, _ = house
    client = Program(cast.rosa, "read", client_id=cast.quillfeather.pk)
    assert client.get("/openapi.json").status_code == 404
    assert Client().get("/api/v1/openapi.json").status_code == 401
    browser = Client()
    browser.force_login(User.objects.get(pk=cast.rosa.user_id))
    assert "/api/v1/services" in browser.get("/api/v1/openapi.json").json()["paths"]
    page = browser.get("/api/v1/docs")
    assert b"swagger-ui" in page.content
    assert b"<script>" not in page.content  # the policy of the pages lets none run
    assert "script-src 'self'" in page["Content-Security-Policy"]
    browser.force_login(User.objects.get(pk=cast.mara.user_id))
    assert browser.get("/api/v1/docs").status_code == 401
