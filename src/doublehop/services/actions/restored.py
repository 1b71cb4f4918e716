"""What becomes of open work after the database was restored from a copy: it waits, a person decides, the rest goes on.

Between the taking of the copy and its restore, what it shows as open was most likely done. What makes something so
(suspend, unsuspend, reverse DNS) may be asked again after a person has looked: it is read first. What happens once (reboot,
power, rescue) is not.
"""

from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from doublehop.notices import actions as notices
from doublehop.organisations.actions.installation import enter_quarantine, leave_quarantine
from doublehop.organisations.actor import Actor
from doublehop.organisations.installation import in_quarantine
from doublehop.organisations.models import Installation
from doublehop.organisations.refusals import WrongState
from doublehop.services.actions.operations import ring_worker, settle_row, write_line
from doublehop.services.actions.planning import LEVEL_WITHIN
from doublehop.services.guards import OVERTAKING, POWER_KINDS
from doublehop.services.lifecycle import OPEN_STATES, OperationKind, OperationState, StepState
from doublehop.services.models import Operation, Service, Step
from doublehop.services.welcome import WELCOMED_WITHIN

LASTING_KINDS = OVERTAKING | {OperationKind.SET_RDNS}
"""They make something so, and read first whether it is so already: they may go on after a restore."""
_SENT = Step.objects.filter(operation=OuterRef("pk"), sent_at__isnull=False)
CALLED_OFF = (
    "Called off: asked before the database was restored from a copy."
    " Whether it was carried out after the copy was taken is not known here."
)
TAKEN_BACK = "Called off: Unsuspend was asked before anything was sent."
NOT_MAILED = (
    "Not sent: written before the database was restored from a copy, and dropped by whoever confirmed it."
)


@transaction.atomic
def begin(why: Installation.Why, *, copy_taken_at: datetime | None) -> Installation:
    """Into quarantine, before a worker looks at anything."""
    row = enter_quarantine(why, copy_taken_at=copy_taken_at)
    keep_waiting()
    return row


def keep_waiting() -> None:
    """Gives what may go on after the confirmation its full time from now."""
    until = timezone.now() + LEVEL_WITHIN
    lasting = Operation.objects.filter(state__in=OPEN_STATES, kind__in=LASTING_KINDS)
    lasting.update(send_before=until, settle_before=until)


@transaction.atomic
def confirm(actor: Actor, *, send_mails: bool) -> None:
    """A person has compared. Once-only work from before is called off, the rest goes on; mails go out or are dropped.

    Raises NotAllowed unless an owner of the root organisation asks, WrongState when nothing waits.
    """
    if not in_quarantine():
        raise WrongState(
            "Nothing waits to be confirmed: this is no restored copy, or somebody has confirmed it."
        )
    row = leave_quarantine(actor, sentence="Mails from before: " + ("sent" if send_mails else "dropped"))
    restored_at = row.restored_at or timezone.now()
    for operation in once_unsent(restored_at).select_for_update(of=("self",)):
        _call_off(actor, operation, CALLED_OFF)
    for operation in _taken_back().select_for_update(of=("self",)):
        _call_off(actor, operation, TAKEN_BACK)
    if not send_mails:
        notices.drop_waiting(written_before=restored_at, text=NOT_MAILED)
        unwelcomed(restored_at).update(welcomed_at=timezone.now())
    notices.ring_for_waiting()
    keep_waiting()
    for operation in Operation.objects.filter(state__in=OPEN_STATES).select_related("server__upstream"):
        ring_worker(operation.server, urgent=operation.kind in LASTING_KINDS)


def once_unsent(restored_at: datetime) -> QuerySet[Operation]:
    """Open reboots, power changes and rescue starts from before the restore of which the copy knows no sending."""
    return (
        Operation.objects.filter(~Exists(_SENT), state__in=OPEN_STATES, asked_at__lt=restored_at)
        .filter(kind__in=POWER_KINDS)
        .select_related("server__upstream")
        .order_by("id")
    )


def unwelcomed(restored_at: datetime) -> QuerySet[Service]:
    """Those that would get their welcome mail, perhaps for the second time."""
    return Service.objects.filter(
        server__isnull=False,
        welcomed_at__isnull=True,
        activated_at__gt=timezone.now() - WELCOMED_WITHIN,
        activated_at__lt=restored_at,
    )


def _taken_back() -> QuerySet[Operation]:
    """Suspensions that somebody who compared has taken back: done and undone, they would be a short outage."""
    undone = Operation.objects.filter(
        server=OuterRef("server"),
        organisation=OuterRef("organisation"),
        kind=OperationKind.UNSUSPEND,
        state__in=OPEN_STATES,
        pk__gt=OuterRef("pk"),
    )
    return Operation.objects.filter(
        ~Exists(_SENT), Exists(undone), kind=OperationKind.SUSPEND, state__in=OPEN_STATES
    ).select_related("server__upstream")


def _call_off(actor: Actor, operation: Operation, text: str) -> None:
    operation.steps.filter(state=StepState.PENDING).update(
        state=StepState.FAILED, settled_at=timezone.now(), note=text
    )
    is_theirs = operation.organisation_id == actor.organisation_id
    by = actor.label if is_theirs else "the operator of this installation"
    settle_row(operation, OperationState.FAILED, by=by, code="restored", text=text)
    write_line(actor, f"operation.{operation.kind}.failed", operation, result="failed", sentence=text)
