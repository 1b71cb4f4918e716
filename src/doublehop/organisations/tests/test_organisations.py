"""Who sees whom, who may make whom, and colours that can be read."""

import pytest
from django.db import DatabaseError, connection, transaction
from tests.cast import a_cast

from doublehop.journal.models import Entry
from doublehop.journal.queries import entries_for_client, entries_for_organisation
from doublehop.organisations import actions, contrast
from doublehop.organisations.models import Brand
from doublehop.organisations.queries import client, clients_visible_to, organisations_visible_to
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, WrongState

pytestmark = pytest.mark.django_db
LONG = "a-long-enough-password"


@pytest.fixture
def cast():
    return a_cast()


def test_staff_see_their_own_clients_only(cast):
    assert list(clients_visible_to(cast.rosa)) == [cast.quillfeather]
    assert list(clients_visible_to(cast.ines)) == []
    assert list(clients_visible_to(cast.lena)) == [cast.juniper]
    with pytest.raises(NotHere):
        client(cast.tam, cast.quillfeather.pk)


def test_staff_see_their_own_organisation_and_those_below(cast):
    assert list(organisations_visible_to(cast.ines)) == [cast.provider, cast.alder, cast.birch]
    assert list(organisations_visible_to(cast.rosa)) == [cast.alder]
    assert list(organisations_visible_to(cast.mara)) == []


def test_there_is_one_root(cast):
    with pytest.raises(WrongState):
        actions.create_root("Second", owner_name="X", owner_email="x@example.org", owner_password=LONG)


def test_a_provider_makes_a_reseller_and_its_first_owner_and_no_more(cast):
    cedar = actions.create_organisation(cast.ines, name="Cedar Racks")
    staff = {"organisation_id": cedar.pk, "name": "Ana Ruiz", "password": LONG}
    actions.create_staff(cast.ines, **staff, email="ana@cedar.example", role="owner")
    with pytest.raises(NotAllowed):
        actions.create_staff(cast.ines, **staff, email="bo@cedar.example", role="admin")
    with pytest.raises(NotHere):
        actions.create_staff(cast.tam, **staff, email="bo@cedar.example", role="admin")
    with pytest.raises(NotAllowed):
        actions.create_organisation(cast.ivo, name="Mine")


def test_client_numbers_count_up_within_an_organisation(cast):
    numbers = [actions.create_client(cast.rosa, name=f"Client {n}").number for n in range(3)]
    assert numbers == [1002, 1003, 1004]
    assert actions.create_client(cast.tam, name="Other").number == 1002
    with pytest.raises(NotAllowed):
        actions.create_client(cast.ivo, name="No")


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("name", {"name": " "}),
        ("name", {"name": "a\u202eb"}),
        ("email", {"email": "not an address"}),
        ("password", {"password": "short"}),
    ],
)
def test_a_bad_field_is_named(cast, field, values):
    good = {"name": "Nora", "email": "nora@quillfeather.example", "password": LONG}
    with pytest.raises(BadInput) as refused:
        actions.create_client_person(cast.rosa, client_id=cast.quillfeather.pk, **{**good, **values})
    assert refused.value.field == field


class TestBrand:
    GOOD = {
        "name": "Alder",
        "host": "panel.alder.example",
        "colour": "#0b6b5d",
        "colour_dark": "#5fd3bf",
        "support_email": "",
    }

    def test_it_is_kept(self, cast):
        actions.set_brand(cast.rosa, **self.GOOD, logo=b"\x89PNG\r\n\x1a\nrest")
        brand = Brand.objects.get(organisation=cast.alder)
        assert (brand.host, brand.logo_type) == ("panel.alder.example", "image/png")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("host", "https://panel.alder.example"),
            ("host", "panel.alder.example:8000"),
            ("host", "192.0.2.1"),
            ("colour", "red"),
            ("logo", b"<svg onload=alert(1)>"),
            ("logo", b"\x89PNG\r\n\x1a\n" + b"x" * 100_000),
        ],
    )
    def test_what_cannot_be_is_refused(self, cast, field, value):
        with pytest.raises(BadInput) as refused:
            actions.set_brand(cast.rosa, **{**self.GOOD, field: value})
        assert refused.value.field == field

    def test_a_colour_that_cannot_be_read_comes_with_one_that_can(self, cast):
        with pytest.raises(BadInput) as refused:
            actions.set_brand(cast.rosa, **{**self.GOOD, "colour": "#9be0d6"})
        shade = refused.value.sentence.rstrip(".").split()[-1]
        assert contrast.contrast(shade, "#ffffff") >= 4.5

    def test_a_host_belongs_to_one(self, cast):
        actions.set_brand(cast.rosa, **self.GOOD)
        with pytest.raises(BadInput) as refused:
            actions.set_brand(cast.tam, **self.GOOD)
        assert refused.value.field == "host"


class TestJournal:
    def test_the_database_itself_refuses_changes(self, cast):
        actions.create_client(cast.rosa, name="Nora")
        for statement in ("UPDATE journal_entry SET verb = 'x'", "DELETE FROM journal_entry"):
            with (
                pytest.raises(DatabaseError, match="append-only"),
                transaction.atomic(),
                connection.cursor() as cursor,
            ):
                cursor.execute(statement)
        entry = Entry.objects.get()
        with pytest.raises(TypeError):
            entry.save()

    def test_only_its_audience_reads_it(self, cast):
        row = actions.create_client(cast.rosa, name="Nora")
        assert [e.verb for e in entries_for_organisation(cast.alder.pk)] == ["client.created"]
        assert entries_for_organisation(cast.provider.pk) == []
        assert entries_for_organisation(cast.birch.pk) == []
        assert len(entries_for_client(row.pk)) == 1

    def test_it_pages_by_key(self, cast):
        for number in range(5):
            actions.create_client(cast.rosa, name=f"Client {number}")
        first = entries_for_organisation(cast.alder.pk, limit=2)
        second = entries_for_organisation(cast.alder.pk, limit=2, before_id=first[-1].pk)
        assert [e.target_label for e in (*first, *second)] == ["Client 4", "Client 3", "Client 2", "Client 1"]
        back = entries_for_organisation(cast.alder.pk, limit=2, after_id=second[0].pk)
        assert back == first
