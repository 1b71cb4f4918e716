"""Servers ordered from the other Doublehop, as its own staff would under *Leap > Order*. It keeps our keys for thirty days."""

from collections.abc import Sequence

from doublehop.driver_kit.contract import Price, SupplyOffer, SupplyReceipt, SupplyStatus
from doublehop.driver_kit.errors import OutcomeUnknown, Refused
from doublehop.drivers.peer.api import Api

_WITHDRAWN_OR_FILLED = "already_settled"


class PeerOrdering:
    def __init__(self, api: Api) -> None:
        self._api = api

    def offers(self) -> Sequence[SupplyOffer]:
        return tuple(self._api.offers())

    def order(self, offer_id: str, *, price: Price, hostname: str, note: str, key: str) -> SupplyReceipt:
        try:
            return self._api.order(offer_id, price=price, hostname=hostname, note=note, key=key)
        except Refused as refusal:
            if refusal.problem == "key_reused":
                raise OutcomeUnknown("something else was asked over there under this name before") from None
            raise

    def look(self, order_id: str) -> SupplyStatus:
        return self._api.supply(order_id).status

    def withdraw(self, order_id: str) -> None:
        try:
            self._api.withdraw(order_id)
        except Refused as refusal:
            if refusal.problem != _WITHDRAWN_OR_FILLED:
                raise
