"""What a brake holds, for the staff who decide about it."""

from django.db.models import QuerySet

from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import NotHere
from doublehop.services.lifecycle import OperationState
from doublehop.services.models import Batch, Operation


def batches_visible_to(actor: Actor) -> QuerySet[Batch]:
    """Those of the own house. Newest by id."""
    if actor.is_system:
        return Batch.objects.all()
    if not actor.is_staff:
        return Batch.objects.none()
    return Batch.objects.filter(organisation_id=actor.organisation_id)


def batch_of(actor: Actor, batch_id: int) -> Batch:
    row = batches_visible_to(actor).filter(pk=batch_id).first()
    if row is None:
        raise NotHere
    return row


def operations_of(actor: Actor, row: Batch) -> QuerySet[Operation]:
    """Of a batch that the actor was given: what is held first, then what had passed before."""
    rows = batch_of(actor, row.pk).operations.select_related(
        "server__upstream", "service__product", "client", "organisation", "batch"
    )
    return rows.order_by("id")


def held_count(row: Batch) -> int:
    return row.operations.filter(state=OperationState.HELD).count()
