"""Billing cycles on the calendar."""

import calendar
from datetime import date

MONTHS = {"monthly": 1, "quarterly": 3, "annually": 12}


def after(day: date, cycle: str, *, anchor: int | None = None) -> date:
    """One cycle later. ``anchor`` is the day of the month that the service was begun on: 31 January is followed by
    28 February and then by 31 March, not by 28 March. It counts for nothing where the date was moved to another day."""
    months = day.year * 12 + day.month - 1 + MONTHS[cycle]
    year, month = divmod(months, 12)
    cut_short = anchor is not None and day.day < anchor and day.day == _days_in(day.year, day.month)
    wanted = anchor if cut_short and anchor is not None else day.day
    return date(year, month + 1, min(wanted, _days_in(year, month + 1)))


def _days_in(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]
