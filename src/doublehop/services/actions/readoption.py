"""*Re-adopt*, while nothing is under way: what was asked of the old machine must not reach the new one."""

from django.db import transaction

from doublehop.fleet.actions.readoption import readopt as readopt_server
from doublehop.fleet.actions.servers import ring_refresh
from doublehop.fleet.models import Server
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import WrongState
from doublehop.services.lifecycle import OPEN_STATES
from doublehop.services.models import Operation


@transaction.atomic
def readopt(actor: Actor, server_id: int, *, seen: str, label: str, reason: str) -> Server:
    """See ``fleet.actions.readoption``. Refused while an operation is open: let it fail, then re-adopt."""
    row = readopt_server(actor, server_id, seen=seen, label=label, reason=reason)
    if Operation.objects.filter(server=row, state__in=OPEN_STATES).exists():
        raise WrongState(
            f"An operation is running on {row.label}. Wait for it to end.", code="operation_open"
        )
    ring_refresh(row, full=True)
    return row
