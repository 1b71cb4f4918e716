"""Numbers and times as people read them. Nothing in here knows a template."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.utils import timezone

from doublehop.bandwidth.money import digits_of

_OCTET_STEPS = (("PB", 10**15), ("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3))
_SIGNS = {"EUR": "€", "USD": "$", "GBP": "£"}
_RATE_STEPS = (("Gbit/s", 10**9), ("Mbit/s", 10**6), ("kbit/s", 10**3))


def _three_figures(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}"


def split_octets(count: int | float) -> tuple[str, str]:
    """Octets as (number, decimal unit): ``("18.8", "TB")``."""
    for unit, size in _OCTET_STEPS:
        if count >= size:
            return _three_figures(count / size), unit
    return f"{count:.0f}", "B"


def split_rate(bits_per_second: float) -> tuple[str, str]:
    """Bits per second as (number, unit). Mbit/s is the smallest unit above nothing that people compare."""
    for unit, size in _RATE_STEPS:
        if bits_per_second >= size:
            return _three_figures(bits_per_second / size), unit
    return f"{bits_per_second:.0f}", "bit/s"


def money(amount: Decimal, currency: str) -> str:
    """``€ 129.00``, ``CHF 1,290.00``, ``JPY 1,290``: a sign where everybody knows it, else the ISO code; with the digits of the currency,
    and a minus in front of credits."""
    return f"{_SIGNS.get(currency, currency)} {amount:,.{digits_of(currency)}f}"


def day(date_: date) -> str:
    """``1 Dec 2026``."""
    return f"{date_.day} {date_:%b %Y}"


def last_day(end: datetime) -> str:
    """``30 Nov``: the day before a midnight."""
    day_ = (end - timedelta(seconds=1)).date()
    return f"{day_.day} {day_:%b}"


def dates(start: datetime, end: datetime, zone: ZoneInfo) -> str:
    """``November 2026``, ``23 to 29 Nov 2026``, ``23 Nov 2026``, or with clocks where these are not midnights."""
    here, there = start.astimezone(zone), end.astimezone(zone)
    if (here.hour, here.minute, there.hour, there.minute) != (0, 0, 0, 0):
        until = f"{there:%H:%M}" if here.date() == there.date() else f"{there.day} {there:%b %Y, %H:%M}"
        return f"{here.day} {here:%b %Y, %H:%M} to {until}"
    last = there - timedelta(days=1)
    if here.day == 1 and there.day == 1:
        months = (here.year, here.month) == (last.year, last.month)
        return f"{here:%B %Y}" if months else f"{here:%b %Y} to {last:%b %Y}"
    if here.date() == last.date():
        return f"{here:%a} {here.day} {here:%b %Y}"
    if (here.year, here.month) == (last.year, last.month):
        return f"{here.day} to {last.day} {last:%b %Y}"
    return f"{here.day} {here:%b %Y} to {last.day} {last:%b %Y}"


def clock(moment: datetime, now: datetime | None = None) -> str:
    """``14:05`` today, ``21 Nov, 09:14`` this year, else ``3 Mar 2025, 09:14``, in the person's zone."""
    here = timezone.localtime(moment)
    today = timezone.localtime(now or timezone.now())
    if here.date() == today.date():
        return f"{here:%H:%M}"
    if here.year == today.year:
        return f"{here.day} {here:%b, %H:%M}"
    return f"{here.day} {here:%b %Y, %H:%M}"


def in_full(moment: datetime) -> str:
    """Date, time and zone, for hover and focus."""
    here = timezone.localtime(moment)
    return f"{here.day} {here:%b %Y, %H:%M:%S} {here.tzname()}"


def ago(moment: datetime, now: datetime | None = None) -> str:
    """Seconds below a minute, minutes below an hour, then the clock. The browser counts on (panel.js) by the same rule."""
    now = now or timezone.now()
    seconds = max(0, int((now - moment).total_seconds()))
    if seconds < 60:
        return f"{seconds} s ago"
    if seconds < 3600:
        return f"{seconds // 60} min ago"
    return clock(moment, now)


def span(length: timedelta) -> str:
    """How long something waits or took: ``74 s``, ``24 min``, ``2 h 10 min``, ``3 days``."""
    seconds = max(0, int(length.total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 2 * 86400:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
    return f"{seconds // 86400} days"


def initials(name: str) -> str:
    words = [word for word in name.split() if word[0].isalnum()]
    if not words:
        return "?"
    return (words[0][0] + (words[-1][0] if len(words) > 1 else "")).upper()
