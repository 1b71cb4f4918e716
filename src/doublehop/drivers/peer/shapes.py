"""What the other side's API says, read strictly: what has not the shape that its document promises is a bad answer."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from doublehop.driver_kit.answers import Answer
from doublehop.driver_kit.contract import (
    Identifier,
    PowerState,
    Price,
    Proof,
    ServerAddress,
    SupplyOffer,
    SupplyReceipt,
    SupplyState,
    SupplyStatus,
    TrafficTotal,
)

PROVES = (
    ("serial", Proof.STRONG),
    ("system_uuid", Proof.STRONG),
    ("mac", Proof.STRONG),
    ("server_id", Proof.WEAK),
    ("primary_address", Proof.WEAK),
)
_TOLD = frozenset(kind for kind, proof in PROVES if proof is Proof.STRONG)
"""What is burnt into a machine is passed on from hop to hop; what only a place knows it by is not."""
_USABLE = frozenset({"free", "suspended"})
_STALE = timedelta(minutes=5)
"""A power state that the other side itself read so long ago says nothing about now: it reads each once a minute."""
_DAY = timedelta(days=1)
_HARDWARE = ("processor", "memory", "disks", "bandwidth")
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True)
class Line:
    """One server as the other side shows it. ``suspended``: one of ours, nobody else's, was carried out;
    ``suspension_asked``: or has been asked for, and there is something to take back."""

    id: str
    hostname: str
    address: str
    power: PowerState
    parts: frozenset[str]
    identifiers: tuple[Identifier, ...]
    suspended: bool
    suspension_asked: bool
    in_rescue: bool
    username: str
    usable: bool

    @property
    def label(self) -> str:
        """Never the other side's own label: that is a word of whoever owns the machine."""
        return self.hostname or f"Server {self.id}"


@dataclass(frozen=True)
class Operation:
    reference: str
    state: str
    server_id: str
    failure_code: str


@dataclass(frozen=True)
class Me:
    """Who we are over there."""

    organisation: str
    is_client: bool
    scopes: frozenset[str]
    billing_system: str
    version: str
    now: datetime
    expires_at: datetime | None


class Fields:
    """The members of one object of an answer, each with the type that it must have. Raises what ``answer.broken`` gives."""

    def __init__(self, value: object, answer: Answer) -> None:
        if not isinstance(value, dict):
            raise answer.broken("something in the answer is no object")
        self._values: dict[str, Any] = value
        self._answer = answer

    def text(self, name: str) -> str:
        value = self._values.get(name)
        if not isinstance(value, str) or not value.isprintable() or len(value) > 400:
            raise self._answer.broken(f"{name} is no text")
        return value

    def is_there(self, name: str) -> bool:
        return self._values.get(name) is not None

    def number(self, name: str) -> int:
        value = self._values.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self._answer.broken(f"{name} is no number")
        return value

    def flag(self, name: str) -> bool:
        value = self._values.get(name)
        if not isinstance(value, bool):
            raise self._answer.broken(f"{name} is neither true nor false")
        return value

    def flag_or_unknown(self, name: str) -> bool | None:
        return None if self._values.get(name) is None else self.flag(name)

    def moment(self, name: str) -> datetime | None:
        if self._values.get(name) is None:
            return None
        try:
            found = datetime.fromisoformat(self.text(name))
        except ValueError:
            raise self._answer.broken(f"{name} is no moment") from None
        return found if found.tzinfo else found.replace(tzinfo=UTC)

    def day(self, name: str) -> datetime:
        try:
            found = date.fromisoformat(self.text(name))
        except ValueError:
            raise self._answer.broken(f"{name} is no day") from None
        return datetime(found.year, found.month, found.day, tzinfo=UTC)

    def texts(self, name: str) -> frozenset[str]:
        value = self._values.get(name)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self._answer.broken(f"{name} is no list of texts")
        return frozenset(value)

    def prose(self, name: str) -> str:
        """Text that somebody wrote: what cannot be shown becomes a space, and it is cut."""
        value = self._values.get(name)
        if not isinstance(value, str):
            raise self._answer.broken(f"{name} is no text")
        return " ".join("".join(sign if sign.isprintable() else " " for sign in value[:2000]).split())[:400]

    def money(self, name: str) -> Decimal:
        """With two places, as a text or as a number."""
        value = self._values.get(name)
        try:
            found = Decimal(str(value)) if isinstance(value, str | int | float) else Decimal("NaN")
        except InvalidOperation:
            found = Decimal("NaN")
        if isinstance(value, bool) or not found.is_finite() or not 0 <= found < Decimal(10) ** 10:
            raise self._answer.broken(f"{name} is no amount")
        return found.quantize(Decimal("0.01"))

    def currency(self, name: str) -> str:
        value = self.text(name)
        if not _CURRENCY.fullmatch(value):
            raise self._answer.broken(f"{name} is no currency")
        return value

    def each(self, name: str) -> "list[Fields]":
        value = self._values.get(name)
        if not isinstance(value, list):
            raise self._answer.broken(f"{name} is no list")
        return [Fields(one, self._answer) for one in value]


def rows(answer: Answer) -> list[Fields]:
    return Fields({"rows": answer.json()}, answer).each("rows")


def page(answer: Answer) -> tuple[list[Fields], int | None]:
    """(rows, ``after`` of the page that follows or None)."""
    fields = Fields(answer.json(), answer)
    following = answer.object().get("next")
    return fields.each("items"), None if following is None else fields.number("next")


def one(answer: Answer) -> Fields:
    return Fields(answer.json(), answer)


def line_of(fields: Fields) -> Line:
    number, address = str(fields.number("id")), fields.text("primary_address")
    strong = [each for each in fields.each("identifiers") if each.text("proof") == Proof.STRONG]
    told = [(each.text("kind"), each.text("value").strip()) for each in strong]
    return Line(
        id=number,
        hostname=fields.text("hostname"),
        address=address,
        power=_power(fields),
        parts=fields.texts("capabilities"),
        identifiers=_identifiers(number, address, told),
        suspended=fields.flag("suspended_by_you"),
        # A release from before this tells only of what was carried out.
        suspension_asked=fields.flag(
            "suspension_asked" if fields.is_there("suspension_asked") else "suspended_by_you"
        ),
        in_rescue=bool(fields.flag_or_unknown("rescue_active")),
        username=fields.text("username"),
        # Sold, or given on, from there: whoever sells it here too would sell it twice.
        usable=fields.text("status") in _USABLE and not fields.is_there("service_id"),
    )


def _power(fields: Fields) -> PowerState:
    state, read_at = fields.text("power_state"), fields.moment("power_read_at")
    known = state in set(PowerState) and read_at is not None and datetime.now(UTC) - read_at < _STALE
    return PowerState(state) if known else PowerState.UNKNOWN


def _identifiers(number: str, address: str, told: list[tuple[str, str]]) -> tuple[Identifier, ...]:
    strong = [Identifier(kind, value) for kind, value in told if kind in _TOLD and value]
    weak = [("server_id", number), ("primary_address", address)]
    return tuple(sorted({*strong, *(Identifier(kind, value, Proof.WEAK) for kind, value in weak if value)}))


def operation_of(fields: Fields) -> Operation:
    return Operation(
        reference=fields.text("reference"),
        state=fields.text("state"),
        server_id=str(fields.number("server_id")),
        failure_code=fields.text("failure_code"),
    )


def address_of(fields: Fields) -> tuple[ServerAddress, bool]:
    """(address with its name, whether its traffic is dropped)."""
    found = ServerAddress(fields.text("address"), fields.flag("primary"), fields.text("rdns"))
    return found, fields.flag_or_unknown("null_routed") is True


def total_of(fields: Fields) -> TrafficTotal:
    """One UTC day. One that is not over ends with the day all the same, and is asked for again until it is. Earlier releases say
    nothing of how much of it was counted."""
    start = fields.day("day")
    return TrafficTotal(
        start,
        start + _DAY,
        fields.number("octets_in"),
        fields.number("octets_out"),
        fields.flag("sample_history"),
        fields.number("counted_seconds") if fields.is_there("counted_seconds") else None,
    )


def offer_of(fields: Fields) -> SupplyOffer:
    words = [text for text in (fields.prose(name) for name in _HARDWARE) if text]
    return SupplyOffer(
        offer_id=str(fields.number("id")),
        name=fields.prose("name"),
        hardware=", ".join(words),
        price=Price(fields.money("price"), fields.money("setup_fee"), fields.currency("currency")),
        stock=fields.number("stock") if fields.is_there("stock") else None,
    )


def supply_of(answer: Answer) -> SupplyReceipt:
    fields = one(answer)
    state = fields.text("state")
    if state not in set(SupplyState):
        raise answer.broken("the order is in no state that is known")
    if state == SupplyState.FILLED and not fields.is_there("server_id"):
        raise answer.broken("the order is filled, and by no server")
    return SupplyReceipt(
        order_id=str(fields.number("id")),
        number=fields.prose("number"),
        status=SupplyStatus(
            state=SupplyState(state),
            external_id=str(fields.number("server_id")) if fields.is_there("server_id") else "",
            why=fields.prose("why"),
        ),
    )


def me_of(fields: Fields) -> Me:
    now = fields.moment("now")
    return Me(
        organisation=fields.text("organisation"),
        is_client=fields.is_there("client_id"),
        scopes=fields.texts("scopes"),
        billing_system=fields.text("billing_system"),
        version=fields.text("version"),
        now=now or datetime.now(UTC),
        expires_at=fields.moment("expires_at"),
    )
