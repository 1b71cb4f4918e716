"""What is done to machines. A request is stored and answered at once with 202; look at ``Location`` for what came of it."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Field, Query, Router, Schema, Status

from doublehop.api.asking import BY_TOKEN, Body, DryRun, Key, carried_out, key_of_operation
from doublehop.api.paging import READ_PROBLEMS, WRITE_PROBLEMS, GivenId, Id, Listed, Page, rows_of
from doublehop.api.problems import actor_with, house_with, reader
from doublehop.api.shapes import OperationOut, operation_out
from doublehop.api.waiting import seconds_preferred, wait_for
from doublehop.fleet import queries as fleet
from doublehop.organisations.actor import Actor, Scope
from doublehop.services import actions, queries, wording
from doublehop.services.actions.rehearsal import rehearse
from doublehop.services.actions.termination import Mode
from doublehop.services.lifecycle import OperationKind

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from doublehop.services.models import Operation

router = Router(tags=["operations"])
FOR_BILLING = frozenset({OperationKind.SUSPEND, OperationKind.UNSUSPEND, OperationKind.TERMINATE})


class Asked(Body):
    """``reason`` is for the journal (suspend and terminate need one), ``client_text`` is what the client reads of a suspension.

    ``address`` of set_rdns and of null routes is one of the server's own; ``name`` empty removes the reverse DNS entry.
    ``mode`` of terminate: ``release`` makes the server free here; ``ask_cancellation`` does so, and asks whoever gave it to
    take it back: the operation's ``sentence`` says to staff whether anybody could be asked.
    """

    kind: Literal[
        "reboot",
        "power_on",
        "power_off",
        "suspend",
        "unsuspend",
        "refresh_addresses",
        "set_rdns",
        "rescue_start",
        "rescue_stop",
        "null_route",
        "null_route_end",
        "terminate",
    ]
    reason: str = Field("", max_length=300)
    client_text: str = Field("", max_length=300)
    graceful: bool = True
    address: str = Field("", max_length=64)
    name: str = Field("", max_length=253)
    mode: Literal["release", "ask_cancellation"] = "release"


class Rehearsed(Schema):
    """What would be done. ``steps`` and ``not_sent`` are for staff, and empty for a client's token."""

    dry_run: Literal[True] = True
    kind: str
    held: bool
    steps: list[str]
    not_sent: str


class OperationTried(OperationOut):
    """The operation as it would be: nothing of it was kept."""

    dry_run: Literal[True]


def scope_of(kind: OperationKind) -> Scope:
    return Scope.BILLING if kind in FOR_BILLING else Scope.OPERATE


def in_scope(actor: Actor, kinds: Iterable[OperationKind]) -> list[str]:
    """Those that a token may ask for; a person reads here what they may do on their pages."""
    return [kind.value for kind in kinds if actor.token_id is None or scope_of(kind) in actor.scopes]


@router.post(
    "/services/{service_id}/operations",
    auth=BY_TOKEN,
    response={200: Rehearsed, 202: OperationOut, **WRITE_PROBLEMS},
)
def ask_of_service(
    request: HttpRequest,
    response: HttpResponse,
    service_id: Id,
    asked: Asked,
    idempotency_key: Key = "",
    dry_run: DryRun = False,
) -> object:
    return _asked(request, response, asked, idempotency_key, dry_run=dry_run, service_id=service_id)


@router.post(
    "/servers/{server_id}/operations",
    auth=BY_TOKEN,
    response={200: Rehearsed, 202: OperationOut, **WRITE_PROBLEMS},
)
def ask_of_server(
    request: HttpRequest,
    response: HttpResponse,
    server_id: Id,
    asked: Asked,
    idempotency_key: Key = "",
    dry_run: DryRun = False,
) -> object:
    """For a server that is in no service of yours; of one that is, this stands for its service. Not for clients."""
    return _asked(request, response, asked, idempotency_key, dry_run=dry_run, server_id=server_id)


def _asked(
    request: HttpRequest,
    response: HttpResponse,
    asked: Asked,
    given_key: str,
    *,
    dry_run: bool,
    service_id: int | None = None,
    server_id: int | None = None,
) -> object:
    kind = OperationKind(asked.kind)
    actor = (actor_with if server_id is None else house_with)(request, scope_of(kind))
    key = key_of_operation(given_key, dry_run=dry_run)
    if dry_run:
        found = rehearse(lambda: _deed(actor, kind, asked, key, service_id, server_id))
        told = () if actor.is_white_label else found.steps
        not_sent = "" if actor.is_white_label else found.not_sent
        return Status(200, Rehearsed(kind=found.kind, held=found.held, steps=list(told), not_sent=not_sent))
    operation = _deed(actor, kind, asked, key, service_id, server_id)
    response["Location"] = f"/api/v1/operations/{operation.reference}"
    if seconds_preferred(request):
        wait_for(request, response, actor, operation.reference)
        operation = queries.operation(actor, operation.reference)
    return Status(202, operation_out(actor, operation))


def _deed(
    actor: Actor,
    kind: OperationKind,
    asked: Asked,
    key: str,
    service_id: int | None,
    server_id: int | None,
) -> "Operation":
    if kind is OperationKind.TERMINATE and service_id is not None:
        return actions.terminate(actor, service_id, reason=asked.reason, mode=Mode(asked.mode), key=key)
    given = {"address": asked.address, "name": asked.name if kind is OperationKind.SET_RDNS else ""}
    parameters: dict[str, Any] = {name: text for name, text in given.items() if text}
    return actions.request(
        actor,
        kind,
        service_id,
        server_id=server_id,
        idempotency_key=key,
        graceful=asked.graceful,
        reason=asked.reason,
        client_text=asked.client_text,
        parameters=parameters,
    )


class StepOut(Schema):
    """``name`` and ``sentence`` are for people. ``times_sent``: how often it was sent to the machine."""

    position: int
    kind: str
    name: str
    state: str
    times_sent: int
    sent_at: datetime | None
    settled_at: datetime | None
    sentence: str


class Filter(Page):
    state: Literal["held", "queued", "running", "done", "failed", "unknown", "cancelled"] | None = None
    service_id: GivenId | None = None
    server_id: GivenId | None = None


def _listed(actor: Actor, rows: "QuerySet[Operation]", page: Page) -> object:
    found, following = rows_of(rows, page, newest_first=True)
    return {"items": [operation_out(actor, row) for row in found], "next": following}


@router.get("/operations", response={200: Listed[OperationOut], **READ_PROBLEMS})
def list_operations(request: HttpRequest, only: Query[Filter]) -> object:
    """Newest first."""
    actor = reader(request)
    wanted = {
        name: value
        for name in ("state", "service_id", "server_id")
        if (value := getattr(only, name)) is not None
    }
    if only.service_id is not None and actor.is_staff:
        # Of another house's service no id is told, and none can be tried out.
        wanted["service__organisation_id"] = actor.organisation_id
    return _listed(actor, queries.operations_visible_to(actor).filter(**wanted), only)


@router.get("/servers/{server_id}/operations", response={200: Listed[OperationOut], **READ_PROBLEMS})
def operations_of_server(request: HttpRequest, server_id: Id, page: Query[Page]) -> object:
    """Newest first, as far as you may know of them."""
    actor = reader(request)
    server = fleet.server(actor, server_id)
    return _listed(actor, queries.operations_visible_to(actor).filter(server=server), page)


@router.get("/operations/{reference}", response={200: OperationOut, **READ_PROBLEMS})
def one_operation(request: HttpRequest, response: HttpResponse, reference: str) -> object:
    actor = reader(request)
    wait_for(request, response, actor, reference)
    return operation_out(actor, queries.operation(actor, reference))


@router.get("/operations/{reference}/steps", response={200: list[StepOut], **READ_PROBLEMS})
def steps(request: HttpRequest, reference: str) -> object:
    """What is done one after the other, and how far it is. Not for clients."""
    actor = reader(request)
    operation = queries.operation(actor, reference)
    return [
        {
            "position": step.position,
            "kind": step.kind,
            "name": wording.STEP_NAME[step.kind],
            "state": step.state,
            "times_sent": step.times_sent,
            "sent_at": step.sent_at,
            "settled_at": step.settled_at,
            "sentence": wording.step_sentence(actor, operation, step),
        }
        for step in queries.steps_of(actor, operation)
    ]


@router.post(
    "/operations/{reference}/cancel",
    auth=BY_TOKEN,
    response={200: OperationTried | OperationOut, **WRITE_PROBLEMS},
)
def cancel(
    request: HttpRequest, reference: str, idempotency_key: Key = "", dry_run: DryRun = False
) -> object:
    """Takes back what was not sent yet."""
    actor = _may_decide(request, reference)
    return carried_out(
        lambda key: actions.cancel(actor, reference, key=key),
        lambda row: operation_out(actor, queries.operation(actor, row.reference)).dict(),
        idempotency_key,
        dry_run=dry_run,
    )


@router.post(
    "/operations/{reference}/look-again", auth=BY_TOKEN, response={202: OperationOut, **WRITE_PROBLEMS}
)
def look_again(request: HttpRequest, reference: str, idempotency_key: Key = "") -> object:
    """Reads an unknown outcome back, where the machine can tell. Nothing is sent."""
    actor = _may_decide(request, reference)
    told = carried_out(
        lambda key: actions.ask_look_again(actor, reference, key=key),
        lambda row: operation_out(actor, queries.operation(actor, row.reference)),
        idempotency_key,
    )
    return Status(202, told)


def _may_decide(request: HttpRequest, reference: str) -> Actor:
    """With the scope with which it was asked."""
    actor: Actor = request.auth  # type: ignore[attr-defined]
    return actor_with(request, scope_of(OperationKind(queries.operation(actor, reference).kind)))
