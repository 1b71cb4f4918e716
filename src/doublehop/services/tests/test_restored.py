"""A restored copy sends nothing until a person has confirmed it, and then exactly what was said."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.core import mail as outbox
from django.utils import timezone
from tests.stage import a_product, a_service, a_stage, ask, run_all_jobs, run_jobs

from doublehop.jobs.models import Job
from doublehop.journal.models import Entry
from doublehop.notices import actions as notices
from doublehop.notices.models import Mail
from doublehop.organisations.installation import in_quarantine, quarantine_for
from doublehop.organisations.models import Installation
from doublehop.organisations.refusals import NotAllowed, NotHere, WrongState
from doublehop.services import upkeep
from doublehop.services.actions import restored
from doublehop.services.lifecycle import OperationKind, OperationState, ServiceStatus, StepState
from doublehop.services.models import Operation
from doublehop.services.queries.restored import waiting_in_copy
from doublehop.services.wording import client_sentence

pytestmark = pytest.mark.django_db
LAST_NIGHT = timedelta(hours=9)


@pytest.fixture(autouse=True)
def _with_mail(monkeypatch):
    monkeypatch.setattr(settings, "DOUBLEHOP_SENDS_MAIL", True)
    monkeypatch.setattr(settings, "EMAIL_BACKEND", "django.core.mail.backends.locmem.EmailBackend")


def a_mail(house, key="order:1"):
    return notices.write(
        organisation_id=house.cast.alder.pk,
        to="mara@quillfeather.example",
        subject="Your order",
        body="It waits.",
        about="order_waits",
        key=key,
    )


def last_night():
    """Everything that is open and waits was asked when the copy was taken."""
    then = timezone.now() - LAST_NIGHT
    open_ones = Operation.objects.filter(state__in=("queued", "running"))
    for operation in open_ones:
        for name in ("asked_at", "send_before", "settle_before"):
            setattr(operation, name, getattr(operation, name) - LAST_NIGHT)
        operation.save()
    Mail.objects.update(created_at=then)
    return then


def the_copy_is_restored(taken_at):
    return restored.begin(Installation.Why.RESTORED, copy_taken_at=taken_at)


def look_around():
    """What the worker does meanwhile: as often as it likes, the waiting jobs included."""
    for _ in range(4):
        for tick in (upkeep.restored_copy, upkeep.fill_all, upkeep.welcome_all, upkeep.overdue):
            tick({})
        Job.objects.update(run_at=timezone.now() - timedelta(seconds=1))
        run_jobs()


def state_of(operation):
    operation.refresh_from_db()
    return operation.state


@pytest.fixture
def copy(house):
    """A suspension, a reboot and a reverse DNS entry are open, and a mail waits; then the copy is restored."""
    third = a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product, house.spare)
    suspend = ask(house.cast.rosa, OperationKind.SUSPEND, third)
    reboot = ask(house.cast.rosa, OperationKind.REBOOT, house.service)
    mail = a_mail(house)
    taken_at = last_night()
    the_copy_is_restored(taken_at)
    return suspend, reboot, mail


def test_nothing_leaves_until_somebody_confirms(house, copy):
    suspend, reboot, mail = copy
    before = house.stage.place.ledger()
    look_around()
    assert house.stage.place.ledger() == before
    assert outbox.outbox == []
    mail.refresh_from_db()
    assert (mail.state, mail.attempts) == (Mail.State.WAITING, 0)
    assert state_of(suspend) == OperationState.RUNNING
    assert suspend.settle_before > timezone.now()
    # A late reboot is a wrong one: it ended clean, as after any long wait.
    assert (state_of(reboot), reboot.failure_code) == (OperationState.FAILED, "restored")
    assert "maintenance" in client_sentence(reboot)


def test_reading_goes_on(house, copy):
    ask(house.cast.rosa, OperationKind.REFRESH_ADDRESSES, house.service)
    look_around()
    assert Operation.objects.get(kind=OperationKind.REFRESH_ADDRESSES).state == OperationState.DONE


def test_confirming_does_exactly_what_was_said(house, copy):
    suspend, reboot, mail = copy
    waiting = waiting_in_copy(house.cast.ines)
    assert [row.pk for row in waiting.called_off.rows] == [reboot.pk]
    assert [row.pk for row in waiting.going_on.rows] == [suspend.pk]
    assert (waiting.called_off.count, waiting.read.count, waiting.going_on.count) == (1, 0, 1)
    assert (waiting.mails, waiting.unknown) == (1, 0)
    restored.confirm(house.cast.ines, send_mails=False)
    run_all_jobs()
    assert state_of(suspend) == OperationState.DONE
    assert house.stage.place.effects("spare") == ["port.set_enabled:off"]
    assert (state_of(reboot), reboot.failure_code) == (OperationState.FAILED, "restored")
    assert "not known" in reboot.staff_text
    assert house.stage.place.effects("web") == []
    mail.refresh_from_db()
    assert mail.state == Mail.State.FAILED
    assert outbox.outbox == []
    assert not in_quarantine()


def test_mails_are_sent_when_that_was_chosen(house, copy):
    written_since = a_mail(house, key="order:2")
    run_jobs()
    assert outbox.outbox == []
    restored.confirm(house.cast.ines, send_mails=True)
    run_all_jobs()
    assert len(outbox.outbox) == 2
    written_since.refresh_from_db()
    assert written_since.state == Mail.State.SENT


def test_a_mail_written_since_the_restore_goes_out_even_when_the_old_ones_are_dropped(house, copy):
    a_mail(house, key="order:2")
    restored.confirm(house.cast.ines, send_mails=False)
    run_all_jobs()
    assert len(outbox.outbox) == 1


def test_what_was_sent_without_an_answer_is_unknown_and_not_sent_again(house):
    reboot = ask(house.cast.rosa, OperationKind.REBOOT, house.service)
    reboot.state, reboot.claimed_at = OperationState.RUNNING, timezone.now()
    reboot.save()
    step = reboot.steps.first()
    step.state, step.sent_at, step.times_sent = StepState.SENT, timezone.now(), 1
    step.save()
    the_copy_is_restored(last_night())
    assert waiting_in_copy(house.cast.ines).read.count == 1
    restored.confirm(house.cast.ines, send_mails=False)
    run_all_jobs()
    assert state_of(reboot) == OperationState.UNKNOWN
    assert house.stage.place.effects("web") == []


def test_a_suspension_that_was_under_way_waits_however_long_it_takes(house):
    """Claimed before the copy was taken, its own time would be over since last night."""
    suspend = ask(house.cast.rosa, OperationKind.SUSPEND, house.service)
    suspend.state, suspend.claimed_at = OperationState.RUNNING, timezone.now() - LAST_NIGHT
    suspend.save()
    the_copy_is_restored(last_night())
    run_jobs()
    assert state_of(suspend) == OperationState.RUNNING
    # Nobody looks for a whole weekend.
    Operation.objects.update(settle_before=timezone.now(), send_before=timezone.now())
    look_around()
    assert state_of(suspend) == OperationState.RUNNING
    assert house.stage.place.effects("web") == []
    restored.confirm(house.cast.ines, send_mails=False)
    run_all_jobs()
    assert state_of(suspend) == OperationState.DONE
    assert house.stage.place.effects("web") == ["port.set_enabled:off"]


def test_a_suspension_that_took_place_meanwhile_is_read_and_not_sent(house):
    """The copy shows it as open; in truth it was done after the copy was taken."""
    suspend = ask(house.cast.rosa, OperationKind.SUSPEND, house.service)
    the_copy_is_restored(last_night())
    house.stage.place.machines["web"].port_enabled = False
    look_around()
    assert state_of(suspend) == OperationState.DONE
    assert house.stage.place.effects("web") == []


def test_nothing_acts_by_the_clock_meanwhile(house):
    product = a_product(house.cast.rosa, "Pooled")
    product.overdue_grace_days = 3
    product.save()
    late = a_service(house.cast.rosa, house.cast.quillfeather.pk, product, house.spare)
    late.next_due_on = timezone.now().date() - timedelta(days=30)
    late.save()
    the_copy_is_restored(timezone.now())
    look_around()
    late.refresh_from_db()
    assert late.status == ServiceStatus.ACTIVE
    assert late.welcomed_at is None
    assert waiting_in_copy(house.cast.ines).overdue == 1
    restored.confirm(house.cast.ines, send_mails=False)
    upkeep.overdue({})
    late.refresh_from_db()
    assert late.status == ServiceStatus.SUSPENDED


def test_only_an_owner_of_the_root_confirms_and_only_once(house, copy):
    assert quarantine_for(house.cast.rosa) is None
    with pytest.raises(NotHere):
        waiting_in_copy(house.cast.rosa)
    for stranger in (house.cast.rosa, house.cast.mara):
        with pytest.raises(NotAllowed):
            restored.confirm(stranger, send_mails=False)
    assert in_quarantine()
    restored.confirm(house.cast.ines, send_mails=False)
    with pytest.raises(WrongState):
        restored.confirm(house.cast.ines, send_mails=False)
    lines = Entry.objects.filter(target_kind="installation").order_by("pk")
    assert [line.verb for line in lines] == ["installation.quarantined", "installation.confirmed"]
    assert lines[1].actor_label == "Ines Holt"


def test_the_list_shows_no_machine_that_is_not_theirs_to_see(house):
    """A reseller's own rack stands in the same installation: the root counts what waits there, and reads no names."""

    own = a_stage(house.cast.tam)
    (machine,) = own.machines("cellar")
    service = a_service(house.cast.tam, house.cast.juniper.pk, a_product(house.cast.tam), machine)
    ask(house.cast.tam, OperationKind.REBOOT, service)
    the_copy_is_restored(last_night())
    called_off = waiting_in_copy(house.cast.ines).called_off
    assert (called_off.count, called_off.rows) == (1, [])
