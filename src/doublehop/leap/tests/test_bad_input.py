"""Whatever is sent: a clear error in the API's own form, no effect, no fault, and no word of it in a log."""

import json
import logging
import threading
from datetime import timedelta

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.stage import run_all_jobs

from doublehop.leap import gate
from doublehop.leap.tests.conftest import TANDEM
from doublehop.organisations.models import Brand
from doublehop.organisations.throttle import MOST_BY_CREDENTIAL
from doublehop.services.models import Operation

pytestmark = pytest.mark.django_db
FUZZ = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=15,
)


def untouched(house):
    return house.stage.place.ledger() == () and not Operation.objects.exists()


@FUZZ
@given(text=st.text(max_size=200))
def test_texts_that_are_no_documents(house, text):
    answer = house.alder.raw(text)
    assert answer.status_code in {200, 401}
    assert set(answer.json()) == {"error"}
    assert untouched(house)


@FUZZ
@given(module=JSON, data=JSON)
def test_documents_of_the_wrong_shape(house, module, data):
    document = {**house.alder.document("server", "listServers"), "module": module, "data": data}
    answer = house.alder.raw(json.dumps(document))
    assert answer.status_code == 200
    assert set(answer.json()) == {"error"}
    assert untouched(house)


@FUZZ
@given(
    command=st.sampled_from(["rebootServer", "getServerDetails", "suspendServer", "updateRdns", "tandemAddUser",
                             "tandemDeleteUser", "cancellationRequest", "getOperation", "tandemAddUserPermission"]),
    data=st.dictionaries(
        st.sampled_from(["serverid", "userid", "reason", "servers", "happy", "operation", "name", "email", "password"]),
        JSON,
        max_size=5,
    ),
)  # fmt: skip
def test_values_of_the_wrong_kind(house, command, data):
    module = "account" if command.startswith("tandem") else "server"
    document = {**house.alder.document(module, command), "data": data}
    answer = house.alder.raw(json.dumps(document))
    assert answer.status_code == 200
    assert "error" in answer.json()
    assert house.stage.place.ledger() == ()


@FUZZ
@given(path=st.text(max_size=60), body=st.dictionaries(st.text(max_size=8), st.text(max_size=30), max_size=3))
def test_paths_and_forms(house, path, body):
    from urllib.parse import quote  # noqa: PLC0415

    for form in (None, {name: text for name, text in body.items() if "\x00" not in name}):
        answer = house.alder.dropzone(quote(path), form)
        assert answer.status_code < 500, answer.content
        assert answer.json()["success"] is False
    assert untouched(house)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"auth":' * 500,
        '{"a":1,"a":2}',
        '{"a":NaN}',
        '{"a":1e999}',
        '{"a":' + "9" * 5000 + "}",
        '"\\ud800"',
        '{"a":"\\u0000"}',
        "null",
        "[]",
        "",
    ],
    ids=[
        "deep",
        "deep objects",
        "twice",
        "nan",
        "infinite",
        "long",
        "half sign",
        "null sign",
        "null",
        "array",
        "empty",
    ],
)
def test_documents_that_are_no_single_thing(house, text):
    answer = house.alder.client.post("/leap/api.php", {"request": text}, REMOTE_ADDR=house.alder.source)
    assert answer.status_code in {200, 401}
    assert set(answer.json()) == {"error"}


def test_more_than_a_megabyte(house):
    body = {"request": "x" * 1_100_000}
    answer = house.alder.client.post("/leap/api.php", body, REMOTE_ADDR=house.alder.source)
    assert answer.status_code == 413
    assert set(answer.json()) == {"error"}
    told = house.alder.dropzone("tandem/user/add", {"name": "x" * 1_100_000})
    assert (told.status_code, told.json()["success"]) == (413, False)


def test_other_sites_and_other_methods(house):
    text = json.dumps(house.alder.document("server", "rebootServer", serverid=str(house.web.pk)))
    for headers in (
        {"HTTP_SEC_FETCH_SITE": "cross-site"},
        {"HTTP_SEC_FETCH_SITE": "same-site"},
        {"HTTP_ORIGIN": "https://evil.example"},
        {"HTTP_ORIGIN": "null"},
    ):
        assert house.alder.raw(text, **headers).status_code == 403
        assert house.alder.dropzone(f"server/reboot/{house.web.pk}", **headers).status_code == 403
    assert house.alder.client.put("/leap/api.php").status_code == 405
    assert untouched(house)


def test_neither_cookies_nor_a_question_to_a_browser(house):
    answer = house.alder.dropzone("server/list")
    assert not answer.cookies
    assert answer["Cache-Control"] == "no-store"
    refused = house.alder.client.get("/dropzone/server/list")
    assert refused.status_code == 401
    assert "WWW-Authenticate" not in refused


def test_under_a_name_without_resellers_there_is_no_such_page(house):
    Brand.objects.filter(organisation=house.cast.alder).update(host="panel.alder.example")
    text = json.dumps(house.alder.document("server", "listServers"))
    answer = house.alder.raw(text, HTTP_HOST="panel.alder.example")
    assert answer.status_code == 404
    assert b"error" not in answer.content[:20]
    assert house.alder.dropzone("server/list", HTTP_HOST="panel.alder.example").status_code == 404
    Brand.objects.filter(organisation=house.cast.provider).update(host="panel.northgate.example")
    assert house.alder.raw(text, HTTP_HOST="panel.northgate.example").json()["success"] is True


def test_a_storm_closes_the_door_for_its_source_only(house):
    right, house.alder.password = house.alder.password, "wrong"
    text = json.dumps(house.alder.document("server", "listServers"))
    for _ in range(MOST_BY_CREDENTIAL):
        assert house.alder.raw(text).status_code == 401
    closed = house.alder.raw(text)
    assert (closed.status_code, set(closed.json())) == (429, {"error"})
    assert int(closed["Retry-After"]) > 0
    house.alder.password, house.alder.source = right, "192.0.2.200"
    assert house.alder.leap("server", "listServers")["success"] is True


def test_no_word_of_a_request_reaches_a_log(house, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    secrets = [house.alder.password, house.alder.api_key, house.alder.pin, TANDEM[1]]

    def breaks(*args, **more):
        raise RuntimeError(f"it held {secrets}")

    text = json.dumps(house.alder.document("server", "listServers"))
    house.alder.raw(text)
    house.alder.raw(text[:-1])
    house.alder.dropzone("server/list", login=TANDEM)
    house.alder.dropzone(f"server/getpassword/{house.web.pk}", {"pin": house.alder.pin})
    monkeypatch.setattr("doublehop.leap.machines.lines", breaks)
    broken = house.alder.raw(text)
    assert broken.status_code == 500
    reference = broken.json()["error"].rpartition("Reference ")[2].rstrip(".")
    assert house.alder.dropzone("server/list").status_code == 500
    told = "\n".join([caplog.text, *(str(vars(record)) for record in caplog.records)])
    assert reference in told
    for secret in secrets:
        assert secret not in told
    assert "request=" not in told


def test_gate_names_both_addresses():
    assert gate.LEAP_PATH == "/leap/api.php"


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="one writer at a time")
def test_many_reboots_of_one_moment_are_one(house, monkeypatch):
    monkeypatch.setattr("doublehop.services.work.steps.EARLIEST_ON", timedelta(0))
    answers = []

    def press():
        try:
            answers.append(house.alder.leap("server", "rebootServer", serverid=str(house.web.pk)))
        finally:
            connection.close()

    threads = [threading.Thread(target=press) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    references = {answer.get("operation") for answer in answers}
    assert len(answers) == 6
    assert len(references) == 1
    run_all_jobs()
    assert [one for one in house.stage.place.effects("web") if one.startswith("power.reset")] == [
        "power.reset:graceful"
    ]
