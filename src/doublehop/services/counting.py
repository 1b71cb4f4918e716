"""Counts by the hour what every service has used, writes it down for lists, and raises alerts."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.utils import timezone

from doublehop.bandwidth.contract import Contract, Method, period_of
from doublehop.bandwidth.queries.metered import Window
from doublehop.jobs.actions import ring
from doublehop.jobs.engine import JobFunction, Periodic
from doublehop.organisations.installation import in_quarantine
from doublehop.services.actions import counting
from doublehop.services.charging import Span, Subject, spans, subjects
from doublehop.services.models import Attachment, ContractVersion, EarlierProduct, PeriodUsage, Service
from doublehop.services.queries.outlook import outlook_of

log = structlog.get_logger(__name__)

COUNT_EVERY_SECONDS = 3600
FORECAST_EVERY = timedelta(hours=6)
"""A forecast costs more than all the rest, and changes slowly."""
SHOWN_ONLY = Contract(method=Method.VOLUME_SUM)
"""Stands in where no contract is in force: the volumes of a calendar month, and no money."""


def count_all(payload: Mapping[str, Any]) -> None:
    """Rings once for each organisation that has services with a machine."""
    if in_quarantine():
        return
    counting.forget_old_usage(timezone.now())
    organisations = Attachment.objects.values_list("service__organisation_id", flat=True).distinct()
    for organisation_id in sorted(organisations):
        ring(
            "services.count_usage",
            key=f"usage:{organisation_id}",
            payload={"organisation_id": organisation_id},
            lane="usage",
        )


def count_usage(payload: Mapping[str, Any]) -> None:
    """All of one organisation, one after the other; what cannot be counted is left out and told in the log."""
    if in_quarantine():
        return
    organisation_id, now = int(payload["organisation_id"]), timezone.now()
    known = {
        (row.subject, row.start): row
        for row in PeriodUsage.objects.filter(
            organisation_id=organisation_id, end__gt=now - timedelta(days=70)
        ).only("subject", "start", "end", "counted_at", "forecast_at")
    }
    for subject in (*subjects(_services(organisation_id)), *_uncharged(organisation_id, now)):
        for span in _spans(subject, now):
            row = known.get((counting.key_of(subject), span.period.start))
            if row is not None and row.end <= now and row.counted_at >= row.end + counting.SETTLED_AFTER:
                continue
            _count(subject, span, row, now)
    counting.tell_staff_of_alerts(organisation_id)


def _services(organisation_id: int) -> Any:
    return Service.objects.filter(organisation_id=organisation_id)


def _spans(subject: Subject, now: datetime) -> list[Span]:
    """The period that runs, and the one before it while its statement is not written."""
    if subject.versions:
        return list(spans(subject, now))[-2:]
    period = period_of(SHOWN_ONLY, now)
    return [Span(SHOWN_ONLY, period, period.start)]


def _uncharged(organisation_id: int, now: datetime) -> Iterator[Subject]:
    """Services that have a machine now, on products without a contract yet, when an earlier product charges no more."""
    charged = ContractVersion.objects.filter(in_force_from__lte=now).values("product_id")
    still_charged = EarlierProduct.objects.filter(charged_until__gt=now).values("service_id")
    rows = _services(organisation_id).exclude(product_id__in=charged).filter(server__isnull=False)
    rows = rows.exclude(pk__in=still_charged)
    open_ones = Attachment.objects.filter(service__in=rows, until__isnull=True)
    windows = {
        row.service_id: Window(row.server_id, row.since)
        for row in open_ones.only("service", "server", "since")
    }
    for row in rows.select_related("product", "client", "server"):
        if row.pk in windows:
            yield Subject(row, (row,), row.product, (), (windows[row.pk],), None)


def _count(subject: Subject, span: Span, row: PeriodUsage | None, now: datetime) -> None:
    is_charged = bool(subject.versions)
    is_old = row is None or row.forecast_at is None or now - row.forecast_at >= FORECAST_EVERY
    forecasts = is_charged and is_old and span.period.end > now
    try:
        seen = outlook_of(subject, span, now, forecasts=forecasts)
        counting.store_outlook(subject, span, seen, is_charged=is_charged, now=now, forecasts=forecasts)
    except Exception:
        # One service that cannot be counted must not hide the others.
        log.exception("usage not counted", subject=counting.key_of(subject))


JOBS: dict[str, JobFunction] = {"services.count_all": count_all, "services.count_usage": count_usage}
PERIODIC = (Periodic("services.count_all", COUNT_EVERY_SECONDS),)
