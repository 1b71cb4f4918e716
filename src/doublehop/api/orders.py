"""What a reseller asks of the organisation above it: what is offered, servers ordered, servers given back."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Field, Query, Router, Schema, Status

from doublehop.api.asking import BY_TOKEN, Body, DryRun, Key, carried_out
from doublehop.api.paging import READ_PROBLEMS, WRITE_PROBLEMS, GivenId, Id, Listed, Page, rows_of
from doublehop.api.problems import house_with, reader
from doublehop.organisations.actor import Scope
from doublehop.services.actions import supply
from doublehop.services.queries import supply as queries

if TYPE_CHECKING:
    from doublehop.services.models import SupplyOrder

router = Router(tags=["orders"])


class OfferOut(Schema):
    """``price`` is a month's. ``stock``: how many can be had at once; null where a person fills orders by hand."""

    id: int
    name: str
    code: str
    processor: str
    memory: str
    disks: str
    bandwidth: str
    price: Decimal
    setup_fee: Decimal
    currency: str
    stock: int | None


class OrderOut(Schema):
    """``kind``: order, or cancel (a server is to be taken back). ``state``: waiting, filled, refused or withdrawn; ``why``
    is what was said with a refusal."""

    id: int
    number: str
    kind: str
    state: str
    offer_id: int | None
    offer: str
    price: Decimal
    currency: str
    hostname: str
    note: str
    server_id: int | None
    asked_at: datetime
    settled_at: datetime | None
    why: str


class OrderTried(OrderOut):
    """What would come of it: nothing of it was kept. ``id`` and ``number`` are null where the order would be a new one."""

    dry_run: Literal[True]
    id: int | None  # type: ignore[assignment]
    number: str | None  # type: ignore[assignment]


class Filter(Page):
    state: Literal["waiting", "filled", "refused", "withdrawn"] | None = None


class NewOrder(Body):
    """``price``, ``setup_fee`` and ``currency``, where given, are what you agree to: nothing is ordered at any other."""

    offer_id: GivenId
    price: Decimal | None = Field(None, ge=0, max_digits=12, decimal_places=2)
    setup_fee: Decimal | None = Field(None, ge=0, max_digits=12, decimal_places=2)
    currency: str = Field("", max_length=3)
    hostname: str = Field("", max_length=253)
    note: str = Field("", max_length=600)


class Cancellation(Body):
    reason: str = Field(max_length=300)
    note: str = Field("", max_length=300)


def _out(row: "SupplyOrder") -> dict[str, Any]:
    return {
        "id": row.pk,
        "number": str(row),
        "kind": row.kind,
        "state": row.state,
        "offer_id": row.offer_id,
        "offer": row.offer_name,
        "price": row.price,
        "currency": row.currency,
        "hostname": row.hostname,
        "note": row.note,
        "server_id": row.server_id,
        "asked_at": row.asked_at,
        "settled_at": row.settled_at,
        "why": row.settled_why,
    }


def _made(response: HttpResponse, told: dict[str, Any]) -> object:
    """A new order. After a trial there is none that could be named."""
    if "dry_run" in told:
        return Status(200, {**told, "id": None, "number": None})
    response["Location"] = f"/api/v1/orders/{told['id']}"
    return Status(201, told)


@router.get("/offers", response={200: Listed[OfferOut], **READ_PROBLEMS})
def list_offers(request: HttpRequest, page: Query[Page]) -> object:
    """What the organisation above offers. Empty for the root, and for clients."""
    found = sorted(
        (line for line in queries.offers_for(reader(request)) if line.offer.pk > page.key),
        key=lambda line: line.offer.pk,
    )
    shown = found[: page.size]
    items = [
        {
            **{name: getattr(line.offer, name) for name in OfferOut.model_fields if name != "stock"},
            "stock": line.stock,
        }
        for line in shown
    ]
    return {"items": items, "next": shown[-1].offer.pk if len(found) > page.size else None}


@router.get("/orders", response={200: Listed[OrderOut], **READ_PROBLEMS})
def list_orders(request: HttpRequest, only: Query[Filter]) -> object:
    """Asked by your own organisation, newest first."""
    rows = queries.supply_orders_of(reader(request))
    found, following = rows_of(rows.filter(state=only.state) if only.state else rows, only, newest_first=True)
    return {"items": [_out(row) for row in found], "next": following}


@router.get("/orders/{order_id}", response={200: OrderOut, **READ_PROBLEMS})
def one_order(request: HttpRequest, order_id: Id) -> object:
    """One that your organisation asked."""
    return _out(queries.own_supply_order(reader(request), order_id))


@router.post("/orders", auth=BY_TOKEN, response={200: OrderTried, 201: OrderOut, **WRITE_PROBLEMS})
def order(
    request: HttpRequest,
    response: HttpResponse,
    given: NewOrder,
    idempotency_key: Key = "",
    dry_run: DryRun = False,
) -> object:
    """Filled at once where the offer has a free server, else it waits for whoever offers it."""
    actor = house_with(request, Scope.OPERATE)
    made = carried_out(
        lambda key: supply.order_supply(
            actor,
            given.offer_id,
            hostname=given.hostname,
            note=given.note,
            price=given.price,
            setup_fee=given.setup_fee,
            currency=given.currency,
            key=key,
        ),
        lambda row: _out(queries.own_supply_order(actor, row.pk)),
        idempotency_key,
        dry_run=dry_run,
    )
    return _made(response, made)


@router.post(
    "/orders/{order_id}/withdraw", auth=BY_TOKEN, response={200: OrderTried | OrderOut, **WRITE_PROBLEMS}
)
def withdraw(
    request: HttpRequest, order_id: Id, idempotency_key: Key = "", dry_run: DryRun = False
) -> object:
    """Takes back what still waits."""
    actor = house_with(request, Scope.OPERATE)
    return carried_out(
        lambda key: supply.withdraw_supply(actor, order_id, key=key), _out, idempotency_key, dry_run=dry_run
    )


@router.post(
    "/servers/{server_id}/cancellation",
    auth=BY_TOKEN,
    response={200: OrderTried, 201: OrderOut, **WRITE_PROBLEMS},
)
def ask_cancellation(
    request: HttpRequest,
    response: HttpResponse,
    server_id: Id,
    given: Cancellation,
    idempotency_key: Key = "",
    dry_run: DryRun = False,
) -> object:
    """Asks whoever gave the server to take it back. It stays yours until they accept."""
    actor = house_with(request, Scope.OPERATE)
    made = carried_out(
        lambda key: supply.ask_cancellation(actor, server_id, reason=given.reason, note=given.note, key=key),
        _out,
        idempotency_key,
        dry_run=dry_run,
    )
    return _made(response, made)
