"""Products, groups and policies of the actor's organisation."""

from django.db.models import QuerySet

from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import NotHere
from doublehop.services.models import Product, ProductGroup, SuspendPolicy


def products_visible_to(actor: Actor) -> QuerySet[Product]:
    rows = Product.objects.select_related("group", "server_group", "suspend_policy").order_by(
        "group__name", "name"
    )
    if actor.is_system:
        return rows
    return rows.filter(organisation_id=actor.organisation_id) if actor.is_staff else rows.none()


def product(actor: Actor, product_id: int) -> Product:
    row = products_visible_to(actor).filter(pk=product_id).first()
    if row is None:
        raise NotHere
    return row


def product_groups_visible_to(actor: Actor) -> QuerySet[ProductGroup]:
    rows = ProductGroup.objects.order_by("name")
    if actor.is_system:
        return rows
    return rows.filter(organisation_id=actor.organisation_id) if actor.is_staff else rows.none()


def suspend_policies_visible_to(actor: Actor) -> QuerySet[SuspendPolicy]:
    rows = SuspendPolicy.objects.order_by("name")
    if actor.is_system:
        return rows
    return rows.filter(organisation_id=actor.organisation_id) if actor.is_staff else rows.none()
