"""A second look at a closed statement: what the readings that are kept now would come to. Writes nothing."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Sum

from doublehop.bandwidth.contract import contract_of, period_of
from doublehop.bandwidth.money import digits_of
from doublehop.services import paper
from doublehop.services.charging import Span, count, subject_of_statement
from doublehop.services.models import Statement


@dataclass(frozen=True)
class Recount:
    """``why_not`` is empty where an adjustment can be made. ``differs`` holds (figure, as stated or adjusted last, now)."""

    owed: Decimal
    """By the statement with its adjustments."""
    difference: Decimal
    document: dict[str, Any]
    slots: bytes
    differs: tuple[tuple[str, str, str], ...]
    why_not: str


def recount(statement: Statement) -> Recount:
    """By the contract of the statement and the windows of today; the period stays its own."""
    adjustments = list(statement.adjustments.order_by("pk"))
    owed = statement.amount + (statement.adjustments.aggregate(all=Sum("amount"))["all"] or Decimal(0))
    owed = owed.quantize(Decimal(1).scaleb(-digits_of(statement.currency)))
    document = adjustments[-1].document if adjustments else statement.document
    contract = contract_of(document["contract"])
    span = Span(
        contract,
        period_of(contract, statement.start),
        datetime.fromisoformat(document["counted_from"]),
    )
    subject = subject_of_statement(statement)
    counted = count(subject, span)
    new = paper.document_of(subject, span, counted, seller=statement.document["organisation"])
    differs = tuple(
        (name, str(was), str(new["figures"][name]))
        for name, was in document["figures"].items()
        if new["figures"][name] != was
    )
    difference = counted.reckoned.amount - owed
    return Recount(
        owed,
        difference,
        new,
        paper.pack(counted.metered, span.period.first, span.period.slots),
        differs,
        _why_not(difference, document, new),
    )


def _why_not(difference: Decimal, before: dict[str, Any], now: dict[str, Any]) -> str:
    if now["source"] != before["source"] or (
        now["figures"]["slots_measured"] < before["figures"]["slots_measured"]
    ):
        return (
            "Fewer readings of this period are kept now than when it was closed: it cannot be counted again."
        )
    if len(now["totals"]) < len(before["totals"]):
        return "Fewer totals of this period are kept now than when it was closed: it cannot be counted again."
    return "" if difference else "What is owed is the same. There is nothing to adjust."
