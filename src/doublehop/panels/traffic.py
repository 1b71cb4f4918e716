"""The bandwidth card of a server, for both panels: what stands above the chart, what it tells, its points, its CSV."""

import csv
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from doublehop.bandwidth import queries, spans
from doublehop.bandwidth.queries import Chart, Provided, Row
from doublehop.bandwidth.spans import Grain, Kind, Span
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import BadInput
from doublehop.panels import words

SPANS = ((Kind.DAY, "Day"), (Kind.WEEK, "Week"), (Kind.MONTH, "Month"), (Kind.YEAR, "Year"))
ZONES = ("UTC", "Europe/London", "Europe/Berlin", "America/New_York", "America/Los_Angeles", "Asia/Singapore")
"""Offered where somebody types a zone; every other may be typed as well."""
_MOST_POINTS = 1500
_NOW = {
    Kind.DAY: "the last 24 hours",
    Kind.WEEK: "the last 7 days",
    Kind.MONTH: "this month",
    Kind.YEAR: "the last twelve months",
}
_NAMES = ("span", "at", "from", "to", "zone")
_UTC = ZoneInfo("UTC")


@dataclass(frozen=True)
class Mark:
    """A level that the chart shows: what a contract includes. ``unit`` is that of the chart it belongs to."""

    value: float
    unit: str
    label: str
    short: str


@dataclass(frozen=True)
class Terms:
    """What of a contract the chart needs: whose days are meant, and what to draw."""

    zone: ZoneInfo = _UTC
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class TrafficCard:
    """What ``parts/chart.html`` draws. Addresses are the page's own.

    ``errors`` is field name to sentence of a span that could not be; ``typed`` is then what stands in its form.
    """

    chart: Chart
    name: str
    data_address: str
    csv_address: str
    now: datetime
    terms: Terms = field(default_factory=Terms)
    errors: dict[str, str] = field(default_factory=dict)
    typed: dict[str, str] = field(default_factory=dict)

    # ------------------------------------------------------------ addresses

    @property
    def span(self) -> Span:
        return self.chart.span

    @property
    def kinds(self) -> list[tuple[str, str, str, bool]]:
        """(kind, word, query string, whether it is the present one) of the usual spans."""
        found = []
        for kind, word in SPANS:
            query = self._query(spans.named(kind, self.now, self.span.zone))
            found.append((kind.value, word, query, self.span.kind is kind and not self.errors))
        return found

    @property
    def earlier(self) -> str:
        return self._query(spans.earlier(self.span, self.now))

    @property
    def later(self) -> str:
        return self._query(spans.later(self.span, self.now))

    @property
    def closer(self) -> str:
        return self._query(spans.closer(self.span, self.now))

    @property
    def wider(self) -> str:
        return self._query(spans.wider(self.span, self.now))

    @property
    def data_url(self) -> str:
        return self.data_address + self._query(self.span)

    @property
    def csv_url(self) -> str:
        return self.csv_address + self._query(self.span)

    @property
    def values_url(self) -> str:
        """Of each value as it was counted; empty where none is kept, or where the table shows them all."""
        provided = self.chart.provided
        if self.chart.by_days or (provided and not (provided.hourly and self.chart.grain is Grain.DAY)):
            return ""
        return f"{self.csv_url}&values=all" if self.chart.grain is not Grain.MONTH else ""

    @property
    def lines(self) -> list[tuple[Row, str]]:
        """The table, each line with the query string that shows it by itself, or an empty one."""
        found = []
        for row in self.chart.rows:
            inner = spans.inside(self.span, row.start, self.chart.grain)
            leads = inner is not None and not (self.chart.by_days and self.chart.grain is Grain.DAY)
            found.append((row, self._query(inner) if leads and not self.counted_by_days else ""))
        return found

    def _query(self, span: Span | None) -> str:
        return "" if span is None else f"?{urlencode(span.address(self.terms.zone))}"

    # ------------------------------------------------------------ words

    @property
    def which(self) -> str:
        """The time, inside of a sentence."""
        if self.span.kind in _NOW and self.span.of is None:
            return _NOW[self.span.kind]
        return self.when

    @property
    def when(self) -> str:
        """The time in dates, without its zone."""
        return words.dates(self.span.start, self.span.end, self.span.zone)

    @property
    def zone(self) -> str:
        return self.span.zone.key

    @property
    def fields(self) -> dict[str, str]:
        """What stands in the form for any span."""
        if self.typed:
            return self.typed
        local = self.span.local
        return {"from": local(self.span.start), "to": local(self.span.end), "zone": self.zone}

    @property
    def zones(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.terms.zone.key, *ZONES)))

    @property
    def marks_shown(self) -> str:
        """The words of the legend for what the contract includes."""
        return ", ".join(mark.label for mark in self.terms.marks if mark.unit == self.chart.unit)

    @property
    def is_over(self) -> bool:
        return self.span.end <= self.now

    @property
    def figures(self) -> list[tuple[str, str, str]]:
        """(number, unit, text) each, for ``parts/figures.html``."""
        chart = self.chart
        found = []
        if chart.p95 is not None:
            told = "95th percentile" if self._is_whole else "95th percentile so far"
            found.append((f"{chart.p95:.1f}", chart.unit, told))
        if chart.highest is not None and chart.highest_at is not None:
            text = f"highest 5 minutes, {self._on(chart.highest_at, with_time=not chart.by_days)}"
            found.append((f"{chart.highest:.1f}", chart.unit, text))
        for octets, direction in ((chart.octets_out, "out"), (chart.octets_in, "in")):
            number, unit = words.split_octets(octets)
            found.append(
                (number, f"{unit} {direction}", "in this time" if self.span.kind is Kind.ANY else self.which)
            )
        return found

    @property
    def _is_whole(self) -> bool:
        """The rolling spans end where time has come, and grow no more."""
        return self.is_over or (self.span.of is None and self.span.kind in (Kind.DAY, Kind.WEEK))

    @property
    def counted_by_days(self) -> bool:
        """Whether there are no hours behind the figures that were counted elsewhere."""
        return (
            self.chart.provided is not None
            and not self.chart.provided.hourly
            and self.chart.grain is not Grain.MONTH
        )

    @property
    def nothing(self) -> str:
        """Why there is nothing to draw."""
        if self.chart.provided is None:
            if self.span.kind is Kind.ANY or (self.is_over and self.span.of is not None):
                return "Nothing was measured in this time."
            return "First values about 10 minutes after the server is attached."
        if self.counted_by_days and self.chart.grain is Grain.HOUR and self.chart.provided.read_at:
            return "There are only daily figures for this server. Month and Year show them."
        return " ".join(
            ["No figures for this time yet. New ones are fetched every hour.", *_failed(self.chart.provided)]
        )

    @property
    def story(self) -> str:
        """One sentence for people who do not see the drawing."""
        chart = self.chart
        not_there = "Not measured" if chart.provided is None else "No figures"
        told = [f"Bandwidth of {self.name} in {self.which}: {words_of(chart.octets_out)} out, "]
        told.append(f"{words_of(chart.octets_in)} in.")
        if chart.p95 is not None:
            told.append(f" 95th percentile {chart.p95:.1f} {chart.unit}.")
        if chart.highest is not None and chart.highest_at is not None:
            told.append(
                f" Highest 5-minute value {chart.highest:.1f} {chart.unit} on {self._on(chart.highest_at)}."
            )
        told.extend(
            f" {not_there} from {self._on(since, with_time=True)} to {self._on(until, with_time=True)}."
            for since, until in chart.gaps[:3]
        )
        return "".join(told) + " The table below holds the figures."

    @property
    def counted(self) -> str:
        """How it is counted and what is missing."""
        chart = self.chart
        if chart.provided is not None:
            return _of_provided(chart, chart.provided)
        if chart.by_days:
            if chart.grain is Grain.MONTH:
                return "Volumes by month; the lines are made of whole days of UTC, not of 5-minute values."
            return "5-minute values of this time are not kept any more. These are whole days of UTC."
        text = "Counted by 5-minute values: the larger of in and out, top 5 % left out."
        if chart.missing == 1:
            return f"{text} One value is missing and counts as nothing."
        if chart.missing:
            return f"{text} {chart.missing} values are missing and count as nothing."
        return text

    def _on(self, moment: datetime, *, with_time: bool = False) -> str:
        here = moment.astimezone(self.chart.zone)
        return f"{here.day} {here:%b, %H:%M}" if with_time else f"{here.day} {here:%b}"


def _of_provided(chart: Chart, provided: Provided) -> str:
    """Only who owns the upstream is told whose figures they are."""
    grain, one, many = ("Hourly", "hour", "hours") if provided.hourly else ("Daily", "day", "days")
    told = [f"{grain} figures, in {chart.unit}."]
    if provided.source:
        told = [
            f"{grain} figures of the provider ({provided.source}, in {provided.unit}), shown in {chart.unit}."
        ]
    if chart.missing:
        told.append(f"{chart.missing} {one if chart.missing == 1 else many} without a figure.")
    return " ".join([*told, *_failed(provided)])


def _failed(provided: Provided) -> list[str]:
    return [f"The last reading failed: {provided.failure_text.rstrip('.')}."] if provided.failure_text else []


def words_of(octets: int) -> str:
    return " ".join(words.split_octets(octets))


# ---------------------------------------------------------------- answers


def traffic_card(
    actor: Actor,
    server_id: int,
    request: HttpRequest,
    *,
    name: str,
    data_url: str,
    csv_url: str,
    terms: Terms | None = None,
) -> TrafficCard:
    """Raises NotHere. The points themselves are a request of their own (``data_url``).

    A span that cannot be is told at its form, above the present month.
    """
    now, kept = timezone.now(), terms or Terms()
    errors, typed = {}, {}
    try:
        span = _asked(request, kept, now)
    except BadInput as refusal:
        span = spans.named(Kind.MONTH, now, kept.zone)
        errors = {refusal.field: refusal.sentence}
        typed = _typed(request, kept)
    chart = queries.chart(actor, server_id, span, points=1, now=now)
    return TrafficCard(chart, name, data_url, csv_url, now, kept, errors, typed)


def _typed(request: HttpRequest, terms: Terms) -> dict[str, str]:
    """For inputs of a date with its clock: a date alone would vanish in them."""
    found = {name: request.GET.get(name, "")[:40] for name in ("from", "to")}
    found = {
        name: f"{text}T00:00" if len(text) == len("2026-11-23") else text for name, text in found.items()
    }
    return {**found, "zone": request.GET.get("zone", "")[:40] or terms.zone.key}


def _asked(request: HttpRequest, terms: Terms, now: datetime) -> Span:
    values = {name: request.GET.get(name, "") for name in _NAMES}
    return spans.asked(values, now, zone=terms.zone)


def traffic_data(
    actor: Actor, server_id: int, request: HttpRequest, *, terms: Terms | None = None
) -> JsonResponse:
    """The points, thinned to ``?points=``. Raises BadInput for a span that cannot be."""
    asked = request.GET.get("points", "")
    points = min(_MOST_POINTS, max(50, int(asked))) if asked.isdigit() and len(asked) < 6 else _MOST_POINTS
    now, kept = timezone.now(), terms or Terms()
    chart = queries.chart(actor, server_id, _asked(request, kept, now), points=points, now=now)
    marks = [vars(mark) for mark in kept.marks if mark.unit == chart.unit]
    return JsonResponse(
        {**queries.chart_data(chart), "over": chart.span.end <= now, "marks": marks},
        headers={"Cache-Control": "private, max-age=60"},
    )


def traffic_csv(
    actor: Actor, server_id: int, request: HttpRequest, *, name: str, terms: Terms | None = None
) -> HttpResponse:
    """The table as a file; ``?values=all`` gives each value as it was counted. Raises BadInput for a span that cannot be."""
    now = timezone.now()
    span = _asked(request, terms or Terms(), now)
    rows = queries.csv_rows(actor, server_id, span, every_value=request.GET.get("values") == "all", now=now)
    safe = "".join(sign if sign.isalnum() or sign in ".-" else "-" for sign in name)[:60]
    of = span.kind.value if span.of is None and span.kind is not Kind.ANY else f"{span.local(span.start):.10}"
    response = HttpResponse(
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="bandwidth-{safe}-{of}.csv"'},
    )
    csv.writer(response).writerows(rows)
    return response
