"""Setup > Import: from the file to the preview, from its ticks to services."""

import base64
import re
import zlib
from html import unescape

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from tests.stage import a_product, run_jobs

from doublehop.fleet import actions as fleet
from doublehop.panels.admin import moving_in
from doublehop.panels.admin.tests.conftest import browser
from doublehop.services.models import Service

PATH = "/admin/setup/import/"


@pytest.fixture
def lines(house):
    """The heading, and a row for each of three free machines: by address, by hostname, under another product's name."""
    stage, cast = house.stage, house.cast
    rows = stage.machines("one", "two", "three")
    for row in rows:
        fleet.ask_refresh(cast.rosa, row.pk)
    run_jobs()
    a_product(cast.rosa, "Rented M")
    one, _, three = rows
    return [
        "ID,User ID,Client Name,Product Name,Domain,Dedicated IP",
        f"11,7,<b>Thistle & Sons</b>,Rented M,,{one.primary_address}",
        "12,7,Thistle & Sons,Rented M,two.example.org,",
        f"13,8,Fern Ltd,Something Else,,{three.primary_address}",
    ]


def upload(client, lines, **more):
    file = SimpleUploadedFile("services.csv", "\n".join(lines).encode())
    return client.post(PATH, {"file": file, "billing_system": "whmcs.alder.example", **more})


def carried(text: str) -> dict[str, object]:
    """The form as the page has it."""
    names = ("packed", "mark", "billing_system")
    return {name: unescape(re.search(rf'name="{name}" value="([^"]*)"', text)[1]) for name in names}


def test_a_file_is_shown_and_what_is_ticked_is_attached(house, rosa, lines):
    assert "Show what would come of it" in rosa.get(PATH).content.decode()
    before = house.stage.place.ledger()
    count = Service.objects.count()
    answer = upload(rosa, lines)
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "1 certain, 1 doubtful, 0 in services here already, 0 in conflict, 1 missing" in text
    assert 'value="2" checked' in text
    assert 'value="3" checked' not in text
    assert "<b>Thistle" not in text
    assert "Something Else" in text
    assert Service.objects.count() == count
    form = {**carried(text), "do": "attach", "line": ["2", "3"]}
    done = rosa.post(PATH, form)
    assert "2 attached, 0 refused" in done.content.decode()
    assert set(Service.objects.filter(billed_by="whmcs.alder.example").values_list("billing_reference", flat=True)) == {
        "11", "12",
    }  # fmt: skip
    assert house.stage.place.ledger() == before
    again = rosa.post(PATH, form)
    assert again.status_code == 409
    assert "Look at it again" in again.content.decode()
    assert Service.objects.count() == count + 2
    assert "2 here already" in upload(rosa, lines).content.decode()


def test_a_product_may_be_named_on_the_page_and_stays_named(house, rosa, lines):
    text = upload(rosa, lines).content.decode()
    form = {**carried(text), "there": ["Something Else"], "here": ["Rented M"]}
    text = rosa.post(PATH, {**form, "do": "look"}).content.decode()
    assert "2 certain" in text
    assert 'name="there" value="Something Else"' in text
    done = rosa.post(PATH, {**form, **carried(text), "do": "attach", "line": ["4"]})
    assert "1 attached" in done.content.decode()


def test_nothing_ticked_or_a_foreign_line_is_told_on_the_preview(house, rosa, lines):
    form = {**carried(upload(rosa, lines).content.decode()), "do": "attach"}
    for ticked in ([], ["4"], ["999"], ["x"], ["2"] * 300):
        answer = rosa.post(PATH, {**form, "line": ticked})
        assert answer.status_code == 422
        assert "What would come of it" in answer.content.decode()
    assert not Service.objects.filter(billing_reference="11").exists()


@pytest.mark.parametrize(
    "packed",
    [
        "",
        "###",
        base64.b64encode(b"no zlib").decode(),
        base64.b64encode(zlib.compress(b" " * 9_000_000)).decode(),
    ],
)
def test_what_is_no_file_is_refused(house, rosa, packed):
    answer = rosa.post(PATH, {"packed": packed, "billing_system": "w"})
    assert answer.status_code == 422
    assert 'href="#f-file"' in answer.content.decode()


def test_what_is_too_large_or_no_list_is_refused_at_its_field(house, rosa, lines, monkeypatch):
    assert upload(rosa, ["hello"]).status_code == 422
    assert 'href="#f-billing_system"' in upload(rosa, lines, billing_system=" ").content.decode()
    monkeypatch.setattr(moving_in, "LARGEST_UPLOAD", 20)
    assert "too large for a page" in upload(rosa, lines).content.decode()


def test_whoever_may_not_sell_and_operate_sees_no_inventory(house, lines):
    support = browser(house.cast.ivo)
    assert "Saving needs" in support.get(PATH).content.decode()
    answer = upload(support, lines)
    assert answer.status_code == 403
    assert "ONE" not in answer.content.decode()
