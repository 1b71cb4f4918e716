"""Services: read, made, changed, and given their servers. What is done to a machine is in ``operations``."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Field, Query, Router, Schema, Status

from doublehop.api.answers import wants
from doublehop.api.asking import BY_TOKEN, Body, DryRun, Key, carried_out
from doublehop.api.operations import in_scope
from doublehop.api.paging import READ_PROBLEMS, WRITE_PROBLEMS, GivenId, Id, Listed, Page, rows_of
from doublehop.api.problems import house_with, reader
from doublehop.api.shapes import OperationOut, operation_out
from doublehop.organisations import texts
from doublehop.organisations.actor import Actor, Scope
from doublehop.services import actions, queries
from doublehop.services.queries.facts import Facts, facts_of, may_be_asked

if TYPE_CHECKING:
    from doublehop.services.models import Service

router = Router(tags=["services"])


class ServiceOut(Schema):
    """``hostname``, ``username``: what staff typed, else what the machine says. ``primary_address`` and ``power_state`` are of
    the server, as last read at ``power_read_at``. ``next_due_on`` is null where ``billed_by`` names a billing system, which
    knows it by ``billing_reference``. ``actions``: the kinds of operation that may be asked now; null in lists.
    """

    id: int
    number: int
    status: str
    product: str
    product_id: int
    client_id: int
    client_number: int
    server_id: int | None
    hostname: str
    username: str
    primary_address: str
    power_state: str
    power_read_at: datetime | None
    price: Decimal
    currency: str
    created_at: datetime
    activated_at: datetime | None
    ended_at: datetime | None
    next_due_on: date | None
    billed_by: str
    billing_reference: str
    waits_because: str
    suspended_because: str
    actions: list[str] | None
    open_operation: OperationOut | None


class ServiceTried(ServiceOut):
    """The service as it would be: nothing of it was kept."""

    dry_run: Literal[True]


class Filter(Page):
    status: Literal["pending", "active", "suspended", "terminated", "cancelled", "fraud"] | None = None
    client_id: GivenId | None = None
    billing_reference: str | None = Field(
        None, description="A billing system's own id, within that of the token."
    )
    q: str = Field(
        "",
        max_length=120,
        description="A number, a billing reference, or the beginning of a hostname or main address.",
    )


class Why(Body):
    reason: str = Field("", max_length=300, description="Why, for the journal of your own organisation.")


class NewService(Why):
    """``billing_reference`` again answers with the service that has it. ``server_id`` attaches that server at once."""

    product_id: GivenId
    client_id: GivenId
    hostname: str = Field("", max_length=253)
    billing_reference: str = Field("", max_length=80)
    server_id: GivenId | None = None


class ChangedService(Why):
    """What is left out stays. An empty name goes back to what the machine says. ``product_id`` brings that product's price at
    once, and its bandwidth contract from the next period on."""

    hostname: str | None = Field(None, max_length=253)
    username: str | None = Field(None, max_length=64)
    product_id: GivenId | None = None
    billing_reference: str | None = Field(None, max_length=80)


class Chosen(Why):
    server_id: GivenId


def services_out(actor: Actor, rows: Sequence["Service"]) -> list[dict[str, Any]]:
    facts = facts_of(actor, rows)
    return [_out(actor, row, facts[row.pk]) for row in rows]


def service_out(actor: Actor, service_id: int, *, with_actions: bool = True) -> dict[str, Any]:
    """Read anew, so that a write answers with what a read would."""
    row = queries.service(actor, service_id)
    facts = facts_of(actor, [row])[row.pk]
    kinds = may_be_asked(actor, facts.server, row) if facts.server is not None and with_actions else []
    return {**_out(actor, row, facts), "actions": in_scope(actor, kinds)}


def _out(actor: Actor, row: "Service", facts: Facts) -> dict[str, Any]:
    server = facts.server
    return {
        "id": row.pk,
        "number": row.number,
        "status": row.status,
        "product": row.product.name,
        "product_id": row.product_id,
        "client_id": row.client_id,
        "client_number": row.client.number,
        "server_id": row.server_id,
        "hostname": row.shown_hostname,
        "username": row.shown_username,
        "primary_address": server.primary_address if server else "",
        "power_state": server.power_state if server else "",
        "power_read_at": server.power_read_at if server else None,
        "price": row.price,
        "currency": row.currency,
        "created_at": row.created_at,
        "activated_at": row.activated_at,
        "ended_at": row.ended_at,
        "next_due_on": row.next_due_on,
        "billed_by": row.billed_by if actor.is_staff else "",
        "billing_reference": row.billing_reference if actor.is_staff else "",
        "waits_because": row.waits_because if actor.is_staff else "",
        "suspended_because": facts.suspended_because,
        "actions": None,
        "open_operation": operation_out(actor, facts.open_operation) if facts.open_operation else None,
    }


@router.get("/services", response={200: Listed[ServiceOut], **READ_PROBLEMS})
def list_services(request: HttpRequest, only: Query[Filter]) -> object:
    actor = reader(request)
    rows = queries.services_visible_to(actor)
    if only.status is not None:
        rows = rows.filter(status=only.status)
    if only.client_id is not None:
        rows = rows.filter(client_id=only.client_id)
    if only.billing_reference is not None:
        rows = rows.filter(billing_reference=texts.searched(only.billing_reference))
        rows = rows.filter(billed_by=actor.billing_system) if actor.billing_system else rows
    if words := texts.searched(only.q):
        rows = rows.filter(queries.services_like(actor, words))
    found, following = rows_of(rows, only)
    return {"items": services_out(actor, found), "next": following}


@router.get("/services/{service_id}", response={200: ServiceOut, **READ_PROBLEMS})
def one_service(request: HttpRequest, service_id: Id) -> object:
    return service_out(reader(request), service_id, with_actions=wants(request, "actions"))


@router.post("/services", auth=BY_TOKEN, response={200: ServiceOut, 201: ServiceOut, **WRITE_PROBLEMS})
def make_service(
    request: HttpRequest, response: HttpResponse, given: NewService, idempotency_key: Key = ""
) -> object:
    """Ordered for a client. A product with a server group is filled from it by a job at once; any other waits for staff."""
    actor = house_with(request, Scope.BILLING)
    known = queries.service_of_reference(actor, texts.reference_of(given.billing_reference))
    made = carried_out(
        lambda key: actions.create_service(actor, **given.dict(), key=key),
        lambda row: service_out(actor, row.pk),
        idempotency_key,
    )
    response["Location"] = f"/api/v1/services/{made['id']}"
    return Status(200 if known is not None and known.pk == made["id"] else 201, made)


@router.patch(
    "/services/{service_id}", auth=BY_TOKEN, response={200: ServiceTried | ServiceOut, **WRITE_PROBLEMS}
)
def change_service(
    request: HttpRequest,
    service_id: Id,
    given: ChangedService,
    idempotency_key: Key = "",
    dry_run: DryRun = False,
) -> object:
    actor = house_with(request, Scope.BILLING)
    return carried_out(
        lambda key: actions.change_service(actor, service_id, **given.dict(), key=key),
        lambda row: service_out(actor, row.pk),
        idempotency_key,
        dry_run=dry_run,
    )


@router.post(
    "/services/{service_id}/attach",
    auth=BY_TOKEN,
    response={200: ServiceTried | ServiceOut, **WRITE_PROBLEMS},
)
def attach(
    request: HttpRequest, service_id: Id, given: Chosen, idempotency_key: Key = "", dry_run: DryRun = False
) -> object:
    """Gives the service its server. The machine itself is not touched."""
    actor = house_with(request, Scope.OPERATE)
    return carried_out(
        lambda key: actions.attach(actor, service_id, given.server_id, reason=given.reason, key=key),
        lambda row: service_out(actor, row.pk),
        idempotency_key,
        dry_run=dry_run,
    )


@router.post(
    "/services/{service_id}/swap", auth=BY_TOKEN, response={200: ServiceTried | ServiceOut, **WRITE_PROBLEMS}
)
def swap(
    request: HttpRequest, service_id: Id, given: Chosen, idempotency_key: Key = "", dry_run: DryRun = False
) -> object:
    """Another server for the same service; the old one is free at once."""
    actor = house_with(request, Scope.OPERATE)
    return carried_out(
        lambda key: actions.swap(actor, service_id, given.server_id, reason=given.reason, key=key),
        lambda row: service_out(actor, row.pk),
        idempotency_key,
        dry_run=dry_run,
    )


@router.post(
    "/services/{service_id}/detach",
    auth=BY_TOKEN,
    response={200: ServiceTried | ServiceOut, **WRITE_PROBLEMS},
)
def detach(
    request: HttpRequest,
    service_id: Id,
    given: Why | None = None,
    idempotency_key: Key = "",
    dry_run: DryRun = False,
) -> object:
    """Takes the server out of the service, which is pending then. The machine itself is not touched."""
    actor = house_with(request, Scope.OPERATE)
    return carried_out(
        lambda key: actions.detach(actor, service_id, reason=given.reason if given else "", key=key),
        lambda row: service_out(actor, row.pk),
        idempotency_key,
        dry_run=dry_run,
    )


@router.post(
    "/services/{service_id}/cancel",
    auth=BY_TOKEN,
    response={200: ServiceTried | ServiceOut, **WRITE_PROBLEMS},
)
def cancel(
    request: HttpRequest, service_id: Id, given: Why, idempotency_key: Key = "", dry_run: DryRun = False
) -> object:
    """Takes back an order that still waits. One that has a server is ended by the operation ``terminate``."""
    actor = house_with(request, Scope.BILLING)
    return carried_out(
        lambda key: actions.cancel_service(actor, service_id, reason=given.reason, key=key),
        lambda row: service_out(actor, row.pk),
        idempotency_key,
        dry_run=dry_run,
    )


@router.post(
    "/services/{service_id}/restore",
    auth=BY_TOKEN,
    response={200: ServiceTried | ServiceOut, **WRITE_PROBLEMS},
)
def restore(
    request: HttpRequest, service_id: Id, given: Why, idempotency_key: Key = "", dry_run: DryRun = False
) -> object:
    """Takes a termination back, while the server is free and still itself."""
    actor = house_with(request, Scope.BILLING)
    return carried_out(
        lambda key: actions.restore(actor, service_id, reason=given.reason, key=key),
        lambda row: service_out(actor, row.pk),
        idempotency_key,
        dry_run=dry_run,
    )
