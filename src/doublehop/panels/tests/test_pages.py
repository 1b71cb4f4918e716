"""Headers, brand files and error pages, with and without somebody signed in."""

import re

import pytest
from django.test import Client, RequestFactory, override_settings
from django.urls import include, path

from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, WrongState
from doublehop.panels import errors
from doublehop.panels.brands import ink_on
from doublehop.panels.middleware import POLICY
from doublehop.panels.refusals import refusal_response

pytestmark = pytest.mark.django_db


def breaks(request):
    raise RuntimeError("the secret cause")


def refuses(request, kind):
    raise {
        "gone": NotHere(),
        "right": NotAllowed("Needs the role admin."),
        "state": WrongState("The reboot was not sent: this service is suspended."),
        "input": BadInput("A name is needed.", field="name"),
    }[kind]


urlpatterns = [
    path("breaks/", breaks),
    path("refuses/<str:kind>/", refuses),
    path("", include("doublehop.site.urls")),
]
handler404, handler500 = errors.not_found, errors.server_error


def test_every_page_carries_the_policy():
    client = Client(raise_request_exception=False)
    for address in ("/sign-in/", "/nowhere/", "/brand/colours.css?c=0b6b5d&d=5fd3bf", "/servers/"):
        headers = client.get(address).headers
        assert headers["Content-Security-Policy"] == POLICY, address
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert "Cache-Control" in headers
    assert "unsafe" not in POLICY


def test_colours_are_a_stylesheet_of_two_colours_and_nothing_else():
    answer = Client().get("/brand/colours.css?c=0b6b5d&d=5fd3bf")
    assert answer["Content-Type"].startswith("text/css")
    assert "immutable" in answer["Cache-Control"]
    assert b"--dh-brand:#0b6b5d;--dh-brand-ink:#ffffff" in answer.content
    assert b"--dh-brand-dark:#5fd3bf;--dh-brand-ink-dark:#0e1526" in answer.content
    for bad in ("", "?c=red&d=5fd3bf", "?c=0b6b5d", "?c=0b6b5d&d=}x{color:red", "?c=0b6b5d%0a&d=5fd3bf"):
        assert Client().get(f"/brand/colours.css{bad}").status_code == 404


def test_ink_reads_on_its_colour():
    assert ink_on("#000000") == "#ffffff"
    assert ink_on("#ffff00") == "#0e1526"


def test_the_sign_in_page_of_a_shared_host_names_nobody():
    html = Client().get("/sign-in/").content.decode()
    assert "Server panel" in html
    assert "Northgate" not in html
    assert 'autocomplete="username"' in html


def test_a_wrong_password_and_an_unknown_address_get_the_same_words():
    answer = Client().post("/sign-in/", {"login": "nobody@example.org", "password": "x"})
    assert "do not match" in answer.content.decode()
    assert 'role="alert"' in answer.content.decode()


@override_settings(ROOT_URLCONF=__name__)
def test_a_broken_page_says_so_with_a_reference_and_asks_no_database(django_assert_num_queries, caplog):
    client = Client(raise_request_exception=False)
    with django_assert_num_queries(0):
        answer = client.get("/breaks/")
    assert answer.status_code == 500
    html = answer.content.decode()
    assert "Something on our side broke" in html
    assert "secret cause" not in html
    reference = re.search(r"[2-9A-Z]{3}-[2-9A-Z]{3}", html)
    assert reference is not None
    assert reference.group() in caplog.text
    assert answer["Content-Security-Policy"] == POLICY


@override_settings(ROOT_URLCONF=__name__)
@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [
        ("gone", 404, "not yours to see"),
        ("right", 403, "Needs the role admin."),
        ("state", 409, "this service is suspended"),
        ("input", 422, "A name is needed."),
    ],
)
def test_a_refusal_becomes_a_page(kind, status, words):
    answer = Client().get(f"/refuses/{kind}/")
    assert answer.status_code == status
    assert words in answer.content.decode()


def test_a_refusal_answers_a_pressed_button_beside_the_title_and_a_poll_with_silence():
    factory = RequestFactory()
    pressed = factory.post("/x/")
    pressed.htmx = True
    answer = refusal_response(pressed, WrongState("Not now, <b>really</b>."))
    assert answer.status_code == 409
    assert answer["HX-Retarget"] == "#dh-notice"
    assert "&lt;b&gt;" in answer.content.decode()
    polled = factory.get("/x/")
    polled.htmx = True
    silent = refusal_response(polled, NotHere())
    assert (silent.status_code, silent.content) == (404, b"")
    assert silent["HX-Reswap"] == "none"


def test_a_page_that_is_not_there_gets_the_brand_and_a_way_back():
    answer = Client().get("/nowhere/")
    assert answer.status_code == 404
    assert 'href="/"' in answer.content.decode()


def test_anonymous_people_are_sent_to_sign_in_and_back():
    answer = Client().get("/servers/7/?span=day")
    assert answer.status_code == 302
    assert answer["Location"] == "/sign-in/?next=%2Fservers%2F7%2F%3Fspan%3Dday"
    assert Client().get("/")["Location"] == "/sign-in/"
