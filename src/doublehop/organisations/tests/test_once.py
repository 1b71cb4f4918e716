"""A caller's key: the first answer for 30 days, and nothing happens a second time."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone
from tests.cast import a_cast

from doublehop.journal.models import Entry
from doublehop.organisations import actions
from doublehop.organisations.models import AnsweredKey, Client, ClientPerson
from doublehop.organisations.once import KEPT_FOR, once
from doublehop.organisations.refusals import BadInput, KeyReused, NotAllowed, NotHere
from doublehop.organisations.tests.one_moment import shared_by_threads, together
from doublehop.organisations.work import forget_keys

__all__ = ["shared_by_threads"]

pytestmark = pytest.mark.django_db
PERSON = {"name": "Nils Quill", "email": "nils@quillfeather.example", "password": "a-chosen-password"}


@pytest.fixture
def cast():
    return a_cast()


def lines(verb):
    return Entry.objects.filter(verb=verb).count()


def test_the_same_key_and_body_are_answered_with_the_first_row(cast):
    first = actions.create_client(cast.rosa, name="Larch Films", key="k")
    actions.update_client(cast.rosa, first.pk, name="Larch Pictures", email="")
    again = actions.create_client(cast.rosa, name="Larch Films", key="k")
    assert (again.pk, again.name) == (first.pk, "Larch Pictures")
    assert lines("client.created") == 1
    assert actions.create_client(cast.rosa, name="Larch Films", key="l").pk != first.pk
    assert (
        actions.create_client(cast.rosa, name="Larch Films").pk
        != actions.create_client(cast.rosa, name="Larch Films").pk
    )  # nobody asked for once


def test_another_body_and_another_action_are_refused(cast):
    actions.create_client(cast.rosa, name="Larch Films", key="k")
    with pytest.raises(KeyReused) as caught:
        actions.create_client(cast.rosa, name="Larch Records", key="k")
    assert (caught.value.http_status, caught.value.code) == (409, "key_reused")
    with pytest.raises(KeyReused):
        actions.open_leap_account(cast.rosa, cast.alder.pk, key="k")
    assert Client.objects.filter(name="Larch Records").count() == 0


def test_keys_of_two_callers_are_two_keys(cast):
    first = actions.create_client(cast.rosa, name="Larch Films", key="k")
    other = actions.create_client(cast.tam, name="Fen Tools", key="k")
    assert first.pk != other.pk


def test_the_first_answer_is_read_with_the_eyes_of_now(cast):
    person = actions.create_client_person(cast.rosa, client_id=cast.quillfeather.pk, **PERSON, key="k")
    assert (
        actions.create_client_person(cast.rosa, client_id=cast.quillfeather.pk, **PERSON, key="k") == person
    )
    ClientPerson.objects.filter(pk=person.pk).update(client=cast.juniper)
    with pytest.raises(NotHere):
        actions.create_client_person(cast.rosa, client_id=cast.quillfeather.pk, **PERSON, key="k")


def test_a_refusal_is_not_kept(cast):
    with pytest.raises(BadInput):
        actions.create_client(cast.rosa, name="", key="k")
    with pytest.raises(NotAllowed):
        actions.create_client(cast.ivo, name="Larch Films", key="k")
    assert not AnsweredKey.objects.exists()
    assert actions.create_client(cast.rosa, name="Larch Films", key="k").name == "Larch Films"


@pytest.mark.parametrize("key", ["k" * 121, "k\n", "schlüssel"])
def test_what_is_no_key_is_refused(cast, key):
    with pytest.raises(BadInput) as caught:
        actions.create_client(cast.rosa, name="Larch Films", key=key)
    assert caught.value.field == "key"


def test_an_action_without_an_answer_happens_once(cast):
    actions.open_leap_account(cast.rosa, cast.alder.pk)
    for _ in range(2):
        assert actions.rotate_leap_secret(cast.rosa, "pin", key="k") is None
    assert lines("leap_account.rotated") == 1


def test_nothing_of_the_body_can_be_read_from_what_is_kept(cast, settings):
    body = {"client_id": cast.quillfeather.pk, **PERSON}
    actions.create_client_person(cast.rosa, **body, key="k")
    row = AnsweredKey.objects.get()
    assert not {PERSON["password"], PERSON["email"], PERSON["name"]} & set(map(str, vars(row).values()))
    with pytest.raises(KeyReused):
        actions.create_client_person(cast.rosa, **{**body, "password": "another-password"}, key="k")
    # Whoever reads the database and does not have the installation's key cannot try passwords against it.
    settings.SECRET_KEY = "guessed" * 8
    with pytest.raises(KeyReused):
        actions.create_client_person(cast.rosa, **body, key="k")


def test_answers_are_kept_for_thirty_days(cast):
    first = actions.create_client(cast.rosa, name="Larch Films", key="k")
    with time_machine.travel(timezone.now() + KEPT_FOR - timedelta(minutes=1)):
        forget_keys({})
        assert actions.create_client(cast.rosa, name="Larch Films", key="k") == first
    with time_machine.travel(timezone.now() + KEPT_FOR + timedelta(minutes=1)):
        forget_keys({})
        assert not AnsweredKey.objects.exists()


def test_a_default_said_aloud_is_the_same_body(cast):
    """As after an update that gives an action one more parameter, which the first request could not name."""
    first = actions.create_client(cast.rosa, name="Larch Films", key="k")
    assert actions.create_client(cast.rosa, name="Larch Films", email="", key="k") == first
    with pytest.raises(KeyReused):
        actions.create_client(cast.rosa, name="Larch Films", email="a@larch.example", key="k")


def test_an_action_without_the_parameter_cannot_be_marked():
    with pytest.raises(TypeError, match="takes no key"):
        once("nothing.done")(lambda actor: None)


def test_what_cannot_be_compared_fails_loudly(cast):
    @once("thing.done")
    def do(actor, thing, *, key=""):
        return None

    with pytest.raises(TypeError, match="object cannot be compared"):
        do(cast.rosa, object(), key="k")


# ---------------------------------------------------------------- truly at the same moment


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("shared_by_threads")
class TestOneMoment:
    def test_one_press_by_many_threads_is_one_deed(self, cast):
        same = together(*[lambda: actions.create_client(cast.rosa, name="Larch Films", key="k")] * 6)
        assert {type(one) for one in same} == {Client}, same
        assert len({client.pk for client in same}) == 1
        (found,) = together(
            lambda: (Client.objects.filter(name="Larch Films").count(), lines("client.created"))
        )
        assert found == (1, 1)

    def test_of_many_bodies_under_one_key_one_wins(self, cast):
        mixed = together(
            *[lambda n=n: actions.create_client(cast.rosa, name=f"Larch {n}", key="k") for n in range(5)]
        )
        assert sorted(type(one).__name__ for one in mixed) == ["Client", *["KeyReused"] * 4], mixed

    def test_after_a_refusal_the_one_that_waited_is_heard(self, cast):
        """Two that would make the same sign-in: of two keys, so that one is refused, and keeps nothing."""

        def add(key):
            return actions.add_tandem_user(cast.rosa, **PERSON, key=key)

        mixed = together(*[lambda n=n: add(f"k{n % 2}") for n in range(4)])
        assert {type(one).__name__ for one in mixed} == {"TandemUser", "BadInput"}, mixed
        (found,) = together(lambda: list(AnsweredKey.objects.values_list("verb", flat=True)))
        assert found == ["tandem_user.add"]
