"""Tables for people: as wide as the terminal, whole where the output goes into a file or a pipe."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Any, Callable, TextIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from doublehop_remote.stopping import USAGE, Stop

NARROWEST = 8
"""What is cut keeps so many signs; where that does not fit, each row becomes a block of lines."""
GAP = "  "
NOTHING = "–"


@dataclass(frozen=True)
class Column:
    """``cut``: a name, which may be shortened. Addresses, numbers and times never are."""

    title: str
    cell: Callable[[dict[str, Any]], str]
    cut: bool = False
    right: bool = False


def plain(value: Any) -> str:
    """One line that cannot move a terminal's cursor. None and empty become a dash."""
    text = NOTHING if value is None or value == "" else str(value)
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def width_of(text: str) -> int:
    """In cells of a terminal: wide signs take two, those that sit on another none."""
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1
        for sign in text
    )


def cells_of(output: TextIO) -> int | None:
    """How wide the terminal is; None where nobody looks at one."""
    return shutil.get_terminal_size().columns if output.isatty() else None


def table(rows: Sequence[dict[str, Any]], columns: Sequence[Column], width: int | None) -> Iterator[str]:
    """A heading and a line for each row. ``width`` None: as wide as it is."""
    cells = [[plain(column.cell(row)) for column in columns] for row in rows]
    widths = [
        max([width_of(column.title), *(width_of(line[at]) for line in cells)])
        for at, column in enumerate(columns)
    ]
    if width is not None and not _narrowed(widths, columns, width):
        yield from _blocks(cells, columns)
        return
    for line in [[column.title for column in columns], *cells]:
        yield GAP.join(
            _padded(text, size, column.right) for text, size, column in zip(line, widths, columns)
        ).rstrip()


def _narrowed(widths: list[int], columns: Sequence[Column], width: int) -> bool:
    """Takes from the widest that may be cut, sign by sign. False: it does not fit."""
    while sum(widths) + len(GAP) * (len(widths) - 1) > width:
        cut = [at for at, column in enumerate(columns) if column.cut and widths[at] > NARROWEST]
        if not cut:
            return False
        widths[max(cut, key=lambda at: widths[at])] -= 1
    return True


def _padded(text: str, size: int, right: bool) -> str:
    if width_of(text) > size:
        while width_of(text) > size - 1:
            text = text[:-1]
        text += "…"
    room = " " * (size - width_of(text))
    return room + text if right else text + room


def _blocks(cells: Sequence[Sequence[str]], columns: Sequence[Column]) -> Iterator[str]:
    facts = [[(column.title, text) for column, text in zip(columns, line)] for line in cells]
    for number, block in enumerate(facts):
        if number:
            yield ""
        yield from about(block)


def about(facts: Sequence[tuple[str, Any]]) -> Iterator[str]:
    """Names and values, one below the other."""
    widest = max((width_of(name) for name, _ in facts), default=0)
    for name, value in facts:
        yield f"{name}{' ' * (widest - width_of(name))}{GAP}{plain(value)}".rstrip()


# ---------------------------------------------------------------- times and units


def zone_of(name: str) -> tzinfo:
    if name.lower() == "utc":
        return timezone.utc
    if name == "local":
        found = datetime.now().astimezone().tzinfo
        return found if found is not None else timezone.utc
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Stop(
            USAGE, f"{plain(name)[:60]} is no time zone here. Write UTC, local or one like Europe/Berlin."
        ) from None


def moment(text: Any, zone: tzinfo) -> str:
    """ "2026-11-26 08:30 UTC", "2026-11-26 09:30 +01:00"; a day alone stays as it is."""
    found = parsed(text)
    if found is None:
        return plain(text)
    there = found.astimezone(zone)
    offset = there.utcoffset() or timedelta(0)
    told = "UTC" if not offset else f"{there:%z}"[:3] + ":" + f"{there:%z}"[3:5]
    return f"{there:%Y-%m-%d %H:%M} {told}"


def parsed(text: Any) -> datetime | None:
    if not isinstance(text, str) or len(text) <= len("2026-11-26"):
        return None
    try:
        # Python 3.9 reads no Z, and no fraction of another length than 3 or 6.
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)


def day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def octets(number: Any) -> str:
    """Decimal, as traffic is sold: "1.24 TB"."""
    return _scaled(number, ("B", "kB", "MB", "GB", "TB", "PB", "EB"))


def rate(bits_a_second: Any) -> str:
    return _scaled(bits_a_second, ("bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"))


def _scaled(number: Any, units: Sequence[str]) -> str:
    if not isinstance(number, (int, float)) or isinstance(number, bool):
        return NOTHING
    value, at = float(number), 0
    while abs(value) >= 999.5 and at + 1 < len(units):
        value, at = value / 1000, at + 1
    digits = 0 if at == 0 or abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
    return f"{value:.{digits}f} {units[at]}"
