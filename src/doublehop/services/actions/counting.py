"""Period usage as it was last counted, and the alerts that follow from it. Nobody is ever suspended for one."""

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from django.db import transaction
from django.utils import timezone

from doublehop.bandwidth.contract import Method
from doublehop.bandwidth.reckoning import Reckoned
from doublehop.bandwidth.slots import SLOT_SECONDS
from doublehop.fleet.permissions import Right, require
from doublehop.notices import actions as notices
from doublehop.organisations import record
from doublehop.organisations.actor import SYSTEM, Actor, Duty
from doublehop.organisations.models import Organisation
from doublehop.organisations.queries import address_of_client
from doublehop.organisations.refusals import NotHere
from doublehop.services import alert_words
from doublehop.services.actions.catalogue import percents_of
from doublehop.services.charging import Span, Subject
from doublehop.services.models import PeriodUsage, Service, UsageAlert
from doublehop.services.queries.outlook import Outlook

KEPT_FOR = timedelta(days=400)
SETTLED_AFTER = timedelta(hours=3)
"""So long after its end a period is counted again: the last readings may be late."""
_THOUSANDTH = Decimal("0.001")


def key_of(subject: Subject) -> str:
    """The same in every period."""
    one = subject.members[0]
    return f"service:{one.pk}" if subject.service else f"pool:{one.client_id}:{one.product_id}"


def store_outlook(
    subject: Subject, span: Span, seen: Outlook, *, is_charged: bool, now: datetime, forecasts: bool
) -> PeriodUsage:
    """Writes down what was counted, and raises what it calls for. One transaction.

    Without ``forecasts`` the earlier one stands. Made-up octets, and periods that are settled, raise nothing.
    """
    values = {**_counted(subject, seen, is_charged=is_charged), "counted_at": now}
    if forecasts:
        values |= _foretold(seen, now)
    with transaction.atomic():
        if span.period.end > now:
            _supersede(subject, span.period.start, now)
        row, _ = PeriodUsage.objects.update_or_create(
            subject=key_of(subject), start=span.period.start, defaults=values
        )
        if is_charged and not row.sample_history and row.end + SETTLED_AFTER > now:
            _raise_alerts(subject, row, seen)
    return row


def _supersede(subject: Subject, start: datetime, now: datetime) -> None:
    """Of each service one row runs. A first contract may bring another period, or a pool: what was shown until then ends where
    the period begins, or is gone where it is the same month in another zone. No contract was in force then, so no alert
    goes with it.
    """
    one = subject.members[0]
    keys = [f"pool:{one.client_id}:{one.product_id}", *(f"service:{each.pk}" for each in subject.members)]
    rows = PeriodUsage.objects.filter(subject__in=keys, end__gt=now).exclude(
        subject=key_of(subject), start=start
    )
    rows.filter(start__gt=start - timedelta(days=1)).delete()
    rows.update(end=start)


def _counted(subject: Subject, seen: Outlook, *, is_charged: bool) -> dict[str, Any]:
    one, usage, reckoned = subject.members[0], seen.usage, seen.usage.reckoned
    contract = usage.contract
    return {
        "organisation_id": one.organisation_id,
        "client_id": one.client_id,
        "product_id": one.product_id,
        "service": subject.service,
        "services": len(subject.members),
        "label": usage.period.label,
        "end": usage.period.end,
        "zone": contract.zone,
        "method": contract.method.value if is_charged else "",
        "unit_name": contract.unit_name,
        "quantity": _cut(reckoned.quantity),
        "included": contract.included,
        "share_percent": float(usage.share * 100) if usage.share is not None else 0.0,
        "octets_in": reckoned.volume_in,
        "octets_out": reckoned.volume_out,
        "percentile_95": None if usage.from_totals else _percentile(contract.method, reckoned),
        "amount": reckoned.amount if is_charged else Decimal(0),
        "currency": contract.currency if is_charged else "",
        "expected": reckoned.expected,
        "measured": reckoned.measured,
        "coverage_percent": float(reckoned.coverage * 100) if reckoned.coverage is not None else 0.0,
        "burst_minutes": None if seen.burst is None else seen.burst.minutes,
        "from_totals": usage.from_totals,
        "sample_history": usage.sample_history,
    }


def _percentile(method: Method, reckoned: Reckoned) -> int:
    """In bit/s."""
    named = {
        Method.P95_IN: reckoned.p95_in,
        Method.P95_OUT: reckoned.p95_out,
        Method.P95_SUM: reckoned.p95_sum,
    }
    octets_per_slot = named.get(method, max(reckoned.p95_in, reckoned.p95_out))
    return octets_per_slot * 8 // SLOT_SECONDS


def _foretold(seen: Outlook, now: datetime) -> dict[str, Any]:
    made = seen.forecast
    if made is None:
        names = ("forecast_low", "forecast_likely", "forecast_high", "forecast_amount")
        return {**dict.fromkeys(names), "forecast_at": now}
    return {
        "forecast_low": _cut(made.low),
        "forecast_likely": _cut(made.likely),
        "forecast_high": _cut(made.high),
        "forecast_amount": seen.amounts[1] if seen.amounts else None,
        "forecast_at": now,
    }


def _cut(value: Fraction) -> Decimal:
    return (Decimal(value.numerator) / Decimal(value.denominator)).quantize(_THOUSANDTH)


# ---------------------------------------------------------------- alerts


@transaction.atomic
def choose_alerts(actor: Actor, service_id: int, percents: str) -> Service:
    """A client chooses for one of its own services; an empty text: no mails. Raises NotHere, NotAllowed, BadInput."""
    if not actor.is_client or actor.client_id is None:
        raise NotHere
    own = Service.objects.select_for_update(of=("self",)).filter(client_id=actor.client_id)
    row = own.filter(pk=service_id).first()
    if row is None or row.server is None:
        raise NotHere
    require(actor, Right.BANDWIDTH, row.server)
    row.alert_percents = percents_of(percents)
    row.save(update_fields=["alert_percents"])
    record.write(
        actor,
        "bandwidth.alerts_chosen",
        ("service", row.pk),
        target_label=str(row),
        sentence=", ".join(f"{one} %" for one in row.alert_percents) or "none",
        service_id=row.pk,
        client_id=row.client_id,
    )
    return row


def _raise_alerts(subject: Subject, row: PeriodUsage, seen: Outlook) -> None:
    """Each once a period; of several that are new at once the client reads of the highest."""
    share = seen.usage.share
    if share is None:
        return
    for_staff, for_client = set(subject.product.alert_percents), _wanted_by_client(subject)
    reached = [percent for percent in sorted(for_staff | for_client) if share * 100 >= percent]
    new = [alert for percent in reached if (alert := _new(row, UsageAlert.Kind.REACHED, percent))]
    if for_staff and seen.will_be_above and share < 1 and (one := _new(row, UsageAlert.Kind.FORECAST, 100)):
        new.append(one)
    for alert in new:
        is_for_client = alert.kind == UsageAlert.Kind.REACHED and alert.percent in for_client
        _write_line(subject, row, alert, is_for_client=is_for_client)
    told = [one for one in new if one.kind == UsageAlert.Kind.REACHED and one.percent in for_client]
    if told:
        _tell_client(row, told[-1])
    only_client = [one.pk for one in new if one.percent not in for_staff and one.percent in for_client]
    UsageAlert.objects.filter(pk__in=only_client, kind=UsageAlert.Kind.REACHED).update(told_at=row.counted_at)


def _wanted_by_client(subject: Subject) -> set[int]:
    """What the client chose for itself goes before the product's; of a pool, what it chose for any of its services."""
    usual = subject.product.alert_percents if subject.product.alert_client else []
    chosen = [usual if one.alert_percents is None else one.alert_percents for one in subject.members]
    return {percent for percents in chosen for percent in percents}


def _new(row: PeriodUsage, kind: UsageAlert.Kind, percent: int) -> UsageAlert | None:
    alert, is_new = UsageAlert.objects.get_or_create(usage=row, kind=kind, percent=percent)
    return alert if is_new else None


def _write_line(subject: Subject, row: PeriodUsage, alert: UsageAlert, *, is_for_client: bool) -> None:
    """The line of the journal: whatever else is to happen at an alert begins here, such as webhooks."""
    record.write(
        SYSTEM,
        "bandwidth.alert",
        ("service", subject.members[0].pk),
        target_label=str(row),
        sentence=alert_words.sentence(row, alert),
        details={
            "kind": alert.kind,
            "percent": alert.percent,
            "period": row.label,
            "quantity": str(row.quantity),
            "included": str(row.included),
            "unit": row.unit_name,
            "for_client": is_for_client,
        },
        service_id=row.service_id,
        client_id=row.client_id,
        also=[row.organisation_id],
    )


def _tell_client(row: PeriodUsage, alert: UsageAlert) -> None:
    subject, body = alert_words.client_mail(row, alert)
    notices.write(
        organisation_id=row.organisation_id,
        to=address_of_client(row.client_id),
        subject=subject,
        body=body,
        about="usage_alert",
        key=f"usage:{alert.pk}:client",
        service_id=row.service_id,
    )


@transaction.atomic
def tell_staff_of_alerts(organisation_id: int) -> int:
    """One mail for all that was raised since the last one. Answers with how many alerts it tells of."""
    Organisation.objects.select_for_update().get(pk=organisation_id)
    waiting = list(
        UsageAlert.objects.filter(usage__organisation_id=organisation_id, told_at__isnull=True)
        .select_related("usage__client", "usage__service")
        .order_by("pk")
    )
    if not waiting:
        return 0
    subject, body = alert_words.staff_mail(waiting)
    notices.tell_staff(
        organisation_id=organisation_id,
        duty=Duty.SELL,
        subject=subject,
        body=body,
        about="usage_alert",
        key=f"usage:{waiting[-1].pk}",
    )
    UsageAlert.objects.filter(pk__in=[one.pk for one in waiting]).update(told_at=timezone.now())
    return len(waiting)


def forget_old_usage(now: datetime) -> None:
    PeriodUsage.objects.filter(end__lt=now - KEPT_FOR).delete()
