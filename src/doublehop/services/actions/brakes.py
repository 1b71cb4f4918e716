"""The brake: what one caller may suspend or terminate in an hour before a person has to look.

A billing system that has gone mad, or was cloned, or runs with a wrong date asks for what nobody wants. What goes beyond is
held, never dropped: it waits in a batch that staff approve or refuse as a whole. Unsuspending is never held.
"""

from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from doublehop.fleet.queries import allocations_given
from doublehop.notices import actions as notices
from doublehop.organisations.actor import Actor, Duty
from doublehop.organisations.models import Organisation
from doublehop.services.lifecycle import OperationKind, OperationState, ServiceStatus
from doublehop.services.models import Batch, Operation, Service
from doublehop.services.wording import thing

BRAKED = (OperationKind.SUSPEND, OperationKind.TERMINATE)
WINDOW = timedelta(hours=1)
LEAST_FREE = 5
PERCENT_FREE = 3
"""A caller may ask for so many of these in WINDOW: LEAST_FREE, or so much of what is active, whichever is more."""


def brake(actor: Actor, operation: Operation) -> Batch | None:
    """Holds the operation, just stored, when its caller has used up what is free; answers with its batch.

    Within the transaction of the request. While a batch of the caller waits, everything more joins it.
    """
    # Two requests of one moment count one after the other.
    Organisation.objects.select_for_update(no_key=True).get(pk=operation.organisation_id)
    mine = {"organisation_id": operation.organisation_id, "caller": operation.caller}
    batch = Batch.objects.filter(**mine, state=Batch.State.OPEN).first()
    if batch is None:
        passed = passed_lately(operation.organisation_id, operation.caller).exclude(pk=operation.pk)
        count = passed.count()
        if count < free(operation.organisation_id, count):
            return None
        batch = Batch.objects.create(**mine, caller_label=actor.label)
        passed.update(batch=batch)
        _tell(batch, operation)
    operation.batch, operation.held_at = batch, timezone.now()
    operation.state = OperationState.HELD
    operation.save(update_fields=["batch", "held_at", "state"])
    return batch


def left(organisation_id: int, caller: str) -> int:
    """How many more the caller may ask for now before they are held."""
    if Batch.objects.filter(organisation_id=organisation_id, caller=caller, state=Batch.State.OPEN).exists():
        return 0
    count = passed_lately(organisation_id, caller).count()
    return max(0, free(organisation_id, count) - count)


def passed_lately(organisation_id: int, caller: str) -> QuerySet[Operation]:
    """What the caller asked within WINDOW and was not held."""
    return Operation.objects.filter(
        organisation_id=organisation_id,
        caller=caller,
        kind__in=BRAKED,
        held_at__isnull=True,
        asked_at__gt=timezone.now() - WINDOW,
    )


def free(organisation_id: int, already: int = 0) -> int:
    """How many one caller may ask for in WINDOW. ``already`` were active when it began."""
    active = Service.objects.filter(organisation_id=organisation_id, status=ServiceStatus.ACTIVE).count()
    given = allocations_given(organisation_id).count()
    return max(LEAST_FREE, (active + given + already) * PERCENT_FREE // 100)


def _tell(batch: Batch, operation: Operation) -> None:
    what = thing(operation.kind)
    notices.tell_staff(
        organisation_id=batch.organisation_id,
        duty=Duty.GOVERN,
        subject=f"{batch} waits for your approval: too many at once from {batch.caller_label}",
        body=(
            f"{batch.caller_label} asked for more than may be suspended or terminated in an hour without a person looking. "
            f"What came after, beginning with the {what} of {operation.server.label}, is held: nothing of it was done.\n\n"
            "Open Operations, look at the list, and approve or refuse it as a whole. What was done before can be undone there too."
        ),
        about="held",
        key=f"batch:{batch.pk}",
    )
