"""From slots to what people see: thinned lines, rows of a table, gaps, totals. Pure.

Rates are Mbit/s, volumes octets (GB = 10^9 octets), times UTC. ``None`` stands for "not measured", never for zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from doublehop.bandwidth.percentile import ninety_fifth
from doublehop.bandwidth.slots import DAY_MS, SLOT_SECONDS, SLOTS_PER_DAY, start_of
from doublehop.bandwidth.spans import Grain, Span

UNIT = "Mbit/s"
VOLUME_UNIT = "GB"
STEPS = (1, 2, 3, 4, 6, 8, 9, 12, 16, 18, 24, 32, 36, 48, 72, 96, 144, 288)
"""Slots in one point of a line: those that divide a day."""


def rate(octets: float, seconds: float = SLOT_SECONDS) -> float:
    """Mbit/s, with as many digits as a person can use."""
    value = octets * 8 / seconds / 1_000_000
    return round(value, 1 if value >= 100 else 2 if value >= 1 else 4)


def volume(octets: int) -> float:
    """GB (decimal), with as many digits as a person can use."""
    value = octets / 1_000_000_000
    return round(value) if value >= 100 else round(value, 1 if value >= 10 else 3)


@dataclass(frozen=True)
class Slots:
    """The slots from ``first`` on. ``expected``: they could have been measured and may be seen; only of those is any ``measured``."""

    first: int
    octets_in: NDArray[np.int64]
    octets_out: NDArray[np.int64]
    measured: NDArray[np.bool_]
    expected: NDArray[np.bool_]

    def part(self, first: int, end: int) -> "Slots":
        piece = slice(max(0, first - self.first), max(0, end - self.first))
        return Slots(
            max(first, self.first),
            self.octets_in[piece],
            self.octets_out[piece],
            self.measured[piece],
            self.expected[piece],
        )


@dataclass(frozen=True)
class Row:
    """A line of the table: an hour, a day or a month. ``of``: the 5-minute values that there should be."""

    first_slot: int
    label: str
    octets_in: int
    octets_out: int
    highest_octets: int
    """Of the larger direction, in one slot."""
    measured: int
    of: int
    covered_ms: int = 0

    @property
    def start(self) -> datetime:
        return start_of(self.first_slot)

    @property
    def in_gb(self) -> float:
        return volume(self.octets_in)

    @property
    def out_gb(self) -> float:
        return volume(self.octets_out)

    @property
    def highest(self) -> float | None:
        return rate(self.highest_octets) if self.measured else None

    @property
    def complete(self) -> bool:
        return self.measured == self.of


@dataclass(frozen=True)
class Provided:
    """Of a chart whose figures the upstream counted. ``source``, ``unit`` and ``failure_text`` are empty for all but its owner.

    Its rows count days or hours as ``measured``, and have no highest value.
    """

    hourly: bool
    read_at: datetime | None
    source: str = ""
    unit: str = ""
    failure_text: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart with everything that is said about it. ``start`` to ``end`` is the axis; the lines end where time has come."""

    span: Span
    """What was asked for. Its zone is that of labels and days, except where the lines are made of UTC's days."""
    start: datetime
    end: datetime
    octets_in: int
    octets_out: int
    missing: int
    """5-minute values that were not measured."""
    has_sample_history: bool
    rows: tuple[Row, ...]
    """The table beside the chart, newest first; its octets add up to the totals."""
    grain: Grain = Grain.DAY
    """Of the table's lines."""
    by_days: bool = False
    """Made of what is kept by UTC day: no 5-minute values are behind it, and no 95th percentile."""
    step_seconds: int = SLOT_SECONDS
    inward: tuple[float | None, ...] = ()
    outward: tuple[float | None, ...] = ()
    top: tuple[float | None, ...] = ()
    """The highest 5 minutes of either direction in each point, where a point is longer: thinning hides no peak."""
    p95: float | None = None
    """The larger of in and out, top 5 % left out, unmeasured values as zero; of a span that is not over, so far."""
    highest: float | None = None
    highest_at: datetime | None = None
    """The beginning of the 5 minutes; for a year, of the day."""
    last_value_at: datetime | None = None
    gaps: tuple[tuple[datetime, datetime], ...] = ()
    """From when to when nothing was measured although it should have been."""
    unit: str = UNIT
    """Of the lines: a rate; of figures that were counted elsewhere GB, in each point or on average of its days."""
    provided: "Provided | None" = None
    """None where the octets are slots of our own."""

    @property
    def in_gb(self) -> float:
        return volume(self.octets_in)

    @property
    def out_gb(self) -> float:
        return volume(self.octets_out)

    @property
    def is_empty(self) -> bool:
        return self.last_value_at is None

    @property
    def zone(self) -> ZoneInfo:
        """Of its labels and its axis."""
        return ZoneInfo("UTC") if self.by_days or self.provided else self.span.zone


def chart_data(chart: Chart) -> dict[str, Any]:
    """For the script that draws: times in seconds since 1970."""
    return {
        "unit": chart.unit,
        "zone": chart.zone.key,
        "days": chart.by_days,
        "provided": chart.provided is not None,
        "start": int(chart.start.timestamp()),
        "end": int(chart.end.timestamp()),
        "step": chart.step_seconds,
        "in": list(chart.inward),
        "out": list(chart.outward),
        "top": list(chart.top),
        "p95": chart.p95,
        "highest": chart.highest,
        "gaps": [[int(since.timestamp()), int(until.timestamp())] for since, until in chart.gaps],
        "sample": chart.has_sample_history,
        "octets_in": chart.octets_in,
        "octets_out": chart.octets_out,
        "missing": chart.missing,
        "last": int(chart.last_value_at.timestamp()) if chart.last_value_at else None,
    }


# ---------------------------------------------------------------- lines


def step_for(count: int, points: int) -> int:
    """The fewest slots in a point so that ``count`` slots give at most ``points`` points."""
    for step in STEPS:
        if -(-count // step) <= points:
            return step
    return SLOTS_PER_DAY * -(-count // (SLOTS_PER_DAY * max(1, points)))


def thin(octets: NDArray[np.int64], measured: NDArray[np.bool_], step: int) -> tuple[float | None, ...]:
    """The average of the measured slots of each ``step``; None where none was."""
    padding = -octets.size % step
    sums = np.pad(octets * measured, (0, padding)).reshape(-1, step).sum(axis=1).tolist()
    counts = np.pad(measured, (0, padding)).reshape(-1, step).sum(axis=1).tolist()
    return tuple(rate(total / count) if count else None for total, count in zip(sums, counts, strict=True))


def peaks(octets: NDArray[np.int64], measured: NDArray[np.bool_], step: int) -> tuple[float | None, ...]:
    """The largest measured slot of each ``step``; None where none was."""
    padding = -octets.size % step
    known = np.where(measured, octets, -1)
    highest = np.pad(known, (0, padding), constant_values=-1).reshape(-1, step).max(axis=1).tolist()
    return tuple(rate(most) if most >= 0 else None for most in highest)


def peaks_of_days(rows: Sequence[Row | None], days: int) -> tuple[float | None, ...]:
    """The same from rows of days, for every ``days`` of them."""
    line: list[float | None] = []
    for start in range(0, len(rows), days):
        known = [row.highest_octets for row in rows[start : start + days] if row is not None and row.measured]
        line.append(rate(max(known)) if known else None)
    return tuple(line)


def thin_days(rows: Sequence[Row | None], days: int, *, outward: bool) -> tuple[float | None, ...]:
    """The average of every ``days`` days, over the time that their octets stand for."""
    line: list[float | None] = []
    for start in range(0, len(rows), days):
        group = [row for row in rows[start : start + days] if row is not None and row.covered_ms]
        octets = sum(row.octets_out if outward else row.octets_in for row in group)
        covered = sum(row.covered_ms for row in group)
        line.append(rate(octets, covered / 1000) if covered else None)
    return tuple(line)


def gaps_of(
    expected: NDArray[np.bool_], measured: NDArray[np.bool_], first: int, step: int = 1
) -> tuple[tuple[datetime, datetime], ...]:
    """Runs of what should have been measured and was not. An element stands for ``step`` slots."""
    missing = np.concatenate(([False], expected & ~measured, [False]))
    edges = np.flatnonzero(missing[1:] != missing[:-1]).tolist()
    return tuple(
        (start_of(first + a * step), start_of(first + b * step))
        for a, b in zip(edges[::2], edges[1::2], strict=True)
    )


def percentile_so_far(slots: Slots, elapsed: int) -> float:
    """``elapsed``: the fixed number of slots, measured or not."""
    sides = (slots.octets_in[slots.measured], slots.octets_out[slots.measured])
    return rate(max(ninety_fifth(side, elapsed) for side in sides))


def highest_of(slots: Slots) -> tuple[float, datetime] | None:
    """The largest 5-minute value of either direction, and when it began."""
    if not slots.measured.any():
        return None
    larger = np.maximum(slots.octets_in, slots.octets_out) * slots.measured
    place = int(larger.argmax())
    return rate(int(larger[place])), start_of(slots.first + place)


def last_measured(slots: Slots) -> datetime | None:
    """The end of the newest measured slot."""
    found = np.flatnonzero(slots.measured)
    return start_of(slots.first + int(found[-1]) + 1) if found.size else None


# ---------------------------------------------------------------- rows


def row_of(slots: Slots, label: str) -> Row:
    count = int(slots.measured.sum())
    inward, out = slots.octets_in * slots.measured, slots.octets_out * slots.measured
    highest = int(np.maximum(inward, out).max()) if count else 0
    return Row(
        slots.first,
        label,
        int(inward.sum()),
        int(out.sum()),
        highest,
        count,
        int(slots.expected.sum()),
        count * (DAY_MS // SLOTS_PER_DAY),
    )


def together(rows: Sequence[Row], label: str) -> Row:
    """One row for several that follow each other."""
    return Row(
        rows[0].first_slot,
        label,
        sum(row.octets_in for row in rows),
        sum(row.octets_out for row in rows),
        max(row.highest_octets for row in rows),
        sum(row.measured for row in rows),
        sum(row.of for row in rows),
        sum(row.covered_ms for row in rows),
    )


def hour_label(moment: datetime) -> str:
    return f"{moment.day} {moment:%b, %H:%M}"


def day_label(moment: datetime) -> str:
    return f"{moment:%a} {moment.day} {moment:%b}"


def month_label(moment: datetime) -> str:
    return f"{moment:%B %Y}"
