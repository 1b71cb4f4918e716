"""Operations at an upstream that refused our login, or that asked for patience."""

from datetime import timedelta

import pytest
from django.utils import timezone
from tests.stage import a_service, ask, run_all_jobs, run_jobs

from doublehop.driver_kit.conformance.world import PASSWORD, Fault
from doublehop.driver_kit.errors import Busy
from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Upstream
from doublehop.jobs.models import Job
from doublehop.notices.models import Mail
from doublehop.services.lifecycle import OperationKind, OperationState
from doublehop.services.models import Operation
from doublehop.services.queries import history, needs_a_person

REBOOT, SUSPEND, UNSUSPEND = OperationKind.REBOOT, OperationKind.SUSPEND, OperationKind.UNSUSPEND


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr("doublehop.services.work.steps.EARLIEST_ON", timedelta(0))


@pytest.fixture
def both(house):
    """Two services; everything that was rung for has run."""
    house.other = a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product, house.spare)
    run_jobs()
    return house


def fresh(operation):
    return Operation.objects.get(pk=operation.pk)


def all_calls(house) -> int:
    return len(house.stage.place.arrivals())


def due_now() -> None:
    Job.objects.update(run_at=timezone.now() - timedelta(seconds=1))


def go_round() -> None:
    """The worker's next look, as if every pause had passed."""
    due_now()
    run_jobs()


class TestRefusedLogin:
    def test_one_rejection_and_no_call_more(self, both):
        both.stage.place.password = "changed"
        before = all_calls(both)
        suspend = ask(both.cast.rosa, SUSPEND, both.service)
        run_jobs()
        assert all_calls(both) == before + 1
        reboot = ask(both.cast.mara, REBOOT, both.other)
        run_jobs()
        for _ in range(4):
            go_round()
        assert all_calls(both) == before + 1
        assert (fresh(reboot).state, fresh(reboot).failure_code) == ("failed", "credentials_rejected")
        assert fresh(suspend).state == OperationState.RUNNING

    def test_a_suspension_goes_on_by_itself_once_the_login_is_mended(self, both):
        both.stage.place.password = "changed"
        suspend = ask(both.cast.rosa, SUSPEND, both.service)
        run_jobs()
        go_round()
        both.stage.place.password = PASSWORD
        go_round()
        assert fresh(suspend).state == OperationState.RUNNING, "nobody has tried it yet"
        fleet.ask_test(both.cast.ines, both.stage.upstream.pk)
        run_all_jobs()
        assert fresh(suspend).state == OperationState.DONE
        assert both.stage.place.effects("web") == ["port.set_enabled:off"]

    def test_a_login_refused_between_reading_and_sending_waits_too(self, both):
        both.stage.place.fault(Fault.CREDENTIALS, on="port.set_enabled")
        suspend = ask(both.cast.rosa, SUSPEND, both.service)
        run_jobs()
        step = fresh(suspend).steps.get()
        assert (fresh(suspend).state, step.times_sent) == (OperationState.RUNNING, 0)
        fleet.ask_test(both.cast.ines, both.stage.upstream.pk)
        run_all_jobs()
        assert fresh(suspend).state == OperationState.DONE

    def test_a_suspension_waits_until_its_deadline_and_no_longer(self, both):
        both.stage.place.password = "changed"
        suspend = ask(both.cast.rosa, SUSPEND, both.service)
        run_jobs()
        Operation.objects.update(settle_before=timezone.now(), send_before=timezone.now())
        go_round()
        assert (fresh(suspend).state, fresh(suspend).failure_code) == ("failed", "credentials_rejected")

    def test_a_machine_with_a_login_of_its_own_is_not_asked_for_an_hour(self, both, monkeypatch):
        monkeypatch.setattr("doublehop.fleet.door.has_machine_logins", lambda row: True)
        both.stage.place.fault(Fault.CREDENTIALS, machine="web", times=None)
        suspend = ask(both.cast.rosa, SUSPEND, both.service)
        run_jobs()
        assert fresh(suspend).state == OperationState.FAILED

    def test_staff_of_the_owner_read_of_it_and_nobody_else(self, both):
        both.stage.place.password = "changed"
        ask(both.cast.mara, REBOOT, both.service)
        run_jobs()
        need = next(need for need in needs_a_person(both.cast.ines) if need.kind == "upstream")
        assert need.heading == "Rack A refuses our login"
        assert "until the login is corrected" in need.detail
        assert not [need for need in needs_a_person(both.cast.rosa) if need.kind == "upstream"]
        assert {mail.to for mail in Mail.objects.filter(about="upstream_refused")} == {
            "ines@northgate.example"
        }
        told = " ".join(str(line) for line in history(both.cast.mara, both.service))
        assert "login" not in told
        assert "Rack A" not in told


class TestNoCallAndNoMomentIsWasted:
    def test_what_is_so_at_once_is_read_back_at_once(self, both):
        before = len(both.stage.place.calls("web"))
        suspend = ask(both.cast.rosa, SUSPEND, both.service)
        run_jobs()
        assert fresh(suspend).state == OperationState.DONE
        assert both.stage.place.calls("web")[before:] == [
            "port.is_enabled",
            "identify",
            "port.set_enabled",
            "port.is_enabled",
        ]
        assert not Job.objects.filter(name="services.work").exists(), "nothing waits behind it"

    def test_what_waits_behind_it_follows_at_once(self, both):
        first = ask(both.cast.rosa, OperationKind.REFRESH_ADDRESSES, both.service)
        second = ask(both.cast.rosa, SUSPEND, both.service)
        run_jobs()
        assert {fresh(first).state, fresh(second).state} == {OperationState.DONE}

    def test_our_own_budget_is_waited_for_and_backs_off_from_nothing(self, both, monkeypatch):
        soon = timezone.now() + timedelta(seconds=5)
        busy = Busy("the request budget of this upstream is used up", retry_at=soon)

        def used_up(part):
            raise busy

        monkeypatch.setattr("doublehop.drivers.memory.server.MemoryPort.is_enabled", used_up)
        suspend = ask(both.cast.rosa, SUSPEND, both.service)
        run_jobs()
        Operation.objects.filter(pk=suspend.pk).update(claimed_at=timezone.now() - timedelta(minutes=20))
        due_now()
        run_jobs()
        assert abs(Job.objects.get(name="services.work").run_at - soon) < timedelta(seconds=1)
        assert Upstream.objects.get().rests_until is None


class TestPatience:
    def test_everybody_waits_until_then_and_not_a_moment_longer(self, both):
        both.stage.place.fault(Fault.BUSY, on="port.set_enabled", seconds=30)
        suspend = ask(both.cast.rosa, SUSPEND, both.service)
        run_jobs()
        until = Upstream.objects.get().rests_until
        before = all_calls(both)
        ask(both.cast.rosa, SUSPEND, both.other)
        run_jobs()
        assert all_calls(both) == before
        for job in Job.objects.filter(name="services.work"):
            assert timedelta(0) <= job.run_at - until < timedelta(seconds=1)
        Upstream.objects.update(rests_until=timezone.now())
        run_all_jobs()
        assert fresh(suspend).state == OperationState.DONE
        assert both.stage.place.effects("spare") == ["port.set_enabled:off"]

    def test_an_unsuspension_wakes_before_a_suspension(self, both):
        ask(both.cast.rosa, SUSPEND, both.service)
        run_all_jobs()
        fleet.note_rest(both.stage.upstream.pk, timezone.now() + timedelta(seconds=30))
        ask(both.cast.rosa, SUSPEND, both.other)
        run_jobs()
        ask(both.cast.rosa, UNSUSPEND, both.service)
        run_jobs()
        order = Job.objects.filter(name="services.work").order_by("-urgent", "run_at")
        assert [job.payload["server_id"] for job in order] == [both.web.pk, both.spare.pk]

    def test_an_unsuspension_overtakes_suspensions_that_are_due(self, both):
        ask(both.cast.rosa, SUSPEND, both.service)
        run_all_jobs()
        ask(both.cast.rosa, SUSPEND, both.other)
        Job.objects.update(run_at=timezone.now() - timedelta(minutes=10))
        ask(both.cast.rosa, UNSUSPEND, both.service)
        run_jobs()
        effects = [(e.external_id, e.what) for e in both.stage.place.ledger()][1:]
        assert effects == [("web", "port.set_enabled:on"), ("spare", "port.set_enabled:off")]

    def test_a_reboot_that_would_be_late_fails_at_once(self, both):
        fleet.note_rest(both.stage.upstream.pk, timezone.now() + timedelta(minutes=10))
        reboot = ask(both.cast.mara, REBOOT, both.service)
        run_jobs()
        assert (fresh(reboot).state, fresh(reboot).failure_code) == ("failed", "busy")

    def test_a_rest_longer_than_a_suspension_may_wait_ends_it_in_time(self, both):
        fleet.note_rest(both.stage.upstream.pk, timezone.now() + timedelta(days=2))
        suspend = ask(both.cast.rosa, SUSPEND, both.service)
        run_jobs()
        job = Job.objects.get(name="services.work")
        assert job.run_at < fresh(suspend).settle_before + timedelta(seconds=5)
