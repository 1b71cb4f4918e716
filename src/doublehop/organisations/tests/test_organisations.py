"""Who sees whom, who may make whom, and colours that can be read."""

import dataclasses

import pytest
from django.db import IntegrityError, transaction
from django.db.models import Max
from hypothesis import given
from hypothesis import strategies as st
from tests.cast import a_cast

from doublehop.journal.queries import entries_for_client, entries_for_organisation
from doublehop.organisations import actions, contrast, hosts
from doublehop.organisations.actor import SYSTEM, ActorKind, Role
from doublehop.organisations.models import Brand, Client, Organisation, User
from doublehop.organisations.queries import (
    ancestor_ids,
    client,
    clients_visible_to,
    logo_of,
    organisations_visible_to,
    people_of,
    staff_visible_to,
)
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
    with pytest.raises(IntegrityError), transaction.atomic():
        Organisation.objects.create(name="Second", path="/0/")


def test_a_provider_makes_a_reseller_and_its_first_owner_and_no_more(cast):
    cedar = actions.create_organisation(cast.ines, name="Cedar Racks")
    staff = {"organisation_id": cedar.pk, "name": "Ana Ruiz", "password": LONG}
    with pytest.raises(BadInput):
        actions.create_staff(cast.ines, **staff, email="ana@cedar.example", role="read_only")
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


def test_two_who_count_at_the_same_moment_get_two_numbers(cast, monkeypatch):
    """Another process took the number between our look and our write; our second look sees its client."""
    real, taken = Client.save, []

    def save(self, *args, **kwargs):
        if not taken:
            taken.append(self.number)
            raise IntegrityError
        real(self, *args, **kwargs)

    def look_again(name):
        for number in taken:
            Client.objects.bulk_create([Client(organisation=cast.alder, number=number, name="The quicker")])
        return Max(name)

    monkeypatch.setattr(Client, "save", save)
    monkeypatch.setattr(actions.organisations, "Max", look_again)
    assert actions.create_client(cast.rosa, name="Nora").number == taken[0] + 1
    assert sorted(clients_visible_to(cast.rosa).values_list("number", flat=True)) == [1001, 1002, 1003]


def test_a_race_that_never_ends_is_no_client(cast, monkeypatch):
    def save(self, *args, **kwargs):
        raise IntegrityError

    monkeypatch.setattr(Client, "save", save)
    with pytest.raises(IntegrityError):
        actions.create_client(cast.rosa, name="Nora")
    assert entries_for_organisation(cast.alder.pk) == []


PEOPLE = ("ines", "rosa", "ivo", "tam", "mara", "lena")


@pytest.mark.parametrize("person", PEOPLE)
def test_who_sees_whom(cast, person):
    actor = getattr(cast, person)
    home = {"ines": "provider", "rosa": "alder", "ivo": "alder", "tam": "birch"}.get(person)
    organisations = {"ines": ["provider", "alder", "birch"], None: []}.get(person, [home] if home else [])
    clients = {"rosa": ["quillfeather"], "ivo": ["quillfeather"], "mara": ["quillfeather"], "ines": []}
    assert set(organisations_visible_to(actor)) == {getattr(cast, name) for name in organisations}
    assert set(clients_visible_to(actor)) == {getattr(cast, n) for n in clients.get(person, ["juniper"])}
    colleagues = {"alder": {"Rosa Lind", "Ivo Park"}, "provider": {"Ines Holt"}, "birch": {"Tam Okoye"}}
    assert {s.user.name for s in staff_visible_to(actor)} == colleagues.get(home, set())
    for row in (cast.quillfeather, cast.juniper):
        if row in clients_visible_to(actor):
            assert people_of(actor, row.pk).count() == 1
        else:
            with pytest.raises(NotHere):
                people_of(actor, row.pk)


def test_the_system_sees_everybody(cast):
    assert organisations_visible_to(SYSTEM).count() == 3
    assert clients_visible_to(SYSTEM).count() == 2


def test_an_organisation_whose_path_begins_alike_is_not_below(cast):
    """/1/2/ is not above /1/20/: the path ends with a stroke."""
    twin = actions.create_organisation(cast.ines, name="Twin")
    type(twin).objects.filter(pk=twin.pk).update(path=cast.alder.path[:-1] + "0/")
    assert twin not in organisations_visible_to(cast.rosa)


def test_ancestors_come_from_the_root_down(cast):
    assert ancestor_ids(cast.alder.pk) == [cast.provider.pk, cast.alder.pk]


WRITES = {
    "create_organisation": lambda actor, cast: actions.create_organisation(actor, name="X"),
    "create_staff": lambda actor, cast: actions.create_staff(
        actor, organisation_id=cast.alder.pk, name="X", email="x@alder.example", password=LONG, role="support"
    ),
    "set_brand": lambda actor, cast: actions.set_brand(actor, **TestBrand.GOOD),
    "create_client": lambda actor, cast: actions.create_client(actor, name="X"),
    "update_client": lambda actor, cast: actions.update_client(
        actor, cast.quillfeather.pk, name="Y", email=""
    ),
    "create_client_person": lambda actor, cast: actions.create_client_person(
        actor, client_id=cast.quillfeather.pk, name="X", email="x@quillfeather.example", password=LONG
    ),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("role", Role)
def test_what_a_role_reaches(cast, write, role):
    reached = {
        Role.OWNER: set(WRITES),
        Role.ADMIN: set(WRITES),
        Role.BILLING: {"create_client", "update_client", "create_client_person"},
    }.get(role, set())
    actor = dataclasses.replace(cast.rosa, role=role)
    if write in reached:
        WRITES[write](actor, cast)
    else:
        with pytest.raises(NotAllowed):
            WRITES[write](actor, cast)


@pytest.mark.parametrize("write", WRITES)
def test_a_client_writes_none_of_it(cast, write):
    assert cast.mara.kind is ActorKind.CLIENT
    with pytest.raises(NotHere):
        WRITES[write](cast.mara, cast)


@pytest.mark.parametrize("write", ["create_staff", "update_client", "create_client_person"])
def test_another_reseller_reaches_none_of_it(cast, write):
    with pytest.raises(NotHere):
        WRITES[write](cast.tam, cast)


def test_an_admin_does_not_make_an_owner(cast):
    admin = dataclasses.replace(cast.rosa, role=Role.ADMIN)
    with pytest.raises(NotAllowed):
        actions.create_staff(
            admin,
            organisation_id=cast.alder.pk,
            name="X",
            email="x@alder.example",
            password=LONG,
            role="owner",
        )


def test_a_sign_in_is_kept_by_brand_and_address(cast):
    person = actions.create_client_person(
        cast.rosa,
        client_id=cast.quillfeather.pk,
        name=" Nora  Quill ",
        email=" Nora@Quillfeather.example ",
        password=LONG,
    )
    assert person.user.name == "Nora Quill"
    assert person.user.sign_in == f"{cast.alder.pk}:nora@quillfeather.example"


def test_colours_are_a_persons_own_choice(cast):
    actions.set_colours(cast.mara, "dark")
    assert User.objects.get(pk=cast.mara.user_id).colours == "dark"
    for actor, colours in ((cast.mara, "pink"), (SYSTEM, "dark")):
        with pytest.raises(BadInput):
            actions.set_colours(actor, colours)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("name", {"name": " "}),
        ("name", {"name": "a\u202eb"}),
        ("name", {"name": "a\x00b"}),
        ("name", {"name": "N" * 121}),
        ("email", {"email": "not an address"}),
        ("email", {"email": "n@" + "x." * 130 + "example"}),
        ("email", {"email": "MARA@quillfeather.example"}),
        ("password", {"password": "1029384756"}),
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
            ("host", "panel"),
            ("host", "panel..example"),
            ("host", "127.0.0.1"),
            ("host", "shared.northgate.example"),
            ("colour_dark", "#5fd3b"),
            ("support_email", "help"),
            ("name", "A" * 81),
            ("logo", b"GIF89a"),
            ("logo", b"RIFF0000WAVE"),
            ("colour", "red"),
            ("logo", b"<svg onload=alert(1)>"),
            ("logo", b"\x89PNG\r\n\x1a\n" + b"x" * 100_000),
        ],
    )
    def test_what_cannot_be_is_refused(self, cast, settings, field, value):
        settings.DOUBLEHOP_SHARED_HOSTS = ("127.0.0.1", "Shared.Northgate.example")
        with pytest.raises(BadInput) as refused:
            actions.set_brand(cast.rosa, **{**self.GOOD, field: value})
        assert refused.value.field == field

    def test_a_colour_that_cannot_be_read_comes_with_one_that_can(self, cast):
        with pytest.raises(BadInput) as refused:
            actions.set_brand(cast.rosa, **{**self.GOOD, "colour": "#9be0d6"})
        shade = refused.value.sentence.rstrip(".").split()[-1]
        assert contrast.contrast(shade, "#ffffff") >= 4.5

    @pytest.mark.parametrize(
        ("logo", "kind"),
        [
            (b"\x89PNG\r\n\x1a\nrest", "image/png"),
            (b"\xff\xd8\xffrest", "image/jpeg"),
            (b"RIFF0000WEBPrest", "image/webp"),
        ],
    )
    def test_a_logo_is_known_by_its_bytes_kept_and_removed(self, cast, logo, kind):
        actions.set_brand(cast.rosa, **self.GOOD, logo=logo)
        actions.set_brand(cast.rosa, **self.GOOD)
        assert logo_of(cast.alder.pk) == (logo, kind)
        assert hosts.brand_for_host("panel.alder.example").logo_url == "/brand/logo"
        actions.set_brand(cast.rosa, **self.GOOD, logo=b"")
        assert logo_of(cast.alder.pk) is None
        assert hosts.brand_for_host("panel.alder.example").logo_url == ""

    @given(colour=st.integers(0, 0xFFFFFF).map("#{:06x}".format))
    def test_the_shade_offered_can_be_read_on_its_card_and_under_its_ink(self, colour):
        for card, ink in ((contrast.CARD_LIGHT, "#ffffff"), (contrast.CARD_DARK, "#0e1526")):
            shade = contrast.nearest_passing(colour, card)
            assert contrast.HEX.fullmatch(shade)
            assert contrast.contrast(shade, card) >= 4.5
            assert contrast.contrast(shade, ink) >= 4.5
            if contrast.contrast(colour, card) >= 4.5:
                assert shade == colour

    @pytest.mark.parametrize(
        ("one", "other", "ratio"),
        [
            ("#000000", "#ffffff", 21.0),
            ("#777777", "#ffffff", 4.48),
            ("#767676", "#ffffff", 4.54),
            ("#0000ff", "#ffffff", 8.59),
            ("#123456", "#123456", 1.0),
        ],
    )
    def test_contrast_is_counted_as_the_world_does(self, one, other, ratio):
        assert (
            contrast.contrast(one, other) == contrast.contrast(other, one) == pytest.approx(ratio, abs=0.01)
        )

    def test_a_host_belongs_to_one(self, cast):
        actions.set_brand(cast.rosa, **self.GOOD)
        with pytest.raises(BadInput) as refused:
            actions.set_brand(cast.tam, **self.GOOD)
        assert refused.value.field == "host"


def test_what_is_done_is_read_by_the_organisation_that_did_it(cast):
    row = actions.create_client(cast.rosa, name="Nora")
    assert [e.verb for e in entries_for_organisation(cast.alder.pk)] == ["client.created"]
    assert entries_for_organisation(cast.provider.pk) == []
    assert entries_for_organisation(cast.birch.pk) == []
    assert len(entries_for_client(row.pk)) == 1
