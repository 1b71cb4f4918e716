"""Servers by the beginning of what people know them by, and ids out of forms."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Q, QuerySet

LONGEST_WORDS = 120


def words_of(text: str) -> str:
    return text.strip()[:LONGEST_WORDS]


def servers_matching(rows: QuerySet[Any], words: str) -> QuerySet[Any]:
    """Label, hostname or main address that begin with ``words``; all of them without words."""
    if not words:
        return rows
    return rows.filter(
        Q(label__istartswith=words)
        | Q(hostname__istartswith=words)
        | Q(primary_address__startswith=words.lower())
    )


def ids_of(texts: Iterable[str], most: int) -> list[int]:
    """The ids of ticked boxes, each once, in their order. What is no id is left out."""
    ids = [int(text) for text in texts if text.isascii() and text.isdigit() and len(text) < 19]
    return list(dict.fromkeys(ids))[:most]
