"""What waits in a restored copy, and what confirming it will do: for the page and the command that ask."""

from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils import timezone

from doublehop.notices.models import Mail
from doublehop.organisations.actor import Actor
from doublehop.organisations.installation import quarantine_for
from doublehop.organisations.models import Installation
from doublehop.organisations.refusals import NotHere
from doublehop.services.actions.restored import LASTING_KINDS, once_unsent, unwelcomed
from doublehop.services.lifecycle import OPEN_STATES, OperationState, ServiceStatus
from doublehop.services.models import Operation, Service
from doublehop.services.queries.billing import late_services
from doublehop.services.queries.operations import operations_visible_to

MOST_LISTED = 100


@dataclass(frozen=True)
class Open:
    """``count`` open operations of everybody; ``rows`` are those that the actor may see, the oldest first."""

    count: int
    rows: list[Operation]


@dataclass(frozen=True)
class Waiting:
    """Open operations by what confirming does to them, and what else goes on."""

    installation: Installation
    called_off: Open
    """Would happen once, and were not sent: confirming calls them off."""
    read: Open
    """Sent already: only the outcome is looked for, or a person decides."""
    going_on: Open
    unknown: int
    """Operations whose outcome a person has to decide anyway."""
    mails: int
    """Written before the restore, not sent."""
    welcomes: int
    """Services of before the restore whose welcome would still be written."""
    overdue: int
    """Services that would be suspended, because their due date has passed by what the copy knows."""
    orders: int
    """Orders that would be filled from their pools."""

    @property
    def has_mails(self) -> bool:
        return bool(self.mails or self.welcomes)


def waiting_in_copy(actor: Actor) -> Waiting:
    """For the root organisation's staff. Raises NotHere when there is no quarantine."""
    row = quarantine_for(actor)
    if row is None:
        raise NotHere
    restored_at = row.restored_at or timezone.now()
    still_open = Operation.objects.filter(state__in=OPEN_STATES)
    called_off = once_unsent(restored_at)
    read = still_open.filter(asked_at__lt=restored_at).exclude(kind__in=LASTING_KINDS)
    return Waiting(
        installation=row,
        called_off=_open(actor, called_off),
        read=_open(actor, read.exclude(pk__in=called_off.values("pk"))),
        going_on=_open(actor, still_open.filter(kind__in=LASTING_KINDS)),
        unknown=Operation.objects.filter(state=OperationState.UNKNOWN).count(),
        mails=Mail.objects.filter(state=Mail.State.WAITING, created_at__lt=restored_at).count(),
        welcomes=unwelcomed(restored_at).count(),
        overdue=late_services().count(),
        orders=Service.objects.filter(
            status=ServiceStatus.PENDING, server=None, activated_at=None, product__server_group__isnull=False
        ).count(),
    )


def _open(actor: Actor, rows: QuerySet[Operation]) -> Open:
    seen = (
        operations_visible_to(actor).filter(pk__in=rows.values("pk")).select_related("server", "organisation")
    )
    return Open(rows.count(), list(seen.order_by("id")[:MOST_LISTED]))
