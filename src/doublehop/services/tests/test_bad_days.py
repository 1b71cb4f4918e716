"""Races, crashes and half-done things: nothing acts twice, nothing is stuck, what was taken away comes back."""

from datetime import timedelta
from pkgutil import resolve_name

import pytest
from django.db.models import F
from django.utils import timezone
from tests.stage import ask, run_all_jobs, run_jobs

from doublehop.driver_kit.conformance.world import Fault
from doublehop.driver_kit.contract import PowerState
from doublehop.driver_kit.errors import Busy
from doublehop.fleet import actions as fleet
from doublehop.fleet import work as fleet_work
from doublehop.fleet.door import NotSent
from doublehop.fleet.models import Address, Hold, Permission, Server
from doublehop.fleet.permissions import Right
from doublehop.jobs.models import Job
from doublehop.journal.models import Entry
from doublehop.organisations.models import Staff
from doublehop.organisations.refusals import NotAllowed, NotOffered, WrongState
from doublehop.services import actions
from doublehop.services.actions import operations
from doublehop.services.lifecycle import OperationKind, OperationState
from doublehop.services.models import Operation, Step
from doublehop.services.queries import buttons, needs_a_person
from doublehop.services.work import sweep, work
from doublehop.services.work.settling import look_again

REBOOT, SUSPEND, UNSUSPEND = OperationKind.REBOOT, OperationKind.SUSPEND, OperationKind.UNSUSPEND
POWER_ON, POWER_OFF = OperationKind.POWER_ON, OperationKind.POWER_OFF


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr("doublehop.services.work.steps.EARLIEST_ON", timedelta(0))
    monkeypatch.setattr("doublehop.services.work.steps.SEND_AGAIN_AFTER", timedelta(0))


def effects(house, external_id="web"):
    return house.stage.place.effects(external_id)


def fresh(operation):
    return Operation.objects.get(pk=operation.pk)


def expire(operation):
    Operation.objects.filter(pk=operation.pk).update(settle_before=timezone.now() - timedelta(seconds=1))


def by_provider(house, kind, key):
    return actions.request(
        house.cast.ines, kind, server_id=house.web.pk, idempotency_key=key, reason="spam", cause="abuse"
    )


def before_sending(monkeypatch, deed):
    """Runs ``deed`` once, after every other check of the door and just before "sent" is marked."""
    place = "doublehop.fleet.door"
    prove, done = resolve_name(f"{place}:_prove_identity"), []

    def interposed(row, server):
        prove(row, server)
        if not done:
            done.append(True)
            deed()

    monkeypatch.setattr(f"{place}._prove_identity", interposed)


class TestOnce:
    def test_two_workers_on_one_step_send_once(self, house, monkeypatch):
        operation = ask(house.cast.rosa, REBOOT, house.service)
        before_sending(monkeypatch, lambda: work({"server_id": house.web.pk}))
        run_all_jobs()
        assert effects(house) == ["power.reset:graceful"]
        assert fresh(operation).state == OperationState.DONE

    @pytest.mark.parametrize("retry", [True, False])
    def test_a_worker_that_could_not_send_takes_back_nothing_of_another_that_did(
        self, house, monkeypatch, retry
    ):
        """Both began on the same step; the first then hears that the machine cannot be reached, or refuses."""
        prove = resolve_name("doublehop.fleet.door:_prove_identity")
        begun = []

        def interposed(row, server):
            if begun:
                prove(row, server)
                return
            begun.append(True)
            house.stage.place.settle_seconds = (
                60  # the machine is away for a while: the other one waits for it
            )
            work({"server_id": house.web.pk})
            house.stage.place.settle_seconds = 0
            house.stage.place.machines["web"].pending = (0.0, PowerState.ON)
            raise NotSent("unreachable", "no answer", retry=retry)

        monkeypatch.setattr("doublehop.fleet.door._prove_identity", interposed)
        operation = ask(house.cast.rosa, REBOOT, house.service)
        run_all_jobs()
        assert effects(house) == ["power.reset:graceful"]
        assert fresh(operation).state == OperationState.DONE

    def test_a_worker_that_comes_late_does_not_overrule_a_person(self, house, monkeypatch):
        start = resolve_name("doublehop.drivers.memory.server:MemoryRescue.start")

        def held_up(part):
            work({"server_id": house.web.pk})  # another takes over and finds it sent, without an answer
            actions.settle(house.cast.rosa, operation.reference, happened=False, why="it never went away")
            return start(part)

        monkeypatch.setattr("doublehop.drivers.memory.server.MemoryRescue.start", held_up)
        operation = ask(house.cast.rosa, OperationKind.RESCUE_START, house.service)
        run_all_jobs()
        assert fresh(operation).state == OperationState.FAILED
        assert fresh(operation).settled_by == house.cast.rosa.label

    def test_a_suspension_at_the_last_moment_stops_a_reboot(self, house, monkeypatch):
        operation = ask(house.cast.mara, REBOOT, house.service)
        before_sending(monkeypatch, lambda: ask(house.cast.rosa, SUSPEND, house.service))
        run_all_jobs()
        assert fresh(operation).failure_code == "suspended"
        assert effects(house) == ["port.set_enabled:off"]

    def test_who_lost_the_right_meanwhile_sends_nothing(self, house):
        operation = ask(house.cast.ivo, REBOOT, house.service)
        Staff.objects.filter(user_id=house.cast.ivo.user_id).update(role="read_only")
        run_all_jobs()
        assert fresh(operation).failure_code == "not_allowed"
        assert effects(house) == []

    @pytest.mark.parametrize("own_key", [True, False])
    def test_two_requests_of_one_moment(self, house, monkeypatch, own_key):
        """The second finds no earlier operation, waits for the lock, and finds the first one then."""
        target, rivals = operations._target, []

        def slow(actor, service_id, server_id):
            if not rivals:
                rivals.append(None)
                rivals[0] = ask(
                    house.cast.rosa, REBOOT, house.service, idempotency_key="k" if own_key else "x"
                )
            return target(actor, service_id, server_id)

        monkeypatch.setattr(operations, "_target", slow)
        if own_key:
            assert ask(house.cast.rosa, REBOOT, house.service, idempotency_key="k") == rivals[0]
        else:
            with pytest.raises(actions.AlreadyOpen):
                ask(house.cast.rosa, REBOOT, house.service, idempotency_key="k")

    def test_one_key_at_one_moment_for_two_servers(self, house, monkeypatch):
        store, rivals = operations._store, []

        def slow(actor, asked, service, server, key):
            if not rivals:
                rivals.append(True)
                actions.request(house.cast.rosa, REBOOT, server_id=house.spare.pk, idempotency_key="k")
            return store(actor, asked, service, server, key)

        monkeypatch.setattr(operations, "_store", slow)
        with pytest.raises(WrongState) as refused:
            ask(house.cast.rosa, REBOOT, house.service, idempotency_key="k")
        assert refused.value.code == "key_reused"

    def test_a_server_is_not_attached_while_something_is_under_way_on_it(self, house):
        actions.request(house.cast.rosa, REBOOT, server_id=house.spare.pk, idempotency_key="k")
        with pytest.raises(WrongState) as refused:
            actions.swap(house.cast.rosa, house.service.pk, house.spare.pk)
        assert refused.value.code == "operation_open"


class TestNothingIsStuck:
    def test_our_own_fault_ends_at_the_deadline(self, house, monkeypatch):
        def broken(*args):
            raise KeyError("bmc")

        monkeypatch.setattr("doublehop.fleet.door._prove_identity", broken)
        operation = ask(house.cast.mara, REBOOT, house.service)
        run_jobs()
        assert fresh(operation).state == OperationState.RUNNING
        expire(operation)
        Job.objects.update(run_at=timezone.now())
        run_jobs()
        assert (fresh(operation).state, fresh(operation).failure_code) == (OperationState.FAILED, "our_fault")
        assert "bmc" not in fresh(operation).staff_text

    def test_our_own_fault_after_sending_is_unknown(self, house, monkeypatch):
        operation = ask(house.cast.rosa, REBOOT, house.service)
        monkeypatch.setattr("doublehop.services.work.loop.finish", lambda operation: 1 / 0)
        run_jobs()
        expire(operation)
        Job.objects.update(run_at=timezone.now())
        run_jobs()
        assert fresh(operation).state == OperationState.UNKNOWN

    def test_a_lost_key_is_told_at_once(self, house, settings):
        settings.DOUBLEHOP_VAULT_KEYS = ("bG9zdC1sb3N0LWxvc3QtbG9zdC1sb3N0LWxvc3QtbG8=",)
        operation = ask(house.cast.rosa, SUSPEND, house.service)
        run_jobs()
        assert (fresh(operation).state, fresh(operation).failure_code) == (OperationState.FAILED, "settings")

    def test_a_suspension_that_waited_too_long_has_its_own_time(self, house):
        operation = ask(house.cast.rosa, SUSPEND, house.service)
        long_ago = timezone.now() - timedelta(hours=2)
        Operation.objects.update(asked_at=long_ago, send_before=long_ago, settle_before=long_ago)
        run_all_jobs()
        assert fresh(operation).state == OperationState.DONE
        assert effects(house) == ["port.set_enabled:off"]

    def test_what_a_former_holder_left_undecided_does_not_bind_the_next(self, house):
        house.stage.place.fault(Fault.UNKNOWN_AFTER_ACTING, on="power.reset")
        ask(house.cast.mara, REBOOT, house.service)
        run_all_jobs()
        actions.terminate(house.cast.rosa, house.service.pk, reason="left")
        again = actions.create_service(
            house.cast.rosa, client_id=house.cast.quillfeather.pk, product_id=house.product.pk
        )
        actions.attach(house.cast.rosa, again.pk, house.web.pk)
        ask(house.cast.mara, REBOOT, again)

    def test_the_sweeper_does_not_hurry_what_waits_its_time(self, house):
        house.stage.place.fault(Fault.UNREACHABLE, on="identify", times=None)
        ask(house.cast.mara, REBOOT, house.service)
        run_jobs()
        waits_until = Job.objects.get().run_at
        sweep({})
        assert Job.objects.get().run_at == waits_until
        Job.objects.all().delete()
        sweep({})
        assert Job.objects.count() == 1

    def test_a_busy_upstream_says_when(self, house, monkeypatch):
        later = timezone.now() + timedelta(seconds=90)

        def busy(*args):
            raise Busy("come back", retry_at=later)

        monkeypatch.setattr("doublehop.drivers.memory.server.MemoryServer.identify", busy)
        operation = ask(house.cast.mara, REBOOT, house.service)
        run_jobs()
        assert abs(Job.objects.get().run_at - later) < timedelta(seconds=5)
        later = timezone.now() + timedelta(hours=1)
        Job.objects.update(run_at=timezone.now())
        run_jobs()
        assert fresh(operation).state == OperationState.FAILED, "a reboot an hour later is a wrong reboot"

    @pytest.mark.parametrize("on", ["power.follow_up", "power.state"])
    def test_a_login_refused_after_sending_is_not_tried_for_minutes(self, house, on):
        run_jobs()
        house.stage.place.fault(Fault.CREDENTIALS, on=on, times=None)
        asked_before = house.stage.place.calls("web").count(on)
        operation = ask(house.cast.mara, REBOOT, house.service)
        run_jobs()
        assert fresh(operation).state == OperationState.UNKNOWN
        assert house.stage.place.calls("web").count(on) == asked_before + 1
        assert effects(house) == ["power.reset:graceful"]


class TestSuspendExactly:
    def test_what_was_sent_and_never_read_back_comes_back_too(self, house):
        house.stage.place.fault(Fault.UNKNOWN_AFTER_ACTING, on="port.set_enabled")
        suspend = ask(house.cast.rosa, SUSPEND, house.service)
        run_jobs()
        assert effects(house) == ["port.set_enabled:off"]
        house.stage.place.fault(Fault.UNREACHABLE, on="port.is_enabled", times=1)
        expire(suspend)
        Job.objects.update(run_at=timezone.now())
        run_jobs()
        assert fresh(suspend).state == OperationState.UNKNOWN
        assert Hold.objects.get().effects == [{"way": "port", "was": True}]
        ask(house.cast.rosa, UNSUSPEND, house.service)
        run_all_jobs()
        assert house.stage.place.machines["web"].port_enabled is True

    def test_a_suspension_that_acts_after_it_was_given_up_comes_back_too(self, house):
        house.stage.place.fault(Fault.LIE, on="port.set_enabled", times=1)
        suspend = ask(house.cast.rosa, SUSPEND, house.service)
        run_jobs()
        expire(suspend)
        Job.objects.update(run_at=timezone.now())
        run_jobs()
        assert fresh(suspend).state == OperationState.FAILED
        house.stage.place.machines["web"].port_enabled = False
        ask(house.cast.rosa, UNSUSPEND, house.service)
        run_all_jobs()
        assert house.stage.place.machines["web"].port_enabled is True

    def test_what_is_inherited_is_not_forgotten_by_the_heirs_own_suspension(self, house):
        ask(house.cast.rosa, SUSPEND, house.service)
        run_all_jobs()
        ask(house.cast.rosa, UNSUSPEND, house.service)
        by_provider(house, SUSPEND, "abuse")
        run_all_jobs()
        assert house.stage.place.machines["web"].port_enabled is False
        by_provider(house, UNSUSPEND, "over")
        run_all_jobs()
        assert house.stage.place.machines["web"].port_enabled is True
        house.service.refresh_from_db()
        assert house.service.status == "active"

    def test_a_hold_placed_while_an_unsuspend_runs_keeps_the_server_away(self, house, monkeypatch):
        ask(house.cast.rosa, SUSPEND, house.service)
        run_all_jobs()
        undo = ask(house.cast.rosa, UNSUSPEND, house.service)
        before_sending(monkeypatch, lambda: by_provider(house, SUSPEND, "abuse"))
        run_all_jobs()
        assert fresh(undo).state == OperationState.DONE
        assert effects(house) == ["port.set_enabled:off"]
        by_provider(house, UNSUSPEND, "over")
        run_all_jobs()
        assert house.stage.place.machines["web"].port_enabled is True

    def test_an_unsuspend_decided_by_a_person_lifts_the_hold(self, house):
        ask(house.cast.rosa, SUSPEND, house.service)
        run_all_jobs()
        house.stage.place.fault(Fault.UNKNOWN_AFTER_ACTING, on="port.set_enabled")
        undo = ask(house.cast.rosa, UNSUSPEND, house.service)
        run_jobs()
        house.stage.place.fault(Fault.UNREACHABLE, on="port.is_enabled", times=1)
        expire(undo)
        Job.objects.update(run_at=timezone.now())
        run_jobs()
        assert fresh(undo).state == OperationState.UNKNOWN
        actions.settle(house.cast.rosa, undo.reference, happened=True, why="it answers")
        house.service.refresh_from_db()
        assert house.service.status == "active"
        assert not Hold.objects.filter(lifted_at__isnull=True).exists()

    def test_what_was_inherited_since_is_not_forgotten_by_an_unsuspend_that_is_settled_late(self, house):
        """The provider suspended and unsuspended while the outcome was unknown: that is the reseller's to undo now."""
        house.product.suspend_policy = actions.create_suspend_policy(
            house.cast.rosa, "Null route", ["null_route"]
        )
        house.product.save()
        ask(house.cast.rosa, SUSPEND, house.service)
        run_all_jobs()
        house.stage.place.fault(Fault.UNKNOWN_AFTER_ACTING, on="null_route.set")
        undo = ask(house.cast.rosa, UNSUSPEND, house.service)
        run_jobs()
        house.stage.place.fault(Fault.UNREACHABLE, on="null_route.read", times=1)
        expire(undo)
        Job.objects.update(run_at=timezone.now())
        run_jobs()
        assert fresh(undo).state == OperationState.UNKNOWN
        by_provider(house, SUSPEND, "abuse")
        run_jobs()
        by_provider(house, UNSUSPEND, "over")
        run_jobs()
        assert fresh(undo).state == OperationState.UNKNOWN
        assert house.stage.place.machines["web"].port_enabled is False
        with pytest.raises(WrongState, match="again"):
            actions.settle(house.cast.rosa, undo.reference, happened=True, why="it answers")
        look_again({"operation_id": undo.pk})
        assert fresh(undo).state == OperationState.FAILED
        ask(house.cast.rosa, UNSUSPEND, house.service)
        run_all_jobs()
        assert house.stage.place.machines["web"].port_enabled is True
        house.service.refresh_from_db()
        assert house.service.status == "active"

    def test_a_machine_that_hides_its_power_is_not_said_to_have_been_on(self, house):
        house.product.suspend_policy = actions.create_suspend_policy(house.cast.rosa, "Power off", ["power"])
        house.product.save()
        house.stage.place.machines["web"].power = PowerState.UNKNOWN
        ask(house.cast.rosa, SUSPEND, house.service)
        run_jobs()
        house.stage.place.machines["web"].power = PowerState.OFF
        run_all_jobs()
        ask(house.cast.rosa, UNSUSPEND, house.service)
        run_all_jobs()
        assert effects(house) == []

    def test_what_never_arrived_was_not_asked_in_vain(self, house):
        house.product.suspend_policy = actions.create_suspend_policy(house.cast.rosa, "Power off", ["power"])
        house.product.save()
        house.stage.place.fault(Fault.UNREACHABLE, on="power.off", times=4)
        ask(house.cast.rosa, SUSPEND, house.service)
        run_all_jobs()
        assert effects(house) == ["power.off:graceful"]
        assert Step.objects.get(kind="power_off").times_sent == 1

    def test_a_server_of_an_own_service_follows_that_services_policy(self, house):
        house.product.suspend_policy = actions.create_suspend_policy(house.cast.rosa, "Tell", ["notify"])
        house.product.save()
        operation = actions.request(
            house.cast.rosa, SUSPEND, server_id=house.web.pk, idempotency_key="k", reason="late"
        )
        run_all_jobs()
        assert (operation.service, operation.client_id) == (house.service, house.cast.quillfeather.pk)
        assert effects(house) == []


class TestProtected:
    def test_nobody_takes_it_away(self, house):
        fleet.protect(house.cast.ines, house.web.pk)
        for kind in (SUSPEND, POWER_OFF):
            with pytest.raises(WrongState, match="protected"):
                by_provider(house, kind, f"provider {kind}")
        with pytest.raises(WrongState, match="protected"):
            actions.detach(house.cast.rosa, house.service.pk)
        with pytest.raises(WrongState, match="protected"):
            actions.swap(house.cast.rosa, house.service.pk, house.spare.pk)
        with pytest.raises(WrongState, match="protected"):
            actions.terminate(house.cast.rosa, house.service.pk, reason="left")


class TestPower:
    def test_a_power_off_that_nobody_obeys_is_not_said_to_be_unsent(self, house):
        house.stage.place.fault(Fault.LIE, on="power.off", times=None)
        operation = ask(house.cast.mara, POWER_OFF, house.service)
        run_jobs()
        Operation.objects.update(send_before=timezone.now() - timedelta(seconds=1))
        Job.objects.update(run_at=timezone.now())
        run_jobs()
        assert fresh(operation).failure_code == "deadline"
        assert house.stage.place.calls("web").count("power.off") == 1

    def test_addresses_of_a_machine_that_cannot_tell_them_any_more_stay(self, house):
        operation = ask(house.cast.rosa, OperationKind.REFRESH_ADDRESSES, house.service)
        known = Address.objects.filter(server=house.web).count()
        house.stage.place.machines["web"].parts = frozenset({"power", "power_switch"})
        run_all_jobs()
        assert fresh(operation).failure_code == "not_offered"
        assert Address.objects.filter(server=house.web).count() == known > 0
        Server.objects.filter(pk=house.web.pk).update(capabilities=["power", "power_switch"])
        with pytest.raises(NotOffered):
            ask(house.cast.rosa, OperationKind.REFRESH_ADDRESSES, house.service)
        assert Entry.objects.filter(verb="operation.refresh_addresses.failed").count() == 1


class TestWhoMay:
    def test_a_client_never_lifts_the_suspension_of_who_serves_it(self, house):
        everything = [right.value for right in Right]
        Permission.objects.filter(client=house.cast.quillfeather).update(rights=everything)
        ask(house.cast.rosa, SUSPEND, house.service)
        run_all_jobs()
        for kind in (SUSPEND, UNSUSPEND):
            with pytest.raises(NotAllowed):
                ask(house.cast.mara, kind, house.service)
        assert UNSUSPEND not in {button.kind for button in buttons(house.cast.mara, house.service)}


def test_old_failures_do_not_hide_the_new_one(house):
    """Each old one was followed by another; only the last word counts."""
    run_jobs()
    for number in range(12):
        house.stage.place.fault(Fault.NOT_FOUND, on="port.is_enabled", times=1)
        failed = ask(house.cast.rosa, SUSPEND, house.service, idempotency_key=f"k{number}")
        run_all_jobs()
        assert fresh(failed).state == OperationState.FAILED
        # One a day: so many within an hour would be held.
        Operation.objects.update(asked_at=F("asked_at") - timedelta(days=1))
        if number < 11:
            ask(house.cast.rosa, UNSUSPEND, house.service)
            run_all_jobs()
    targets = [need.target for need in needs_a_person(house.cast.rosa) if need.kind == "operation"]
    assert targets == [failed.reference]


def test_what_somebody_waits_for_does_not_queue_behind_a_list(house):
    Job.objects.all().delete()
    fleet_work.sync({"upstream_id": house.stage.upstream.pk})
    ask(house.cast.mara, REBOOT, house.service)
    lanes = dict(Job.objects.values_list("key", "lane"))
    assert lanes[f"work:{house.web.pk}"] != lanes[f"refresh:{house.web.pk}:full"]
    fleet.ask_refresh(house.cast.mara, house.web.pk)
    assert Job.objects.get(key=f"refresh:{house.web.pk}:full").urgent


class TestAges:
    def test_what_was_read_before_a_crash_is_not_called_read_after_it(self, house, monkeypatch):
        house.stage.place.fault(Fault.UNKNOWN_AFTER_ACTING, on="power.off")
        ask(house.cast.rosa, POWER_OFF, house.service)
        run_jobs()
        with monkeypatch.context() as broken:
            broken.setattr("doublehop.services.work.loop.finish", lambda operation: 1 / 0)
            Job.objects.update(run_at=timezone.now())
            run_jobs()
        long_ago = timezone.now() - timedelta(minutes=9)
        Step.objects.update(settled_at=long_ago)
        Server.objects.filter(pk=house.web.pk).update(power_read_at=long_ago - timedelta(minutes=9))
        run_all_jobs()
        shown = house.stage.server("web")
        assert (shown.power_state, shown.power_read_at) == ("off", long_ago)

    def test_a_newer_reading_stays(self, house):
        newer = house.stage.server("web").power_read_at
        fleet.store_power(house.web.pk, PowerState.OFF, newer - timedelta(seconds=1))
        assert house.stage.server("web").power_state == "on"
