"""What a client may order: the products of its brand that are not hidden."""

from itertools import groupby

from django.db.models import QuerySet

from doublehop.organisations.actor import Actor
from doublehop.services.models import Product

MOST_SHOWN = 200


def store_products(actor: Actor) -> QuerySet[Product]:
    rows = Product.objects.select_related("group").order_by("group__name", "group_id", "price", "name")
    if not actor.is_client:
        return rows.none()
    return rows.filter(organisation_id=actor.organisation_id, hidden=False)


def store(actor: Actor) -> list[tuple[str, list[Product]]]:
    """(name of the product group, its products by price)."""
    rows = store_products(actor)[:MOST_SHOWN]
    return [(group.name, list(products)) for group, products in groupby(rows, key=lambda row: row.group)]
