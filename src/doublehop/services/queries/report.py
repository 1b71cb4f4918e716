"""All services with what they used in a period, from what was counted by the hour: one query, however many there are."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import DurationField, Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet
from django.utils import timezone

from doublehop.organisations.actor import Actor
from doublehop.services.models import PeriodUsage

THIN_PERCENT = 98
NEAR_PERCENT = 80
PERIODS = ("this", "last")
STATES = ("over", "near", "forecast", "thin", "empty")
LATE_AFTER = timedelta(hours=2)
"""Twice the pace of counting: then somebody should know."""


@dataclass(frozen=True)
class ReportFilter:
    """``state``: over (above what is included), near (from 80 %), forecast (will be above), thin (below 98 % measured), empty (nothing measured)."""

    period: str = "this"
    state: str = ""
    product_id: int | None = None
    words: str = ""


def usage_report(actor: Actor, chosen: ReportFilter, *, now: datetime | None = None) -> QuerySet[PeriodUsage]:
    """The actor's organisation's services and pools, unordered; nothing for who is no staff."""
    if not actor.is_staff:
        return PeriodUsage.objects.none()
    moment = now or timezone.now()
    rows = PeriodUsage.objects.filter(organisation_id=actor.organisation_id).select_related(
        "client", "product", "service__server"
    )
    rows = _of_period(rows, chosen.period, moment)
    if chosen.product_id is not None:
        rows = rows.filter(product_id=chosen.product_id)
    if chosen.words:
        rows = rows.filter(_matching(chosen.words))
    return _in_state(rows, chosen.state)


def _of_period(rows: QuerySet[PeriodUsage], period: str, now: datetime) -> QuerySet[PeriodUsage]:
    """The one that runs, or of each the one before it: of what has ended since, until one as long would be over too."""
    if period != "last":
        return rows.filter(start__lte=now, end__gt=now)
    same = PeriodUsage.objects.filter(subject=OuterRef("subject"))
    newer = same.filter(end__lte=now, start__gt=OuterRef("start"))
    # A month may be longer than the one before it: what still runs is asked for its own end.
    follows = same.filter(start__lte=OuterRef("end"), end__gt=now)
    length = ExpressionWrapper(F("end") - F("start"), DurationField())
    rows = rows.alias(length=length).filter(Exists(follows) | Q(end__gt=now - F("length")), end__lte=now)
    return rows.exclude(Exists(newer))


def _matching(words: str) -> Q:
    found = (
        Q(client__name__icontains=words)
        | Q(service__hostname__istartswith=words)
        | Q(service__server__hostname__istartswith=words)
        | Q(service__server__label__istartswith=words)
    )
    number = words.upper().removeprefix("S-")
    if number.isascii() and number.isdigit() and len(number) < 10:
        found |= Q(service__number=int(number))
    return found


def _in_state(rows: QuerySet[PeriodUsage], state: str) -> QuerySet[PeriodUsage]:
    match state:
        case "over":
            return rows.filter(included__gt=0, quantity__gt=F("included"))
        case "near":
            return rows.filter(share_percent__gte=NEAR_PERCENT)
        case "forecast":
            return rows.filter(included__gt=0, forecast_likely__gt=F("included"))
        case "thin":
            return rows.filter(expected__gt=0, coverage_percent__lt=THIN_PERCENT, from_totals=False)
        case "empty":
            return rows.filter(measured=0, from_totals=False)
    return rows


def oldest_count(rows: QuerySet[PeriodUsage]) -> datetime | None:
    """When the oldest of these figures was counted."""
    return rows.order_by("counted_at").values_list("counted_at", flat=True).first()
