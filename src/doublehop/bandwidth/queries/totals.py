"""The bandwidth of a server whose upstream counts by itself: what may be seen of it, as a chart and as CSV.

A figure that does not lie wholly within a window is left out: a part of it may be somebody else's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

import numpy as np

from doublehop.bandwidth import charts
from doublehop.bandwidth.actions.totals import LONGEST, PART
from doublehop.bandwidth.charts import Chart, Provided, Row
from doublehop.bandwidth.figures import (
    DAY,
    HOUR,
    Figure,
    Piece,
    by_step,
    floor,
    in_order,
    is_hourly,
    of_one_source,
)
from doublehop.bandwidth.models import Fetching, Total
from doublehop.bandwidth.queries.metered import pieces_of
from doublehop.bandwidth.queries.sight import Sight
from doublehop.bandwidth.slots import SLOT_SECONDS, slot_of, start_of
from doublehop.bandwidth.spans import Grain, Span
from doublehop.fleet import queries as fleet
from doublehop.organisations.actor import Actor

_LATELY = timedelta(days=3)


def has_bandwidth(actor: Actor, server_id: int) -> bool:
    """Whether anything is, or will be, counted for a server. Raises NotHere. The right to see it is asked elsewhere."""
    row = fleet.server(actor, server_id)
    return (
        PART in row.capabilities
        or fleet.ports_of(actor, server_id).exists()
        or Total.objects.filter(server_id=server_id).exists()
    )


def only_totals(actor: Actor, server_id: int, sight: Sight) -> bool:
    """Own slots go before: where the actor has any to see, the upstream's figures are not shown."""
    if sight.stretches:
        return False
    return (
        PART in fleet.server(actor, server_id).capabilities
        or Total.objects.filter(server_id=server_id).exists()
    )


def pieces_seen(sight: Sight, server_id: int, start: datetime, end: datetime) -> list[Piece]:
    """What belongs to the time from ``start`` to ``end`` and may be seen, oldest first, of one source a day."""
    found = [
        one
        for one in _pieces(server_id, start - LONGEST, end)
        if sight.holds(one.start, one.end) and start <= one.start + (one.end - one.start) / 2 < end
    ]
    return of_one_source(found)


def _pieces(server_id: int, first: datetime, last: datetime) -> list[Piece]:
    return pieces_of(Total.objects.filter(server_id=server_id, start__range=(first, last)))


# ---------------------------------------------------------------- the chart


@dataclass(frozen=True)
class Axis:
    """A span with at most ``points`` points a line; ``first`` to ``end`` in slots."""

    span: Span
    points: int

    @property
    def first(self) -> int:
        return self.span.first

    @property
    def end(self) -> int:
        return self.span.end_slot

    @property
    def step(self) -> timedelta:
        return HOUR if self.span.grain is Grain.HOUR else DAY

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        """From full hour or day to full hour or day, as long as the axis."""
        start, end = start_of(self.first), start_of(self.end)
        late = floor(end, self.step) - end
        return (start, end) if not late else (floor(start, self.step) + self.step, end + late + self.step)


def picture(actor: Actor, server_id: int, sight: Sight, axis: Axis, now: datetime) -> Chart:
    """Month and year by day, the day by hour where there are hours; a line's point is the average of its days, in GB."""
    start, end = axis.bounds
    hourly = is_hourly(_pieces(server_id, now - _LATELY, now))
    pieces = [] if axis.step == HOUR and not hourly else pieces_seen(sight, server_id, start, end)
    line = in_order(by_step(pieces, axis.step), start, min(end, now), axis.step)
    fetching = Fetching.objects.filter(pk=server_id).first() or Fetching(server_id=server_id)
    missing = _missing(sight, fetching, line, start, axis.step) if pieces else [False] * len(line)
    group = max(1, -(-((end - start) // axis.step) // max(1, axis.points)))
    rows = _rows(axis, start, line, missing)
    there = [figure for figure in line if figure is not None]
    return Chart(
        span=axis.span,
        start=start,
        end=end,
        octets_in=sum(figure.octets_in for figure in there),
        octets_out=sum(figure.octets_out for figure in there),
        missing=sum(missing),
        has_sample_history=any(figure.sample_history for figure in there),
        rows=tuple(reversed(rows)),
        grain=axis.span.grain,
        step_seconds=group * int(axis.step.total_seconds()),
        inward=_thinned([figure.octets_in if figure else None for figure in line], group),
        outward=_thinned([figure.octets_out if figure else None for figure in line], group),
        last_value_at=max((figure.known_until for figure in there), default=None),
        gaps=_gaps(missing, start, axis.step),
        unit=charts.VOLUME_UNIT,
        provided=_provided(actor, server_id, fetching, hourly=hourly),
    )


def every_piece(sight: Sight, server_id: int, axis: Axis) -> list[Piece]:
    start, end = axis.bounds
    return pieces_seen(sight, server_id, start, end)


def _provided(actor: Actor, server_id: int, fetching: Fetching, *, hourly: bool) -> Provided:
    """Only the owner of the upstream reads whose figures they are, and what went wrong with them."""
    if not fleet.owns(actor, fleet.server(actor, server_id)):
        return Provided(hourly, fetching.read_at)
    newest = Total.objects.filter(server_id=server_id).order_by("-start").first()
    return Provided(
        hourly,
        fetching.read_at,
        newest.source if newest else "",
        newest.unit if newest else "",
        fetching.failure_text,
    )


def _missing(
    sight: Sight, fetching: Fetching, line: Sequence[Figure | None], start: datetime, step: timedelta
) -> list[bool]:
    """Hours or days that were asked for and not given. Before the first figure there was nothing to give."""
    if fetching.read_until is None or fetching.read_at is None:
        return [False] * len(line)
    oldest = Total.objects.order_by("start").filter(server_id=fetching.server_id).first()
    first = max(fetching.read_until, oldest.start if oldest else start)
    return [
        figure is None
        and start + number * step >= first
        and start + (number + 1) * step <= fetching.read_at
        and sight.holds(start + number * step, start + (number + 1) * step)
        for number, figure in enumerate(line)
    ]


def _gaps(missing: Sequence[bool], start: datetime, step: timedelta) -> tuple[tuple[datetime, datetime], ...]:
    flags = np.array(missing, dtype=bool)
    slots = int(step.total_seconds()) // SLOT_SECONDS
    return charts.gaps_of(np.ones_like(flags), ~flags, slot_of(start), slots)


def _thinned(octets: Sequence[int | None], group: int) -> tuple[float | None, ...]:
    line: list[float | None] = []
    for place in range(0, len(octets), group):
        known = [one for one in octets[place : place + group] if one is not None]
        line.append(charts.volume(sum(known) // len(known)) if known else None)
    return tuple(line)


def _rows(axis: Axis, start: datetime, line: Sequence[Figure | None], missing: Sequence[bool]) -> list[Row]:
    """By hour or day, without those that are not there; by month, where the missing ones keep it from being complete."""
    label = charts.hour_label if axis.step == HOUR else charts.day_label
    if axis.span.grain is not Grain.MONTH:
        return [_row(figure, label(figure.start)) for figure in line if figure is not None]
    days = [
        _row(figure, "") if figure is not None else _absent(start + number * axis.step)
        for number, figure in enumerate(line)
        if figure is not None or missing[number]
    ]
    by_month = groupby(days, key=lambda row: charts.month_label(row.start))
    months = [charts.together(list(rows), month) for month, rows in by_month]
    return [month for month in months if month.covered_ms]


def _row(figure: Figure, label: str) -> Row:
    known_ms = (figure.known_until - figure.start) // timedelta(milliseconds=1)
    return Row(
        slot_of(figure.start),
        label,
        figure.octets_in,
        figure.octets_out,
        highest_octets=0,
        measured=int(figure.complete),
        of=1,
        covered_ms=max(1, known_ms),
    )


def _absent(start: datetime) -> Row:
    return Row(slot_of(start), "", 0, 0, 0, 0, 1)
