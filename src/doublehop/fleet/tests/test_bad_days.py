"""Refused logins, stale tests, twins and chains of three: what must not slip through."""

from decimal import Decimal

import pytest
from django.utils import timezone
from tests.cast import a_cast
from tests.stage import Stage, a_stage, run_jobs

from doublehop.driver_kit.conformance.world import PASSWORD, Fault, world
from doublehop.fleet import actions, permissions
from doublehop.fleet.actions.holds import lift_hold_row, place_hold
from doublehop.fleet.actions.readings import store_inventory
from doublehop.fleet.models import Allocation, Permission, Server
from doublehop.fleet.permissions import Right
from doublehop.fleet.work import read_states, refresh_watched
from doublehop.jobs.models import Job
from doublehop.organisations.actor import Actor, ActorKind, Role
from doublehop.organisations.models import Organisation
from doublehop.organisations.refusals import BadInput, NotHere, WrongState


@pytest.fixture
def cast(db):
    return a_cast()


@pytest.fixture
def stage(cast):
    return a_stage(cast.ines)


def another_upstream(cast, number):
    place = world(f"again-{number}-{timezone.now().timestamp()}")
    values = {"endpoint": place.endpoint, "account": "demo", "password": PASSWORD}
    upstream = actions.create_upstream(cast.ines, driver="memory", name=f"Rack {number}", values=values)
    return Stage(place, upstream, cast.ines)


def a_sub_reseller(cast):
    row = Organisation.objects.create(name="Cedar Sub", parent=cast.alder, path="")
    row.path = f"{cast.alder.path}{row.pk}/"
    row.save()
    actor = Actor(
        kind=ActorKind.STAFF,
        label="Ana Ruiz",
        organisation_id=row.pk,
        organisation_label=row.name,
        role=Role.OWNER,
    )
    return row, actor


class TestRefusedLogins:
    def test_an_open_page_asks_neither_a_resting_upstream_nor_a_silent_machine(self, stage, cast):
        (web,) = stage.machines("web")
        Server.objects.update(power_read_at=None)
        actions.watch(cast.ines, web.pk)
        actions.note_failure(stage.upstream.pk, "credentials_rejected", "no")
        refresh_watched({})
        assert not Job.objects.exclude(lane="mail").exists()
        actions.note_success(stage.upstream.pk)
        actions.store_reading_failure(web.pk, "no route")
        refresh_watched({})
        assert not Job.objects.exclude(lane="mail").exists()

    def test_one_machine_that_refuses_our_login_hides_no_other(self, stage, monkeypatch):
        """Own machines have a login each."""
        monkeypatch.setattr("doublehop.fleet.door.has_machine_logins", lambda row: True)
        stage.machines("web", "spare")
        Server.objects.update(power_read_at=None)
        stage.place.fault(Fault.CREDENTIALS, machine="web", times=None, text="wrong BMC password")
        read_states({"upstream_id": stage.upstream.pk})
        assert stage.server("web").refresh_failure == "wrong BMC password"
        assert stage.server("spare").power_read_at is not None
        stage.upstream.refresh_from_db()
        assert stage.upstream.failing_since is None


class TestUpstreams:
    def test_a_test_of_other_settings_arms_nothing(self, cast):
        place = world(f"arming-{timezone.now().timestamp()}")
        place.add("m1")
        values = {"endpoint": place.endpoint, "account": "demo", "password": PASSWORD}
        row = actions.create_upstream(cast.ines, driver="memory", name="Rack", values=values)
        run_jobs()
        actions.update_upstream(cast.ines, row.pk, name="Rack", values={**values, "password": "wrong"})
        with pytest.raises(WrongState, match="Test the connection"):
            actions.arm(cast.ines, row.pk)

    def test_a_list_takes_back_nothing_that_happened_while_it_was_stored(self, stage, cast, monkeypatch):
        (web,) = stage.machines("web")
        attach, lines = [], []
        monkeypatch.setattr(
            "doublehop.fleet.work.actions.store_inventory", lambda _, found: lines.extend(found) or []
        )
        actions.ask_sync(cast.ines, stage.upstream.pk)
        run_jobs()

        def meanwhile(row, line):
            if row.external_id == "web" and not attach:
                attach.append(actions.record_identity(cast.ines, web.pk))
            row.label = line.listed.label

        monkeypatch.setattr("doublehop.fleet.actions.readings._take_over", meanwhile)
        store_inventory(stage.upstream.pk, lines)
        assert stage.server("web").recorded_identity is not None


class TestTwins:
    def test_three_views_of_one_machine_are_attached_once(self, stage, cast):
        (one,) = stage.machines("one")
        (two,) = another_upstream(cast, 2).machines("two")
        (three,) = another_upstream(cast, 3).machines("three")
        actions.link_same_machine(cast.ines, one.pk, two.pk)
        actions.link_same_machine(cast.ines, three.pk, two.pk)
        actions.record_identity(cast.ines, one.pk)
        for twin in (two, three):
            with pytest.raises(WrongState, match="same machine"):
                actions.record_identity(cast.ines, twin.pk)

    def test_a_link_is_not_lost_to_another_and_ends_from_either_side(self, stage, cast):
        (one,) = stage.machines("one")
        (two,) = another_upstream(cast, 2).machines("two")
        (three,) = another_upstream(cast, 3).machines("three")
        actions.link_same_machine(cast.ines, one.pk, two.pk)
        with pytest.raises(WrongState, match="Unlink it first"):
            actions.link_same_machine(cast.ines, one.pk, three.pk)
        actions.unlink_same_machine(cast.ines, two.pk)
        one.refresh_from_db()
        assert one.same_machine_as_id is None


class TestSharing:
    def test_rights_shrink_over_three_levels_at_once(self, stage, cast):
        (web,) = stage.machines("web")
        sub, ana = a_sub_reseller(cast)
        actions.allocate(cast.ines, web.pk, cast.alder.pk)
        with pytest.raises(NotHere):
            actions.allocate(cast.ines, web.pk, sub.pk)
        actions.allocate(cast.rosa, web.pk, sub.pk)
        server = stage.server("web")
        assert permissions.may(ana, Right.POWER, server)
        Permission.objects.filter(organisation=cast.alder).update(rights=["view", "bandwidth"])
        assert not permissions.may(ana, Right.POWER, server)
        allocation = Allocation.objects.get(receiver=cast.alder)
        actions.end_allocation(cast.ines, allocation.pk)
        for actor in (ana, cast.rosa):
            assert not permissions.may(actor, Right.VIEW, server)
            assert not permissions.visible_to(actor).exists()

    def test_a_server_is_not_taken_back_while_it_is_held_below(self, stage, cast):
        (web,) = stage.machines("web")
        allocation = actions.allocate(cast.ines, web.pk, cast.alder.pk)
        hold = place_hold(
            cast.rosa,
            stage.server("web"),
            organisation_id=cast.alder.pk,
            cause="billing",
            reason="late",
            client_text="",
        )
        with pytest.raises(WrongState, match="unsuspended"):
            actions.end_allocation(cast.ines, allocation.pk)
        lift_hold_row(hold.pk)
        actions.end_allocation(cast.ines, allocation.pk)

    @pytest.mark.parametrize(
        ("price", "currency"), [("-1", "EUR"), ("1e12", "EUR"), ("NaN", "EUR"), ("1", "EURO"), ("1", "<b>")]
    )
    def test_a_price_is_a_price(self, stage, cast, price, currency):
        (web,) = stage.machines("web")
        with pytest.raises(BadInput):
            actions.allocate(cast.ines, web.pk, cast.alder.pk, price=Decimal(price), currency=currency)
