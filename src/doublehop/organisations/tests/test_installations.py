"""Signed calls and sign-in links of truly the same moment: one of each is taken. (What a call is told: api/tests.)"""

import pytest
from tests.cast import a_cast

from doublehop.journal.models import Entry
from doublehop.organisations import actions
from doublehop.organisations.actions import TokenForm
from doublehop.organisations.actions.installations import (
    OtherInstallationCalled,
    hold_to_installation,
    use_nonce,
)
from doublehop.organisations.actions.sign_in_links import use_link
from doublehop.organisations.models import SignInLink
from doublehop.organisations.queries import actor_of_token_id
from doublehop.organisations.tests.one_moment import shared_by_threads, together

__all__ = ["shared_by_threads"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cast():
    return a_cast()


@pytest.fixture
def row(cast):
    return actions.create_token(cast.rosa, TokenForm("Shop", ["billing"], billing_system="WHMCS"))


def test_one_call_sent_many_times_at_once_is_taken_once(row, shared_by_threads):
    for nonce in ("the-first-nonce-of-all", "the-second-nonce-of-all"):
        assert sorted(together(*[lambda nonce=nonce: use_nonce(row.pk, nonce)] * 8)) == [False] * 7 + [True]


def test_of_two_installations_that_call_first_at_once_one_is_bound(row, shared_by_threads):
    def call(fingerprint):
        hold_to_installation(
            row, fingerprint, "192.0.2.7"
        )  # ``row`` as each of them read it: bound to nobody
        return fingerprint

    came = together(*[lambda name=name: call(name) for name in ("original", "the-copy") * 3])
    bound = {one for one in came if isinstance(one, str)}
    assert (len(bound), len(came)) == (1, 6)
    assert [type(one) for one in came if not isinstance(one, str)] == [OtherInstallationCalled] * 3
    told = together(
        lambda: sorted(Entry.objects.filter(verb__startswith="api_token.").values_list("verb", flat=True))
    )
    assert told == [["api_token.bound", "api_token.created", "api_token.other_installation"]]


@pytest.fixture
def link(cast, row):
    made = actions.make_sign_in_link(actor_of_token_id(row.pk), cast.quillfeather.pk)
    related = SignInLink.objects.select_related("user__client_person__client__organisation", "client")
    return related.get(pk=made.pk)


def test_a_link_that_is_opened_many_times_at_once_signs_in_once(link, shared_by_threads):
    assert sorted(together(*[lambda: use_link(link)] * 6)) == [False] * 5 + [True]
