"""What only the admin panel's templates need: ``{% load admin_panel %}``."""

from datetime import datetime
from typing import Any

from django import template

from doublehop.organisations.actor import Actor
from doublehop.panels import words
from doublehop.services import wording

register = template.Library()

_IDENTIFIERS = {
    "mac": "MAC",
    "serial": "serial",
    "system_uuid": "system UUID",
    "recorded_mac": "MAC as recorded",
    "recorded_serial": "serial as recorded",
}


@register.filter
def operation_name(operation: Any) -> str:
    """``Reboot``."""
    return wording.NAME[operation.kind]


@register.filter
def operation_manner(operation: Any) -> str:
    """``cut and restart, `` before something else, or nothing."""
    manner = wording.name_of(operation).partition(", ")[2]
    return f"{manner}, " if manner else ""


@register.filter
def asked_by(operation: Any, actor: Actor) -> str:
    """Who asked, as far as the person who looks may know."""
    return wording.asked_by(actor, operation)


@register.filter
def identifier_name(kind: str) -> str:
    """``system UUID``. A driver may bring kinds of its own."""
    return _IDENTIFIERS.get(kind, kind.replace("_", " "))


@register.filter
def proven(server: Any) -> str:
    """``serial SN-4711, MAC 02:00:…``: what the machine was proven by at attach, else as it was last read."""
    recorded = server.recorded_identity or {"identifiers": server.identifiers}
    return ", ".join(
        f"{identifier_name(kind)} {value}"
        for kind, value, proof in recorded["identifiers"]
        if proof == "strong"
    )


@register.filter
def took(begin: datetime, end: datetime) -> str:
    return words.span(end - begin)
