"""The document out of the address or a form, as clients of 2011 and of today put it there."""

import json
from urllib.parse import quote, quote_plus, urlencode

import pytest
from django.test import RequestFactory

from doublehop.leap.documents import Malformed, read_document
from doublehop.leap.reading import basic_login, document_of

DOCUMENT = {"auth": {"key": "k", "user": "u", "password": "a+b&c=d e"}, "data": {"name": "Zoë 50%"}}
PLAIN = {"auth": {"key": "k", "user": "u", "password": "a+b&request=d e"}}


def asked(query="", body=None, kind="application/x-www-form-urlencoded"):
    factory = RequestFactory()
    if body is None:
        request = factory.get("/leap/api.php")
    else:
        request = factory.post("/leap/api.php", body, content_type=kind)
    request.META["QUERY_STRING"] = query.encode().decode("latin-1")
    return request


@pytest.mark.parametrize("encode", [quote, quote_plus, lambda text: quote(text, safe="")])
def test_encoded(encode):
    text = json.dumps(DOCUMENT, ensure_ascii=False)
    assert json.loads(document_of(asked(f"request={encode(text)}"))) == DOCUMENT
    assert json.loads(document_of(asked(f"_=17&request={encode(text)}&x=1"))) == DOCUMENT


def test_as_it_stands_with_its_own_signs():
    text = json.dumps(PLAIN)
    assert json.loads(document_of(asked("request=" + text.replace(" ", "%20")))) == PLAIN
    assert json.loads(document_of(asked("request=" + text))) == PLAIN
    umlaut = '{"a":"Zoë"}'
    assert document_of(asked("request=" + umlaut)) == umlaut


def test_in_a_form():
    text = json.dumps(DOCUMENT, ensure_ascii=False)
    for body in (urlencode({"request": text}), f"request={json.dumps(PLAIN)}"):
        assert json.loads(document_of(asked(body=body))) in (DOCUMENT, PLAIN)
    parts = RequestFactory().post("/leap/api.php", {"request": text})
    assert json.loads(document_of(parts)) == DOCUMENT


def test_none_and_two_and_what_is_no_text():
    assert document_of(asked("x=1")) is None
    assert document_of(asked(body="x=1")) is None
    for request in (
        asked("request=%7B%7D&request=%7B%7D"),
        asked("request=%7B%7D", body="request=%7B%7D"),
        asked("request=%ff%fe"),
        asked("request=%ED%A0%80"),
    ):
        with pytest.raises(Malformed):
            document_of(request)


@pytest.mark.parametrize(
    "text", ['{"a":1,"\\u0061":2}', "1" * 21, "1e400", "-Infinity", '"\\udc00"', '"\\u0007"', "[" * 17 + "]" * 17, "{'a':1}", "1 2"]
)  # fmt: skip
def test_what_is_not_read(text):
    with pytest.raises(Malformed):
        read_document(text)


def test_what_is_read():
    text = '{"a": [1, -2.5, true, null, "Zo\\u00eb \\ud83d\\ude00\\n", {"b": "[[[[[[[[[[[[[[[[[["}]}'
    assert read_document(text) == {"a": [1, -2.5, True, None, "Zoë 😀\n", {"b": "[" * 18}]}


def test_reading_takes_no_longer_than_what_is_read():
    for text in ('"\\"' * 300_000, '\\"' * 300_000, '"' + "\\" * 900_000, "]" * 900_000):
        with pytest.raises(Malformed):
            read_document(text)


@pytest.mark.parametrize(
    "header",
    ["", "Basic", "Basic !", "Bearer eDp5", "Basic eA==", "Basic Onk=", "Basic /////w==", "Basic eAA6eQ=="],
)
def test_what_is_no_login(header):
    assert basic_login(RequestFactory().get("/", headers={"authorization": header})) is None


def test_a_colon_may_belong_to_the_secret():
    assert basic_login(RequestFactory().get("/", headers={"authorization": "basic eDp5Ono="})) == ("x", "y:z")
