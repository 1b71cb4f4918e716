"""Billing cycles on the calendar."""

import calendar
from datetime import date

MONTHS = {"monthly": 1, "quarterly": 3, "annually": 12}


def after(day: date, cycle: str, *, anchor: int | None = None) -> date:
    """One cycle later. ``anchor`` is the day of the month that the service was begun on: 31 January is followed by
    28 February and then by 31 March, not by 28 March."""
    months = day.year * 12 + day.month - 1 + MONTHS[cycle]
    year, month = divmod(months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(anchor or day.day, last))
