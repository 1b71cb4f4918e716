"""The small parts: what is known, when it was known, and what is not known."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import time_machine
from django.template import Context, Template
from django.test import RequestFactory

from doublehop.panels import words
from doublehop.panels.looks import LOOKS, look
from doublehop.panels.menu import MenuCount, admin_menu_for
from doublehop.panels.templatetags.admin_panel import identifier_name, proven

NOW = datetime(2026, 11, 23, 14, 5, tzinfo=UTC)
HOSTILE = '<script>alert(1)</script>" onmouseover="x'


def draw(source, **values):
    return Template("{% load panel %}" + source).render(Context(values))


@pytest.fixture(autouse=True)
def _at_five_past_two():
    with time_machine.travel(NOW, tick=False):
        yield


def test_a_fresh_state_is_filled_and_carries_its_age():
    html = draw('{% live_pill "power" "on" read %}', read=NOW - timedelta(seconds=14))
    assert 'class="dh-pill dh-on"' in html
    assert ">On</span>" in html
    assert "read 14 s ago" in html
    assert 'title="23 Nov 2026, 14:04:46 UTC"' in html


def test_an_old_state_keeps_its_word_and_is_hollow():
    html = draw('{% live_pill "power" "on" read %}', read=NOW - timedelta(minutes=16))
    assert 'class="dh-pill dh-on dh-stale"' in html
    assert "#clock" in html
    assert "last read 16 min ago" in html


@pytest.mark.parametrize(("state", "read"), [("", NOW), ("on", None)])
def test_what_was_never_read_says_so(state, read):
    html = draw('{% live_pill "power" state read %}', state=state, read=read)
    assert "Not read yet" in html
    assert "On" not in html


def test_a_state_that_no_table_knows_is_unknown_not_good():
    assert look("power", "melted").word == "Unknown"
    assert "dh-unknown" in draw('{% pill "operation" "melted" %}')


def test_every_state_has_an_icon_and_a_word():
    for table in LOOKS.values():
        for shown in table.values():
            assert shown.icon
            assert shown.word


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=0), "0 s ago"),
        (timedelta(seconds=59), "59 s ago"),
        (timedelta(seconds=60), "1 min ago"),
        (timedelta(minutes=59, seconds=59), "59 min ago"),
        (timedelta(hours=1), "13:05"),
        (timedelta(days=2), "21 Nov, 14:05"),
        (timedelta(days=400), "19 Oct 2025, 14:05"),
        (timedelta(seconds=-5), "0 s ago"),
    ],
)
def test_ages_count_then_become_the_clock(ago, text):
    assert words.ago(NOW - ago, NOW) == text


def test_octets_are_decimal_and_rates_have_units():
    assert draw("{{ n|octets }}", n=18_800_000_000_000) == "18.8 TB"
    assert draw("{{ n|octets }}", n=999) == "999 B"
    assert draw("{{ n|octets }}", n=0) == "0 B"
    assert draw("{{ n|rate }}", n=135_700_000) == "136 Mbit/s"
    assert draw("{{ n|octets }}{{ n|rate }}{{ n|when }}", n=None) == ""


def test_hostile_text_is_escaped_everywhere():
    request = RequestFactory().get("/")
    parts = {
        "notice": {
            "tone": "failed",
            "heading": HOSTILE,
            "text": HOSTILE,
            "links": [(HOSTILE, HOSTILE, True)],
        },
        "copy": {"text": HOSTILE},
        "crumbs": {"trail": [(HOSTILE, HOSTILE)], "here": HOSTILE},
        "tabs": {"tabs": [(HOSTILE, HOSTILE, True)], "label": HOSTILE},
        "action": {"id": "x", "label": HOSTILE, "reason": HOSTILE},
        "dialog": {"id": "x", "heading": HOSTILE, "go": HOSTILE, "keep": HOSTILE, "typed": HOSTILE},
        "field": {"name": "x", "label": HOSTILE, "value": HOSTILE, "error": HOSTILE, "hint": HOSTILE},
        "figures": {"figures": [(HOSTILE, HOSTILE, HOSTILE)]},
        "empty": {"text": HOSTILE, "label": HOSTILE, "address": HOSTILE},
        "pager": {"words": HOSTILE, "next": HOSTILE},
        "error_summary": {"errors": [("x", HOSTILE)]},
        "chip": {"label": HOSTILE, "name": "x", "options": [(HOSTILE, HOSTILE)], "request": request},
        "chip_set": {
            "label": "x",
            "name": "x",
            "value": "a",
            "options": [("a", HOSTILE)],
            "request": request,
        },
    }
    for name, values in parts.items():
        source = f'{{% include "panels/parts/{name.removesuffix("_set")}.html" %}}'
        html = draw(source, icon="x", **values)
        assert "<script" not in html, name
        assert '" onmouseover="' not in html, name
    assert "<script" not in draw('{% pill "service" "active" text %}', text=HOSTILE)
    assert "<script" not in draw('{% custom_pill "off" icon="lock" word=text %}', text=HOSTILE)


def test_a_query_string_is_changed_not_rebuilt():
    request = RequestFactory().get("/x/?state=on&q=a%26b&after=7")
    html = draw('{% url_with sort="-name" after=None %}', request=request)
    assert html == "?state=on&amp;q=a%26b&amp;sort=-name"
    assert draw('{% query_with "state" "" %}', request=request) == "?q=a%26b"


def test_forms_carry_a_key_that_differs():
    assert draw("{% form_key %}") != draw("{% form_key %}")


def test_a_button_that_may_not_be_pressed_says_why_and_stays_reachable():
    html = draw(
        '{% include "panels/parts/action.html" with id="b" label="Unsuspend" reason="Not suspended." %}'
    )
    assert 'aria-disabled="true"' in html
    assert 'aria-describedby="b-why"' in html
    assert " disabled" not in html.replace("aria-disabled", "")


def test_the_menu_marks_one_place_and_counts_what_waits():
    groups = admin_menu_for("/admin/setup/upstreams/3/", {"operations": MenuCount(1, "1 unknown", "u")})
    entries = [entry for group in groups for entry in group.entries]
    assert [entry.id for entry in entries if entry.current] == ["upstreams"]
    assert [entry.count.number for entry in entries if entry.count] == [1]
    home = [entry for group in admin_menu_for("/admin/", {}) for entry in group.entries if entry.current]
    assert [entry.id for entry in home] == ["dashboard"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(74, "74 s"), (24 * 60, "24 min"), (2 * 3600 + 600, "2 h 10 min"), (3 * 86400, "3 days")],
)
def test_how_long_something_waits(seconds, text):
    assert words.span(timedelta(seconds=seconds)) == text


def test_identifiers_are_called_as_people_call_them():
    known = [
        ("mac", "02:00:00:00:00:01", "strong"),
        ("system_uuid", "d0b1", "strong"),
        ("serial", "7", "weak"),
    ]
    server = SimpleNamespace(recorded_identity={"identifiers": known})
    assert proven(server) == "MAC 02:00:00:00:00:01, system UUID d0b1"
    assert [identifier_name(kind) for kind in ("recorded_serial", "rack_unit")] == [
        "serial as recorded",
        "rack unit",
    ]
