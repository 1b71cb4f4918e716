"""API tokens of a client: made and revoked by its people, for what is theirs, and no more than the buttons do."""

import re

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from doublehop.journal.models import Entry
from doublehop.organisations import actions
from doublehop.organisations.actions import TokenForm
from doublehop.organisations.actions.tokens import MOST_OF_A_CLIENT
from doublehop.organisations.models import ApiToken
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere

pytestmark = pytest.mark.django_db
PAGE = "/api-tokens/"
TEXT = re.compile(r"dh_[A-Za-z0-9]{10}_[A-Za-z0-9]{40}")


@pytest.fixture(autouse=True)
def _no_counts():
    cache.clear()


def make(mara, **data):
    return mara.post(PAGE, {"name": "Own script", "read": "1", "key": "form", **data})


def test_a_token_reaches_what_is_theirs(house, mara):
    answer = make(mara, operate="1")
    (text,) = set(TEXT.findall(answer.content.decode()))
    assert answer["Cache-Control"] == "no-store"
    row = ApiToken.objects.get()
    assert (row.client_id, row.billing_system, row.scopes) == (
        house.cast.quillfeather.pk,
        "",
        ["read", "operate"],
    )
    program = Client(headers={"Authorization": f"Bearer {text}"})
    found = program.get("/api/v1/services").json()["items"]
    assert {one["client_id"] for one in found} == {house.cast.quillfeather.pk}
    assert text not in mara.get(PAGE).content.decode()
    assert "http://testserver/api/v1/" in mara.get(PAGE).content.decode()
    (line,) = Entry.objects.filter(verb="api_token.created")
    assert (line.actor_label, line.client_id) == (house.cast.mara.label, house.cast.quillfeather.pk)


def test_the_menu_leads_there_and_the_page_is_empty_at_first(mara):
    assert f'href="{PAGE}"' in mara.get("/servers/").content.decode()
    assert "No API token yet" in mara.get(PAGE).content.decode()


def test_it_is_revoked_and_only_their_own_are_there(house, mara):
    make(mara)
    row = ApiToken.objects.get()
    ours = actions.create_token(house.cast.rosa, TokenForm("The house’s", ["read"]))
    larch = actions.create_client(house.cast.rosa, name="Larch Films")
    others = actions.create_token(house.cast.rosa, TokenForm("Larch’s", ["read"], client_id=larch.pk))
    html = mara.get(PAGE).content.decode()
    assert "The house" not in html
    assert "Larch" not in html
    for foreign in (ours, others):
        assert mara.post(f"{PAGE}{foreign.pk}/revoke/").status_code == 404
        assert ApiToken.objects.get(pk=foreign.pk).revoked_at is None
    assert mara.post(f"{PAGE}{row.pk}/revoke/").status_code == 302
    assert ApiToken.objects.get(pk=row.pk).revoked_at is not None
    assert "Revoked" in mara.get(PAGE).content.decode()


def test_one_that_staff_made_for_them_is_theirs_to_revoke(house, mara):
    row = actions.create_token(
        house.cast.rosa, TokenForm("Monitoring", ["read"], client_id=house.cast.quillfeather.pk)
    )
    assert "Monitoring" in mara.get(PAGE).content.decode()
    mara.post(f"{PAGE}{row.pk}/revoke/")
    assert ApiToken.objects.get().revoked_at is not None


@pytest.mark.parametrize(
    "data",
    [
        {"read": ""},
        {"name": ""},
        {"networks": "everywhere"},
        {"expires_on": "2001-01-01"},
        {"expires_on": "soon"},
    ],
)
def test_what_is_wrong_is_said(mara, data):
    answer = make(mara, **data)
    assert answer.status_code == 422
    assert "Not saved" in answer.content.decode()
    assert not ApiToken.objects.exists()


def test_they_give_no_more_than_they_may(house, mara):
    """Whatever a form says: no billing, no billing system, nobody else's token."""
    make(mara, billing="1", billing_system="WHMCS", signed_only="1", client_id="1")
    row = ApiToken.objects.get()
    assert (row.scopes, row.billing_system, row.client_id) == (["read"], "", house.cast.quillfeather.pk)
    with pytest.raises(BadInput):
        actions.create_token(house.cast.mara, TokenForm("Mine", ["billing"]))
    form = TokenForm("Mine", ["read"], client_id=house.cast.juniper.pk, billing_system="WHMCS")
    row = actions.create_token(house.cast.mara, form)
    assert (row.client_id, row.billing_system) == (house.cast.quillfeather.pk, "")
    with pytest.raises(NotHere):
        actions.rotate_token(house.cast.mara, row.pk)
    with pytest.raises(NotHere):
        actions.choose_signed_only(house.cast.mara, row.pk, signed_only=False)


def test_a_program_of_theirs_makes_no_further_one(house, mara):
    make(mara, operate="1")
    from_token = house.cast.mara.__class__(
        kind=house.cast.mara.kind,
        label="API token",
        organisation_id=house.cast.alder.pk,
        client_id=house.cast.quillfeather.pk,
        token_id=ApiToken.objects.get().pk,
    )
    with pytest.raises((NotHere, NotAllowed)):
        actions.create_token(from_token, TokenForm("Child", ["read"]))
    with pytest.raises((NotHere, NotAllowed)):
        actions.revoke_token(from_token, ApiToken.objects.get().pk)


def test_twenty_are_enough(house, mara):
    for number in range(MOST_OF_A_CLIENT):
        make(mara, key=f"form-{number}")
    answer = make(mara, key="one-more")
    assert answer.status_code == 409
    assert "Revoke one first" in answer.content.decode()
    assert ApiToken.objects.count() == MOST_OF_A_CLIENT
    ApiToken.objects.filter(pk=ApiToken.objects.first().pk).update(revoked_at=timezone.now())
    assert make(mara, key="one-more").status_code == 200
