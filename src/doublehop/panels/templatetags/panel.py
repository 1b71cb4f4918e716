"""The shared small parts, as tags: ``{% load panel %}``. Larger ones are includes under ``panels/parts/``."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from doublehop.panels import words
from doublehop.panels.looks import NOT_READ, STALE_AFTER, Look, is_stale, look
from doublehop.panels.menu import MenuGroup, admin_menu_for

register = template.Library()


@register.simple_tag
def icon(name: str, size: str = "", spin: bool = False) -> SafeString:
    """``{% icon "power" %}``: one symbol of the sprite. ``size`` is "", "sm" or "lg". Write the name out: the build reads it."""
    classes = "icon" + (f" dh-icon-{size}" if size else "") + (" dh-spin" if spin else "")
    return format_html(
        '<svg class="{}" aria-hidden="true"><use href="{}#{}"/></svg>',
        classes,
        static("vendor/icons.svg"),
        name,
    )


def _pill(shown: Look, *, stale: bool = False) -> SafeString:
    drawn = icon("clock" if stale else shown.icon, spin=shown.spin and not stale)
    stale_class = " dh-stale" if stale else ""
    return format_html(
        '<span class="dh-pill dh-{}{}">{}{}</span>', shown.tone, stale_class, drawn, shown.word
    )


@register.simple_tag
def pill(kind: str, state: str, word: str = "") -> SafeString:
    """``{% pill "service" service.status %}``: kinds are the tables of looks.LOOKS; ``word`` replaces the usual one."""
    shown = look(kind, state)
    return _pill(Look(shown.tone, shown.icon, word or shown.word, shown.spin))


@register.simple_tag
def custom_pill(tone: str, icon: str, word: str) -> SafeString:
    """``{% custom_pill "suspended" icon="lock" word="Withheld" %}``: a state that has no table."""
    return _pill(Look(tone, icon, word))


@register.simple_tag
def live_pill(
    kind: str, state: str, read_at: datetime | None, before: str = "read", stale_after: int = 0
) -> SafeString:
    """A state read from a machine, with its age: filled while fresh, hollow once older than ``stale_after`` seconds
    (0: three intervals of the background reading), "Not read yet" without a time."""
    if not read_at or not state:
        return format_html('<span class="dh-live">{}</span>', _pill(NOT_READ))
    stale = is_stale(read_at, after=timedelta(seconds=stale_after) if stale_after else STALE_AFTER)
    aged = age(read_at, before="last read" if stale else before)
    return format_html('<span class="dh-live">{}{}</span>', _pill(look(kind, state), stale=stale), aged)


@register.simple_tag
def age(moment: datetime | None, before: str = "", css: str = "dh-age") -> SafeString | str:
    """``{% age server.power_read_at before="read" %}``: counts on in the browser; hover gives date, time and zone."""
    if not moment:  # a name that the template does not know arrives as an empty text
        return ""
    text = f"{before} {words.ago(moment)}".strip()
    return format_html(
        '<time class="{}" datetime="{}" title="{}" data-age="{}">{}</time>',
        css,
        moment.isoformat(),
        words.in_full(moment),
        before,
        text,
    )


@register.simple_tag
def at(moment: datetime | None, before: str = "", css: str = "dh-age") -> SafeString | str:
    """``{% at operation.asked_at %}``: the clock time (with the day when it is not today); does not count."""
    if not moment:  # a name that the template does not know arrives as an empty text
        return ""
    text = f"{before} {words.clock(moment)}".strip()
    return format_html(
        '<time class="{}" datetime="{}" title="{}">{}</time>',
        css,
        moment.isoformat(),
        words.in_full(moment),
        text,
    )


@register.simple_tag
def form_key() -> SafeString:
    """The token that makes a form act once, however often it is sent: the view hands it on as idempotency key."""
    return format_html('<input type="hidden" name="key" value="{}">', uuid4().hex)


@register.simple_tag(takes_context=True)
def url_with(context: dict[str, Any], **changes: object) -> str:
    """The query string of this page with some values changed: ``<a href="{% url_with state="on" after=None %}">``."""
    query = context["request"].GET.copy()
    for name, value in changes.items():
        query.pop(name, None)
        if value not in (None, ""):
            query[name] = str(value)
    return f"?{query.urlencode()}"


@register.simple_tag(takes_context=True)
def query_with(context: dict[str, Any], name: str, value: object) -> str:
    """As url_with, for a name that is itself a variable; back to the first page of a list. An empty value drops it."""
    return str(url_with(context, **{name: value, "after": None, "before": None}))


@register.simple_tag
def bar(value: float, of: float, label: str = "") -> SafeString:
    """A thin bar, ``value`` of ``of``. The figure itself must stand beside it."""
    share = 0.0 if not of else max(0.0, min(100.0, 100.0 * value / of))
    return format_html(
        '<svg class="dh-bar" aria-hidden="true"><title>{}</title><rect width="{}%" height="100%"/></svg>',
        label,
        f"{share:.1f}",
    )


@register.simple_tag(takes_context=True)
def admin_menu(context: dict[str, Any]) -> list[MenuGroup]:
    """The left menu, with the present place marked and counts from ``menu_counts`` (entry id -> MenuCount); the group
    *Leap* where ``provider`` names an organisation above."""
    return admin_menu_for(
        context["request"].path,
        context.get("menu_counts") or {},
        has_provider=bool(context.get("provider")),
    )


@register.filter
def octets(count: float | None) -> str:
    """18800000000000 -> ``18.8 TB`` (decimal)."""
    return "" if count is None else " ".join(words.split_octets(count))


@register.filter
def octets_number(count: float | None) -> str:
    return "" if count is None else words.split_octets(count)[0]


@register.filter
def octets_unit(count: float | None) -> str:
    return "" if count is None else words.split_octets(count)[1]


@register.filter
def rate(bits_per_second: float | None) -> str:
    """135700000 -> ``136 Mbit/s``."""
    return "" if bits_per_second is None else " ".join(words.split_rate(bits_per_second))


@register.filter
def rate_number(bits_per_second: float | None) -> str:
    return "" if bits_per_second is None else words.split_rate(bits_per_second)[0]


@register.filter
def rate_unit(bits_per_second: float | None) -> str:
    return "" if bits_per_second is None else words.split_rate(bits_per_second)[1]


@register.filter
def money(amount: Decimal, currency: str) -> str:
    """``{{ product.price|money:product.currency }}``: ``€ 129.00``."""
    return words.money(amount, currency)


@register.filter
def when(moment: datetime | None) -> str:
    """``14:05`` today, ``21 Nov, 09:14`` this year, in the person's zone."""
    return "" if not moment else words.clock(moment)


@register.filter
def waited(moment: datetime | None) -> str:
    """How long ago, as a length: ``24 min``, ``2 h 10 min``."""
    return "" if not moment else words.span(timezone.now() - moment)


@register.filter
def initials(name: str) -> str:
    return words.initials(str(name))


@register.filter
def look_of(state: str, kind: str) -> Look:
    """``{% with look=line.state|look_of:"result" %}``: for parts that draw a dot instead of a pill."""
    return look(kind, state)
