"""Offers and supply orders, as those who offer and those who ask see them."""

from dataclasses import dataclass

from django.db.models import Count, QuerySet

from doublehop.fleet.models import Server
from doublehop.fleet.queries import free_servers
from doublehop.organisations.actor import Actor, house_of
from doublehop.organisations.queries import organisation_of
from doublehop.organisations.refusals import NotHere
from doublehop.services.actions.pools import in_pool
from doublehop.services.models import Offer, SupplyOrder

MOST_OFFERS = 500


@dataclass(frozen=True)
class OfferLine:
    """``stock`` None: the giver's staff fill orders by hand. ``in_stock``: an order is taken up at once, or by a person."""

    offer: Offer
    stock: int | None

    @property
    def in_stock(self) -> bool:
        return self.stock is None or self.stock > 0


def offers_visible_to(actor: Actor) -> QuerySet[Offer]:
    """The organisation's own, for its setup."""
    rows = Offer.objects.select_related("server_group").order_by("name")
    if actor.is_system:
        return rows
    return rows.filter(organisation_id=actor.organisation_id) if actor.is_staff else rows.none()


def offer(actor: Actor, offer_id: int) -> Offer:
    row = offers_visible_to(actor).filter(pk=offer_id).first()
    if row is None:
        raise NotHere
    return row


def offers_for(actor: Actor) -> list[OfferLine]:
    """What the organisation directly above offers to the actor's; nothing where there is none."""
    if not actor.is_staff:
        return []
    above = organisation_of(actor).parent_id
    if above is None:
        return []
    offers = list(Offer.objects.filter(organisation_id=above, hidden=False).order_by("name")[:MOST_OFFERS])
    stock = _stock(above, {row.server_group_id for row in offers if row.server_group_id is not None})
    return [
        OfferLine(row, stock.get(row.server_group_id, 0) if row.server_group_id is not None else None)
        for row in offers
    ]


def _stock(organisation_id: int, group_ids: set[int]) -> dict[int, int]:
    """Free machines by server group, counted at once for all of them."""
    if not group_ids:
        return {}
    rows = in_pool(house_of(organisation_id, ""), sorted(group_ids)).order_by()
    counted = rows.values_list("groups").annotate(number=Count("pk", distinct=True))
    return {group_id: number for group_id, number in counted if group_id in group_ids}


def supply_orders_of(actor: Actor) -> QuerySet[SupplyOrder]:
    """Asked by the actor's organisation, newest first."""
    rows = _orders()
    return rows.filter(organisation_id=actor.organisation_id) if actor.is_staff else rows.none()


def supply_orders_for(actor: Actor) -> QuerySet[SupplyOrder]:
    """Asked of the actor's organisation, newest first."""
    rows = _orders()
    return rows.filter(giver_id=actor.organisation_id) if actor.is_staff else rows.none()


def waiting_supply(actor: Actor) -> QuerySet[SupplyOrder]:
    """What waits for the actor's organisation to answer, oldest first."""
    return supply_orders_for(actor).filter(state=SupplyOrder.State.WAITING).order_by("id")


def supply_order(actor: Actor, supply_order_id: int) -> SupplyOrder:
    """One that was asked by the actor's organisation, or of it."""
    for rows in (supply_orders_of(actor), supply_orders_for(actor)):
        row = rows.filter(pk=supply_order_id).first()
        if row is not None:
            return row
    raise NotHere


def own_supply_order(actor: Actor, supply_order_id: int) -> SupplyOrder:
    """One that was asked by the actor's organisation."""
    row = supply_orders_of(actor).filter(pk=supply_order_id).first()
    if row is None:
        raise NotHere
    return row


def servers_to_fill_with(actor: Actor, find: str = "") -> QuerySet[Server]:
    """What the giver's staff may choose for an order: free and theirs, by label."""
    rows = free_servers(actor)
    return rows.filter(label__istartswith=find) if find else rows


def _orders() -> QuerySet[SupplyOrder]:
    return SupplyOrder.objects.select_related(
        "organisation", "giver", "offer__server_group", "server"
    ).order_by("-id")
