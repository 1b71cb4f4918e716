"""What the memory world sells: an order waits until the world is told what its people made of it."""

from collections.abc import Sequence

from doublehop.driver_kit.conformance.world import Fault, World, speak_after
from doublehop.driver_kit.contract import (
    PRICE_CHANGED,
    Price,
    SupplyOffer,
    SupplyReceipt,
    SupplyState,
    SupplyStatus,
)
from doublehop.driver_kit.errors import NotFound, Refused
from doublehop.driver_kit.secret import Secret
from doublehop.drivers.memory.server import call


class MemoryOrdering:
    def __init__(self, place: World, password: Secret) -> None:
        self._world = place
        self._password = password

    def offers(self) -> Sequence[SupplyOffer]:
        speak_after(call(self._world, "ordering.offers", "", self._password))
        return tuple(self._world.offers.values())

    def order(self, offer_id: str, *, price: Price, hostname: str, note: str, key: str) -> SupplyReceipt:
        fault = call(self._world, "ordering.order", "", self._password)
        known = self._world.orders.get(key)
        if known is None:
            known = self._taken(offer_id, price)
            if fault is not Fault.LIE:
                self._world.orders[key] = known
        speak_after(fault)
        return known

    def _taken(self, offer_id: str, price: Price) -> SupplyReceipt:
        offer = self._world.offers.get(offer_id)
        if offer is None:
            raise NotFound(f"no offer {offer_id} here")
        if offer.price != price:
            refusal = Refused(f"it costs {offer.price} now")
            refusal.problem = PRICE_CHANGED
            raise refusal
        number = str(101 + len(self._world.orders))
        return SupplyReceipt(number, f"R-{number}", SupplyStatus(SupplyState.WAITING))

    def look(self, order_id: str) -> SupplyStatus:
        speak_after(call(self._world, "ordering.look", "", self._password))
        return self._order(order_id).status

    def withdraw(self, order_id: str) -> None:
        fault = call(self._world, "ordering.withdraw", "", self._password)
        if self._order(order_id).status.state is SupplyState.WAITING and fault is not Fault.LIE:
            self._world.answer(order_id, SupplyState.WITHDRAWN)
        speak_after(fault)

    def _order(self, order_id: str) -> SupplyReceipt:
        for order in list(self._world.orders.values()):
            if order.order_id == order_id:
                return order
        raise NotFound(f"no order {order_id} here")
