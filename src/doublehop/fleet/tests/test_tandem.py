"""What a Tandem user may use: what its organisation holds and gave, dated, and nothing else."""

import pytest
from tests.cast import a_cast
from tests.stage import a_stage, run_jobs

from doublehop.fleet import actions
from doublehop.fleet.models import Allocation, Permission
from doublehop.fleet.permissions import Right, rights_of
from doublehop.fleet.queries import (
    permissible_servers,
    permission_windows,
    servers_of_tandem_users,
    servers_visible_to,
    tandem_servers,
)
from doublehop.organisations import actions as organisations
from doublehop.organisations.queries import tandem_actor
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, NotOffered

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast():
    return a_cast()


@pytest.fixture
def machines(cast):
    stage = a_stage(cast.ines)
    web, spare, other = stage.machines("web", "spare", "other")
    stage.place.machines["web"].password = "machine-secret"
    actions.ask_refresh(cast.ines, web.pk)
    run_jobs()
    actions.allocate(cast.ines, web.pk, cast.alder.pk)
    actions.allocate(cast.ines, spare.pk, cast.alder.pk)
    actions.allocate(cast.ines, other.pk, cast.birch.pk)
    return web, spare, other


@pytest.fixture
def night(cast):
    return organisations.add_tandem_user(
        cast.rosa, name="Night shift", email="noc@alder.example", password="a-chosen-password"
    )


def sees(row):
    return set(servers_visible_to(tandem_actor(row, row.user)).values_list("label", flat=True))


def test_nothing_at_first_then_exactly_what_was_ticked(cast, machines, night):
    web, spare, _ = machines
    assert sees(night) == set()
    assert {row.pk for row in permissible_servers(cast.rosa, night.pk)} == {web.pk, spare.pk}
    assert actions.permit_tandem(cast.rosa, night.pk, [web.pk]) == 1
    assert sees(night) == {"WEB"}
    assert rights_of(tandem_actor(night, night.user), web) == {
        Right.VIEW,
        Right.POWER,
        Right.RDNS,
        Right.BANDWIDTH,
    }
    assert [row.pk for row in permissible_servers(cast.rosa, night.pk)] == [spare.pk]
    assert [row.pk for row in tandem_servers(cast.rosa, night.pk)] == [web.pk]
    assert servers_of_tandem_users(cast.rosa) == {night.pk: [web.pk]}
    assert servers_of_tandem_users(cast.tam) == {}


def test_again_changes_nothing_and_other_rights_do_not_begin_anew(cast, machines, night):
    web, _, _ = machines
    actions.permit_tandem(cast.rosa, night.pk, [web.pk])
    since = Permission.objects.get(tandem_user=night).since
    assert actions.permit_tandem(cast.rosa, night.pk, [web.pk]) == 0
    assert actions.permit_tandem(cast.rosa, night.pk, [web.pk], [Right.CREDENTIALS, Right.SUSPEND]) == 1
    row = Permission.objects.get(tandem_user=night)
    assert (row.rights, row.since) == (["view", "credentials"], since)
    assert actions.revoke_tandem(cast.rosa, night.pk, [web.pk]) == 1
    assert actions.revoke_tandem(cast.rosa, night.pk, [web.pk]) == 0
    assert sees(night) == set()
    actions.permit_tandem(cast.rosa, night.pk, [web.pk])
    assert len(permission_windows(tandem_actor(night, night.user), web.pk)) == 1  # the first had no bandwidth


def test_only_what_is_held_can_be_given_and_only_by_who_governs(cast, machines, night):
    web, _, other = machines
    for actor, refusal in (
        (cast.ivo, NotAllowed),
        (cast.tam, NotHere),
        (cast.ines, NotHere),
        (cast.mara, NotHere),
    ):
        with pytest.raises(refusal):
            actions.permit_tandem(actor, night.pk, [web.pk])
    for foreign in (other.pk, 999_999, -1, 2**70):
        with pytest.raises(NotHere):
            actions.permit_tandem(cast.rosa, night.pk, [web.pk, foreign])
    with pytest.raises(BadInput):
        actions.permit_tandem(cast.rosa, night.pk, [web.pk], ["everything"])
    assert not Permission.objects.filter(tandem_user=night).exists()


def test_a_list_replaces_the_former_one(cast, machines, night):
    web, spare, _ = machines
    actions.permit_tandem(cast.rosa, night.pk, [web.pk], [Right.CREDENTIALS])
    actions.set_tandem_servers(cast.rosa, night.pk, [web.pk, spare.pk])
    assert sees(night) == {"WEB", "SPARE"}
    assert Permission.objects.get(tandem_user=night, server=web).rights == ["view", "credentials"]
    actions.set_tandem_servers(cast.rosa, night.pk, [])
    assert sees(night) == set()


def test_what_the_organisation_loses_its_tandem_users_lose_for_ever(cast, machines, night):
    web, _, _ = machines
    actions.permit_tandem(cast.rosa, night.pk, [web.pk])
    Permission.objects.filter(organisation=cast.alder, server=web).update(rights=["view"])
    assert rights_of(tandem_actor(night, night.user), web) == {Right.VIEW}
    actions.end_allocation(cast.ines, Allocation.objects.get(server=web, until__isnull=True).pk)
    assert sees(night) == set()
    actions.allocate(cast.ines, web.pk, cast.alder.pk)
    assert sees(night) == set()


def test_deleting_one_ends_its_permissions(cast, machines, night):
    web, _, _ = machines
    actions.permit_tandem(cast.rosa, night.pk, [web.pk])
    actions.end_tandem_user(cast.rosa, night.pk)
    assert not Permission.objects.filter(tandem_user=night, until__isnull=True).exists()
    with pytest.raises(NotHere):
        tandem_servers(cast.rosa, night.pk)


def test_a_password_is_shown_to_who_has_the_right_and_where_it_is_known(cast, machines, night):
    web, spare, _ = machines
    assert actions.reveal_login(cast.rosa, web.pk).password.reveal() == "machine-secret"
    with pytest.raises(NotOffered):
        actions.reveal_login(cast.rosa, spare.pk)
    with pytest.raises(NotHere):
        actions.reveal_login(cast.tam, web.pk)
    actions.permit_tandem(cast.rosa, night.pk, [web.pk])
    with pytest.raises(NotAllowed):
        actions.reveal_login(tandem_actor(night, night.user), web.pk)
    web.refresh_from_db()
    assert "machine-secret" not in str(vars(web))
