"""Lists by key, and the ids that addresses name."""

from typing import Annotated, Any, Generic, TypeVar

from django.db.models import QuerySet
from ninja import Field, Path, Schema

from doublehop.api.shapes import Problem
from doublehop.fleet.queries import BIGGEST_ID

MOST_AT_ONCE = 200
READ_PROBLEMS = dict.fromkeys((400, 401, 403, 404, 409, 413, 422, 429), Problem)
"""Signed calls are refused with 400, 409 and 413 too, whatever they ask."""
WRITE_PROBLEMS = READ_PROBLEMS
Id = Annotated[int, Path(ge=0, lt=BIGGEST_ID)]
GivenId = Annotated[int, Field(ge=0, lt=BIGGEST_ID)]

Item = TypeVar("Item")


class Page(Schema):
    """Keyset paging: what follows the key ``after``, at most ``limit`` (1 to 200)."""

    after: int = 0
    limit: int = 50

    @property
    def size(self) -> int:
        return max(1, min(self.limit, MOST_AT_ONCE))

    @property
    def key(self) -> int:
        return max(0, min(self.after, BIGGEST_ID - 1))


class Listed(Schema, Generic[Item]):
    """``next`` is the ``after`` of the page that follows; null on the last one. So in every list."""

    items: list[Item]
    next: int | None


def rows_of(rows: QuerySet[Any], page: Page, *, newest_first: bool = False) -> tuple[list[Any], int | None]:
    """(rows, next). One row more is asked for than is told: so it is known whether there is a next page."""
    if newest_first:
        rows = rows.filter(pk__lt=page.key) if page.key else rows
        found = list(rows.order_by("-pk")[: page.size + 1])
    else:
        found = list(rows.filter(pk__gt=page.key).order_by("pk")[: page.size + 1])
    items = found[: page.size]
    return items, items[-1].pk if len(found) > page.size else None


def page_of(rows: QuerySet[Any], page: Page, *, newest_first: bool = False) -> dict[str, Any]:
    items, following = rows_of(rows, page, newest_first=newest_first)
    return {"items": items, "next": following}
