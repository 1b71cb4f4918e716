"""What a period will come to: usage so far with its forecast and the free burst time that is left."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from django.utils import timezone

from doublehop.bandwidth.charts import Slots
from doublehop.bandwidth.contract import Contract
from doublehop.bandwidth.forecast import (
    DAYS_BACK,
    ENOUGH_DAYS,
    BurstLeft,
    Forecast,
    burst_left,
    forecast,
    spread,
)
from doublehop.bandwidth.money import cut_to_minor_units
from doublehop.bandwidth.queries.metered import Metered, Window, horizon, metered, totals_of
from doublehop.bandwidth.reckoning import share_of
from doublehop.bandwidth.slots import SLOTS_PER_DAY, slot_of, start_of
from doublehop.organisations.actor import Actor
from doublehop.services.charging import Span, Subject, count, subject_of
from doublehop.services.queries.services import service
from doublehop.services.queries.usage import Usage, current_span

TOO_EARLY = f"A forecast follows after {ENOUGH_DAYS} days that were measured nearly whole."
NO_RATE = "No rate can be made of daily or hourly figures, so there is no forecast of one."


@dataclass(frozen=True)
class Outlook:
    """``forecast`` None: ``why_none`` says why. ``amounts`` are for its low, likely and high, in the contract's currency."""

    usage: Usage
    forecast: Forecast | None
    amounts: tuple[Decimal, Decimal, Decimal] | None
    burst: BurstLeft | None
    why_none: str = ""

    @property
    def will_be_above(self) -> bool | None:
        """Whether even the low end is above what is included; None while that is open, or where nothing is included."""
        included = Fraction(self.usage.contract.included)
        if self.forecast is None or not included:
            return None
        if self.forecast.low > included:
            return True
        return False if self.forecast.high <= included else None


def outlook(actor: Actor, service_id: int, *, now: datetime | None = None) -> Outlook | None:
    """As ``usage``: None where no contract is in force, or no machine was there. Raises NotHere."""
    subject = subject_of(service(actor, service_id))
    moment = now or timezone.now()
    span = current_span(subject, moment) if subject is not None else None
    return None if subject is None or span is None else outlook_of(subject, span, moment)


def contract_now(actor: Actor, service_id: int, *, now: datetime | None = None) -> Contract | None:
    """Only how a service is charged, without counting. Raises NotHere."""
    subject = subject_of(service(actor, service_id))
    return None if subject is None else subject.contract_at(now or timezone.now())


def outlook_of(subject: Subject, span: Span, now: datetime, *, forecasts: bool = True) -> Outlook:
    """Of a period that runs, or of one that is over, of which there is nothing to forecast.

    For lists, whose actor was asked before (``charging.subjects``), with ``forecasts`` where these are wanted.
    """
    until = min(horizon(subject.windows, now), span.period.end_slot)
    counted = count(subject, span, horizon=until)
    usage = Usage(
        contract=span.contract,
        period=span.period,
        counted_from=span.counted_from,
        until=start_of(until),
        reckoned=counted.reckoned,
        share=share_of(span.contract, counted.reckoned.quantity),
        services=tuple(str(one) for one in subject.members),
        from_totals=counted.metered is None,
        sample_history=counted.sample_history,
    )
    runs = forecasts and until < span.period.end_slot
    if counted.metered is None:
        if not span.contract.method.is_volume:
            return Outlook(usage, None, None, None, NO_RATE)
        burst = None
        so_far = spread(counted.totals, span.period.first)
        gaps = (0, 0)
        known = _known_totals(subject, until) if runs else so_far
    else:
        so_far = counted.metered.slots
        burst = burst_left(span.contract, span.period, so_far)
        gaps = (counted.reckoned.gap_in, counted.reckoned.gap_out)
        known = _known(subject, counted.metered, until) if runs else so_far
        if counted.totals and runs:
            known = _with_totals(known, counted.bare, until)
    if not runs:
        return Outlook(usage, None, None, burst)
    made = forecast(span.contract, span.period, so_far, known, gaps)
    amounts = _amounts(span.contract, made) if made is not None else None
    return Outlook(usage, made, amounts, burst, "" if made else TOO_EARLY)


def _known(subject: Subject, counted: Metered, until: int) -> Slots:
    """The days to draw from, those of the period among them. A machine without a port brings nothing, here as in the bill."""
    first = (until // SLOTS_PER_DAY - DAYS_BACK) * SLOTS_PER_DAY
    so_far = replace(counted.slots, measured=counted.as_wired)
    if so_far.first <= first:
        return so_far.part(first, until)
    since = min(one.since for one in subject.windows)
    if since >= start_of(so_far.first) - timedelta(days=1):
        return so_far
    found = metered(subject.windows, first, until)
    return replace(found.slots, measured=found.as_wired)


def _with_totals(known: Slots, windows: Sequence[Window], until: int) -> Slots:
    """The days of which both are known: what ports carried, and what upstreams counted of the machines that have none."""
    first = max(known.first, -(-slot_of(max(one.since for one in windows)) // SLOTS_PER_DAY) * SLOTS_PER_DAY)
    beside = spread(totals_of(windows, start_of(first), start_of(until)), first)
    both = known.part(first, min(until, first + beside.measured.size))
    size = both.measured.size
    return replace(
        both,
        octets_in=both.octets_in + beside.octets_in[:size],
        octets_out=both.octets_out + beside.octets_out[:size],
    )


def _known_totals(subject: Subject, until: int) -> Slots:
    """Likewise, of what an upstream counted by itself."""
    first = (until // SLOTS_PER_DAY - DAYS_BACK) * SLOTS_PER_DAY
    return spread(totals_of(subject.windows, start_of(first), start_of(until)), first)


def _amounts(contract: Contract, made: Forecast) -> tuple[Decimal, Decimal, Decimal]:
    low, likely, high = (_amount(contract, one) for one in (made.low, made.likely, made.high))
    return low, likely, high


def _amount(contract: Contract, quantity: Fraction) -> Decimal:
    over = max(Fraction(0), quantity - Fraction(contract.included))
    return cut_to_minor_units(Fraction(contract.price) * over, contract.currency)
