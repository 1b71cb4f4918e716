"""Figures of traffic, turned into octets. The two old APIs name no unit; a figure that cannot be is refused, not guessed."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

from doublehop.driver_kit.contract import TrafficTotal
from doublehop.driver_kit.errors import BadAnswer
from doublehop.drivers.singlehop.words import Figures

UNITS = (("GB", "GB"), ("MB", "MB"), ("kB", "kB"), ("octets", "octets (bytes)"))
"""Of the setting: (value, words). A GB is 10^9 octets: the smaller reading, so nobody is billed for more than there was."""

_OCTETS = {
    **dict.fromkeys(("octets", "octet", "bytes", "byte", "b"), 1),
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_FIGURE = re.compile(r"(\d[\d,]*(?:\.\d+)?(?:e[+-]?\d{1,2})?)\s*([a-z]*)", re.IGNORECASE)
_DAY = timedelta(days=1)
_MOST_OCTETS_A_DAY = 100 * 10**9 // 8 * 86400
"""100 Gbit/s all day, one way."""


def is_unit(word: str) -> bool:
    return word.lower() in _OCTETS


def totals(figures: Figures, unit: str, start: datetime, end: datetime, now: datetime) -> list[TrafficTotal]:
    """The days of the answer that touch ``start`` to ``end`` and are over, oldest first.

    ``unit`` holds where neither the answer nor the figure names one. A day whose figures cannot be read is left out.
    Raises BadAnswer when no day could be read, or when one is more than any port carries: then the unit is wrong.
    """
    unit = figures.unit if is_unit(figures.unit) else unit
    read: dict[datetime, tuple[int, int, bool]] = {}
    for day in figures.days:
        coming, going = octets(day.coming, unit), octets(day.going, unit)
        if coming is not None and going is not None:
            read[day.start] = (coming, going, day.sample)
    if figures.days and not read:
        raise BadAnswer("none of the daily figures could be read")
    if any(max(coming, going) > _MOST_OCTETS_A_DAY for coming, going, _ in read.values()):
        raise BadAnswer(
            f"a day has more than any port carries: the figures cannot be in {unit}; set their unit"
        )
    return [
        TrafficTotal(first, last, *read[first])
        for first, last in _days(sorted(read))
        if first < end and last > start and last <= now
    ]


def _days(starts: Sequence[datetime]) -> list[tuple[datetime, datetime]]:
    """A day ends where the next begins, when that is sooner than 24 hours: days of 23 hours are no doubt of theirs."""
    following = [*starts[1:], None]
    return [
        (one, min(one + _DAY, after) if after else one + _DAY)
        for one, after in zip(starts, following, strict=False)
    ]


def octets(figure: str, unit: str) -> int | None:
    """ "1,250.5", "12.5 GB" or 1.2e9 in octets; None for what is no figure."""
    found = _FIGURE.fullmatch(figure.strip())
    if found is None:
        return None
    factor = _OCTETS.get((found[2] or unit).lower())
    try:
        return int(Decimal(found[1].replace(",", "")) * factor) if factor else None
    except (InvalidOperation, OverflowError):
        return None
