"""What a reseller asks of the organisation directly above it: a server, or the end of one. R-<number> counts per asker.

An order is filled at once where the offer has a server group with a free machine, else it waits for the giver's staff.
Filling it is an allocation, and accepting a cancellation ends one (fleet.actions), with all that they refuse.
"""

from decimal import Decimal

from django.db import IntegrityError, transaction
from django.db.models import Max, Q
from django.utils import timezone

from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Allocation, Server
from doublehop.fleet.queries import allocations_visible_to, chain_of
from doublehop.fleet.queries import server as visible_server
from doublehop.notices import actions as notices
from doublehop.organisations import record, texts
from doublehop.organisations.actor import Actor, ActorKind, Duty, house_of
from doublehop.organisations.models import Organisation
from doublehop.organisations.once import once
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, Refusal, WrongState
from doublehop.services.actions.offers import OfferForm, create_offer, update_offer
from doublehop.services.actions.pools import candidates, locked_pool
from doublehop.services.actions.services import hostname_of
from doublehop.services.models import Offer, SupplyOrder

__all__ = [
    "OfferForm",
    "accept_cancellation",
    "ask_cancellation",
    "create_offer",
    "fill_supply",
    "fill_supply_from_pool",
    "order_supply",
    "refuse_supply",
    "update_offer",
    "withdraw_supply",
]

FIRST_NUMBER = 101
LONGEST_NOTE = 600
MOST_WAITING = 100
"""Orders of one asker that may wait at the same time: a script gone mad stops here."""
_Kind, _State = SupplyOrder.Kind, SupplyOrder.State


def _again(actor: Actor, supply_order_id: int) -> SupplyOrder:
    """Asked by the actor's organisation, or of it."""
    own = Q(organisation_id=actor.organisation_id) | Q(giver_id=actor.organisation_id)
    rows = SupplyOrder.objects.select_related("organisation", "giver", "server__upstream", "offer")
    order = rows.filter(own, pk=supply_order_id).first()
    if order is None or not actor.is_staff:
        raise NotHere
    return order


@once("supply.order", again=_again)
@transaction.atomic
def order_supply(
    actor: Actor,
    offer_id: int,
    *,
    hostname: str = "",
    note: str = "",
    price: Decimal | None = None,
    setup_fee: Decimal | None = None,
    currency: str = "",
    key: str = "",
) -> SupplyOrder:
    """Orders what the organisation above offers. ``price``, ``setup_fee`` and ``currency``, where given, are what the
    asker agreed to: at any other nothing is ordered."""
    asker = _asker(actor)
    offer = Offer.objects.filter(pk=offer_id, organisation_id=asker.parent_id or 0, hidden=False).first()
    if offer is None:
        raise NotHere
    _refuse_other_price(offer, price, setup_fee, currency)
    order = SupplyOrder(
        organisation=asker,
        giver_id=offer.organisation_id,
        offer=offer,
        offer_name=offer.name,
        price=offer.price,
        currency=offer.currency,
        hostname=hostname_of(hostname),
        note=_note(note),
        asked_by=actor.label,
    )
    _ask(actor, order, "supply.ordered", f"{offer.name}, {offer.price} {offer.currency} a month")
    if not fill_supply_from_pool(order):
        _tell_giver(order, f"{asker.name} orders {offer.name}")
    return order


def _refuse_other_price(
    offer: Offer, price: Decimal | None, setup_fee: Decimal | None, currency: str
) -> None:
    agreed = (price, setup_fee, currency or None)
    costs = (offer.price, offer.setup_fee, offer.currency)
    if any(one is not None and one != other for one, other in zip(agreed, costs, strict=True)):
        fee = f" and {offer.setup_fee} {offer.currency} once" if offer.setup_fee else ""
        raise WrongState(
            f"{offer.name} costs {offer.price} {offer.currency} a month{fee} now. Nothing was ordered.",
            code="price_changed",
        )


@once("supply.ask_cancellation", again=_again)
@transaction.atomic
def ask_cancellation(
    actor: Actor, server_id: int, *, reason: str, note: str = "", key: str = ""
) -> SupplyOrder:
    """Asks the giver to take a received server back. It stays until the giver accepts."""
    asker = _asker(actor)
    why = texts.remark(reason, field="reason")
    if not why:
        raise BadInput("A reason is needed: the provider reads it.", field="reason")
    received = allocations_visible_to(actor).filter(receiver=asker, until__isnull=True)
    allocation = received.filter(server=visible_server(actor, server_id)).first()
    if allocation is None:
        raise NotHere
    waiting = {
        "organisation": asker,
        "server": allocation.server,
        "kind": _Kind.CANCEL,
        "state": _State.WAITING,
    }
    if present := SupplyOrder.objects.filter(**waiting).first():
        raise WrongState(f"{present} asks for that already.", code="already_asked")
    order = SupplyOrder(
        organisation=asker,
        giver_id=allocation.giver_id,
        kind=_Kind.CANCEL,
        server=allocation.server,
        price=allocation.price or 0,
        currency=allocation.currency or "EUR",
        hostname=allocation.server.hostname,
        note=_note("\n".join(filter(None, (why, note)))),
        asked_by=actor.label,
    )
    _ask(actor, order, "supply.cancellation_asked", why)
    _tell_giver(order, f"{asker.name} gives {allocation.server.label} back")
    return order


@once("supply.withdraw", again=_again)
@transaction.atomic
def withdraw_supply(actor: Actor, supply_order_id: int, *, key: str = "") -> SupplyOrder:
    """The asker takes back what still waits."""
    asker = _asker(actor)
    order = _locked_waiting(supply_order_id, organisation=asker)
    _settle(actor, order, _State.WITHDRAWN)
    return order


@once("supply.fill", again=_again)
@transaction.atomic
def fill_supply(actor: Actor, supply_order_id: int, server_id: int, *, key: str = "") -> SupplyOrder:
    """The giver's staff fill an order with one of their servers: it is allocated at the price of the order."""
    order = _locked_waiting(supply_order_id, giver_id=_giver(actor))
    if order.kind != _Kind.ORDER:
        raise WrongState(f"{order} asks for the end of a server. Accept or refuse it.")
    _allocate(actor, order, server_id)
    _settle(actor, order, _State.FILLED)
    return order


@once("supply.refuse", again=_again)
@transaction.atomic
def refuse_supply(actor: Actor, supply_order_id: int, why: str, *, key: str = "") -> SupplyOrder:
    order = _locked_waiting(supply_order_id, giver_id=_giver(actor))
    why = texts.remark(why, field="why")
    if not why:
        raise BadInput(f"A reason is needed: {order.organisation.name} reads it.", field="why")
    _settle(actor, order, _State.REFUSED, why)
    return order


@once("supply.accept_cancellation", again=_again)
@transaction.atomic
def accept_cancellation(actor: Actor, supply_order_id: int, *, key: str = "") -> SupplyOrder:
    """Ends the allocation. Refused while the server is in use, or suspended, below."""
    order = _locked_waiting(supply_order_id, giver_id=_giver(actor))
    if order.kind != _Kind.CANCEL:
        raise WrongState(f"{order} asks for a server. Fill or refuse it.")
    still = Allocation.objects.filter(
        server_id=order.server_id or 0,
        giver_id=order.giver_id,
        receiver_id=order.organisation_id,
        until__isnull=True,
    ).first()
    if still is not None:
        fleet.end_allocation(actor, still.pk)
    _settle(actor, order, _State.FILLED, "" if still else "It had ended already.")
    return order


@transaction.atomic
def fill_supply_from_pool(order: SupplyOrder) -> bool:
    """Fills a waiting order from its offer's server group, by name. False when nothing there is free."""
    order = (
        SupplyOrder.objects.select_for_update(of=("self",)).select_related("giver", "offer").get(pk=order.pk)
    )
    group_id = order.offer.server_group_id if order.offer is not None else None
    if order.state != _State.WAITING or order.kind != _Kind.ORDER or group_id is None:
        return False
    house = house_of(order.giver_id, order.giver.name)
    locked_pool(group_id)
    for server in candidates(house, group_id):
        try:
            with transaction.atomic():
                _allocate(house, order, server.pk)
        except Refusal:
            continue
        _settle(house, order, _State.FILLED)
        return True
    return False


def _asker(actor: Actor) -> Organisation:
    """The actor's organisation, locked: its numbers are given by one request at a time."""
    if not actor.is_staff:
        raise NotHere
    # A token that may operate may also buy and give back; of people, only those who set things up.
    buys = Duty.OPERATE if actor.kind is ActorKind.PROGRAM else Duty.SET_UP
    if not actor.has(buys):
        raise NotAllowed("Needs the role admin or owner.")
    asker = Organisation.objects.select_for_update(of=("self",)).get(pk=actor.organisation_id)
    if asker.parent_id is None:
        raise NotHere
    return asker


def _giver(actor: Actor) -> int:
    if not actor.is_staff:
        raise NotHere
    if not actor.has(Duty.GOVERN):
        raise NotAllowed("Needs the role admin or owner.")
    return actor.organisation_id


def _note(text: str) -> str:
    note = texts.remark(text, field="note")
    if len(note) > LONGEST_NOTE:
        raise BadInput(f"At most {LONGEST_NOTE} signs.", field="note")
    return note


def _ask(actor: Actor, order: SupplyOrder, verb: str, sentence: str) -> None:
    theirs = SupplyOrder.objects.filter(organisation_id=order.organisation_id)
    if theirs.filter(state=_State.WAITING).count() >= MOST_WAITING:
        raise WrongState(
            f"{MOST_WAITING} requests wait already. Withdraw some, or wait for an answer.", code="too_many"
        )
    order.number = (theirs.aggregate(last=Max("number"))["last"] or FIRST_NUMBER - 1) + 1
    try:
        with transaction.atomic():
            order.save(force_insert=True)
    except IntegrityError as error:
        raise WrongState("This is being asked for at this very moment.", code="already_asked") from error
    _write(actor, verb, order, sentence)


def _allocate(actor: Actor, order: SupplyOrder, server_id: int) -> None:
    fleet.allocate(actor, server_id, order.organisation_id, price=order.price, currency=order.currency)
    order.server = Server.objects.select_related("upstream").get(pk=server_id)


def _locked_waiting(supply_order_id: int, **whose: object) -> SupplyOrder:
    rows = SupplyOrder.objects.select_for_update(of=("self",)).select_related(
        "organisation", "giver", "server__upstream", "offer"
    )
    order = rows.filter(pk=supply_order_id, **whose).first()
    if order is None:
        raise NotHere
    if order.state != _State.WAITING:
        raise WrongState(f"{order} is {order.state} already.", code="already_settled")
    return order


def _settle(actor: Actor, order: SupplyOrder, state: SupplyOrder.State, why: str = "") -> None:
    order.state, order.settled_at, order.settled_by = state, timezone.now(), actor.label
    order.settled_why = why[:300]
    order.save()
    _write(actor, f"supply.{state.value}", order, why or (order.server.label if order.server else ""))
    if state != _State.WITHDRAWN:
        _tell_asker(order)


def _write(actor: Actor, verb: str, order: SupplyOrder, sentence: str) -> None:
    record.write(
        actor,
        verb,
        ("supply_order", order.pk),
        target_label=f"{order}",
        sentence=sentence,
        server_id=order.server_id,
        also={order.organisation_id, order.giver_id, *(chain_of(order.server) if order.server else ())},
    )


def _tell_giver(order: SupplyOrder, heading: str) -> None:
    notices.tell_staff(
        organisation_id=order.giver_id,
        duty=Duty.GOVERN,
        subject=f"{order} waits: {heading}",
        body="\n".join(
            filter(
                None,
                (
                    f"{heading}. {order} of {order.organisation.name} waits for you.",
                    f"Hostname: {order.hostname}" if order.hostname else "",
                    f"Note: {order.note}" if order.note else "",
                ),
            )
        ),
        about="supply_waits",
        key=f"supply:{order.pk}:waits",
    )


def _tell_asker(order: SupplyOrder) -> None:
    machine = order.server.label if order.server else ""
    if order.state == _State.REFUSED:
        what = f"{order} is refused: {order.settled_why}"
    elif order.kind == _Kind.CANCEL:
        what = f"{order} is accepted: {machine} has gone back."
    else:
        what = f"{order} is filled: {machine} is yours to use."
    notices.tell_staff(
        organisation_id=order.organisation_id,
        duty=Duty.SET_UP,
        brand_id=order.giver_id,
        subject=f"{order} is {'refused' if order.state == _State.REFUSED else 'done'}",
        body=what,
        about="supply_settled",
        key=f"supply:{order.pk}:settled",
    )
