"""Closed bandwidth statements: frozen, with everything needed to recompute them. Adjustments stand beside them."""

from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Field, Query, Router, Schema, Status

from doublehop.api.asking import BY_TOKEN, Body, DryRun, Key, carried_out
from doublehop.api.paging import READ_PROBLEMS, WRITE_PROBLEMS, GivenId, Id, Listed, Page, rows_of
from doublehop.api.problems import house_with, reader
from doublehop.organisations.actor import Actor, Scope
from doublehop.services.actions import statements as actions
from doublehop.services.queries import statements as queries

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from doublehop.services.models import Adjustment, Statement

router = Router(tags=["statements"])


class StatementOut(Schema):
    """``service_id`` null: of all services of the client on the product. ``owed``: the amount with its adjustments.
    ``thin``: less than 98 % was measured. ``source``: slots, or totals counted by the day or hour."""

    id: int
    number: str
    client_id: int
    product_id: int
    service_id: int | None
    label: str
    start: datetime
    end: datetime
    method: str
    unit: str
    quantity: Decimal
    included: Decimal
    over: Decimal
    amount: Decimal
    owed: Decimal
    currency: str
    coverage_percent: float | None
    thin: bool
    sample_history: bool
    source: str
    closed_at: datetime


class AdjustmentOut(Schema):
    """``amount``: what is owed more, or less where it is negative. ``made_by`` is for staff, and empty for a client's token."""

    id: int
    amount: Decimal
    currency: str
    reason: str
    made_at: datetime
    made_by: str


class AdjustmentTried(AdjustmentOut):
    """What would be written: nothing of it was kept."""

    dry_run: Literal[True]
    id: None  # type: ignore[assignment]


class RecountOut(Schema):
    """``owed`` by the statement with its adjustments; ``difference``: what the readings that are kept now come to, less that.
    ``why_not`` says why no adjustment can be made; empty: one can."""

    owed: Decimal
    difference: Decimal
    currency: str
    why_not: str


class NewAdjustment(Body):
    """``difference`` as ``recount`` told it: where it is another one by now, nothing is written (409 ``preview_changed``)."""

    difference: str = Field(max_length=30)
    reason: str = Field(max_length=300, description="The client reads it beside the amount.")


class Filter(Page):
    service_id: GivenId | None = None
    client_id: GivenId | None = None


def _out(row: "Statement") -> dict[str, Any]:
    found = queries.figures_of(row)
    coverage = found.coverage
    return {
        "id": row.pk,
        "number": str(row),
        "client_id": row.client_id,
        "product_id": row.product_id,
        "service_id": row.service_id,
        "label": row.label,
        "start": row.start,
        "end": row.end,
        "method": found.contract.method.value,
        "unit": found.contract.unit_name,
        "quantity": _decimal(found.quantity),
        "included": Decimal(found.contract.included),
        "over": _decimal(found.over),
        "amount": row.amount,
        "owed": queries.owed(row),
        "currency": row.currency,
        "coverage_percent": None if coverage is None else round(float(coverage * 100), 2),
        "thin": row.is_thin,
        "sample_history": row.sample_history,
        "source": row.source,
        "closed_at": row.closed_at,
    }


def _decimal(value: Fraction) -> Decimal:
    """Six digits behind the point, cut. The export has the fraction itself."""
    return Decimal(value * 10**6 // 1).scaleb(-6)


@router.get("/statements", response={200: Listed[StatementOut], **READ_PROBLEMS})
def list_statements(request: HttpRequest, only: Query[Filter]) -> object:
    """Newest first."""
    rows = queries.statements_visible_to(reader(request))
    wanted = {
        name: value for name in ("service_id", "client_id") if (value := getattr(only, name)) is not None
    }
    return _listed(rows.filter(**wanted), only)


@router.get("/services/{service_id}/statements", response={200: Listed[StatementOut], **READ_PROBLEMS})
def statements_of_service(request: HttpRequest, service_id: Id, page: Query[Page]) -> object:
    """Those of the service alone and those of its pool, newest first."""
    return _listed(queries.statements_of_service(reader(request), service_id), page)


def _listed(rows: "QuerySet[Statement]", page: Page) -> object:
    found, following = rows_of(rows, page, newest_first=True)
    return {"items": [_out(row) for row in found], "next": following}


def _as(kind: str) -> dict[str, Any]:
    """The format is that of docs/statement-format.md."""
    schema = {"type": "string"} if kind == "text/csv" else {"type": "object"}
    return {"responses": {200: {"description": "The export.", "content": {kind: {"schema": schema}}}}}


@router.get("/statements/{statement_id}.json", response=READ_PROBLEMS, openapi_extra=_as("application/json"))
def statement_as_json(request: HttpRequest, statement_id: Id) -> HttpResponse:
    """With its slots, to be checked by verify_statement.py."""
    found = queries.download(reader(request), statement_id, as_json=True)
    return HttpResponse(found.text, content_type="application/json")


@router.get("/statements/{statement_id}.csv", response=READ_PROBLEMS, openapi_extra=_as("text/csv"))
def statement_as_csv(request: HttpRequest, statement_id: Id) -> HttpResponse:
    found = queries.download(reader(request), statement_id, as_json=False)
    answer = HttpResponse(found.text, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{found.file_name}"'
    return answer


@router.get("/statements/{statement_id}", response={200: StatementOut, **READ_PROBLEMS})
def one_statement(request: HttpRequest, statement_id: Id) -> object:
    return _out(queries.statement(reader(request), statement_id))


@router.get("/statements/{statement_id}/adjustments", response={200: Listed[AdjustmentOut], **READ_PROBLEMS})
def list_adjustments(request: HttpRequest, statement_id: Id, page: Query[Page]) -> object:
    """Oldest first."""
    actor = reader(request)
    row = queries.statement(actor, statement_id)
    found, following = rows_of(queries.adjustments_of(row), page)
    return {"items": [_adjustment(actor, row, one) for one in found], "next": following}


@router.get("/statements/{statement_id}/recount", response={200: RecountOut, **READ_PROBLEMS})
def count_again(request: HttpRequest, statement_id: Id) -> object:
    """What an adjustment would add now. Nothing is written. Not for clients."""
    actor = reader(request)
    found = queries.preview_adjustment(actor, statement_id)
    currency = queries.statement(actor, statement_id).currency
    return RecountOut(owed=found.owed, difference=found.difference, currency=currency, why_not=found.why_not)


@router.post(
    "/statements/{statement_id}/adjustments",
    auth=BY_TOKEN,
    response={200: AdjustmentTried, 201: AdjustmentOut, **WRITE_PROBLEMS},
)
def adjust(
    request: HttpRequest,
    statement_id: Id,
    given: NewAdjustment,
    idempotency_key: Key = "",
    dry_run: DryRun = False,
) -> object:
    """A credit or debit beside the statement, which stays as it is. Readings that were released later are one cause."""
    actor = house_with(request, Scope.BILLING)
    made = carried_out(
        lambda key: actions.adjust(
            actor, statement_id, reason=given.reason, seen_difference=given.difference, key=key
        ),
        lambda row: _adjustment(actor, row.statement, row),
        idempotency_key,
        dry_run=dry_run,
    )
    return Status(200, {**made, "id": None}) if dry_run else Status(201, made)


def _adjustment(actor: Actor, row: "Statement", one: "Adjustment") -> dict[str, Any]:
    return {
        "id": one.pk,
        "amount": queries.in_coins(one.amount, row.currency),
        "currency": row.currency,
        "reason": one.reason,
        "made_at": one.made_at,
        "made_by": one.made_by if actor.is_staff else "",
    }
