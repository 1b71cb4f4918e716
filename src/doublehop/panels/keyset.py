"""Paging by key: rows after (or before) the last one seen. Never counts, never skips rows, so page 4,000 costs what page 1 does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from django.db.models import Model, Q, QuerySet
from django.http import QueryDict

PAGE = 25
_MARKS = ("after", "before")
_BETWEEN = "~"
_LONGEST = 300

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class KeysetPage(Generic[Row]):
    """``previous`` and ``next`` are query strings such as ``?state=on&after=web1~17``, or empty at an end."""

    rows: list[Row]
    previous: str
    next: str

    @property
    def words(self) -> str:
        return range_in_words(self)


def sort_of(query: Mapping[str, str], allowed: Sequence[str]) -> str:
    """``name`` or ``-name`` of the address if it is one of ``allowed`` (names without the sign), else the first."""
    asked = query.get("sort", "")
    return asked if asked.removeprefix("-") in allowed else allowed[0]


def page_of(rows: QuerySet[Row], query: QueryDict, *, by: str, size: int = PAGE) -> KeysetPage[Row]:
    """One page of ``rows`` ordered by an indexed column and the key; ``by`` may begin with ``-``.

    Two queries: the keys of the page (which the index alone answers), then these rows whole. A mark that nobody
    could have been given is ignored.
    """
    column, falling = by.removeprefix("-"), by.startswith("-")
    mark, backwards = _mark_of(query)
    narrowed = rows
    if mark is not None:
        beyond = _beyond(rows, column, mark, smaller=falling != backwards)
        mark, narrowed = (mark, beyond) if beyond is not None else (None, rows)
    sign = "-" if falling != (backwards and mark is not None) else ""
    order = [sign + column] if column == "pk" else [sign + column, sign + "pk"]
    keys = list(narrowed.order_by(*order).values_list("pk", column)[: size + 1])
    more, keys = len(keys) > size, keys[:size]
    if backwards and mark is not None:
        keys.reverse()
        has_previous, has_next = more, True
    else:
        has_previous, has_next = mark is not None, more
    found = {row.pk: row for row in rows.filter(pk__in=[pk for pk, _ in keys])} if keys else {}
    return KeysetPage(
        rows=[found[pk] for pk, _ in keys if pk in found],
        previous=_link(query, "before", keys[0]) if has_previous and keys else "",
        next=_link(query, "after", keys[-1]) if has_next and keys else "",
    )


def range_in_words(page: KeysetPage[Row]) -> str:
    """ "11 shown, from EX-2180 to EX-2229. More follow." """
    if not page.rows:
        return ""
    if not page.previous and not page.next:
        return f"{len(page.rows)} shown, that is all."
    told = f"{len(page.rows)} shown, from {page.rows[0]} to {page.rows[-1]}."
    return f"{told} More follow." if page.next else told


def link_to(query: QueryDict, mark: str, value: str) -> str:
    """This address with another mark; the other mark is dropped."""
    kept = [(name, text) for name, texts in query.lists() if name not in _MARKS for text in texts]
    return "?" + urlencode([*kept, (mark, value)])


def _link(query: QueryDict, mark: str, key: tuple[Any, Any]) -> str:
    pk, value = key
    return link_to(query, mark, f"{value}{_BETWEEN}{pk}")


def _mark_of(query: QueryDict) -> tuple[tuple[str, int] | None, bool]:
    for name in _MARKS:
        value, between, pk = query.get(name, "")[-_LONGEST:].rpartition(_BETWEEN)
        if between and pk.isascii() and pk.isdigit() and len(pk) < 19:
            return (value, int(pk)), name == "before"
    return None, False


def _beyond(
    rows: QuerySet[Row], column: str, mark: tuple[str, int], *, smaller: bool
) -> QuerySet[Row] | None:
    value, pk = mark
    side, side_or_same = ("lt", "lte") if smaller else ("gt", "gte")
    if column == "pk":
        return rows.filter(**{f"pk__{side}": pk})
    try:
        # The first condition is one range of the index; the second only sorts out rows of the same value.
        return rows.filter(**{f"{column}__{side_or_same}": value}).filter(
            Q(**{f"{column}__{side}": value}) | Q(**{f"pk__{side}": pk})
        )
    except (ValueError, TypeError):
        return None
