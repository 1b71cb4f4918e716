"""API tokens: shown once, refused for every wrong thing alike, and never more than their scopes."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import RequestFactory
from django.utils import timezone
from tests.cast import a_cast

from doublehop.journal.models import Entry
from doublehop.organisations import actions
from doublehop.organisations.actions import TokenForm
from doublehop.organisations.actor import Duty
from doublehop.organisations.hosts import NOBODY, BrandView
from doublehop.organisations.models import ApiToken
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere
from doublehop.organisations.throttle import MOST_BY_CREDENTIAL
from doublehop.organisations.tokens import IdentityRefused, TooManyAttempts, actor_of_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast():
    cache.clear()
    return a_cast()


def request_from(address="192.0.2.7", brand=NOBODY):
    request = RequestFactory().get("/", REMOTE_ADDR=address)
    request.brand = brand
    return request


def text_of(row):
    return row.shown.reveal()


def test_the_text_is_told_once_and_kept_as_a_digest_only(cast):
    row = actions.create_token(cast.rosa, TokenForm("Shop", ["read", "billing"]), key="form")
    again = actions.create_token(cast.rosa, TokenForm("Shop", ["read", "billing"]), key="form")
    assert (again.pk, again.shown) == (row.pk, None)
    secret = text_of(row).rpartition("_")[2]
    assert secret not in str(ApiToken.objects.values().get())
    assert secret not in str(list(Entry.objects.values()))
    actor = actor_of_token(request_from(), text_of(row))
    assert (actor.organisation_id, actor.token_id) == (cast.alder.pk, row.pk)
    assert [duty for duty in Duty if actor.has(duty)] == [Duty.SELL]
    with pytest.raises(NotAllowed):
        actions.create_token(actor, TokenForm("Child", ["read"]))


def test_a_renewed_a_revoked_and_an_expired_token_are_refused(cast):
    row = actions.create_token(cast.rosa, TokenForm("Shop", ["read"]))
    renewed = actions.rotate_token(cast.rosa, row.pk)
    with pytest.raises(IdentityRefused):
        actor_of_token(request_from(), text_of(row))
    assert actor_of_token(request_from(), text_of(renewed)).token_id == row.pk
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(IdentityRefused):
        actor_of_token(request_from(), text_of(renewed))
    ApiToken.objects.update(expires_at=None)
    actions.revoke_token(cast.rosa, row.pk)
    with pytest.raises(IdentityRefused):
        actor_of_token(request_from(), text_of(renewed))


def test_it_is_used_from_its_networks_and_under_its_own_names(cast):
    row = actions.create_token(cast.rosa, TokenForm("Shop", ["read"], networks=["192.0.2.0/24"]))
    for brand in (NOBODY, BrandView(cast.alder.pk, "Alder"), BrandView(cast.provider.pk, "Northgate")):
        assert actor_of_token(request_from(brand=brand), text_of(row))
    for request in (request_from("198.51.100.1"), request_from(brand=BrandView(cast.birch.pk, "Birch"))):
        with pytest.raises(IdentityRefused):
            actor_of_token(request, text_of(row))


def test_guessing_waits(cast):
    row = actions.create_token(cast.rosa, TokenForm("Shop", ["read"]))
    wrong = text_of(row)[:-1] + ("a" if text_of(row)[-1] != "a" else "b")
    for _ in range(MOST_BY_CREDENTIAL):
        with pytest.raises(IdentityRefused):
            actor_of_token(request_from(), wrong)
    with pytest.raises(TooManyAttempts):
        actor_of_token(request_from(), text_of(row))
    assert actor_of_token(request_from("192.0.2.8"), text_of(row))


def test_others_do_not_find_it_and_others_clients_are_not_there(cast):
    row = actions.create_token(cast.rosa, TokenForm("Shop", ["read"]))
    with pytest.raises(NotHere):
        actions.revoke_token(cast.tam, row.pk)
    with pytest.raises(NotAllowed):
        actions.revoke_token(cast.ivo, row.pk)
    with pytest.raises(NotHere):
        actions.create_token(cast.rosa, TokenForm("Shop", ["read"], client_id=cast.juniper.pk))
    for scopes in ([], ["everything"]):
        with pytest.raises(BadInput):
            actions.create_token(cast.rosa, TokenForm("Shop", scopes))
