"""Paging by key: rows after (or before) the last one seen. Never counts, never skips rows, so page 4,000 costs what page 1 does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
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

    One query. A mark that nobody could have been given is ignored.
    """
    column, falling = by.removeprefix("-"), by.startswith("-")
    mark, backwards = _mark_of(query)
    beyond = _beyond(rows, column, mark, smaller=falling != backwards) if mark is not None else None
    backwards = backwards and beyond is not None
    sign = "-" if falling != backwards else ""
    order = [sign + column] if column == "pk" else [sign + column, sign + "pk"]
    found = list((rows if beyond is None else beyond).order_by(*order)[: size + 1])
    more, found = len(found) > size, found[:size]
    if backwards:
        found.reverse()
    has_previous = more if backwards else beyond is not None
    has_next = True if backwards else more
    return KeysetPage(
        rows=found,
        previous=_link(query, "before", found[0], column) if has_previous and found else "",
        next=_link(query, "after", found[-1], column) if has_next and found else "",
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


def _link(query: QueryDict, mark: str, row: Model, column: str) -> str:
    return link_to(query, mark, f"{getattr(row, column)}{_BETWEEN}{row.pk}")


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
