"""The same numbers as on the page, as cells of a CSV file, oldest first. Pure. Volumes in GB (10^9 octets).

Periods of a table are times of the zone that its head names, with their distance from UTC where it has one; single values have
times of UTC.
"""

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from doublehop.bandwidth.charts import Row, Slots, rate
from doublehop.bandwidth.figures import Piece
from doublehop.bandwidth.slots import start_of

TABLE_HEAD = (
    "Period (UTC)",
    "In, GB",
    "Out, GB",
    "Highest 5 minutes, Mbit/s",
    "Measured",
    "Of",
    "In, octets",
    "Out, octets",
)
FIGURES_HEAD = ("Period (UTC)", "In, GB", "Out, GB", "Complete", "In, octets", "Out, octets")
PIECES_HEAD = ("Begins (UTC)", "Ends (UTC)", "In, octets", "Out, octets", "Complete")
VALUES_HEAD = ("Begins (UTC)", "In, octets", "Out, octets", "In, Mbit/s", "Out, Mbit/s")


def table_lines(rows: Iterable[Row], zone: ZoneInfo) -> list[tuple[object, ...]]:
    """The table, and the octets behind its numbers."""
    return [
        _head(TABLE_HEAD, zone),
        *(
            (
                _time(row.start, zone),
                row.in_gb,
                row.out_gb,
                "" if row.highest is None else row.highest,
                row.measured,
                row.of,
                row.octets_in,
                row.octets_out,
            )
            for row in rows
        ),
    ]


def figure_lines(rows: Iterable[Row], zone: ZoneInfo) -> list[tuple[object, ...]]:
    """The table of figures that were counted elsewhere."""
    return [
        _head(FIGURES_HEAD, zone),
        *(
            (
                _time(row.start, zone),
                row.in_gb,
                row.out_gb,
                _yes(row.complete),
                row.octets_in,
                row.octets_out,
            )
            for row in rows
        ),
    ]


def piece_lines(pieces: Iterable[Piece]) -> list[tuple[object, ...]]:
    """Each such figure as it came."""
    return [
        PIECES_HEAD,
        *(
            (
                f"{one.start:%Y-%m-%d %H:%M}",
                f"{one.end:%Y-%m-%d %H:%M}",
                one.octets_in,
                one.octets_out,
                _yes(one.is_over and one.counted == one.end - one.start),
            )
            for one in pieces
        ),
    ]


def _head(names: tuple[str, ...], zone: ZoneInfo) -> tuple[str, ...]:
    return (f"Period ({zone.key})", *names[1:])


def _time(moment: datetime, zone: ZoneInfo) -> str:
    there = moment.astimezone(zone)
    return f"{there:%Y-%m-%d %H:%M}" if zone.key == "UTC" else f"{there:%Y-%m-%d %H:%M %z}"


def _yes(true: bool) -> str:
    return "yes" if true else "no"


def value_lines(slots: Slots) -> list[tuple[object, ...]]:
    """Every expected 5-minute value; empty cells where none was measured."""
    lines: list[tuple[object, ...]] = [VALUES_HEAD]
    for place in np.flatnonzero(slots.expected).tolist():
        begins = f"{start_of(slots.first + place):%Y-%m-%d %H:%M}"
        if slots.measured[place]:
            inward, out = int(slots.octets_in[place]), int(slots.octets_out[place])
            lines.append((begins, inward, out, rate(inward), rate(out)))
        else:
            lines.append((begins, "", "", "", ""))
    return lines
