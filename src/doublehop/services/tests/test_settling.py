"""An unknown outcome that leaves a state is settled by reading it, however late; nothing is sent for it."""

from datetime import timedelta

import pytest
from django.utils import timezone
from tests.stage import ask, run_all_jobs, run_jobs

from doublehop.driver_kit.conformance.world import Fault
from doublehop.services import actions
from doublehop.services.lifecycle import OperationKind, OperationState
from doublehop.services.models import Operation
from doublehop.services.queries import can_be_read_back
from doublehop.services.work import sweep

SUSPEND, UNSUSPEND, REBOOT = OperationKind.SUSPEND, OperationKind.UNSUSPEND, OperationKind.REBOOT


def parked(house, kind) -> Operation:
    """Sent, and then the switch did not know its port any more."""
    place = house.stage.place
    place.fault(Fault.UNKNOWN_AFTER_ACTING, on="port.set_enabled")
    operation = ask(house.cast.rosa, kind, house.service)
    run_jobs()
    assert place.effects("web") == ["port.set_enabled:off"]
    place.fault(Fault.NOT_FOUND, on="port.is_enabled", times=None)
    run_all_jobs()
    operation.refresh_from_db()
    assert operation.state == OperationState.UNKNOWN
    return operation


def swept(operation) -> Operation:
    Operation.objects.update(looked_again_at=timezone.now() - timedelta(hours=1))
    sweep({})
    run_jobs()
    operation.refresh_from_db()
    return operation


def test_it_is_done_as_soon_as_it_reads_so(house):
    run_all_jobs()
    operation = parked(house, SUSPEND)
    assert can_be_read_back(operation)
    assert swept(operation).state == OperationState.UNKNOWN
    house.stage.place.clear_faults()
    calls = house.stage.place.effects("web")
    assert swept(operation).state == OperationState.DONE
    assert house.stage.place.effects("web") == calls
    assert "Read back later" in operation.steps.get().note
    # What it changed is known, and undone.
    ask(house.cast.rosa, UNSUSPEND, house.service)
    run_all_jobs()
    assert house.stage.place.machines["web"].port_enabled


def test_it_has_failed_as_soon_as_it_reads_otherwise(house):
    run_all_jobs()
    operation = parked(house, SUSPEND)
    house.stage.place.clear_faults()
    house.stage.place.machines["web"].port_enabled = True
    swept(operation)
    assert (operation.state, operation.failure_code) == (OperationState.FAILED, "read_back")


@pytest.mark.parametrize("sent", [True, False])
def test_a_part_that_is_gone_is_unknown_only_after_sending(house, sent):
    run_all_jobs()
    place = house.stage.place
    if sent:
        place.fault(Fault.UNKNOWN_AFTER_ACTING, on="port.set_enabled")
    operation = ask(house.cast.rosa, SUSPEND, house.service)
    if sent:
        run_jobs()
    place.machines["web"].parts = frozenset({"power", "power_switch"})
    run_all_jobs()
    operation.refresh_from_db()
    assert operation.state == (OperationState.UNKNOWN if sent else OperationState.FAILED)
    assert place.effects("web") == (["port.set_enabled:off"] if sent else [])


def test_staff_may_look_now(house):
    run_all_jobs()
    operation = parked(house, SUSPEND)
    house.stage.place.clear_faults()
    actions.ask_look_again(house.cast.rosa, operation.reference)
    run_jobs()
    operation.refresh_from_db()
    assert operation.state == OperationState.DONE


def test_a_reboot_leaves_nothing_to_read(house):
    run_all_jobs()
    house.stage.place.fault(Fault.UNKNOWN_AFTER_ACTING, on="power.reset")
    operation = ask(house.cast.rosa, REBOOT, house.service)
    run_all_jobs()
    operation.refresh_from_db()
    assert not can_be_read_back(operation)
    assert swept(operation).state == OperationState.UNKNOWN


@pytest.mark.parametrize("happened", [True, False])
def test_a_person_who_was_quicker_stays_right(house, happened):
    run_all_jobs()
    operation = parked(house, SUSPEND)
    house.stage.place.clear_faults()
    actions.settle(house.cast.rosa, operation.reference, happened=happened, why="Seen at the switch")
    before = Operation.objects.filter(pk=operation.pk).values().get()
    sweep({})
    run_jobs()
    assert Operation.objects.filter(pk=operation.pk).values().get() == before
