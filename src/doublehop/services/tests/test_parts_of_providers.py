"""What a provider's API offers beside power and port: permission, reverse DNS, rescue, a reboot nobody can confirm."""

from datetime import timedelta

import pytest
from tests.stage import ask, run_all_jobs

from doublehop.driver_kit.conformance.world import Fault
from doublehop.driver_kit.contract import PowerState
from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Address, Hold, Server
from doublehop.organisations import actions as organisations
from doublehop.organisations.queries import tandem_actor
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, WrongState
from doublehop.services import actions
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
