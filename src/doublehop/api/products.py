"""Products of the asker's organisation. For its staff and programs."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from ninja import Query, Router, Schema

from doublehop.api.paging import READ_PROBLEMS, Id, Listed, Page, rows_of
from doublehop.api.problems import reader
from doublehop.services import queries
from doublehop.services.queries.contracts import allowances

if TYPE_CHECKING:
    from doublehop.services.models import Product

router = Router(tags=["products"])


class ProductOut(Schema):
    """``price`` is a decimal number as text, a ``cycle`` of it. ``module``: the kind of upstream its servers come through; empty:
    any. ``server_group``: orders are filled from it by themselves; empty: they wait for staff. ``allowance``: what the bandwidth
    contract in force includes, in words."""

    id: int
    name: str
    group: str
    type: str
    price: Decimal
    currency: str
    cycle: str
    hidden: bool
    module: str
    server_group_id: int | None
    server_group: str
    suspend_policy: str
    suspend_ways: list[str]
    allowance: str


def _out(row: "Product", allowance: str) -> dict[str, Any]:
    return {
        "id": row.pk,
        "name": row.name,
        "group": row.group.name,
        "type": row.type,
        "price": row.price,
        "currency": row.currency,
        "cycle": row.cycle,
        "hidden": row.hidden,
        "module": row.module,
        "server_group_id": row.server_group_id,
        "server_group": row.server_group.name if row.server_group else "",
        "suspend_policy": row.suspend_policy.name if row.suspend_policy else "",
        "suspend_ways": row.suspend_policy.ways if row.suspend_policy else [],
        "allowance": allowance,
    }


@router.get("/products", response={200: Listed[ProductOut], **READ_PROBLEMS})
def list_products(request: HttpRequest, page: Query[Page]) -> object:
    rows, following = rows_of(queries.products_visible_to(reader(request)), page)
    told = allowances(row.pk for row in rows)
    return {"items": [_out(row, told.get(row.pk, "not limited")) for row in rows], "next": following}


@router.get("/products/{product_id}", response={200: ProductOut, **READ_PROBLEMS})
def one_product(request: HttpRequest, product_id: Id) -> object:
    row = queries.product(reader(request), product_id)
    return _out(row, allowances([row.pk]).get(row.pk, "not limited"))
