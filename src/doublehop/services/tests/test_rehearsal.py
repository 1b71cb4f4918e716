"""A dry run does all that the request does, and takes it back."""

from datetime import timedelta
from functools import partial

import pytest
from django.utils import timezone
from tests.stage import a_service, run_all_jobs

from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Hold
from doublehop.jobs.models import Job
from doublehop.journal.models import Entry
from doublehop.notices.models import Mail
from doublehop.organisations.installation import AWAITS_CONFIRMATION
from doublehop.organisations.models import Installation
from doublehop.organisations.refusals import NotHere, WrongState
from doublehop.services import actions
from doublehop.services.actions import restored
from doublehop.services.actions.brakes import LEAST_FREE
from doublehop.services.actions.rehearsal import rehearse
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import Batch, Operation
from doublehop.services.queries import preview


def suspension(house, service, key="k"):
    return partial(
        actions.request,
        house.cast.rosa,
        OperationKind.SUSPEND,
        service.pk,
        idempotency_key=key,
        reason="Overdue",
    )


def everything():
    return [
        list(model.objects.order_by("pk").values()) for model in (Operation, Hold, Entry, Job, Mail, Batch)
    ]


def test_it_names_the_exact_target_and_its_steps_and_leaves_no_trace(house):
    run_all_jobs()
    before = everything()
    found = rehearse(suspension(house, house.service))
    assert (found.server.pk, found.client, found.service) == (
        house.web.pk,
        "Quillfeather Books",
        str(house.service),
    )
    assert found.steps == ("Switch the network port off",)
    assert (found.held, found.not_sent) == (False, "")
    ended = rehearse(partial(actions.terminate, house.cast.rosa, house.service.pk, reason="Left"))
    assert (ended.what, ended.steps) == ("Terminate", ())
    run_all_jobs()
    assert everything() == before
    house.service.refresh_from_db()
    assert (house.service.status, house.service.server_id) == ("active", house.web.pk)
    assert house.stage.place.effects("web") == []
    # The key was not used up by it.
    assert suspension(house, house.service)().state == "queued"


def test_every_guard_runs(house):
    fleet.protect(house.cast.ines, house.web.pk)
    with pytest.raises(WrongState, match="protected"):
        rehearse(suspension(house, house.service))
    with pytest.raises(NotHere):
        rehearse(
            partial(
                actions.request, house.cast.tam, OperationKind.REBOOT, house.service.pk, idempotency_key="k"
            )
        )


def test_it_says_that_nothing_would_be_sent(house):
    fleet.disarm(house.cast.ines, house.stage.upstream.pk)
    assert "nothing is done at this machine" in rehearse(suspension(house, house.service)).not_sent


def test_it_says_that_it_would_wait(house):
    house.stage.upstream.rests_until = timezone.now() + timedelta(minutes=5)
    house.stage.upstream.save()
    assert "cannot be reached at the moment" in rehearse(suspension(house, house.service)).not_sent
    restored.begin(Installation.Why.RESTORED, copy_taken_at=timezone.now())
    assert AWAITS_CONFIRMATION in rehearse(suspension(house, house.service)).not_sent


def test_it_says_that_a_brake_would_hold_it_and_so_does_the_preview_of_many(house):
    servers = house.stage.machines(*[f"n{number}" for number in range(LEAST_FREE)])
    rows = [house.service]
    for server in servers:
        fleet.allocate(house.cast.ines, server.pk, house.cast.alder.pk)
        rows.append(a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product, server))
    shown = preview(house.cast.rosa, OperationKind.SUSPEND, [row.pk for row in rows])
    assert [line.held for line in shown.will] == [False] * LEAST_FREE + [True]
    for number, row in enumerate(rows[:-1]):
        assert not rehearse(suspension(house, row)).held
        suspension(house, row, key=f"k{number}")()
    assert rehearse(suspension(house, rows[-1])).held
    assert not Mail.objects.filter(about="held").exists()
    assert not Batch.objects.exists()


def test_the_preview_of_terminations_leaves_out_what_cannot_be(house):
    idle = a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product)
    shown = preview(house.cast.rosa, OperationKind.TERMINATE, [house.service.pk, idle.pk])
    assert [line.service for line in shown.will] == [house.service]
    assert [line.left_out for line in shown.left_out] == ["has no server yet"]
    actions.request(house.cast.rosa, OperationKind.REBOOT, house.service.pk, idempotency_key="running")
    shown = preview(house.cast.rosa, OperationKind.TERMINATE, [house.service.pk])
    assert "operation is running" in shown.left_out[0].left_out
