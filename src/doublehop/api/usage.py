"""What services have used: in the period that runs, slot by slot, and of all services at once for billing systems."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from doublehop.api.paging import READ_PROBLEMS, Id, Page
from doublehop.api.problems import reader
from doublehop.fleet.permissions import Right
from doublehop.organisations.actor import Actor
from doublehop.services.queries.octets import Step, carried, current_usage, usage_now

if TYPE_CHECKING:
    from doublehop.services.models import PeriodUsage, Service

router = Router(tags=["usage"])
MOST_USAGES = 10_000
_OCTETS = {"GB": 10**9, "GiB": 2**30}


class UsageOut(Schema):
    """As counted at ``counted_at`` (hourly); null: not yet, and everything else is empty. ``quantity`` and ``included`` in ``unit``.
    ``method`` is empty where no contract is in force. ``pooled``: the figures are of all services that are added up.
    ``sample_history``: made up in part, never billed."""

    label: str
    start: datetime | None
    end: datetime | None
    zone: str
    method: str
    unit: str
    quantity: Decimal
    included: Decimal
    share_percent: float
    coverage_percent: float
    amount: Decimal
    currency: str
    forecast: Decimal | None
    forecast_amount: Decimal | None
    octets_in: int
    octets_out: int
    percentile_95_bps: int | None
    pooled: bool
    sample_history: bool
    counted_at: datetime | None


class ServiceUsage(Schema):
    """Of one service in the period that runs. ``service_id`` null: of a pool of ``client_id``'s services, which is charged as one.
    ``included_octets`` null: not a volume. ``billing_reference``: a token of a billing system reads that of its own services only."""

    service_id: int | None
    number: int | None
    client_id: int
    billing_reference: str
    label: str
    start: datetime
    end: datetime
    octets_in: int
    octets_out: int
    octets_total: int
    included_octets: int | None
    percentile_95_bps: int | None
    share_percent: float
    counted_at: datetime


class Usages(Schema):
    items: list[ServiceUsage]
    next: int | None


class UsagePage(Page):
    limit: int = Field(MOST_USAGES, description="At most 10,000.")

    @property
    def size(self) -> int:
        return max(1, min(self.limit, MOST_USAGES))


class PointOut(Schema):
    """Octets from ``at`` on. null: nothing of it was measured, which is not zero. ``gap``: not all of it was."""

    at: datetime
    octets_in: int | None = Field(alias="in")
    octets_out: int | None = Field(alias="out")
    gap: bool


class BandwidthOut(Schema):
    """Of the service's own machines, whichever they were. Percentiles in bit/s over all 5-minute slots from ``start`` to ``end``,
    unknown ones as zero; ``percentile_95`` is the larger. ``source``: slots, or totals that were counted by the day or hour."""

    start: datetime
    end: datetime
    step: str
    source: str
    points: list[PointOut]
    octets_in: int
    octets_out: int
    percentile_95_in: int | None
    percentile_95_out: int | None
    percentile_95: int | None
    coverage_percent: float | None


class Window(Schema):
    """Without ``start`` from the beginning of this month (UTC), without ``end`` until now; at most 10,000 points
    and 400 days."""

    start: datetime | None = None
    end: datetime | None = None
    step: Step = Step.HOUR


@router.get("/services/{service_id}/usage", response={200: UsageOut, **READ_PROBLEMS})
def usage_of_service(request: HttpRequest, service_id: Id) -> object:
    row = usage_now(reader(request), service_id)
    if row is None:
        return _NOT_COUNTED
    return {
        "label": row.label,
        "start": row.start,
        "end": row.end,
        "zone": row.zone,
        "method": row.method,
        "unit": row.unit_name,
        "quantity": row.quantity,
        "included": row.included,
        "share_percent": row.share_percent,
        "coverage_percent": row.coverage_percent,
        "amount": row.amount,
        "currency": row.currency,
        "forecast": row.forecast_likely,
        "forecast_amount": row.forecast_amount,
        "octets_in": row.octets_in,
        "octets_out": row.octets_out,
        "percentile_95_bps": row.percentile_95,
        "pooled": row.service_id is None,
        "sample_history": row.sample_history,
        "counted_at": row.counted_at,
    }


_NOT_COUNTED: dict[str, Any] = {
    **dict.fromkeys(("label", "zone", "method", "unit", "currency"), ""),
    **dict.fromkeys(("quantity", "included", "share_percent", "coverage_percent", "amount"), 0),
    **dict.fromkeys(("start", "end", "forecast", "forecast_amount", "percentile_95_bps", "counted_at")),
    "octets_in": 0,
    "octets_out": 0,
    "pooled": False,
    "sample_history": False,
}


@router.get("/services/{service_id}/bandwidth", response={200: BandwidthOut, **READ_PROBLEMS}, by_alias=True)
def bandwidth_of_service(request: HttpRequest, service_id: Id, window: Query[Window]) -> object:
    found = carried(reader(request), service_id, _aware(window.start), _aware(window.end), window.step)
    return {
        "start": found.start,
        "end": found.end,
        "step": found.step.value,
        "source": "totals" if found.from_totals else "slots",
        "points": [
            {"at": one.at, "in": one.octets_in, "out": one.octets_out, "gap": one.gap} for one in found.points
        ],
        "octets_in": found.octets_in,
        "octets_out": found.octets_out,
        "percentile_95_in": found.percentile_in,
        "percentile_95_out": found.percentile_out,
        "percentile_95": found.percentile,
        "coverage_percent": found.coverage_percent,
    }


def _aware(moment: datetime | None) -> datetime | None:
    """A time without a zone is one of UTC, as all others here."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


@router.get("/usage", response={200: Usages, **READ_PROBLEMS})
def all_usage(request: HttpRequest, page: Query[UsagePage]) -> object:
    """All services that may be seen, in one call: those that are charged by themselves, by id, then the pools. Services that were
    not counted yet are left out."""
    actor = reader(request)
    rows = current_usage(actor)
    single = rows.filter(service_id__gt=page.key).order_by("service_id", "start")
    found = list(single[: page.size + 1])
    items = [_usage(actor, row) for row in found[: page.size] if _may_read(actor, row)]
    if len(found) > page.size:
        return {"items": items, "next": found[page.size - 1].service_id}
    pools = rows.filter(service__isnull=True).order_by("pk")
    return {"items": items + [_usage(actor, row) for row in pools if _may_read(actor, row)], "next": None}


def _may_read(actor: Actor, row: "PeriodUsage") -> bool:
    return not actor.is_client or Right.BANDWIDTH in row.product.client_rights


def _is_named_to(actor: Actor, service: "Service") -> bool:
    """Two billing systems may give the same number: the token of one reads its own only."""
    return actor.is_staff and actor.billing_system in ("", service.billed_by)


def _usage(actor: Actor, row: "PeriodUsage") -> dict[str, Any]:
    wide = _OCTETS.get(row.unit_name) if row.method else None
    service = row.service
    return {
        "service_id": row.service_id,
        "number": service.number if service else None,
        "client_id": row.client_id,
        "billing_reference": service.billing_reference if service and _is_named_to(actor, service) else "",
        "label": row.label,
        "start": row.start,
        "end": row.end,
        "octets_in": row.octets_in,
        "octets_out": row.octets_out,
        "octets_total": row.octets_in + row.octets_out,
        "included_octets": int(row.included * wide) if wide and row.included else None,
        "percentile_95_bps": row.percentile_95,
        "share_percent": row.share_percent,
        "counted_at": row.counted_at,
    }
