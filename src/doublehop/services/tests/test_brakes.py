"""Too much at once is held, never dropped; approved, refused and undone as a whole."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone
from tests.stage import a_product, a_service, ask, run_all_jobs

from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Allocation, Hold
from doublehop.journal.models import Entry
from doublehop.notices.models import Mail
from doublehop.organisations.actions import create_client
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, WrongState
from doublehop.services import actions
from doublehop.services.actions import brakes
from doublehop.services.guards import AlreadyOpen
from doublehop.services.lifecycle import OperationKind, OperationState, ServiceStatus
from doublehop.services.models import Batch, Operation, Service
from doublehop.services.queries import (
    batch_of,
    batches_visible_to,
    buttons,
    history,
    needs_a_person,
    operations_visible_to,
)

SUSPEND, UNSUSPEND = OperationKind.SUSPEND, OperationKind.UNSUSPEND
FREE = brakes.LEAST_FREE


@pytest.fixture
def rows(house) -> list[Service]:
    """Nine services of Quillfeather with a server each, four more than one caller may suspend in an hour."""
    names = [f"n{number}" for number in range(FREE + 3)]
    servers = house.stage.machines(*names)
    for server in servers:
        fleet.allocate(house.cast.ines, server.pk, house.cast.alder.pk)
    more = [a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product, one) for one in servers]
    run_all_jobs()
    return [house.service, *more]


def suspend_all(house, rows):
    return [ask(house.cast.rosa, SUSPEND, row) for row in rows]


def states(operations):
    return [Operation.objects.get(pk=one.pk).state for one in operations]


def off(house, rows):
    """The services whose machine has truly lost its port."""
    return [
        row
        for row in rows
        if not house.stage.place.machines[Service.objects.get(pk=row.pk).server.external_id].port_enabled
    ]


def test_what_is_beyond_the_brake_is_held_and_nothing_of_it_is_done(house, rows):
    asked = suspend_all(house, rows)
    run_all_jobs()
    assert states(asked) == ["done"] * FREE + ["held"] * (len(rows) - FREE)
    assert off(house, rows) == rows[:FREE]
    assert Hold.objects.count() == FREE
    for row in rows[FREE:]:
        row.refresh_from_db()
        assert row.status == ServiceStatus.ACTIVE
    mail = Mail.objects.get(about="held")
    assert "waits for your approval" in mail.subject
    assert mail.to == "rosa@alder.example"
    need = next(one for one in needs_a_person(house.cast.rosa) if one.kind == "batch")
    assert f"{len(rows) - FREE} operations" in need.heading


def test_the_same_request_again_answers_with_what_is_held(house, rows):
    asked = suspend_all(house, rows)
    again = ask(house.cast.rosa, SUSPEND, rows[-1], idempotency_key=asked[-1].idempotency_key)
    assert again == asked[-1]
    with pytest.raises(AlreadyOpen, match="waits for approval") as refused:
        ask(house.cast.rosa, SUSPEND, rows[-1])
    assert refused.value.operation == asked[-1]


def test_each_caller_has_a_brake_of_its_own_and_an_hour_later_it_is_free_again(house, rows):
    suspend_all(house, rows[:FREE])
    assert ask(house.cast.ivo, SUSPEND, rows[FREE]).state == OperationState.QUEUED
    assert ask(house.cast.rosa, SUSPEND, rows[FREE + 1]).state == OperationState.HELD
    Operation.objects.update(asked_at=F("asked_at") - brakes.WINDOW - timedelta(seconds=1))
    # The batch is still open: what the same caller asks meanwhile joins it.
    assert ask(house.cast.rosa, SUSPEND, rows[FREE + 2]).state == OperationState.HELD
    actions.refuse(house.cast.rosa, Batch.objects.get().pk, why="A wrong run")
    run_all_jobs()
    assert ask(house.cast.rosa, SUSPEND, rows[FREE + 3]).state == OperationState.QUEUED


def test_three_percent_of_a_large_house_are_free(house):
    Service.objects.bulk_create(
        Service(
            organisation=house.cast.alder,
            client=house.cast.quillfeather,
            product=house.product,
            number=9000 + number,
            status=ServiceStatus.ACTIVE,
        )
        for number in range(399)
    )
    assert brakes.free(house.cast.alder.pk) == 12


def test_unsuspending_is_never_held(house, rows):
    suspend_all(house, rows[:FREE])
    run_all_jobs()
    undone = [ask(house.cast.rosa, UNSUSPEND, row) for row in rows[:FREE]]
    run_all_jobs()
    assert states(undone) == ["done"] * FREE
    assert off(house, rows) == []


def test_who_paid_meanwhile_is_not_suspended_by_a_late_approval(house, rows):
    asked = suspend_all(house, rows)
    lifted = ask(house.cast.rosa, UNSUSPEND, rows[-1])
    run_all_jobs()
    assert states([asked[-1], lifted]) == ["cancelled", "done"]
    actions.approve(house.cast.rosa, Batch.objects.get().pk, count=len(rows) - FREE - 1)
    run_all_jobs()
    assert off(house, rows) == rows[:-1]


def test_approved_once_all_of_it_is_done(house, rows):
    asked = suspend_all(house, rows)
    batch = Batch.objects.get()
    with pytest.raises(BadInput, match="wait now"):
        actions.approve(house.cast.rosa, batch.pk, count=1)
    with pytest.raises(NotAllowed):
        actions.approve(house.cast.ivo, batch.pk, count=4)
    with pytest.raises(NotHere):
        actions.approve(house.cast.tam, batch.pk, count=4)
    Operation.objects.update(send_before=timezone.now() - timedelta(days=2))
    actions.approve(house.cast.rosa, batch.pk, count=len(rows) - FREE)
    run_all_jobs()
    assert states(asked) == ["done"] * len(rows)
    assert off(house, rows) == rows
    with pytest.raises(WrongState, match="already"):
        actions.refuse(house.cast.rosa, batch.pk, why="Too late")


def test_refused_once_nothing_of_it_is_done(house, rows):
    asked = suspend_all(house, rows)
    batch = Batch.objects.get()
    with pytest.raises(BadInput):
        actions.refuse(house.cast.rosa, batch.pk, why=" ")
    actions.refuse(house.cast.rosa, batch.pk, why="The billing system ran with a wrong date")
    run_all_jobs()
    assert states(asked) == ["done"] * FREE + ["cancelled"] * (len(rows) - FREE)
    assert off(house, rows) == rows[:FREE]


def test_one_button_undoes_exactly_what_was_done(house, rows):
    by_hand = ask(house.cast.ivo, SUSPEND, rows[-1])
    run_all_jobs()
    suspend_all(house, rows[:-1])
    run_all_jobs()
    batch = Batch.objects.get()
    with pytest.raises(WrongState, match="first"):
        actions.undo(house.cast.rosa, batch.pk, why="A mistake")
    actions.approve(house.cast.rosa, batch.pk, count=len(rows) - 1 - FREE)
    run_all_jobs()
    assert len(off(house, rows)) == len(rows)
    actions.undo(house.cast.rosa, batch.pk, why="A mistake")
    run_all_jobs()
    assert off(house, rows) == [rows[-1]]
    assert Operation.objects.get(pk=by_hand.pk).hold_id == Hold.objects.get(lifted_at=None).pk


def test_what_changed_meanwhile_is_not_touched_by_the_approval(house, rows):
    asked = suspend_all(house, rows)
    actions.detach(house.cast.rosa, rows[-1].pk)
    actions.approve(house.cast.rosa, Batch.objects.get().pk, count=len(rows) - FREE)
    run_all_jobs()
    last = Operation.objects.get(pk=asked[-1].pk)
    assert (last.state, last.failure_code) == ("failed", "no_server")
    assert not operations_visible_to(house.cast.mara).filter(pk=last.pk).exists()
    assert house.stage.place.machines[last.server.external_id].port_enabled


@pytest.mark.parametrize("gone_to", ["a client of the own", "another house"])
def test_an_approval_does_not_meet_whoever_got_the_server_meanwhile(house, monkeypatch, gone_to):
    monkeypatch.setattr(brakes, "LEAST_FREE", 0)
    held = actions.request(
        house.cast.ines, SUSPEND, server_id=house.web.pk, idempotency_key="unpaid", reason="Unpaid"
    )
    assert held.state == OperationState.HELD
    actions.detach(house.cast.rosa, house.service.pk)
    fleet.end_allocation(house.cast.ines, Allocation.objects.get(server=house.web, until=None).pk)
    if gone_to == "another house":
        fleet.allocate(house.cast.ines, house.web.pk, house.cast.birch.pk)
    else:
        client = create_client(house.cast.ines, name="Own Client")
        a_service(house.cast.ines, client.pk, a_product(house.cast.ines), house.web)
    actions.approve(house.cast.ines, Batch.objects.get().pk, count=1)
    run_all_jobs()
    held.refresh_from_db()
    assert (held.state, held.failure_code) == ("failed", "in_other_hands")
    assert house.stage.place.effects("web") == []


def test_clients_learn_nothing_of_what_came_to_nothing(house, rows):
    asked = suspend_all(house, rows)
    held = asked[-1]
    assert not operations_visible_to(house.cast.mara).filter(pk=held.pk).exists()
    assert held.reference not in {line.reference for line in history(house.cast.mara, rows[-1])}
    actions.refuse(house.cast.rosa, Batch.objects.get().pk, why="Wrong")
    run_all_jobs()
    assert not operations_visible_to(house.cast.mara).filter(pk=held.pk).exists()
    lines = Entry.objects.filter(verb="operation.suspend.cancelled", details__reference=held.reference)
    assert [line.client_id for line in lines] == [None], "their webhooks are told of what is about them"
    reboot = next(one for one in buttons(house.cast.mara, rows[-1]) if one.kind == OperationKind.REBOOT)
    assert reboot.why_not == ""


def test_only_the_own_house_sees_a_batch(house, rows):
    suspend_all(house, rows)
    batch = batches_visible_to(house.cast.rosa).get()
    assert batch_of(house.cast.rosa, batch.pk) == batch
    for stranger in (house.cast.tam, house.cast.ines, house.cast.mara):
        assert not batches_visible_to(stranger).exists()
        with pytest.raises(NotHere):
            batch_of(stranger, batch.pk)


class TestTerminating:
    def test_is_held_beyond_the_same_brake_and_goes_on_when_approved(self, house, rows):
        ended = [actions.terminate(house.cast.rosa, row.pk, reason="Left") for row in rows]
        assert [one.state for one in ended] == ["done"] * FREE + ["held"] * (len(rows) - FREE)
        with pytest.raises(AlreadyOpen):
            actions.terminate(house.cast.rosa, rows[-1].pk, reason="Left")
        actions.approve(house.cast.rosa, Batch.objects.get().pk, count=len(rows) - FREE)
        run_all_jobs()
        assert set(Service.objects.values_list("status", flat=True)) == {"terminated"}
        assert house.stage.place.effects("web") == []

    def test_counts_together_with_suspending(self, house, rows):
        suspend_all(house, rows[:FREE])
        assert actions.terminate(house.cast.rosa, rows[-1].pk, reason="Left").state == OperationState.HELD

    def test_is_undone_with_its_batch(self, house, rows):
        before = {row.pk: (row.server_id, row.hostname) for row in Service.objects.all()}
        for row in rows:
            actions.terminate(house.cast.rosa, row.pk, reason="Left")
        batch = Batch.objects.get()
        actions.refuse(house.cast.rosa, batch.pk, why="A mistake")
        actions.undo(house.cast.rosa, batch.pk, why="A mistake")
        run_all_jobs()
        after = {row.pk: row.server_id for row in Service.objects.all()}
        assert after == {pk: server for pk, (server, _) in before.items()}
        assert set(Service.objects.values_list("status", flat=True)) == {"active"}
        assert Batch.objects.get().not_undone == {}

    def test_the_same_key_ends_it_once(self, house):
        first = actions.terminate(house.cast.rosa, house.service.pk, reason="Left", key="t-1")
        assert actions.terminate(house.cast.rosa, house.service.pk, reason="Left", key="t-1") == first
        assert Entry.objects.filter(verb="service.terminated").count() == 1

    def test_can_be_taken_back_while_the_server_is_free(self, house):
        actions.terminate(house.cast.rosa, house.service.pk, reason="Left")
        back = actions.restore(house.cast.rosa, house.service.pk)
        assert (back.status, back.server_id, back.ended_at) == ("active", house.web.pk, None)
        with pytest.raises(WrongState):
            actions.restore(house.cast.rosa, house.service.pk)

    def test_cannot_be_taken_back_once_somebody_else_has_the_server(self, house):
        actions.terminate(house.cast.rosa, house.service.pk, reason="Left")
        a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product, house.web)
        with pytest.raises(WrongState, match="is attached to S-"):
            actions.restore(house.cast.rosa, house.service.pk)

    def test_a_suspended_one_comes_back_suspended(self, house):
        ask(house.cast.rosa, SUSPEND, house.service)
        run_all_jobs()
        actions.terminate(house.cast.rosa, house.service.pk, reason="Left")
        back = actions.restore(house.cast.rosa, house.service.pk)
        back.refresh_from_db()
        assert back.status == ServiceStatus.SUSPENDED
        assert ask(house.cast.rosa, UNSUSPEND, back).state == OperationState.QUEUED
