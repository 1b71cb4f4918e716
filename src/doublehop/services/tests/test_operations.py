"""Asked once, sent once, said honestly."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone
from tests.stage import ask, run_all_jobs, run_jobs

from doublehop.driver_kit.conformance.world import Fault
from doublehop.driver_kit.contract import PowerState
from doublehop.fleet.actions import allocate, disarm
from doublehop.fleet.models import Hold
from doublehop.jobs.models import Job
from doublehop.journal.models import Entry
from doublehop.organisations.refusals import BadInput, NotHere, WrongState
from doublehop.services import actions
from doublehop.services.actions.operations import settle_row
from doublehop.services.lifecycle import OperationKind, OperationState
from doublehop.services.models import Operation, Step
from doublehop.services.queries import buttons, can_be_cancelled, history, needs_a_person
from doublehop.services.work import endings, loop, sweep, work


def effects(house, external_id="web"):
    return house.stage.place.effects(external_id)


def fresh(operation):
    return Operation.objects.get(pk=operation.pk)


@pytest.fixture
def no_waiting(monkeypatch):
    """Right after a reset only a later reading counts; tests need not wait for it."""
    monkeypatch.setattr("doublehop.services.work.steps.EARLIEST_ON", timedelta(0))


@pytest.mark.usefixtures("no_waiting")
class TestReboot:
    def test_a_reboot_reaches_the_machine_once_and_is_told(self, house):
        operation = ask(house.cast.mara, OperationKind.REBOOT, house.service, graceful=False)
        assert effects(house) == [], "nothing is sent by whoever asks"
        run_all_jobs()
        assert effects(house) == ["power.reset:hard"]
        assert fresh(operation).state == OperationState.DONE
        lines = history(house.cast.mara, house.service)
        assert (lines[0].what, lines[0].outcome) == (
            "Reboot",
            "The reboot was accepted, and the machine is on.",
        )
        assert lines[0].by == "You (Mara Quill)"
        results = list(
            Entry.objects.filter(verb__startswith="operation.reboot").values_list("result", flat=True)
        )
        assert results == ["asked", "done"]

    def test_a_machine_seen_away_and_back_has_rebooted(self, house, monkeypatch):
        monkeypatch.setattr("doublehop.services.work.steps.EARLIEST_ON", timedelta(hours=1))
        house.stage.place.settle_seconds = 3600
        operation = ask(house.cast.mara, OperationKind.REBOOT, house.service)
        run_jobs()
        # The ticket is pending while the machine is away; followed as accepted, the power is watched.
        Step.objects.filter(operation=operation, kind="reset").update(ticket="")
        Job.objects.update(run_at=timezone.now())
        run_jobs()
        machine = house.stage.place.machines["web"]
        machine.power, machine.pending = PowerState.ON, None
        run_all_jobs()
        assert fresh(operation).restart_seen
        assert (
            history(house.cast.mara, house.service)[0].outcome
            == "Rebooted: the machine was away and is on again."
        )

    def test_the_same_key_is_the_same_operation(self, house):
        key = str(uuid4())
        first = ask(house.cast.rosa, OperationKind.REBOOT, house.service, idempotency_key=key)
        assert ask(house.cast.rosa, OperationKind.REBOOT, house.service, idempotency_key=key) == first
        run_all_jobs()
        assert ask(house.cast.rosa, OperationKind.REBOOT, house.service, idempotency_key=key) == first
        assert effects(house) == ["power.reset:graceful"]
        with pytest.raises(WrongState) as refused:
            ask(house.cast.rosa, OperationKind.REBOOT, house.service, idempotency_key=key, graceful=False)
        assert refused.value.code == "key_reused"

    def test_two_staff_at_once_are_one_reboot(self, house):
        first = ask(house.cast.rosa, OperationKind.REBOOT, house.service)
        with pytest.raises(actions.AlreadyOpen) as refused:
            ask(house.cast.ivo, OperationKind.REBOOT, house.service)
        assert refused.value.operation == first
        assert "asked by Rosa Lind" in refused.value.sentence

    def test_an_answer_that_was_lost_is_unknown_and_never_sent_again(self, house):
        house.stage.place.fault(Fault.UNKNOWN_AFTER_ACTING, on="power.reset")
        operation = ask(house.cast.mara, OperationKind.REBOOT, house.service)
        run_all_jobs()
        sweep({})
        run_all_jobs()
        assert fresh(operation).state == OperationState.UNKNOWN
        assert effects(house) == ["power.reset:graceful"]
        assert needs_a_person(house.cast.rosa)[1].target == operation.reference
        with pytest.raises(WrongState, match=operation.reference):
            ask(house.cast.mara, OperationKind.REBOOT, house.service)
        with pytest.raises(BadInput):
            ask(house.cast.rosa, OperationKind.REBOOT, house.service)
        with pytest.raises(BadInput):
            actions.settle(house.cast.rosa, operation.reference, happened=True, why=" ")
        actions.settle(house.cast.rosa, operation.reference, happened=True, why="uptime 2 minutes")
        assert fresh(operation).state == OperationState.DONE
        assert history(house.cast.mara, house.service)[0].outcome == "The reboot was confirmed by our staff."

    def test_a_worker_that_died_between_sending_and_answer_leaves_unknown(self, house, monkeypatch):
        class Died(BaseException):
            pass

        def die(*args, **kwargs):
            raise Died

        monkeypatch.setattr("doublehop.fleet.door._send", die)
        operation = ask(house.cast.mara, OperationKind.REBOOT, house.service)
        with pytest.raises(Died):
            run_jobs()
        monkeypatch.undo()
        Job.objects.update(claimed_at=None)
        run_all_jobs()
        assert fresh(operation).state == OperationState.UNKNOWN
        assert effects(house) == []

    def test_what_provably_was_not_sent_is_tried_again_and_then_given_up(self, house):
        house.stage.place.fault(Fault.UNREACHABLE, on="identify", times=2)
        operation = ask(house.cast.mara, OperationKind.REBOOT, house.service)
        run_all_jobs()
        assert fresh(operation).state == OperationState.DONE
        assert effects(house) == ["power.reset:graceful"]
        late = ask(house.cast.mara, OperationKind.REBOOT, house.service)
        Operation.objects.filter(pk=late.pk).update(send_before=timezone.now() - timedelta(seconds=1))
        run_all_jobs()
        assert fresh(late).failure_code == "too_late"
        assert effects(house) == ["power.reset:graceful"]

    def test_another_machine_at_the_same_place_is_not_touched(self, house):
        house.stage.place.fault(Fault.WRONG_IDENTITY, times=None)
        operation = ask(house.cast.mara, OperationKind.REBOOT, house.service)
        run_all_jobs()
        assert fresh(operation).failure_code == "wrong_machine"
        assert effects(house) == []

    def test_an_upstream_that_only_observes_sends_nothing(self, house):
        disarm(house.cast.ines, house.stage.upstream.pk)
        operation = ask(house.cast.mara, OperationKind.REBOOT, house.service)
        run_all_jobs()
        assert fresh(operation).failure_code == "observe_only"
        assert effects(house) == []
        sentence = history(house.cast.mara, house.service)[0].outcome
        assert "Rack" not in sentence
        assert operation.reference in sentence


class TestSuspend:
    def test_the_port_goes_down_and_exactly_that_comes_back(self, house):
        ask(house.cast.rosa, OperationKind.SUSPEND, house.service)
        house.service.refresh_from_db()
        assert house.service.status == "suspended"
        run_all_jobs()
        assert effects(house) == ["port.set_enabled:off"]
        assert house.stage.server("web").port_enabled is False, "pages show what was read back"
        assert Hold.objects.get().effects == [{"way": "port", "was": True}]
        undo = ask(house.cast.rosa, OperationKind.UNSUSPEND, house.service)
        run_all_jobs()
        house.service.refresh_from_db()
        assert fresh(undo).state == OperationState.DONE
        assert house.service.status == "active"
        assert effects(house) == ["port.set_enabled:off", "port.set_enabled:on"]

    def test_a_port_that_was_off_before_stays_off(self, house):
        house.stage.place.machines["web"].port_enabled = False
        ask(house.cast.rosa, OperationKind.SUSPEND, house.service)
        run_all_jobs()
        ask(house.cast.rosa, OperationKind.UNSUSPEND, house.service)
        run_all_jobs()
        assert effects(house) == []
        assert house.stage.place.machines["web"].port_enabled is False

    def test_without_a_port_the_power_goes_and_power_on_is_refused(self, house):
        (bare,) = house.stage.machines("bare", parts=frozenset({"power", "power_switch", "addresses"}))
        allocate(house.cast.ines, bare.pk, house.cast.alder.pk)
        actions.detach(house.cast.rosa, house.service.pk)
        service = actions.attach(house.cast.rosa, house.service.pk, bare.pk)
        ask(house.cast.rosa, OperationKind.SUSPEND, service)
        run_all_jobs()
        assert house.stage.place.machines["bare"].power is PowerState.OFF
        for actor in (house.cast.mara, house.cast.rosa):
            with pytest.raises(WrongState) as refused:
                ask(actor, OperationKind.POWER_ON, service)
            assert refused.value.code == "suspended"
        ask(house.cast.rosa, OperationKind.UNSUSPEND, service)
        run_all_jobs()
        assert house.stage.place.machines["bare"].power is PowerState.ON

    def test_a_system_that_does_not_listen_is_cut(self, house, monkeypatch):
        monkeypatch.setattr("doublehop.services.work.steps.SEND_AGAIN_AFTER", timedelta(0))
        policy = actions.create_suspend_policy(house.cast.rosa, "Power off", ["power"])
        house.product.suspend_policy = policy
        house.product.save()
        house.stage.place.fault(Fault.LIE, on="power.off", times=3)
        ask(house.cast.rosa, OperationKind.SUSPEND, house.service)
        run_all_jobs()
        assert effects(house) == ["power.off:hard"]

    def test_a_suspension_overtakes_a_reboot_that_waits(self, house):
        reboot = ask(house.cast.mara, OperationKind.REBOOT, house.service)
        ask(house.cast.rosa, OperationKind.SUSPEND, house.service)
        run_all_jobs()
        assert fresh(reboot).failure_code == "suspended"
        assert effects(house) == ["port.set_enabled:off"]

    def test_an_unsuspend_does_not_wait_for_a_suspension_that_cannot_be_sent(self, house):
        house.stage.place.fault(Fault.UNREACHABLE, times=None)
        suspend = ask(house.cast.rosa, OperationKind.SUSPEND, house.service)
        run_jobs()
        assert fresh(suspend).state == OperationState.RUNNING
        unsuspend = ask(house.cast.rosa, OperationKind.UNSUSPEND, house.service)
        run_all_jobs()
        assert (fresh(suspend).state, fresh(suspend).failure_code) == (OperationState.FAILED, "taken_back")
        assert fresh(unsuspend).state == OperationState.DONE
        house.stage.place.clear_faults()
        run_all_jobs()
        assert effects(house) == []
        house.service.refresh_from_db()
        assert house.service.status == "active"
        assert not [need for need in needs_a_person(house.cast.rosa) if need.target == suspend.reference]

    def test_but_for_a_system_that_was_asked_to_shut_down_it_waits(self, house):
        policy = actions.create_suspend_policy(house.cast.rosa, "Power off", ["power"])
        house.product.suspend_policy = policy
        house.product.save()
        house.stage.place.fault(Fault.LIE, on="power.off", times=1)
        suspend = ask(house.cast.rosa, OperationKind.SUSPEND, house.service)
        run_jobs()
        unsuspend = ask(house.cast.rosa, OperationKind.UNSUSPEND, house.service)
        run_jobs()
        assert (fresh(suspend).state, fresh(unsuspend).state) == ("running", "queued")
        house.stage.place.machines["web"].power = PowerState.OFF  # minutes later
        run_all_jobs()
        assert (fresh(suspend).state, fresh(unsuspend).state) == ("done", "done")
        assert effects(house) == ["power.on"]

    def test_a_level_step_that_lied_is_found_out(self, house):
        house.stage.place.fault(Fault.LIE, on="port.set_enabled", times=None)
        operation = ask(house.cast.rosa, OperationKind.SUSPEND, house.service)
        run_jobs()
        Operation.objects.filter(pk=operation.pk).update(settle_before=timezone.now())
        run_all_jobs()
        assert fresh(operation).state == OperationState.FAILED
        assert [need.kind for need in needs_a_person(house.cast.rosa) if need.target == operation.reference]

    def test_a_reason_is_needed_and_once_is_enough(self, house):
        with pytest.raises(BadInput):
            ask(house.cast.rosa, OperationKind.SUSPEND, house.service, reason=" ")
        ask(house.cast.rosa, OperationKind.SUSPEND, house.service)
        with pytest.raises(WrongState):
            ask(house.cast.rosa, OperationKind.SUSPEND, house.service)

    def test_two_levels_suspend_and_unsuspend_at_the_same_time(self, house):
        """Each has a hold of its own: what the other has under way is not in the way."""

        def by_provider(kind):
            return actions.request(
                house.cast.ines, kind, server_id=house.web.pk, idempotency_key=str(kind), reason="spam"
            )

        house.stage.place.fault(Fault.UNREACHABLE, times=None)
        ask(house.cast.rosa, OperationKind.SUSPEND, house.service)
        run_jobs()
        by_provider(OperationKind.SUSPEND)
        assert Hold.objects.filter(lifted_at=None).count() == 2
        house.stage.place.clear_faults()
        run_all_jobs()
        ask(house.cast.rosa, OperationKind.UNSUSPEND, house.service)
        by_provider(OperationKind.UNSUSPEND)
        run_all_jobs()
        house.service.refresh_from_db()
        assert house.service.status == "active"
        assert effects(house) == ["port.set_enabled:off", "port.set_enabled:on"]

    def test_holds_of_two_levels_lift_one_by_one(self, house):
        ask(house.cast.rosa, OperationKind.SUSPEND, house.service)
        run_all_jobs()
        actions.request(
            house.cast.ines,
            OperationKind.SUSPEND,
            server_id=house.web.pk,
            idempotency_key="abuse",
            reason="spam",
            cause="abuse",
        )
        run_all_jobs()
        ask(house.cast.rosa, OperationKind.UNSUSPEND, house.service)
        run_all_jobs()
        house.service.refresh_from_db()
        assert house.service.status == "suspended"
        assert effects(house) == ["port.set_enabled:off"]
        actions.request(
            house.cast.ines, OperationKind.UNSUSPEND, server_id=house.web.pk, idempotency_key="over"
        )
        run_all_jobs()
        house.service.refresh_from_db()
        assert house.service.status == "active"
        assert effects(house) == ["port.set_enabled:off", "port.set_enabled:on"]


class TestWhoMay:
    def test_strangers_find_nothing(self, house):
        for stranger in (house.cast.lena, house.cast.tam):
            with pytest.raises(NotHere):
                ask(stranger, OperationKind.REBOOT, house.service)
            with pytest.raises(NotHere):
                actions.request(
                    stranger, OperationKind.REBOOT, server_id=house.web.pk, idempotency_key=str(uuid4())
                )

    def test_a_client_may_not_suspend_and_does_not_see_the_button(self, house):
        kinds = {button.kind for button in buttons(house.cast.mara, house.service)}
        assert kinds == {
            OperationKind.REBOOT,
            OperationKind.POWER_ON,
            OperationKind.POWER_OFF,
            OperationKind.REFRESH_ADDRESSES,
        }

    def test_a_service_that_ended_cannot_be_acted_on(self, house):
        actions.terminate(house.cast.rosa, house.service.pk, reason="left")
        with pytest.raises(WrongState):
            ask(house.cast.rosa, OperationKind.REBOOT, house.service)
        with pytest.raises(NotHere):
            actions.request(
                house.cast.mara, OperationKind.REBOOT, server_id=house.web.pk, idempotency_key="x"
            )


class TestTakingBack:
    def test_what_runs_and_was_not_sent_is_taken_back(self, house):
        run_all_jobs()
        house.stage.place.fault(Fault.UNREACHABLE, on="identify", times=None)
        operation = ask(house.cast.rosa, OperationKind.REBOOT, house.service)
        run_jobs()
        operation.refresh_from_db()
        assert operation.state == OperationState.RUNNING
        actions.cancel(house.cast.rosa, operation.reference)
        house.stage.place.clear_faults()
        run_all_jobs()
        operation.refresh_from_db()
        assert operation.state == OperationState.CANCELLED
        assert house.stage.place.effects("web") == []

    def test_what_was_sent_is_not(self, house):
        run_all_jobs()
        operation = ask(house.cast.rosa, OperationKind.REBOOT, house.service)
        run_jobs()
        with pytest.raises(WrongState):
            actions.cancel(house.cast.rosa, operation.reference)

    @pytest.mark.parametrize("moment", ["power.state", "identify"])
    def test_while_the_worker_is_about_to_send_it(self, house, monkeypatch, moment):
        """Taken back between the last reading and the mark: nothing leaves, and nobody calls it done."""
        run_all_jobs()
        operation = ask(house.cast.rosa, OperationKind.POWER_OFF, house.service)
        call = house.stage.place.call

        def slow(name, *rest):
            answer = call(name, *rest)
            if name == moment and Operation.objects.get(pk=operation.pk).state == OperationState.RUNNING:
                actions.cancel(house.cast.rosa, operation.reference)
            return answer

        monkeypatch.setattr(house.stage.place, "call", slow)
        run_all_jobs()
        operation.refresh_from_db()
        assert operation.state == OperationState.CANCELLED
        assert house.stage.place.effects("web") == []

    def test_an_unsuspend_that_a_suspension_gave_way_to_is_carried_out(self, house):
        """Without it the service would count as suspended, and the machine would stay on for good."""
        run_all_jobs()
        house.stage.place.fault(Fault.UNREACHABLE, times=None)
        suspend = ask(house.cast.rosa, OperationKind.SUSPEND, house.service)
        run_jobs()
        unsuspend = ask(house.cast.rosa, OperationKind.UNSUSPEND, house.service)
        for state in (OperationState.RUNNING, OperationState.FAILED):
            assert fresh(suspend).state == state
            assert not can_be_cancelled(fresh(unsuspend))
            with pytest.raises(WrongState, match="gives way"):
                actions.cancel(house.cast.rosa, unsuspend.reference)
            work({"server_id": house.web.pk})
        run_all_jobs()
        assert fresh(unsuspend).state == OperationState.DONE

    def test_an_unsuspend_that_waits_behind_something_else_is_taken_back(self, house):
        ask(house.cast.rosa, OperationKind.SUSPEND, house.service)
        run_all_jobs()
        unsuspend = ask(house.cast.rosa, OperationKind.UNSUSPEND, house.service)
        assert can_be_cancelled(fresh(unsuspend))
        actions.cancel(house.cast.rosa, unsuspend.reference)
        run_all_jobs()
        assert effects(house) == ["port.set_enabled:off"]

    def test_a_worker_that_was_away_overwrites_nothing(self, house, monkeypatch):
        """Another took over and ended it; the first one comes back with what it had read."""
        run_all_jobs()
        operation = ask(house.cast.rosa, OperationKind.POWER_ON, house.service)
        finish = endings.finish

        def late(stale):
            settled = Operation.objects.get(pk=stale.pk)
            settle_row(settled, OperationState.FAILED, code="deadline", text="by the other one")
            finish(stale)

        monkeypatch.setattr(loop, "finish", late)
        run_all_jobs()
        operation.refresh_from_db()
        assert (operation.state, operation.failure_code) == (OperationState.FAILED, "deadline")
