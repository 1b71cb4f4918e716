"""The bandwidth of one server as a chart, as a table, as CSV: always the same numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby, pairwise

import numpy as np
from django.utils import timezone

from doublehop.bandwidth import charts, sheets
from doublehop.bandwidth.charts import Chart, Row, Slots
from doublehop.bandwidth.queries.sight import Days, Sight, read_slots, see
from doublehop.bandwidth.queries.totals import Axis, every_piece, only_totals, picture
from doublehop.bandwidth.slots import SLOT_SECONDS, SLOTS_PER_DAY, slot_of, start_of
from doublehop.bandwidth.spans import Grain, Span, asked, days_between, whole_days
from doublehop.organisations.actor import Actor

LABELS = {Grain.HOUR: charts.hour_label, Grain.DAY: charts.day_label, Grain.MONTH: charts.month_label}


def chart(
    actor: Actor, server_id: int, span: Span | str, *, points: int, now: datetime | None = None
) -> Chart:
    """The bandwidth of a server in a span (``spans``); a word such as "month" is the present one of UTC.

    At most ``points`` points a line. Raises NotHere, and BadInput for another word. Without slots, from what the upstream
    counted (``Chart.provided``). Where 5-minute values are not kept any more, or would be too many, from days.
    """
    moment = now or timezone.now()
    axis = Axis(_span(span, moment), points)
    sight = see(actor, server_id, moment)
    if only_totals(actor, server_id, sight):
        return picture(actor, server_id, sight, axis, moment)
    if not axis.span.is_by_slots:
        return _by_days(sight, axis)
    slots = read_slots(sight, axis.first, _until(sight, axis))
    days = Days(sight, axis.first, _until(sight, axis))
    return _by_days(sight, axis) if _are_gone(slots, days) else _from_slots(sight, days, slots, axis)


def _span(span: Span | str, now: datetime) -> Span:
    return asked({"span": span}, now) if isinstance(span, str) else span


def daily_table(
    actor: Actor, server_id: int, span: Span | str, *, now: datetime | None = None
) -> tuple[Row, ...]:
    """The rows beside the chart, newest first: hours, days or months, by the length of the span."""
    return chart(actor, server_id, span, points=1, now=now).rows


def csv_rows(
    actor: Actor,
    server_id: int,
    span: Span | str,
    *,
    every_value: bool = False,
    now: datetime | None = None,
) -> list[tuple[object, ...]]:
    """Header and lines, oldest first: the table of the page, or each value as it was counted, where such values are shown."""
    moment = now or timezone.now()
    axis = Axis(_span(span, moment), points=1)
    drawn = chart(actor, server_id, axis.span, points=1, now=moment)
    if not every_value or drawn.by_days or (drawn.provided and not axis.span.is_by_slots):
        return _table(drawn)
    sight = see(actor, server_id, moment)
    if drawn.provided:
        return sheets.piece_lines(every_piece(sight, server_id, axis))
    return sheets.value_lines(read_slots(sight, axis.first, _until(sight, axis)))


def _table(drawn: Chart) -> list[tuple[object, ...]]:
    oldest_first, zone = reversed(drawn.rows), drawn.zone
    if drawn.provided is None:
        return sheets.table_lines(oldest_first, zone)
    return sheets.figure_lines(oldest_first, zone)


def _until(sight: Sight, axis: Axis) -> int:
    """Where time has come on the axis."""
    return max(axis.first, min(axis.end, sight.horizon))


def _are_gone(slots: Slots, days: Days) -> bool:
    """Whether there was a whole day of which values are known, and none of its 5-minute values is there any more."""
    first = -(-slots.first // SLOTS_PER_DAY) * SLOTS_PER_DAY
    for start in range(first, slots.first + slots.measured.size - SLOTS_PER_DAY + 1, SLOTS_PER_DAY):
        place = start - slots.first
        if slots.measured[place : place + SLOTS_PER_DAY].any():
            continue
        volume = days.whole(start)
        if volume is not None and volume.slots:
            return True
    return False


# ---------------------------------------------------------------- slot by slot


def _from_slots(sight: Sight, days: Days, slots: Slots, axis: Axis) -> Chart:
    rows = _rows(slots, axis.span)
    if axis.span.grain is Grain.DAY:
        rows = [_with_exact_volume(row, days) for row in rows]
    step = charts.step_for(axis.end - axis.first, axis.points)
    highest = charts.highest_of(slots)
    elapsed = sight.elapsed(axis.first) - sight.elapsed(axis.end)
    larger = np.maximum(slots.octets_in, slots.octets_out)
    return replace(
        _assemble(axis.span, rows, days),
        grain=axis.span.grain,
        step_seconds=step * SLOT_SECONDS,
        inward=charts.thin(slots.octets_in, slots.measured, step),
        outward=charts.thin(slots.octets_out, slots.measured, step),
        top=charts.peaks(larger, slots.measured, step) if step > 1 else (),
        p95=charts.percentile_so_far(slots, elapsed) if highest else None,
        highest=highest[0] if highest else None,
        highest_at=highest[1] if highest else None,
        last_value_at=charts.last_measured(slots),
        gaps=charts.gaps_of(slots.expected, slots.measured, axis.first),
    )


def _rows(slots: Slots, span: Span) -> list[Row]:
    """One for every hour or day of the zone, of which anything was to be seen."""
    end = slots.first + slots.measured.size
    edges = [slots.first, *(edge for edge in _edges(span) if slots.first < edge < end), end]
    pieces = [slots.part(since, until) for since, until in pairwise(edges)]
    label = LABELS[span.grain]
    return [
        charts.row_of(piece, label(start_of(piece.first).astimezone(span.zone)))
        for piece in pieces
        if piece.expected.any()
    ]


def _edges(span: Span) -> Iterable[int]:
    if span.grain is Grain.DAY:
        return (slot_of(moment) for moment in days_between(span.start, span.end, span.zone))
    first, hour = span.first, SLOTS_PER_DAY // 24
    past = start_of(first).astimezone(span.zone).minute * 60 // SLOT_SECONDS
    return range(first - past + hour, span.end_slot, hour)


def _with_exact_volume(row: Row, days: Days) -> Row:
    """Octets of unmeasured slots are known where a counter ran on through the gap; they count for a day that is one of UTC."""
    volume = days.whole(row.first_slot) if row.first_slot % SLOTS_PER_DAY == 0 else None
    if volume is None:
        return row
    return replace(
        row,
        octets_in=max(row.octets_in, volume.octets_in),
        octets_out=max(row.octets_out, volume.octets_out),
        covered_ms=max(row.covered_ms, volume.covered_ms),
    )


# ---------------------------------------------------------------- day by day of UTC


def _by_days(sight: Sight, axis: Axis) -> Chart:
    span = whole_days(axis.span)
    days = Days(sight, span.first, sight.horizon)
    by_day = [_day(sight, days, start) for start in range(span.first, span.end_slot, SLOTS_PER_DAY)]
    there = [row for row in by_day if row is not None]
    grain = Grain.MONTH if axis.span.grain is Grain.MONTH else Grain.DAY
    months = [
        charts.together(list(group), month)
        for month, group in groupby(there, key=lambda row: charts.month_label(row.start))
    ]
    step = -(-len(by_day) // max(1, axis.points))
    covered = [row is not None and row.covered_ms > 0 for row in by_day]
    measured = [row for row in there if row.measured]
    top = max(measured, key=lambda row: row.highest_octets, default=None)
    return replace(
        _assemble(span, months if grain is Grain.MONTH else there, days),
        span=axis.span,
        grain=grain,
        by_days=True,
        step_seconds=step * SLOTS_PER_DAY * SLOT_SECONDS,
        inward=charts.thin_days(by_day, step, outward=False),
        outward=charts.thin_days(by_day, step, outward=True),
        top=charts.peaks_of_days(by_day, step),
        highest=top.highest if top else None,
        highest_at=top.start if top else None,
        last_value_at=_last_of_day(sight, measured[-1].first_slot) if measured else None,
        gaps=charts.gaps_of(
            np.array([row is not None for row in by_day], dtype=bool),
            np.array(covered, dtype=bool),
            span.first,
            SLOTS_PER_DAY,
        ),
    )


def _day(sight: Sight, days: Days, start: int) -> Row | None:
    """From the daily rows; a day that is cut by a window or by a change of ports is added up from its slots."""
    end = min(start + SLOTS_PER_DAY, sight.horizon)
    if start >= end or not sight.touching(start, end):
        return None
    label = charts.day_label(start_of(start))
    volume = days.whole(start)
    if volume is None:
        return charts.row_of(read_slots(sight, start, end), label)
    return Row(
        start,
        label,
        volume.octets_in,
        volume.octets_out,
        volume.highest,
        min(volume.slots, end - start),
        end - start,
        volume.covered_ms,
    )


def _last_of_day(sight: Sight, start: int) -> datetime:
    """Of a day with values: the end of the last one, or of the day where they are not kept any more."""
    end = min(start + SLOTS_PER_DAY, sight.horizon)
    return charts.last_measured(read_slots(sight, start, end)) or start_of(end)


def _assemble(span: Span, rows: Sequence[Row], days: Days) -> Chart:
    """What every chart has in common, without lines yet."""
    return Chart(
        span=span,
        start=start_of(span.first),
        end=start_of(span.end_slot),
        octets_in=sum(row.octets_in for row in rows),
        octets_out=sum(row.octets_out for row in rows),
        missing=sum(row.of - row.measured for row in rows),
        has_sample_history=days.have_sample_history(),
        rows=tuple(reversed(rows)),
    )
