"""Bandwidth > all services: what each used in this or the last period. And the servers with most traffic."""

import csv
from collections.abc import Iterator, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from doublehop.bandwidth.queries import Over, collections_visible_to, talkers
from doublehop.organisations import texts
from doublehop.organisations.actor import Actor
from doublehop.panels.admin.frame import show
from doublehop.panels.admin.products import number as id_of
from doublehop.panels.gates import actor_of
from doublehop.panels.keyset import page_of, sort_of
from doublehop.services import queries
from doublehop.services.contract_words import METHODS
from doublehop.services.queries.report import LATE_AFTER, ReportFilter, oldest_count, usage_report

SORTS = ("share_percent", "octets_out", "octets_in", "amount", "coverage_percent")
STATES = [
    ("over", "Above what is included"),
    ("near", "From 80 %"),
    ("forecast", "Forecast above"),
    ("thin", "Below 98 % measured"),
    ("empty", "No data"),
]
PERIODS = [("this", "This period"), ("last", "Last period")]
_OVERS = [(Over.HOUR, "Last hour"), (Over.DAY, "Last 24 hours"), (Over.WEEK, "Last 7 days")]
MOST_LISTED = 200
_METHODS = {method.value: words for method, words in METHODS.items()}
HEAD = (
    "Service",
    "Client",
    "Product",
    "Hostname",
    "Period begins (UTC)",
    "Period ends (UTC)",
    "Counted by",
    "Used",
    "Included",
    "Unit",
    "Used, %",
    "Amount above",
    "Currency",
    "In, octets",
    "Out, octets",
    "Measured, %",
    "Forecast, low",
    "Forecast, likely",
    "Forecast, high",
    "Forecast amount",
    "Free burst time, minutes",
    "Counted at (UTC)",
    "Sample history",
)


class _Echo:
    """A file that hands each line on."""

    def write(self, text: str) -> str:
        return text


def _chosen(query: Mapping[str, str]) -> ReportFilter:
    period, state = query.get("period", ""), query.get("state", "")
    return ReportFilter(
        period=period if period in dict(PERIODS) else "this",
        state=state if state in dict(STATES) else "",
        product_id=id_of(query.get("product", "")),
        words=query.get("q", "").strip()[:120],
    )


@require_GET
def report(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    chosen = _chosen(request.GET)
    rows = usage_report(actor, chosen)
    asked = {**request.GET.dict(), "sort": request.GET.get("sort") or "-share_percent"}
    sort = sort_of(asked, SORTS)
    oldest = oldest_count(rows)
    context = {
        "page": page_of(rows, request.GET, by=sort),
        "tabs": tabs(actor, "report"),
        "sort": sort,
        "chosen": chosen,
        "periods": PERIODS,
        "period_shown": chosen.period if request.GET.get("period") else "",
        "states": STATES,
        "products": [(str(pk), name) for pk, name in _products(actor)],
        "product": request.GET.get("product", ""),
        "words": chosen.words,
        "is_filtered": bool(chosen.words or chosen.state or chosen.product_id),
        "oldest": oldest,
        "is_late": chosen.period == "this" and oldest is not None and timezone.now() - oldest > LATE_AFTER,
        "query": request.GET.urlencode(),
    }
    return show(request, "bandwidth_report.html", context)


def _products(actor: Actor) -> list[tuple[int, str]]:
    return list(queries.products_visible_to(actor).values_list("pk", "name")[:MOST_LISTED])


@require_GET
def report_csv(request: HttpRequest) -> StreamingHttpResponse:
    """Every row that the filters leave, in the order of the page."""
    chosen = _chosen(request.GET)
    sort = sort_of({"sort": request.GET.get("sort") or "-share_percent"}, SORTS)
    rows = usage_report(actor_of(request), chosen).order_by(sort, "pk")
    writer = csv.writer(_Echo())
    lines = (writer.writerow(line) for line in _lines(rows.iterator(chunk_size=1000)))
    return StreamingHttpResponse(
        lines,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="bandwidth-{chosen.period}-period.csv"'},
    )


def _lines(rows: Iterator[Any]) -> Iterator[tuple[object, ...]]:
    yield HEAD
    for row in rows:
        yield (
            texts.cell(str(row.service or f"{row.services} services together")),
            texts.cell(row.client.name),
            texts.cell(row.product.name),
            texts.cell(row.service.shown_hostname if row.service else ""),
            f"{row.start:%Y-%m-%d %H:%M}",
            f"{row.end:%Y-%m-%d %H:%M}",
            _METHODS.get(row.method, "no contract"),
            row.quantity,
            row.included or "",
            row.unit_name,
            f"{row.share_percent:.1f}" if row.included else "",
            row.amount if row.method else "",
            row.currency,
            row.octets_in,
            row.octets_out,
            "" if row.from_totals else f"{row.coverage_percent:.2f}",
            *("" if one is None else one for one in _forecast(row)),
            "" if row.burst_minutes is None else row.burst_minutes,
            f"{row.counted_at:%Y-%m-%d %H:%M}",
            "yes" if row.sample_history else "no",
        )


def _forecast(row: Any) -> tuple[Any, ...]:
    return (row.forecast_low, row.forecast_likely, row.forecast_high, row.forecast_amount)


def tabs(actor: Actor, current: str) -> list[tuple[str, str, bool]]:
    shown = [
        ("All services", "/admin/bandwidth/", current == "report"),
        ("Most traffic", "/admin/bandwidth/most-traffic/", current == "most"),
    ]
    # Only who owns an upstream has counters of its own to decide about.
    if current == "doubt" or collections_visible_to(actor):
        shown.append(("In doubt", "/admin/bandwidth/in-doubt/", current == "doubt"))
    return shown


@require_GET
def most_traffic(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    asked = request.GET.get("over", "")
    over = Over(asked) if asked in list(Over) else Over.HOUR
    found = talkers(actor, over)
    services = queries.services_of_servers(actor, [one.server_id for one in found.lines])
    context = {
        "tabs": tabs(actor, "most"),
        "found": found,
        "lines": [(one, services.get(one.server_id)) for one in found.lines],
        "largest": max((one.octets_in + one.octets_out for one in found.lines), default=0),
        "overs": [(one.value, word, one is over) for one, word in _OVERS],
        "is_week": over is Over.WEEK,
    }
    return show(request, "bandwidth_most.html", context)
