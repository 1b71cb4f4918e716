"""How the bandwidth of a product is charged: versions, each in force from a day on, never changed."""

import zoneinfo
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import cache
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone

from doublehop.bandwidth.contract import (
    DEFAULT_ROLLING_DAYS,
    Contract,
    Cut,
    Method,
    PeriodKind,
    Unit,
    values_of,
)
from doublehop.organisations import record
from doublehop.organisations.actor import Actor
from doublehop.organisations.once import once
from doublehop.organisations.refusals import BadInput, NotHere
from doublehop.services.actions.catalogue import CURRENCIES, locked_product, one_of
from doublehop.services.models import ContractVersion, Product

MOST_ROLLING_DAYS = 366


@dataclass(frozen=True)
class ContractForm:
    """Raw texts. ``included`` is the commit or the allowance, as the method wants it. ``anchor`` empty: each service's own
    first day. ``in_force_from`` a day; empty: from now on, of the first version of a product only."""

    method: str = Method.P95_MAX
    unit: str = Unit.DECIMAL
    period: str = PeriodKind.MONTH
    zone: str = "UTC"
    anchor: str = ""
    rolling_days: str = str(DEFAULT_ROLLING_DAYS)
    included: str = ""
    price: str = "0"
    currency: str = "EUR"
    cut: str = Cut.FLOOR
    pooled: bool = False
    in_force_from: str = ""


@cache
def zones() -> tuple[str, ...]:
    """IANA names that people look for: UTC, and those of places."""
    named = (name for name in zoneinfo.available_timezones() if "/" in name)
    return (
        "UTC",
        *sorted(name for name in named if not name.startswith(("Etc/", "posix/", "right/", "SystemV/"))),
    )


def version_of(product: Product, form: ContractForm) -> ContractVersion:
    """What ``save_contract`` would add: not stored yet. Raises BadInput with the field."""
    earlier = list(ContractVersion.objects.filter(product=product).order_by("in_force_from", "pk"))
    if earlier and bool(earlier[0].values["pooled"]) != form.pooled:
        raise BadInput(
            "Whether services are added up cannot change any more. Make another product for it.",
            field="pooled",
        )
    contract, has_anchor = _contract(form)
    values = values_of(contract)
    if not has_anchor:
        values["anchor"] = None
    return ContractVersion(
        product=product,
        values=values,
        in_force_from=_in_force_from(form, contract.zone, is_first=not earlier),
    )


def _again(actor: Actor, version_id: int) -> ContractVersion:
    own = ContractVersion.objects.filter(product__organisation_id=actor.organisation_id)
    version = own.filter(pk=version_id).first()
    if version is None or not actor.is_staff:
        raise NotHere
    return version


@once("contract.save", again=_again)
@transaction.atomic
def save_contract(actor: Actor, product_id: int, form: ContractForm, *, key: str = "") -> ContractVersion:
    """Another version: a period is charged by the one that is in force when it begins."""
    product = locked_product(actor, product_id)
    version = version_of(product, form)
    version.made_by = actor.label
    version.save()
    record.write(
        actor,
        "product.contract_saved",
        ("product", product.pk),
        target_label=product.name,
        sentence=f"Bandwidth contract, in force from {version.in_force_from:%Y-%m-%d %H:%M} UTC",
        details=version.values,
    )
    return version


def _contract(form: ContractForm) -> tuple[Contract, bool]:
    method = Method(one_of(form.method, list(Method), "method"))
    period = PeriodKind(one_of(form.period, list(PeriodKind), "period"))
    zone = one_of(form.zone, zones(), "zone")
    anchor = _day(form.anchor, "anchor") if form.anchor.strip() and period is not PeriodKind.MONTH else None
    if form.pooled and period is not PeriodKind.MONTH and anchor is None:
        raise BadInput("Services that are added up need one day for all of them.", field="anchor")
    included = _number(form.included, "included") if form.included.strip() else None
    contract = Contract(
        method=method,
        unit=Unit(one_of(form.unit, list(Unit), "unit")),
        period=period,
        zone=zone,
        rolling_days=_days(form.rolling_days) if period is PeriodKind.ROLLING else DEFAULT_ROLLING_DAYS,
        commit=None if method.is_volume else included,
        allowance=included if method.is_volume else None,
        price=_number(form.price or "0", "price"),
        currency=one_of(form.currency, CURRENCIES, "currency"),
        cut=Cut(one_of(form.cut, list(Cut), "cut")),
        pooled=form.pooled,
        **({"anchor": anchor} if anchor else {}),
    )
    return contract, anchor is not None


def _in_force_from(form: ContractForm, zone: str, *, is_first: bool) -> datetime:
    now = timezone.now()
    if not form.in_force_from.strip():
        if is_first:
            return now
        raise BadInput("Write the day from which it holds.", field="in_force_from")
    day = _day(form.in_force_from, "in_force_from")
    begins = datetime.combine(day, time.min, tzinfo=ZoneInfo(zone))
    if begins <= now:
        raise BadInput(
            "Write a day that is yet to come: what has begun keeps the contract that it began with.",
            field="in_force_from",
        )
    return begins


def _day(text: str, field: str) -> date:
    try:
        day = date.fromisoformat(text.strip())
    except ValueError as error:
        raise BadInput("Write a date such as 2026-12-01.", field=field) from error
    if not 2000 <= day.year <= 2100:
        raise BadInput("Write a date of this century.", field=field)
    return day


def _days(text: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MOST_ROLLING_DAYS):
        raise BadInput(f"Write a number of days from 1 to {MOST_ROLLING_DAYS}.", field="rolling_days")
    return int(text)


def _number(text: str, field: str) -> Decimal:
    """From 0 to below 10^9, with at most six digits behind the point."""
    try:
        number = Decimal(text.strip().replace(",", "."))
    except InvalidOperation as error:
        raise BadInput("Write a number such as 100 or 0.05.", field=field) from error
    if not number.is_finite() or not 0 <= number < 10**9 or number != number.quantize(Decimal("0.000001")):
        raise BadInput("Write a number from 0 to 999,999,999, with at most six decimals.", field=field)
    return Decimal(f"{number.normalize():f}")
