"""Statements as staff and clients read them."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from django.db.models import DecimalField, Exists, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from doublehop.bandwidth.contract import Contract, contract_of
from doublehop.bandwidth.money import digits_of
from doublehop.bandwidth.reckoning import Hours, coverage
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import NotHere
from doublehop.services import paper
from doublehop.services.models import Adjustment, Statement
from doublehop.services.queries.services import service
from doublehop.services.recounting import Recount, recount

FILTERS = ("owed", "thin", "adjusted", "made_up")
"""What a list may be narrowed to: something is owed, less than 98 % measured, adjusted, sample history."""
_ADJUSTED = Adjustment.objects.filter(statement=OuterRef("pk"))
_SUMS = _ADJUSTED.order_by().values("statement").annotate(all=Sum("amount")).values("all")


def statements_visible_to(actor: Actor) -> QuerySet[Statement]:
    """Staff: their organisation's. Clients: their own. Without the slots; ``adjusted_by`` is the sum of the adjustments."""
    rows = (
        Statement.objects.select_related("client", "product", "service")
        .defer("slots")
        .annotate(adjusted_by=Coalesce(Subquery(_SUMS), Value(Decimal(0)), output_field=DecimalField()))
    )
    if actor.is_system:
        return rows
    if actor.client_id is not None:
        return rows.filter(client_id=actor.client_id)
    return rows.filter(organisation_id=actor.organisation_id) if actor.is_staff else rows.none()


def statement(actor: Actor, statement_id: int) -> Statement:
    row = statements_visible_to(actor).filter(pk=statement_id).first()
    if row is None:
        raise NotHere
    return row


def statements_of_service(actor: Actor, service_id: int) -> QuerySet[Statement]:
    """Those of the service alone and those of its pool, newest first. Raises NotHere."""
    row = service(actor, service_id)
    mine = Q(service=row) | Q(service__isnull=True, client_id=row.client_id, product_id=row.product_id)
    return statements_visible_to(actor).filter(mine).order_by("-end", "-pk")


def narrowed(rows: QuerySet[Statement], only: str) -> QuerySet[Statement]:
    """``only`` is one of FILTERS; anything else narrows nothing."""
    if only == "owed":
        return rows.filter(amount__gt=0)
    if only == "thin":
        return rows.filter(is_thin=True)
    if only == "adjusted":
        return rows.filter(Exists(_ADJUSTED))
    return rows.filter(sample_history=True) if only == "made_up" else rows


def adjustments_of(row: Statement) -> QuerySet[Adjustment]:
    return row.adjustments.defer("slots").order_by("pk")


def preview_adjustment(actor: Actor, statement_id: int) -> Recount:
    """What ``adjust`` would write. Staff only; raises NotHere."""
    if not actor.is_staff:
        raise NotHere
    return recount(statement(actor, statement_id))


# ---------------------------------------------------------------- in detail


@dataclass(frozen=True)
class Figures:
    """A document for people: numbers as the contract's unit has them."""

    contract: Contract
    document: Mapping[str, Any]

    @property
    def stated(self) -> Mapping[str, Any]:
        figures: Mapping[str, Any] = self.document["figures"]
        return figures

    @property
    def quantity(self) -> Fraction:
        return Fraction(self.stated["quantity"])

    @property
    def over(self) -> Fraction:
        return Fraction(self.stated["over"])

    @property
    def coverage(self) -> Fraction | None:
        stated = self.stated
        hours = Hours(stated.get("hours_expected", 0), stated.get("hours_counted", 0))
        return coverage(stated["slots_expected"], stated["slots_measured"], hours)


def figures_of(row: Statement | Adjustment) -> Figures:
    return Figures(contract_of(row.document["contract"]), row.document)


def owed(row: Statement) -> Decimal:
    """With its adjustments, in the smallest coins of its currency. ``row`` is of ``statements_visible_to``."""
    adjusted_by: Decimal = row.adjusted_by  # type: ignore[attr-defined]
    return in_coins(row.amount + adjusted_by, row.currency)


def in_coins(amount: Decimal, currency: str) -> Decimal:
    """With as many digits behind the point as the currency has."""
    return amount.quantize(Decimal(1).scaleb(-digits_of(currency)))


@dataclass(frozen=True)
class Download:
    file_name: str
    text: str
    is_json: bool


def download(actor: Actor, statement_id: int, *, as_json: bool, adjustment_id: int | None = None) -> Download:
    """The export of a statement, or of the later look that an adjustment was made from. Raises NotHere."""
    row = statement(actor, statement_id)
    name, kept = str(row), (row.document, row.slots)
    if adjustment_id is not None:
        found = row.adjustments.filter(pk=adjustment_id).first()
        if found is None:
            raise NotHere
        name, kept = f"{row}-A{found.pk}", (found.document, found.slots)
    write = paper.as_json if as_json else paper.as_csv
    return Download(f"{name}.{'json' if as_json else 'csv'}", write(name, *kept), as_json)
