"""What only the admin panel's templates need: ``{% load admin_panel %}``."""

from datetime import datetime
from typing import Any

from django import template

from doublehop.organisations.actor import Actor
from doublehop.panels import words
from doublehop.services import wording

register = template.Library()


@register.filter
def operation_name(operation: Any) -> str:
    """``Reboot, cut and restart``."""
    return wording.name_of(operation)


@register.filter
def asked_by(operation: Any, actor: Actor) -> str:
    """Who asked, as far as the person who looks may know."""
    return wording.asked_by(actor, operation)


@register.filter
def took(begin: datetime, end: datetime) -> str:
    return words.span(end - begin)
