"""Setup > API tokens: a token is made, told once, bound, renewed and ended on its page."""

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core.cache import cache
from django.utils import timezone
from tests.signing import COPY, HERE, signed_get

from doublehop.organisations import actions
from doublehop.organisations.actions import TokenForm
from doublehop.organisations.models import ApiToken, OtherInstallation, User
from doublehop.panels.admin.tests.conftest import browser

PAGE = "/admin/setup/tokens/"
TEXT = re.compile(r"dh_[A-Za-z0-9]{10}_[A-Za-z0-9]{40}")


@pytest.fixture(autouse=True)
def _no_counts():
    cache.clear()


def made(rosa, **data):
    answer = rosa.post(PAGE, {"name": "Shop", "read": "1", "key": "form", **data})
    return answer, ApiToken.objects.first()


def whmcs(house):
    form = TokenForm("Shop", ["read", "billing"], billing_system="WHMCS", signed_only=True)
    row = actions.create_token(house.cast.rosa, form)
    return row, row.shown.reveal()


def test_a_token_is_told_once_and_by_no_cache(rosa):
    answer, row = made(rosa, billing_system="WHMCS", signed_only="1", networks="192.0.2.7\n198.51.100.0/24")
    (text,) = set(TEXT.findall(answer.content.decode()))
    assert answer["Cache-Control"] == "no-store"
    assert (row.signed_only, row.networks) == (True, ["192.0.2.7/32", "198.51.100.0/24"])
    for page in (PAGE, f"{PAGE}{row.pk}/"):
        assert text not in rosa.get(page).content.decode()
    again, _ = made(rosa, billing_system="WHMCS", signed_only="1", networks="192.0.2.7\n198.51.100.0/24")
    assert "made and shown before" in again.content.decode()
    assert ApiToken.objects.count() == 1


def test_the_last_day_is_the_persons_own(house, rosa):
    User.objects.filter(pk=house.cast.rosa.user_id).update(time_zone="America/New_York")
    _, row = made(rosa, expires_on="2031-03-31")
    assert row.expires_at == datetime(2031, 4, 1, tzinfo=ZoneInfo("America/New_York"))
    assert "31 Mar 2031" in rosa.get(PAGE).content.decode()
    assert "31 Mar 2031" in rosa.get(f"{PAGE}{row.pk}/").content.decode()


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"name": ""}, "name"),
        ({"expires_on": "2001-01-01"}, ""),
        ({"expires_on": "tomorrow"}, "expires_on"),
        ({"expires_on": "9999-12-31"}, "expires_on"),
        ({"client_number": "77"}, "client_number"),
        ({"client_number": "x"}, "client_number"),
        ({"client_number": "1001", "billing_system": "WHMCS"}, "billing_system"),
        ({"networks": "everywhere"}, "networks"),
        ({"read": ""}, ""),
    ],
)
def test_what_is_wrong_stands_at_its_field(rosa, data, field):
    answer, row = made(rosa, **data)
    assert (answer.status_code, row) == (422, None)
    html = answer.content.decode()
    assert "Not saved" in html
    assert f'href="#f-{field}"' in html if field else "data-focus" in html


def test_a_token_of_a_client_is_made_by_its_number(house, rosa):
    _, row = made(rosa, client_number="1001", signed_only="1")
    assert (row.client_id, row.signed_only) == (house.cast.quillfeather.pk, False)


def test_a_copy_is_shown_and_accepted(house, rosa):
    row, text = whmcs(house)
    signed_get(text, "/api/v1/services")
    signed_get(text, "/api/v1/services", installation=COPY)
    page = rosa.get(f"{PAGE}{row.pk}/").content.decode()
    assert "A copy of WHMCS called" in page
    assert HERE in page
    assert COPY in page
    assert "A copy of WHMCS called with the token Shop" in rosa.get("/admin/").content.decode()
    other = OtherInstallation.objects.get()
    assert rosa.post(f"{PAGE}{row.pk}/refuse/", {"other_id": other.pk}).status_code == 302
    assert "A copy of WHMCS called" not in rosa.get("/admin/").content.decode()
    ivo = browser(house.cast.ivo)
    ivo.post(f"{PAGE}{row.pk}/accept/", {"other_id": other.pk})
    assert ApiToken.objects.get().installation == HERE
    assert rosa.post(f"{PAGE}{row.pk}/accept/", {"other_id": "x"}).status_code == 404
    rosa.post(f"{PAGE}{row.pk}/accept/", {"other_id": other.pk})
    assert ApiToken.objects.get().installation == COPY
    assert rosa.post(f"{PAGE}{row.pk}/accept/", {"other_id": other.pk}).status_code == 404


def test_a_new_secret_is_told_once_and_the_old_one_may_go_on(house, rosa):
    row, text = whmcs(house)
    answer = rosa.post(f"{PAGE}{row.pk}/rotate/", {"old_for_hours": "1", "key": "form"})
    (new,) = set(TEXT.findall(answer.content.decode()))
    assert answer["Cache-Control"] == "no-store"
    assert "the old one until" in answer.content.decode()
    assert [signed_get(one, "/api/v1/services").status_code for one in (new, text)] == [200, 200]
    again = rosa.post(f"{PAGE}{row.pk}/rotate/", {"old_for_hours": "1", "key": "form"})
    assert "made and shown before" in again.content.decode()
    for wrong in ("5", "x", "-1", ""):
        rosa.post(f"{PAGE}{row.pk}/rotate/", {"old_for_hours": wrong, "key": f"form-{wrong}"})
    assert signed_get(text, "/api/v1/services").status_code == 200


def test_its_text_is_taken_as_well_when_staff_say_so(house, rosa):
    row, _ = whmcs(house)
    rosa.post(f"{PAGE}{row.pk}/signed/", {"signed_only": "0"})
    assert not ApiToken.objects.get().signed_only
    browser(house.cast.ivo).post(f"{PAGE}{row.pk}/signed/", {"signed_only": "1"})
    assert not ApiToken.objects.get().signed_only


def test_states_are_told_apart(house, rosa):
    row, _ = whmcs(house)
    assert "In use" in rosa.get(PAGE).content.decode()
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(days=1))
    assert "Expired" in rosa.get(PAGE).content.decode()
    rosa.post(f"{PAGE}{row.pk}/revoke/")
    assert "Revoked" in rosa.get(PAGE).content.decode()
    page = rosa.get(f"{PAGE}{row.pk}/").content.decode()
    assert "New secret…" not in page
    assert "Revoke…" not in page
