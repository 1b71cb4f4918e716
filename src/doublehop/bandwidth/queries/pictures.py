"""The bandwidth of one server as a chart, as a table, as CSV: always the same numbers."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise

import numpy as np
from django.utils import timezone

from doublehop.bandwidth import charts, sheets
from doublehop.bandwidth.charts import Chart, Row, Slots
from doublehop.bandwidth.queries.sight import Days, Sight, read_slots, see
from doublehop.bandwidth.queries.totals import Axis, every_piece, only_totals, picture
from doublehop.bandwidth.slots import SLOT_SECONDS, SLOTS_PER_DAY, slot_of, start_of
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import BadInput

SPANS = ("day", "month", "year")


def chart(actor: Actor, server_id: int, span: str, *, points: int, now: datetime | None = None) -> Chart:
    """The bandwidth of a server: the last 24 hours, this month, or twelve months with this one (UTC).

    At most ``points`` points a line. Raises NotHere, and BadInput for another span. Without slots, from what the upstream
    counted (``Chart.provided``).
    """
    moment = now or timezone.now()
    axis = Axis(span, *_bounds(span, moment), points)
    sight = see(actor, server_id, moment)
    if only_totals(actor, server_id, sight):
        return picture(actor, server_id, sight, axis, moment)
    days = Days(sight, axis.first, sight.horizon)
    return _year(sight, days, axis) if span == "year" else _from_slots(sight, days, axis)


def daily_table(actor: Actor, server_id: int, span: str, *, now: datetime | None = None) -> tuple[Row, ...]:
    """The rows beside the chart, newest first: hours of a day, days of a month, months of a year."""
    return chart(actor, server_id, span, points=1, now=now).rows


def csv_rows(
    actor: Actor, server_id: int, span: str, *, every_value: bool = False, now: datetime | None = None
) -> list[tuple[object, ...]]:
    """Header and lines, oldest first: the table of the page, or each value as it was counted (a year has only the table)."""
    moment = now or timezone.now()
    if not every_value or span == "year":
        return _table(chart(actor, server_id, span, points=1, now=moment))
    axis = Axis(span, *_bounds(span, moment), points=1)
    sight = see(actor, server_id, moment)
    if only_totals(actor, server_id, sight):
        return sheets.piece_lines(every_piece(sight, server_id, axis))
    return sheets.value_lines(read_slots(sight, axis.first, sight.horizon))


def _table(drawn: Chart) -> list[tuple[object, ...]]:
    oldest_first = reversed(drawn.rows)
    return sheets.table_lines(oldest_first) if drawn.provided is None else sheets.figure_lines(oldest_first)


def _bounds(span: str, now: datetime) -> tuple[int, int]:
    """First slot, and the slot after the end of the axis."""
    if span not in SPANS:
        raise BadInput("Choose day, month or year.", field="span")
    if span == "day":
        return slot_of(now) - SLOTS_PER_DAY, slot_of(now)
    utc = now.astimezone(UTC)
    month = datetime(utc.year, utc.month, 1, tzinfo=UTC)
    if span == "month":
        return slot_of(month), slot_of((month + timedelta(days=32)).replace(day=1))
    count = month.year * 12 + month.month - 1 - 11
    tomorrow = (slot_of(now) // SLOTS_PER_DAY + 1) * SLOTS_PER_DAY
    return slot_of(datetime(count // 12, count % 12 + 1, 1, tzinfo=UTC)), tomorrow


# ---------------------------------------------------------------- day and month: slot by slot


def _from_slots(sight: Sight, days: Days, axis: Axis) -> Chart:
    slots = read_slots(sight, axis.first, sight.horizon)
    if axis.span == "day":
        rows = _rows(slots, SLOTS_PER_DAY // 24, charts.hour_label)
    else:
        rows = [_with_exact_volume(row, days) for row in _rows(slots, SLOTS_PER_DAY, charts.day_label)]
    step = charts.step_for(axis.end - axis.first, axis.points)
    highest = charts.highest_of(slots)
    made = _assemble(axis, rows, days)
    return replace(
        made,
        step_seconds=step * SLOT_SECONDS,
        inward=charts.thin(slots.octets_in, slots.measured, step),
        outward=charts.thin(slots.octets_out, slots.measured, step),
        p95=charts.percentile_so_far(slots, sight.elapsed(axis.first)) if highest else None,
        highest=highest[0] if highest else None,
        highest_at=highest[1] if highest else None,
        last_value_at=charts.last_measured(slots),
        gaps=charts.gaps_of(slots.expected, slots.measured, axis.first),
    )


def _rows(slots: Slots, step: int, label: Callable[[datetime], str]) -> list[Row]:
    """One for every hour or day, of which anything was to be seen."""
    end = slots.first + slots.measured.size
    edges = [slots.first, *range((slots.first // step + 1) * step, end, step), end]
    pieces = [slots.part(since, until) for since, until in pairwise(edges)]
    return [charts.row_of(piece, label(start_of(piece.first))) for piece in pieces if piece.expected.any()]


def _with_exact_volume(row: Row, days: Days) -> Row:
    """Octets of unmeasured slots are known where a counter ran on through the gap; they count for the day."""
    volume = days.whole(row.first_slot)
    if volume is None:
        return row
    return replace(
        row,
        octets_in=max(row.octets_in, volume.octets_in),
        octets_out=max(row.octets_out, volume.octets_out),
        covered_ms=max(row.covered_ms, volume.covered_ms),
    )


# ---------------------------------------------------------------- year: day by day


def _year(sight: Sight, days: Days, axis: Axis) -> Chart:
    by_day = [_day(sight, days, start) for start in range(axis.first, axis.end, SLOTS_PER_DAY)]
    there = [row for row in by_day if row is not None]
    months = [
        charts.together(list(group), month)
        for month, group in groupby(there, key=lambda row: charts.month_label(row.start))
    ]
    step = -(-len(by_day) // max(1, axis.points))
    covered = [row is not None and row.covered_ms > 0 for row in by_day]
    measured = [row for row in there if row.measured]
    top = max(measured, key=lambda row: row.highest_octets, default=None)
    return replace(
        _assemble(axis, months, days),
        step_seconds=step * SLOTS_PER_DAY * SLOT_SECONDS,
        inward=charts.thin_days(by_day, step, outward=False),
        outward=charts.thin_days(by_day, step, outward=True),
        highest=top.highest if top else None,
        highest_at=top.start if top else None,
        last_value_at=_last_of_day(sight, measured[-1].first_slot) if measured else None,
        gaps=charts.gaps_of(
            np.array([row is not None for row in by_day]), np.array(covered), axis.first, SLOTS_PER_DAY
        ),
    )


def _day(sight: Sight, days: Days, start: int) -> Row | None:
    """From the daily rows; a day that is cut by a window or by a change of ports is added up from its slots."""
    end = min(start + SLOTS_PER_DAY, sight.horizon)
    if not sight.touching(start, end):
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


def _last_of_day(sight: Sight, start: int) -> datetime | None:
    return charts.last_measured(read_slots(sight, start, min(start + SLOTS_PER_DAY, sight.horizon)))


def _assemble(axis: Axis, rows: Sequence[Row], days: Days) -> Chart:
    """What every span has in common, without lines yet."""
    return Chart(
        span=axis.span,
        start=start_of(axis.first),
        end=start_of(axis.end),
        octets_in=sum(row.octets_in for row in rows),
        octets_out=sum(row.octets_out for row in rows),
        missing=sum(row.of - row.measured for row in rows),
        has_sample_history=days.have_sample_history(),
        rows=tuple(reversed(rows)),
    )
