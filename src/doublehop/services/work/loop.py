"""What the worker does with operations. The rows decide; being called decides nothing.

One call moves the running operation of one server as far as it goes without waiting, then rings again. Around every
sending: guards, identity (in the door), COMMIT "sent", the call, COMMIT the answer. A process that dies between the two
commits leaves a step that is sent without an answer: an edge step is then UNKNOWN and never sent again, a level step is
read back.
"""

from collections.abc import Mapping
from typing import Any

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Case, IntegerField, Value, When
from django.utils import timezone

from doublehop.fleet.door import NotSent, Unsure
from doublehop.fleet.models import Server
from doublehop.fleet.queries import open_holds
from doublehop.jobs.engine import JobFunction, Periodic
from doublehop.jobs.queries import rung
from doublehop.services.actions import batches
from doublehop.services.actions.operations import ring_worker, work_key
from doublehop.services.actions.planning import LEVEL_WITHIN, add_steps, undoing
from doublehop.services.guards import HOLD_KINDS, OVERTAKING
from doublehop.services.lifecycle import OperationKind, OperationState, StepState
from doublehop.services.models import Operation
from doublehop.services.work.endings import fail, finish, park
from doublehop.services.work.sending import Wait
from doublehop.services.work.settling import look_again, ring_settling
from doublehop.services.work.steps import advance

log = structlog.get_logger(__name__)


def work(payload: Mapping[str, Any]) -> None:
    """Moves the operations of one server."""
    server = Server.objects.filter(pk=int(payload["server_id"])).first()
    if server is None:
        return
    operation = running(server) or claim(server)
    if operation is None:
        return
    try:
        _go_on(operation)
    except Wait as wait:
        ring_worker(server, delay_seconds=wait.seconds)
        return
    except NotSent as refusal:
        fail(operation, refusal)
    except Unsure as unsure:
        park(operation, unsure.code, unsure.text)
    except Exception as error:
        # Our own fault. The doorbell tries again until the deadline; then a person is told, and the server is free.
        if timezone.now() <= operation.settle_before:
            raise
        log.exception("an operation cannot go on", operation=operation.reference)
        _give_up(operation, f"Our own code failed: {type(error).__name__}.")
    # Whoever asks from now on rings; those that waited behind this one do not.
    if Operation.objects.filter(server=server, state=OperationState.QUEUED).exists():
        ring_worker(server)


def _go_on(operation: Operation) -> None:
    for step in operation.steps.all():
        if step.state in {StepState.PENDING, StepState.SENT}:
            advance(operation, step)
    finish(operation)


def sweep(payload: Mapping[str, Any]) -> None:
    """Finds what a crash left behind: open operations that nobody rings for. What waits its time is let wait."""
    open_servers = Operation.objects.filter(state__in=("queued", "running")).values("server_id")
    servers = {work_key(server.pk): server for server in Server.objects.filter(pk__in=open_servers)}
    # Asked at once: to ring for each of ten thousand that wait anyway takes the database away from those who work.
    there = rung(servers.keys())
    for key, server in servers.items():
        if key not in there:
            ring_worker(server, hurry=False)
    ring_settling()


def _give_up(operation: Operation, text: str) -> None:
    if operation.steps.filter(sent_at__isnull=False).exists():
        park(operation, "our_fault", text)
    else:
        fail(operation, NotSent("our_fault", text))


def running(server: Server) -> Operation | None:
    rows = Operation.objects.select_related("server__upstream", "service")
    return rows.filter(server=server, state=OperationState.RUNNING).first()


@transaction.atomic
def claim(server: Server) -> Operation | None:
    """The next waiting operation: suspend, unsuspend and null routes first, then in the order in which they were asked."""
    overtakes = When(kind__in=OVERTAKING, then=Value(0))
    operation = (
        Operation.objects.select_for_update(of=("self",))
        .select_related("server__upstream", "service")
        .filter(server=server, state=OperationState.QUEUED)
        .order_by(Case(overtakes, default=Value(1), output_field=IntegerField()), "id")
        .first()
    )
    if operation is None:
        return None
    operation.state, operation.claimed_at = OperationState.RUNNING, timezone.now()
    if operation.kind in HOLD_KINDS:
        # It may have waited long, behind its opposite or for a worker: its own time begins now.
        operation.send_before = operation.settle_before = operation.claimed_at + LEVEL_WITHIN
    try:
        with transaction.atomic():
            operation.save(update_fields=["state", "claimed_at", "send_before", "settle_before"])
    except IntegrityError:
        return None  # another worker was quicker: one running operation per server is an index, not a hope
    if operation.kind == OperationKind.UNSUSPEND:
        _plan_unsuspend(operation)
    return operation


def _plan_unsuspend(operation: Operation) -> None:
    """Exactly what the suspension did is undone, the last first; nothing while somebody else holds the server too."""
    holds = list(open_holds([operation.server_id]))
    own = next((hold for hold in holds if hold.organisation_id == operation.organisation_id), None)
    if own is None:
        return
    operation.hold_id = own.pk
    operation.save(update_fields=["hold_id"])
    if len(holds) > 1:
        return
    for kind, parameters in undoing(own.effects):
        add_steps(operation, [kind], parameters)


JOBS: dict[str, JobFunction] = {
    "services.work": work,
    "services.sweep": sweep,
    "services.look_again": look_again,
    **batches.JOBS,
}
PERIODIC = (Periodic("services.sweep", 15),)
