"""Filters for lists of what services used."""

from decimal import Decimal
from typing import Any

from django import template

from doublehop.services.contract_words import number

register = template.Library()


@register.filter
def cut(value: float, digits: int = 0) -> str:
    """Cut, never rounded up: 99.99 is not all of it."""
    return number(Decimal(repr(value)), digits)


@register.filter
def used_of(row: Any) -> str:
    """``75.9 of 100 Mbit/s``, ``1.2 of 20 TB``; without anything included only what was used."""
    if not row.included:
        return _size(row.quantity, row.unit_name)
    if row.unit_name == "GB" and row.included >= 1000:
        return f"{number(row.quantity / 1000, 2)} of {_size(row.included, row.unit_name)}"
    return f"{number(row.quantity, 1)} of {number(row.included)} {row.unit_name}"


@register.filter
def forecast_of(row: Any) -> str:
    return f"about {_size(row.forecast_likely, row.unit_name)}"


@register.filter
def forecast_range(row: Any) -> str:
    return f"{_size(row.forecast_low, row.unit_name)} to {_size(row.forecast_high, row.unit_name)}"


def _size(quantity: Any, unit: str) -> str:
    if unit == "GB" and quantity >= 1000:
        return f"{number(quantity / 1000, 2)} TB"
    return f"{number(quantity, 1)} {unit}"
