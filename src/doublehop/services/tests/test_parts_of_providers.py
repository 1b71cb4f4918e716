"""What a provider's API offers beside power and port: permission, reverse DNS, rescue, a reboot nobody can confirm."""

from datetime import timedelta

import pytest
from django.utils import timezone
from tests.stage import ask, run_all_jobs, run_jobs

from doublehop.driver_kit.conformance.world import Fault
from doublehop.driver_kit.contract import PowerState, Ticket
from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Address, Hold, Server
from doublehop.organisations import actions as organisations
from doublehop.organisations.queries import tandem_actor
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, WrongState
from doublehop.services import actions, queries
from doublehop.services.lifecycle import OperationKind, OperationState
from doublehop.services.models import Operation
from doublehop.services.wording import client_sentence

K = OperationKind


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    """The machines of the stage restart at once; "on" counts without a pause."""
    monkeypatch.setattr("doublehop.services.work.steps.EARLIEST_ON", timedelta(0))


def effects(house):
    return house.stage.place.effects("web")


def test_a_suspension_by_permission_is_read_back_and_given_back(house):
    house.product.suspend_policy = actions.create_suspend_policy(house.cast.rosa, "Ours only", ["permission"])
    house.product.save()
    ask(house.cast.rosa, K.SUSPEND, house.service)
    run_all_jobs()
    assert effects(house) == ["access.set_permitted:no"]
    assert Server.objects.get(pk=house.web.pk).withheld_since is not None
    assert Hold.objects.get().effects == [{"way": "permission", "was": True}]
    ask(house.cast.rosa, K.UNSUSPEND, house.service)
    run_all_jobs()
    assert effects(house)[-1] == "access.set_permitted:yes"
    assert Server.objects.get(pk=house.web.pk).withheld_since is None


def test_a_withheld_server_is_not_offered_and_not_gone(house):
    house.stage.place.machines["spare"].permitted = False
    fleet.ask_sync(house.cast.ines, house.stage.upstream.pk)
    run_all_jobs()
    with pytest.raises(WrongState) as caught:
        actions.attach(house.cast.rosa, _pending(house).pk, house.spare.pk)
    assert caught.value.code == "withheld"
    assert Server.objects.get(pk=house.spare.pk).missing_since is None


def _pending(house):
    return actions.create_service(
        house.cast.rosa, client_id=house.cast.quillfeather.pk, product_id=house.product.pk
    )


def name_it(house, address, name, actor=None):
    parameters = {"address": address, "name": name}
    return ask(actor or house.cast.rosa, K.SET_RDNS, house.service, parameters=parameters)


def test_a_name_is_set_and_removed_and_pages_know_it_at_once(house):
    address = Server.objects.get(pk=house.web.pk).primary_address
    first = name_it(house, address, "Mail.Example.org.", house.cast.mara)
    run_all_jobs()
    assert Operation.objects.get(pk=first.pk).state == OperationState.DONE
    assert Address.objects.get(address=address).rdns == "mail.example.org"
    assert effects(house) == [f"rdns.set:{address}=mail.example.org"]
    name_it(house, address, "")
    run_all_jobs()
    assert Address.objects.get(address=address).rdns == ""


def test_a_client_reads_the_names_that_were_set_and_none_that_the_place_gave(house):
    address = Server.objects.get(pk=house.web.pk).primary_address

    def read_by(actor):
        return {row.address: row.rdns for row in queries.addresses_shown(actor, house.web.pk)}[address]

    Address.objects.filter(address=address).update(rdns="static.17.northgate.example")
    assert read_by(house.cast.mara) == ""
    assert read_by(house.cast.rosa) == "static.17.northgate.example"
    name_it(house, address, "mail.example.org", house.cast.rosa)
    run_all_jobs()
    assert read_by(house.cast.mara) == read_by(house.cast.rosa) == "mail.example.org"


@pytest.mark.parametrize(
    "name", ["one", "-", "a..b", "ü.example.org", "x" * 64 + ".org", "a b.org", "a." * 130]
)
def test_a_name_that_is_none_is_refused(house, name):
    with pytest.raises(BadInput) as caught:
        name_it(house, Server.objects.get(pk=house.web.pk).primary_address, name)
    assert caught.value.field == "name"


def test_only_an_address_of_the_server_itself_gets_a_name(house):
    with pytest.raises(BadInput) as caught:
        name_it(house, Server.objects.get(pk=house.spare.pk).primary_address, "mail.example.org")
    assert caught.value.field == "address"


def test_the_rescue_system_is_started_once_whatever_the_answer(house):
    house.stage.place.fault(Fault.UNKNOWN_AFTER_ACTING, on="rescue.start")
    asked = ask(house.cast.rosa, K.RESCUE_START, house.service)
    run_all_jobs()
    assert Operation.objects.get(pk=asked.pk).state == OperationState.UNKNOWN
    assert effects(house) == ["rescue.start"]
    ask(house.cast.rosa, K.RESCUE_STOP, house.service, reason="Seen on the console: it is in rescue")
    run_all_jobs()
    assert effects(house) == ["rescue.start", "rescue.stop"]
    assert Server.objects.get(pk=house.web.pk).rescue_active is False


def test_a_rescue_system_that_was_promised_and_does_not_start_is_not_told_as_done(house, monkeypatch):
    # Nothing to follow: what the machine reads is all that can be known.
    monkeypatch.setattr("doublehop.drivers.memory.server._ticket", lambda **_: Ticket(""))
    house.stage.place.fault(Fault.LIE, on="rescue.start")
    asked = ask(house.cast.rosa, K.RESCUE_START, house.service)
    run_jobs()
    asked.refresh_from_db()
    assert asked.state == OperationState.RUNNING
    Operation.objects.update(settle_before=timezone.now() - timedelta(seconds=1))
    run_all_jobs()
    asked.refresh_from_db()
    assert (asked.state, asked.failure_code) == (OperationState.UNKNOWN, "deadline")
    assert house.stage.place.calls("web").count("rescue.start") == 1


def test_a_reboot_where_nothing_can_be_read_back_says_so(house):
    house.stage.place.machines["web"].power = PowerState.UNKNOWN
    house.stage.place.move_power = lambda machine, state, meanwhile: None
    Server.objects.filter(pk=house.web.pk).update(power_state="", power_read_at=None)
    asked = ask(house.cast.mara, K.REBOOT, house.service)
    run_all_jobs()
    done = Operation.objects.get(pk=asked.pk)
    assert effects(house) == ["power.reset:graceful"]
    assert (done.state, done.not_confirmable) == (OperationState.DONE, True)
    assert "cannot be read" in client_sentence(done)


class TestTandem:
    @pytest.fixture
    def night(self, house):
        row = organisations.add_tandem_user(
            house.cast.rosa, name="Night shift", email="noc@alder.example", password="a-chosen-password"
        )
        return tandem_actor(row, row.user)

    def press(self, actor, kind, server, **more):
        return actions.request(
            actor, kind, server_id=server.pk, idempotency_key=f"{kind}-{server.pk}", **more
        )

    def test_it_reboots_what_it_may_and_the_client_reads_our_staff(self, house, night):
        with pytest.raises(NotHere):
            self.press(night, K.REBOOT, house.web)
        fleet.permit_tandem(house.cast.rosa, night.tandem_user_id, [house.web.pk])
        operation = self.press(night, K.REBOOT, house.web)
        assert operation.service_id == house.service.pk
        run_all_jobs()
        assert effects(house) == ["power.reset:graceful"]
        with pytest.raises(NotAllowed):
            self.press(night, K.SUSPEND, house.web, reason="x")
        with pytest.raises(NotHere):
            self.press(night, K.REBOOT, house.spare)

    def test_what_was_taken_away_before_sending_is_not_sent(self, house, night):
        fleet.permit_tandem(house.cast.rosa, night.tandem_user_id, [house.web.pk])
        operation = self.press(night, K.REBOOT, house.web)
        fleet.revoke_tandem(house.cast.rosa, night.tandem_user_id, [house.web.pk])
        run_all_jobs()
        operation.refresh_from_db()
        assert (operation.state, operation.failure_code) == (OperationState.FAILED, "not_allowed")
        assert effects(house) == []


class TestNullRoutes:
    def drop(self, house, address, kind=K.NULL_ROUTE, actor=None):
        return ask(
            actor or house.cast.rosa, kind, house.service, parameters={"address": address}, reason="Attacked"
        )

    def test_traffic_is_dropped_and_let_through_and_pages_know_it_at_once(self, house):
        address = Server.objects.get(pk=house.web.pk).primary_address
        asked = self.drop(house, address)
        run_all_jobs()
        assert Operation.objects.get(pk=asked.pk).state == OperationState.DONE
        assert Address.objects.get(address=address).null_routed is True
        self.drop(house, address, K.NULL_ROUTE_END)
        run_all_jobs()
        assert effects(house) == [
            f"null_route.set:{address} dropped",
            f"null_route.set:{address} let through",
        ]
        assert Address.objects.get(address=address).null_routed is False

    def test_it_overtakes_what_waits(self, house):
        address = Server.objects.get(pk=house.web.pk).primary_address
        name_it(house, address, "mail.example.org")
        self.drop(house, address)
        run_all_jobs()
        assert [one.partition(":")[0] for one in effects(house)] == ["null_route.set", "rdns.set"]

    def test_not_on_foreign_addresses_not_by_clients_not_on_what_is_protected(self, house):
        address = Server.objects.get(pk=house.web.pk).primary_address
        with pytest.raises(BadInput):
            self.drop(house, Server.objects.get(pk=house.spare.pk).primary_address)
        with pytest.raises(NotAllowed):
            self.drop(house, address, actor=house.cast.mara)
        fleet.protect(house.cast.ines, house.web.pk)
        with pytest.raises(WrongState, match="protected"):
            self.drop(house, address)

    def test_a_suspension_of_a_machine_without_an_address_takes_another_way(self, house):
        house.service.product.suspend_policy = actions.create_suspend_policy(
            house.cast.rosa, "By route", ["null_route", "port"]
        )
        house.service.product.save()
        Server.objects.filter(pk=house.web.pk).update(primary_address="")
        suspended = ask(house.cast.rosa, K.SUSPEND, house.service)
        assert [step.kind for step in suspended.steps.all()] == ["port_off"]

    def test_a_suspension_may_take_this_way_and_undoes_only_its_own(self, house):
        house.service.product.suspend_policy = actions.create_suspend_policy(
            house.cast.rosa, "By route", ["null_route"]
        )
        house.service.product.save()
        address = Server.objects.get(pk=house.web.pk).primary_address
        ask(house.cast.rosa, K.SUSPEND, house.service)
        run_all_jobs()
        assert house.stage.place.machines["web"].null_routed == {address}
        ask(house.cast.rosa, K.UNSUSPEND, house.service)
        run_all_jobs()
        assert house.stage.place.machines["web"].null_routed == frozenset()
        self.drop(house, address)
        run_all_jobs()
        ask(house.cast.rosa, K.SUSPEND, house.service)
        run_all_jobs()
        ask(house.cast.rosa, K.UNSUSPEND, house.service)
        run_all_jobs()
        # It was dropped before the suspension, so it stays dropped.
        assert house.stage.place.machines["web"].null_routed == {address}
