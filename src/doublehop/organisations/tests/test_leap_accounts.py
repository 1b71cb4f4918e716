"""Machine identities: all parts must fit, nobody learns why not, and a stranger elsewhere locks nobody out."""

import threading

import pytest
import time_machine
from django.test import RequestFactory
from django.utils import timezone
from tests.cast import PASSWORD, a_cast

from doublehop.driver_kit.secret import Secret
from doublehop.journal.models import Entry
from doublehop.organisations import actions, hosts, machine_identity
from doublehop.organisations.actor import SYSTEM, ActorKind
from doublehop.organisations.digests import digest_of
from doublehop.organisations.machine_identity import (
    IdentityRefused,
    TooManyAttempts,
    dropzone_actor,
    leap_actor,
    pin_fits,
)
from doublehop.organisations.models import LeapAccount
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, WrongState
from doublehop.organisations.throttle import MOST_BY_CREDENTIAL, MOST_BY_SOURCE

pytestmark = pytest.mark.django_db
TANDEM = {"name": "Night shift", "email": "noc@alder.example", "password": "a-chosen-password"}


@pytest.fixture
def cast():
    return a_cast()


@pytest.fixture
def account(cast):
    return actions.open_leap_account(SYSTEM, cast.alder.pk)


@pytest.fixture
def secrets(cast, account):
    return actions.show_leap_secrets(cast.rosa, PASSWORD)


def asking(source="192.0.2.1", brand=hosts.NOBODY):
    request = RequestFactory().get("/", REMOTE_ADDR=source)
    request.brand = brand
    return request


def all_three(account, secrets, **changed):
    return {
        "user": account.username,
        "password": secrets["password"],
        "api_key": secrets["api_key"],
        **changed,
    }


def test_every_new_reseller_has_one(cast):
    row = actions.create_organisation(cast.ines, name="Cedar Servers")
    account = LeapAccount.objects.get(organisation=row)
    assert account.username == "cedar-servers"
    assert account.client_id.isdigit()
    twin = actions.create_organisation(cast.ines, name="Cedar servers!")
    assert LeapAccount.objects.get(organisation=twin).username.startswith("cedar-servers-")


def test_it_is_opened_once_by_its_own_staff_and_never_at_the_root(cast):
    with pytest.raises(NotAllowed):
        actions.open_leap_account(cast.ivo, cast.alder.pk)
    with pytest.raises(NotHere):
        actions.open_leap_account(cast.tam, cast.alder.pk)
    with pytest.raises(NotHere):
        actions.open_leap_account(cast.mara, cast.alder.pk)
    actions.open_leap_account(cast.rosa, cast.alder.pk)
    with pytest.raises(WrongState, match="already"):
        actions.open_leap_account(cast.rosa, cast.alder.pk)
    with pytest.raises(WrongState, match="Nobody stands above"):
        actions.open_leap_account(cast.ines, cast.provider.pk)


def test_no_secret_stands_in_the_table(account, secrets):
    row = LeapAccount.objects.filter(pk=account.pk).values().get()
    assert set(secrets) == {"password", "api_key", "pin"}
    assert not [text for text in secrets.values() if text in str(row)]


def test_secrets_are_shown_after_the_own_password_and_the_journal_knows(cast, account):
    with pytest.raises(BadInput, match="not your password"):
        actions.show_leap_secrets(cast.rosa, "wrong")
    with pytest.raises(NotAllowed):
        actions.show_leap_secrets(cast.ivo, PASSWORD)
    with pytest.raises(NotHere):
        actions.show_leap_secrets(cast.tam, PASSWORD)
    assert len(actions.show_leap_secrets(cast.rosa, PASSWORD)["pin"]) == 8
    assert Entry.objects.filter(verb="leap_account.shown").count() == 1


def test_guessing_the_own_password_ends(cast, account):
    for _ in range(MOST_BY_CREDENTIAL):
        with pytest.raises(BadInput, match="not your password"):
            actions.show_leap_secrets(cast.rosa, "wrong")
    with pytest.raises(BadInput, match="five minutes"):
        actions.show_leap_secrets(cast.rosa, PASSWORD)


def test_username_or_client_id_with_password_and_key(cast, account, secrets):
    for user in (account.username, account.client_id):
        actor = leap_actor(asking(), **all_three(account, secrets, user=user))
        assert (actor.kind, actor.organisation_id, actor.user_id) == (ActorKind.LEAP, cast.alder.pk, None)
        assert actor.is_staff
    account.refresh_from_db()
    assert account.last_used_at is not None


@pytest.mark.parametrize("wrong", ["user", "password", "api_key"])
def test_each_of_the_three_must_fit(account, secrets, wrong):
    for text in ("", "x", "\0", "ü" * 500):
        with pytest.raises(IdentityRefused):
            leap_actor(asking(), **all_three(account, secrets, **{wrong: text}))


def test_dropzone_takes_two_pairs_and_mixes_none(account, secrets):
    assert dropzone_actor(asking(), user=account.username, secret=secrets["password"]).is_staff
    assert dropzone_actor(asking(), user=account.client_id, secret=secrets["api_key"]).is_staff
    for user, secret in (
        (account.username, secrets["api_key"]),
        (account.client_id, secrets["password"]),
        (account.username, secrets["pin"]),
        ("", ""),
    ):
        with pytest.raises(IdentityRefused):
            dropzone_actor(asking(), user=user, secret=secret)


def test_under_the_name_of_another_brand_nobody_is_known(cast, account, secrets):
    for organisation, known in ((cast.provider, True), (cast.birch, False), (cast.alder, False)):
        brand = hosts.view_of(organisation.brand)
        if known:
            assert leap_actor(asking(brand=brand), **all_three(account, secrets)).is_staff
        else:
            with pytest.raises(IdentityRefused):
                leap_actor(asking(brand=brand), **all_three(account, secrets))


@pytest.mark.parametrize("which", ["password", "api_key", "pin"])
def test_each_secret_is_rotated_alone(cast, account, secrets, which):
    actions.rotate_leap_secret(cast.rosa, which)
    fresh = actions.show_leap_secrets(cast.rosa, PASSWORD)
    assert {name for name in fresh if fresh[name] != secrets[name]} == {which}
    assert pin_fits(asking(), cast.rosa, fresh["pin"])
    assert pin_fits(asking(), cast.rosa, secrets["pin"]) is (which != "pin")
    if which != "pin":
        with pytest.raises(IdentityRefused):
            leap_actor(asking(), **all_three(account, secrets))
    assert leap_actor(asking(), **all_three(account, fresh)).is_staff


def test_after_another_secret_key_the_digests_are_made_anew(account, secrets, settings):
    settings.SECRET_KEY = "another-" + "y" * 40
    with pytest.raises(IdentityRefused):
        leap_actor(asking(), **all_three(account, secrets))
    assert actions.refresh_digests() == 1
    assert leap_actor(asking(), **all_three(account, secrets)).is_staff
    assert digest_of(Secret("a")) != digest_of(Secret("b"))


def test_a_stranger_locks_out_nobody_but_itself(cast, account, secrets):
    for _ in range(MOST_BY_CREDENTIAL):
        with pytest.raises(IdentityRefused):
            leap_actor(asking("203.0.113.9"), **all_three(account, secrets, password="guess"))
    with pytest.raises(TooManyAttempts) as caught:
        leap_actor(asking("203.0.113.9"), **all_three(account, secrets))
    assert caught.value.retry_after > 0
    assert leap_actor(asking("192.0.2.1"), **all_three(account, secrets)).is_staff
    line = Entry.objects.get(verb="sign_in.failed")
    assert "203.0.113.9" in line.sentence
    assert "guess" not in str(vars(line))


def test_a_source_that_tries_many_names_waits_too(cast, account, secrets):
    for number in range(MOST_BY_SOURCE):
        with pytest.raises(IdentityRefused):
            dropzone_actor(asking("203.0.113.9"), user=f"name-{number}", secret="x")
    with pytest.raises(TooManyAttempts):
        dropzone_actor(asking("203.0.113.9"), user=account.username, secret=secrets["password"])


class TestTandem:
    @pytest.fixture
    def night(self, cast):
        return actions.add_tandem_user(cast.rosa, **TANDEM)

    def test_who_may_make_one_and_what_it_needs(self, cast):
        with pytest.raises(NotAllowed):
            actions.add_tandem_user(cast.ivo, **TANDEM)
        with pytest.raises(NotHere):
            actions.add_tandem_user(cast.mara, **TANDEM)
        for wrong in ({"name": " "}, {"email": "no"}, {"password": "short"}):
            with pytest.raises(BadInput) as caught:
                actions.add_tandem_user(cast.rosa, **{**TANDEM, **wrong})
            assert caught.value.field == next(iter(wrong))
        actions.add_tandem_user(cast.rosa, **TANDEM)
        with pytest.raises(BadInput, match="already"):
            actions.add_tandem_user(cast.rosa, **{**TANDEM, "email": "ROSA@alder.example"})
        # Another reseller may know the same person.
        actions.add_tandem_user(cast.tam, **TANDEM)

    def test_it_is_known_by_address_and_password(self, cast, night):
        actor = dropzone_actor(asking(), user="NOC@alder.example ", secret=TANDEM["password"])
        assert (actor.kind, actor.tandem_user_id) == (ActorKind.TANDEM, night.pk)
        assert not actor.is_staff
        for user, secret in (("noc@alder.example", "wrong"), ("nobody@alder.example", TANDEM["password"])):
            with pytest.raises(IdentityRefused):
                dropzone_actor(asking(), user=user, secret=secret)

    def test_a_success_is_remembered_and_forgotten_on_change(self, cast, night, monkeypatch):
        hashed = []
        real = machine_identity.check_password

        def counting(*args):
            hashed.append(1)
            return real(*args)

        monkeypatch.setattr(machine_identity, "check_password", counting)
        ask = {"user": "noc@alder.example", "secret": TANDEM["password"]}
        for _ in range(3):
            dropzone_actor(asking(), **ask)
        assert len(hashed) == 1
        changed = {"name": "Night", "email": "noc@alder.example", "password": "another-chosen-one"}
        actions.edit_tandem_user(cast.rosa, night.pk, **changed)
        with pytest.raises(IdentityRefused):
            dropzone_actor(asking(), **ask)
        assert dropzone_actor(asking(), user="noc@alder.example", secret="another-chosen-one").is_tandem

    def test_wrong_passwords_do_not_wait_in_line_for_a_core(self, night, monkeypatch):
        monkeypatch.setattr(machine_identity, "LONGEST_WAIT_FOR_HASHING", 0.05)
        assert machine_identity._hashing.acquire()
        try:
            with pytest.raises(TooManyAttempts) as caught:
                dropzone_actor(asking(), user="noc@alder.example", secret="x")
        finally:
            machine_identity._hashing.release()
        assert caught.value.retry_after == 1

    def test_a_storm_takes_no_more_threads_than_two(self, night, monkeypatch):
        line = threading.BoundedSemaphore(machine_identity.MOST_AT_HASHING)
        monkeypatch.setattr(machine_identity, "_in_line", line)
        ask = {"user": "noc@alder.example", "secret": TANDEM["password"]}
        assert line.acquire()
        assert dropzone_actor(asking(), **ask).is_tandem
        assert line.acquire()
        with pytest.raises(TooManyAttempts):
            dropzone_actor(asking(), user="noc@alder.example", secret="x")
        # Whoever was known a moment ago needs no turn.
        assert dropzone_actor(asking(), **ask).is_tandem

    def test_who_waited_for_the_same_password_hashes_it_no_more(self, night, monkeypatch):
        monkeypatch.setattr(machine_identity, "check_password", lambda *_: pytest.fail("hashed again"))
        seen = iter([[], [night]])
        monkeypatch.setattr(machine_identity, "_known", lambda *_: next(seen))
        assert dropzone_actor(asking(), user="noc@alder.example", secret=TANDEM["password"]).is_tandem

    def test_who_goes_on_asking_is_hashed_once(self, night, monkeypatch):
        ask = {"user": "noc@alder.example", "secret": TANDEM["password"]}
        with time_machine.travel(timezone.now(), tick=False) as clock:
            dropzone_actor(asking(), **ask)
            monkeypatch.setattr(machine_identity, "check_password", lambda *_: pytest.fail("hashed again"))
            for _ in range(3):
                clock.shift(machine_identity.REMEMBERED_SECONDS - 5)
                assert dropzone_actor(asking(), **ask).is_tandem

    def test_two_with_the_same_address_and_password_are_nobody_on_a_shared_host(self, cast, night):
        actions.add_tandem_user(cast.tam, **TANDEM)
        with pytest.raises(IdentityRefused):
            dropzone_actor(asking(), user="noc@alder.example", secret=TANDEM["password"])

    def test_one_that_ended_is_nobody_and_its_address_is_free(self, cast, night):
        dropzone_actor(asking(), user="noc@alder.example", secret=TANDEM["password"])
        actions.end_tandem_user(cast.rosa, night.pk)
        with pytest.raises(IdentityRefused):
            dropzone_actor(asking(), user="noc@alder.example", secret=TANDEM["password"])
        with pytest.raises(NotHere):
            actions.edit_tandem_user(cast.rosa, night.pk, name="x", email="x@alder.example")
        actions.add_tandem_user(cast.rosa, **TANDEM)

    def test_foreign_ones_are_not_there(self, cast, night):
        with pytest.raises(NotHere):
            actions.edit_tandem_user(cast.tam, night.pk, name="x", email="x@alder.example")
        with pytest.raises(NotHere):
            actions.end_tandem_user(cast.ines, night.pk)


class TestStaffThroughPrograms:
    def test_the_account_makes_staff_and_never_an_owner(self, cast, account, secrets):
        actor = leap_actor(asking(), **all_three(account, secrets))
        person = {"name": "Nia Frost", "email": "nia@alder.example", "password": "quite-long-enough"}
        made = actions.create_staff(actor, organisation_id=cast.alder.pk, role="read_only", **person)
        with pytest.raises(NotAllowed):
            actions.update_staff(actor, made.pk, name="Nia", email="nia@alder.example", role="owner")
        actions.update_staff(actor, made.pk, name="Nia", email="nia@alder.example", role="support")
        made.refresh_from_db()
        assert made.role == "support"
        rosa = cast.alder.staff.get(role="owner")
        with pytest.raises(NotAllowed):
            actions.update_staff(
                actor, rosa.pk, name="Rosa", email="rosa@alder.example", password="taken-over-1"
            )
        with pytest.raises(WrongState, match="needs an owner"):
            actions.update_staff(cast.rosa, rosa.pk, name="Rosa", email="rosa@alder.example", role="admin")
