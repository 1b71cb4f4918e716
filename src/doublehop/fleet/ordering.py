"""What an upstream sells, as it was last read: prices are shown, agreed to and compared in this form."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from doublehop.driver_kit.contract import Price, SupplyOffer
from doublehop.fleet.models import Upstream

MOST_OFFERS = 500


def stored(offers: Sequence[SupplyOffer]) -> list[dict[str, Any]]:
    """For ``Upstream.offers``."""
    return [
        {
            "offer_id": one.offer_id[:120],
            "name": one.name[:400],
            "hardware": one.hardware[:2000],
            "price": [str(one.price.monthly), str(one.price.setup_fee), one.price.currency],
            "stock": one.stock,
        }
        for one in offers[:MOST_OFFERS]
    ]


def offers_of(upstream: Upstream) -> list[SupplyOffer]:
    """As last read, in the order in which they are offered."""
    return [
        SupplyOffer(
            offer_id=one["offer_id"],
            name=one["name"],
            hardware=one["hardware"],
            price=Price(Decimal(one["price"][0]), Decimal(one["price"][1]), one["price"][2]),
            stock=one["stock"],
        )
        for one in upstream.offers or ()
    ]


def sells(upstream: Upstream) -> bool:
    """Whether servers can be ordered there; what it offers at present may be nothing."""
    return upstream.offers is not None
