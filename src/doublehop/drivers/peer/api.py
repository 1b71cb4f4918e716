"""Speaks REST v1 of another Doublehop. What it says with a status and a problem code becomes the errors of the contract."""

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from doublehop.driver_kit.budget import meter_for
from doublehop.driver_kit.contract import (
    Budget,
    Price,
    ServerAddress,
    SupplyOffer,
    SupplyReceipt,
    TrafficTotal,
    Values,
)
from doublehop.driver_kit.errors import BadAnswer, NotFound
from doublehop.driver_kit.http import HttpClient, Limits
from doublehop.driver_kit.reach import reach_of
from doublehop.driver_kit.secret import Secret
from doublehop.driver_kit.transport import Carrier
from doublehop.drivers.peer import shapes
from doublehop.drivers.peer.shapes import Line, Me, Operation

BUDGET = Budget(calls=1200, per_seconds=60, burst=200, at_once=4)
"""Less than half of what one token may ask over there."""
USUAL = Limits()
PATH = "/api/v1"
PAGE = 200
MOST_PAGES = 1000
ONE_BY_ONE = 3
LISTED_FOR_SECONDS = 3.0


class Api:
    """One token. ``instruction`` names what is about to be sent: the other side does not act twice under one name.

    Tests shorten the limits, and replace the network by ``carrier``.
    """

    def __init__(
        self, settings: Values, *, limits: Limits = USUAL, carrier: Callable[[], Carrier] | None = None
    ) -> None:
        self.endpoint = str(settings["endpoint"]).rstrip("/").removesuffix(PATH)
        given = settings["token"]
        token = given if isinstance(given, Secret) else Secret(str(given))
        pin = str(settings.get("pin") or "")
        self.reach = reach_of(settings)
        self._instruction = str(settings.get("instruction") or "")
        self._listed: dict[str, Line] = {}
        self._listed_until = 0.0
        self._seen: set[str] = set()
        # The handle is the middle of "dh_<handle>_<secret>", and no secret: one token's limit is nobody else's.
        handle = token.reveal().split("_")[1:2]
        self._client = HttpClient(
            self.endpoint + PATH,
            headers={"authorization": Secret(f"Bearer {token.reveal()}")},
            secrets=[token],
            pin=pin,
            limits=limits,
            meter=meter_for(f"peer {self.endpoint} {''.join(handle)}", BUDGET),
            # A scope or a right that is missing says nothing about the token itself.
            forbidden_is_login=False,
            reach=self.reach,
            transport=carrier() if carrier else None,
        )

    def close(self) -> None:
        self._client.close()

    # ------------------------------------------------------------ questions

    def me(self) -> Me:
        return shapes.me_of(shapes.one(self._client.read("/me")))

    def lines(self) -> Iterator[Line]:
        return map(shapes.line_of, self._all("/servers"))

    def offers(self) -> Iterator[SupplyOffer]:
        return map(shapes.offer_of, self._all("/offers"))

    def _all(self, path: str) -> Iterator[shapes.Fields]:
        after = 0
        for _ in range(MOST_PAGES):
            answer = self._client.read(path, params={"after": str(after), "limit": str(PAGE)})
            rows, following = shapes.page(answer)
            yield from rows
            if following is None:
                return
            if following <= after:
                break
            after = following
        raise BadAnswer(f"the list of {path.removeprefix('/')} does not end")

    def supply(self, order_id: str) -> SupplyReceipt:
        found = shapes.supply_of(self._client.read(f"/orders/{_number(order_id)}"))
        if found.order_id != order_id:
            raise BadAnswer("answered about another order")
        return found

    def line(self, server_id: str) -> Line:
        found = shapes.line_of(shapes.one(self._client.read(f"/servers/{_number(server_id)}")))
        if found.id != server_id:
            raise BadAnswer("answered about another server")
        return found

    def line_among_many(self, server_id: str) -> Line:
        """Whoever looks at one server after the other, in one opening, gets those after the first few from a list of all
        that is some seconds old at most: a thousand states are five calls."""
        if time.monotonic() >= self._listed_until:
            self._listed = {}
            self._seen.add(server_id)
            if len(self._seen) <= ONE_BY_ONE:
                return self.line(server_id)
            self._listed = {line.id: line for line in self.lines()}
            self._listed_until = time.monotonic() + LISTED_FOR_SECONDS
        if server_id not in self._listed:
            raise NotFound("the list over there does not show this server")
        return self._listed[server_id]

    def addresses(self, server_id: str) -> list[tuple[ServerAddress, bool]]:
        answer = self._client.read(f"/servers/{_number(server_id)}/addresses")
        return [shapes.address_of(row) for row in shapes.rows(answer)]

    def days(self, server_id: str, start: datetime, end: datetime) -> list[TrafficTotal]:
        params = {"first": start.date().isoformat(), "last": end.date().isoformat()}
        answer = self._client.read(f"/servers/{_number(server_id)}/bandwidth", params=params)
        return [shapes.total_of(row) for row in shapes.rows(answer)]

    def operation(self, reference: str) -> Operation:
        answer = self._client.read(f"/operations/{quote(reference, safe='')}")
        return shapes.operation_of(shapes.one(answer))

    def operation_of_key(self, key: str) -> Operation | None:
        """What came of a request whose answer was lost; None when none arrived."""
        try:
            return shapes.operation_of(shapes.one(self._client.read(f"/requests/{quote(key, safe='')}")))
        except NotFound:
            return None

    # ------------------------------------------------------------ changes

    @property
    def key(self) -> str:
        return self._instruction or uuid4().hex

    def ask(self, server_id: str, body: Mapping[str, Any], key: str) -> Operation:
        """Stored over there and answered at once. Once under one key, whatever happens to the answer."""
        answer = self._client.change(
            "POST",
            f"/servers/{_number(server_id)}/operations",
            json=body,
            headers={"idempotency-key": key},
        )
        found = shapes.operation_of(shapes.one(answer))
        if found.server_id != server_id:
            raise answer.broken("answered about another server")
        return found

    def order(self, offer_id: str, *, price: Price, hostname: str, note: str, key: str) -> SupplyReceipt:
        body = {
            "offer_id": int(_number(offer_id)),
            "price": f"{price.monthly:.2f}",
            "setup_fee": f"{price.setup_fee:.2f}",
            "currency": price.currency,
            "hostname": hostname,
            "note": note,
        }
        answer = self._client.change("POST", "/orders", json=body, headers={"idempotency-key": key})
        return shapes.supply_of(answer)

    def withdraw(self, order_id: str) -> None:
        self._client.change(
            "POST",
            f"/orders/{_number(order_id)}/withdraw",
            headers={"idempotency-key": f"withdraw:{_number(order_id)}"},
        )


def _number(server_id: str) -> str:
    """Nothing else can be a server, an offer or an order over there, and nothing else gets into an address."""
    return server_id if server_id.isascii() and server_id.isdigit() and len(server_id) < 19 else "0"
