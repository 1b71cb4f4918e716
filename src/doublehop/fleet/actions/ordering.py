"""Servers ordered at an upstream. Each order is a row before anything is sent, with a key of its own that is never another's.

Between the first sending and a clear answer nobody knows whether money was spent. So it is asked again under the same key,
which comes to one order over there, as long as that promise holds: with the same login, and for a week. After that a person
looks.
"""

from datetime import timedelta
from uuid import uuid4

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from doublehop.driver_kit.contract import Price, SupplyOffer, SupplyReceipt, SupplyState, SupplyStatus
from doublehop.fleet import rests
from doublehop.fleet.actions.upstreams import lane_of, require_set_up
from doublehop.fleet.models import Upstream, UpstreamOrder
from doublehop.fleet.ordering import offers_of, sells, stored
from doublehop.fleet.queries import upstream_order
from doublehop.jobs.actions import ring
from doublehop.notices import actions as notices
from doublehop.organisations import record, texts
from doublehop.organisations.actor import SYSTEM, Actor, Duty
from doublehop.organisations.installation import AWAITS_CONFIRMATION, in_quarantine
from doublehop.organisations.models import Installation, Organisation
from doublehop.organisations.once import once
from doublehop.organisations.refusals import BadInput, NotHere, NotOffered, WrongState

FIRST_NUMBER = 101
LONGEST_NOTE = 600
MOST_OPEN = 100
"""Orders of one organisation that may be open at the same time: a form gone mad stops here."""
SEND_WITHIN = timedelta(days=1)
"""What could not be sent by then is not sent any more: nobody expects it to be bought."""
ASK_AGAIN_WITHIN = timedelta(days=7)
"""For so long a key is known to come to one order over there (``driver_kit.contract.Ordering``)."""
_State = UpstreamOrder.State
OPEN = (_State.ASKED, _State.SENT, _State.WAITING)


@transaction.atomic
def order_upstream(
    actor: Actor,
    upstream_id: int,
    offer_id: str,
    *,
    price: Price,
    hostname: str = "",
    note: str = "",
    sentence: str = "",
) -> UpstreamOrder:
    """``price`` is what the person agreed to; at another one nothing is stored. A hostname comes checked.

    Within the caller's transaction, which keeps the key of the form.
    """
    organisation_id = require_set_up(actor)
    Organisation.objects.select_for_update(of=("self",)).get(pk=organisation_id)
    upstream = Upstream.objects.filter(pk=upstream_id, organisation_id=organisation_id).first()
    if upstream is None:
        raise NotHere
    _refuse_unless_it_acts(upstream)
    offer = _agreed(upstream, offer_id, price)
    mine = UpstreamOrder.objects.filter(organisation_id=organisation_id)
    if mine.filter(state__in=OPEN).count() >= MOST_OPEN:
        raise WrongState(f"{MOST_OPEN} orders are open already. Withdraw some first.", code="too_many")
    row = UpstreamOrder.objects.create(
        organisation_id=organisation_id,
        upstream=upstream,
        number=(mine.aggregate(last=Max("number"))["last"] or FIRST_NUMBER - 1) + 1,
        key=f"order:{uuid4()}",
        offer_id=offer.offer_id,
        offer_name=offer.name,
        price=price.monthly,
        setup_fee=price.setup_fee,
        currency=price.currency,
        hostname=hostname,
        note=_note(note),
        asked_by=actor.label[:200],
    )
    _write(actor, "upstream_order.asked", row, sentence or f"{offer.name}, {price}", result="asked")
    ring_order(row)
    return row


def _refuse_unless_it_acts(upstream: Upstream) -> None:
    if in_quarantine():
        raise WrongState(f"{AWAITS_CONFIRMATION[:1].upper()}{AWAITS_CONFIRMATION[1:]}.", code="restored")
    if not sells(upstream):
        raise NotOffered(f"Nothing can be ordered at {upstream.name}.")
    if not upstream.armed:
        raise WrongState(f"{upstream.name} is set to observe only. Arm it, then order.", code="observe_only")
    if rests.is_refused(upstream):
        raise WrongState(f"{upstream.name} refuses our login. Correct it, then order.", code="login_refused")


def _agreed(upstream: Upstream, offer_id: str, price: Price) -> SupplyOffer:
    offer = next((one for one in offers_of(upstream) if one.offer_id == offer_id), None)
    if offer is None:
        raise WrongState("This is not offered any more. Choose another one.", code="not_offered_any_more")
    if offer.price != price:
        raise WrongState(f"{offer.name} costs {offer.price} now. Nothing was ordered.", code="price_changed")
    return offer


def _note(text: str) -> str:
    note = texts.remark(text, field="note")
    if len(note) > LONGEST_NOTE:
        raise BadInput(f"At most {LONGEST_NOTE} signs.", field="note")
    return note


@once("upstream_order.withdraw", again=upstream_order)
@transaction.atomic
def withdraw_upstream_order(actor: Actor, upstream_order_id: int, *, key: str = "") -> UpstreamOrder:
    """Takes back what is open. What was sent is withdrawn over there, unless it is filled there by then."""
    row = _locked(actor, upstream_order_id)
    if row.state not in OPEN:
        raise WrongState(f"{row} is {row.state} already.", code="already_settled")
    if row.state == _State.ASKED:
        _settle(actor, row, _State.WITHDRAWN, "before it was sent")
        return row
    if row.withdraw_asked_at is None:
        row.withdraw_asked_at = timezone.now()
        row.save(update_fields=["withdraw_asked_at"])
        _write(actor, "upstream_order.withdraw_asked", row, row.offer_name, result="asked")
    ring_order(row)
    return row


@once("upstream_order.close", again=upstream_order)
@transaction.atomic
def close_upstream_order(actor: Actor, upstream_order_id: int, *, why: str, key: str = "") -> UpstreamOrder:
    """Staff looked over there, and record that nothing more comes of an unknown order."""
    row = _locked(actor, upstream_order_id)
    if row.state != _State.UNKNOWN:
        raise WrongState(f"{row} is {row.state}: nothing is to be decided.", code="already_settled")
    why = texts.remark(why, field="why")
    if not why:
        raise BadInput("A reason is needed: what did you find over there?", field="why")
    _settle(actor, row, _State.WITHDRAWN, why)
    return row


def _locked(actor: Actor, upstream_order_id: int) -> UpstreamOrder:
    organisation_id = require_set_up(actor)
    rows = UpstreamOrder.objects.select_for_update(of=("self",)).select_related("upstream")
    row = rows.filter(pk=upstream_order_id, organisation_id=organisation_id).first()
    if row is None:
        raise NotHere
    return row


# ---------------------------------------------------------------- what the worker writes down


class NotToBeSent(Exception):
    """Settled, or taken back, at the last moment."""


def store_offers(upstream_id: int, offers: list[SupplyOffer] | None) -> None:
    """None: nothing is sold there."""
    Upstream.objects.filter(pk=upstream_id).update(
        offers=stored(offers) if offers is not None else None, offers_read_at=timezone.now()
    )


@transaction.atomic
def mark_sent(order_id: int, login: str) -> None:
    """Before the first byte. Raises NotToBeSent; nothing is sent then."""
    row = UpstreamOrder.objects.select_for_update().get(pk=order_id)
    if row.state not in (_State.ASKED, _State.SENT) or row.sent_with not in ("", login):
        raise NotToBeSent
    row.state, row.sent_at, row.sent_with = _State.SENT, row.sent_at or timezone.now(), login
    row.save()


def note_trouble(order_id: int, text: str) -> None:
    UpstreamOrder.objects.filter(pk=order_id).update(trouble=text[:500], looked_at=timezone.now())


@transaction.atomic
def store_receipt(order_id: int, receipt: SupplyReceipt) -> None:
    row = UpstreamOrder.objects.select_for_update(of=("self",)).select_related("upstream").get(pk=order_id)
    # An answer that came after all decides what was given up as unknown.
    if row.state not in (_State.SENT, _State.UNKNOWN):
        return
    row.state, row.settled_at, row.why = _State.WAITING, None, ""
    row.order_id, row.their_number = receipt.order_id[:120], receipt.number[:120]
    row.save()
    _write(SYSTEM, "upstream_order.taken", row, f"{row.their_number} over there", result="running")
    store_supply(order_id, receipt.status)


@transaction.atomic
def store_supply(order_id: int, status: SupplyStatus) -> None:
    """How it stands over there."""
    row = UpstreamOrder.objects.select_for_update(of=("self",)).select_related("upstream").get(pk=order_id)
    if row.state != _State.WAITING:
        return
    row.looked_at, row.trouble = timezone.now(), ""
    if status.state is SupplyState.WAITING:
        row.save()
        return
    row.external_id = status.external_id[:120] if status.state is SupplyState.FILLED else ""
    _settle(SYSTEM, row, _State(status.state.value), status.why)


@transaction.atomic
def store_refusal(order_id: int, why: str) -> None:
    """Certain: nothing was ordered."""
    row = UpstreamOrder.objects.select_for_update(of=("self",)).select_related("upstream").get(pk=order_id)
    if row.state in (_State.ASKED, _State.SENT):
        _settle(SYSTEM, row, _State.REFUSED, why)


@transaction.atomic
def give_up_late(order_id: int, login: str) -> bool:
    """Settles what may not be sent any more. ``login`` is what would be sent with now."""
    row = UpstreamOrder.objects.select_for_update(of=("self",)).select_related("upstream").get(pk=order_id)
    if row.state not in (_State.ASKED, _State.SENT):
        return False
    age = timezone.now() - row.asked_at
    if Installation.objects.filter(restored_at__gt=row.asked_at).exists():
        # What became of it since the copy was taken nobody here knows; it may have been sent, or taken back.
        _settle(SYSTEM, row, _State.UNKNOWN, "Asked before the database was restored. Look over there.")
    elif row.state == _State.SENT and age > ASK_AGAIN_WITHIN:
        _settle(SYSTEM, row, _State.UNKNOWN, "It was sent, and never clearly answered. Look over there.")
    elif row.state == _State.SENT and row.sent_with != login:
        _settle(
            SYSTEM, row, _State.UNKNOWN, "It was sent with another login, and not answered. Look over there."
        )
    elif row.state == _State.ASKED and age > SEND_WITHIN:
        _settle(SYSTEM, row, _State.REFUSED, "It could not be sent within a day: nothing was ordered.")
    else:
        return False
    return True


def ring_order(row: UpstreamOrder, *, hurry: bool = True) -> None:
    ring(
        "fleet.order",
        key=f"order:{row.pk}",
        payload={"order_id": row.pk},
        lane=lane_of(row.upstream_id),
        hurry=hurry,
    )


def _settle(actor: Actor, row: UpstreamOrder, state: UpstreamOrder.State, why: str = "") -> None:
    row.state, row.why, row.trouble = state, why[:400], ""
    row.settled_at = timezone.now()
    row.save()
    result = {_State.FILLED: "done", _State.REFUSED: "refused", _State.UNKNOWN: "unknown"}
    _write(
        actor,
        f"upstream_order.{state.value}",
        row,
        why or row.offer_name,
        result=result.get(state, "cancelled"),
    )
    if actor.is_system:
        _tell(row)


def _write(actor: Actor, verb: str, row: UpstreamOrder, sentence: str, *, result: str) -> None:
    record.write(
        actor,
        verb,
        ("upstream", row.upstream_id),
        target_label=f"{row} at {row.upstream.name}",
        sentence=sentence,
        result=result,
        also=[row.organisation_id],
    )


def _tell(row: UpstreamOrder) -> None:
    words = {
        _State.FILLED: "is filled. Its server is listed with the next reading.",
        _State.REFUSED: "is refused: nothing was ordered.",
        _State.WITHDRAWN: "is withdrawn.",
        _State.UNKNOWN: "has an unknown outcome. Look over there whether it was ordered, then record it here.",
    }
    told = f"{row}, {row.offer_name} at {row.upstream.name}, {words[_State(row.state)]}"
    notices.tell_staff(
        organisation_id=row.organisation_id,
        duty=Duty.SET_UP,
        subject=f"{row} at {row.upstream.name}: {row.state}",
        body="\n".join(filter(None, (told, row.why))),
        about="upstream_order",
        key=f"upstream_order:{row.pk}:{row.state}",
    )
