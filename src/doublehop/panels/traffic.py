"""The bandwidth card of a server, for both panels: what stands above the chart, what it tells, its points, its CSV."""

import csv
from dataclasses import dataclass
from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse, JsonResponse

from doublehop.bandwidth import queries
from doublehop.bandwidth.queries import Chart, Provided
from doublehop.organisations.actor import Actor
from doublehop.panels import words

SPANS = (("day", "Day"), ("month", "Month"), ("year", "Year"))
_MOST_POINTS = 1500
_WHICH = {"day": "the last 24 hours", "month": "this month", "year": "the last twelve months"}


@dataclass(frozen=True)
class TrafficCard:
    """What ``parts/chart.html`` draws. Addresses are the page's own."""

    chart: Chart
    name: str
    data_url: str
    csv_url: str

    @property
    def span(self) -> str:
        return self.chart.span

    @property
    def spans(self) -> tuple[tuple[str, str], ...]:
        return SPANS

    @property
    def figures(self) -> list[tuple[str, str, str]]:
        """(number, unit, text) each, for ``parts/figures.html``."""
        chart = self.chart
        found = []
        if chart.p95 is not None:
            found.append((f"{chart.p95:.1f}", chart.unit, "95th percentile so far"))
        if chart.highest is not None and chart.highest_at is not None:
            text = f"highest 5 minutes, {_on(chart.highest_at, with_time=chart.span != 'year')}"
            found.append((f"{chart.highest:.1f}", chart.unit, text))
        for octets, direction in ((chart.octets_out, "out"), (chart.octets_in, "in")):
            number, unit = words.split_octets(octets)
            found.append((number, f"{unit} {direction}", _WHICH[chart.span]))
        return found

    @property
    def counted_by_days(self) -> bool:
        """Whether there are no hours behind the figures that were counted elsewhere."""
        return self.chart.provided is not None and not self.chart.provided.hourly

    @property
    def nothing(self) -> str:
        """Why there is nothing to draw."""
        if self.chart.provided is None:
            return "First values about 10 minutes after the server is attached."
        if self.counted_by_days and self.span == "day" and self.chart.provided.read_at is not None:
            return "There are only daily figures for this server. Month and Year show them."
        return " ".join(
            ["No figures for this time yet. New ones are fetched every hour.", *_failed(self.chart.provided)]
        )

    @property
    def story(self) -> str:
        """One sentence for people who do not see the drawing."""
        chart = self.chart
        not_there = "Not measured" if chart.provided is None else "No figures"
        told = [f"Bandwidth of {self.name} in {_WHICH[chart.span]}: {words_of(chart.octets_out)} out, "]
        told.append(f"{words_of(chart.octets_in)} in.")
        if chart.p95 is not None:
            told.append(f" 95th percentile {chart.p95:.1f} {chart.unit}.")
        if chart.highest is not None and chart.highest_at is not None:
            told.append(
                f" Highest 5-minute value {chart.highest:.1f} {chart.unit} on {_on(chart.highest_at)}."
            )
        told.extend(
            f" {not_there} from {_on(since, with_time=True)} to {_on(until, with_time=True)}."
            for since, until in chart.gaps[:3]
        )
        return "".join(told) + " The table below holds the figures."

    @property
    def counted(self) -> str:
        """How it is counted and what is missing."""
        if self.chart.provided is not None:
            return _of_provided(self.chart, self.chart.provided)
        if self.chart.span == "year":
            return "Volumes by month; the line shows averages of a day or more."
        text = "Counted by 5-minute values: the larger of in and out, top 5 % left out."
        if self.chart.missing == 1:
            return f"{text} One value is missing and counts as nothing."
        if self.chart.missing:
            return f"{text} {self.chart.missing} values are missing and count as nothing."
        return text


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


def _on(moment: datetime, *, with_time: bool = False) -> str:
    utc = moment.astimezone(UTC)
    return f"{utc.day} {utc:%b, %H:%M}" if with_time else f"{utc.day} {utc:%b}"


def span_of(request: HttpRequest) -> str:
    """Of the address; a month where it names none."""
    asked = request.GET.get("span", "")
    return asked if asked in dict(SPANS) else "month"


def traffic_card(
    actor: Actor, server_id: int, request: HttpRequest, *, name: str, data_url: str, csv_url: str
) -> TrafficCard:
    """Raises NotHere. The points themselves are a request of their own (``data_url``)."""
    span = span_of(request)
    chart = queries.chart(actor, server_id, span, points=1)
    return TrafficCard(chart, name, f"{data_url}?span={span}", f"{csv_url}?span={span}")


def traffic_data(actor: Actor, server_id: int, request: HttpRequest) -> JsonResponse:
    """The points, thinned to ``?points=``."""
    asked = request.GET.get("points", "")
    points = min(_MOST_POINTS, max(50, int(asked))) if asked.isdigit() and len(asked) < 6 else _MOST_POINTS
    chart = queries.chart(actor, server_id, span_of(request), points=points)
    return JsonResponse(queries.chart_data(chart), headers={"Cache-Control": "private, max-age=60"})


def traffic_csv(actor: Actor, server_id: int, request: HttpRequest, *, name: str) -> HttpResponse:
    """The table as a file; ``?values=all`` gives each value as it was counted."""
    span = span_of(request)
    rows = queries.csv_rows(actor, server_id, span, every_value=request.GET.get("values") == "all")
    safe = "".join(sign if sign.isalnum() or sign in ".-" else "-" for sign in name)[:60]
    response = HttpResponse(
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="bandwidth-{safe}-{span}.csv"'},
    )
    csv.writer(response).writerows(rows)
    return response
