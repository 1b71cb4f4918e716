"""Setup > Offers: what an organisation offers to the resellers directly below it."""

from dataclasses import dataclass

from django.db import IntegrityError, transaction

from doublehop.fleet.models import ServerGroup
from doublehop.organisations import record, texts
from doublehop.organisations.actor import Actor, Duty
from doublehop.organisations.once import once
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere
from doublehop.services.actions.catalogue import CURRENCIES, money, one_of
from doublehop.services.models import Offer

_TEXTS = {"code": 40, "processor": 120, "memory": 60, "disks": 120, "bandwidth": 60}


@dataclass(frozen=True)
class OfferForm:
    """Raw texts of the offer form. ``server_group_id`` None: orders are filled by hand."""

    name: str
    code: str = ""
    processor: str = ""
    memory: str = ""
    disks: str = ""
    bandwidth: str = ""
    price: str = "0"
    setup_fee: str = "0"
    currency: str = "EUR"
    server_group_id: int | None = None
    hidden: bool = False


def _locked_offer(actor: Actor, offer_id: int) -> Offer:
    rows = Offer.objects.select_for_update().filter(organisation_id=_organisation(actor))
    offer = rows.filter(pk=offer_id).first()
    if offer is None:
        raise NotHere
    return offer


@once("offer.create", again=_locked_offer)
@transaction.atomic
def create_offer(actor: Actor, form: OfferForm, *, key: str = "") -> Offer:
    offer = Offer(organisation_id=_organisation(actor))
    _fill(offer, form)
    record.write(actor, "offer.created", ("offer", offer.pk), target_label=offer.name)
    return offer


@transaction.atomic
def update_offer(actor: Actor, offer_id: int, form: OfferForm) -> Offer:
    """What was ordered before keeps its name and price."""
    offer = _locked_offer(actor, offer_id)
    _fill(offer, form)
    record.write(actor, "offer.changed", ("offer", offer.pk), target_label=offer.name)
    return offer


def _organisation(actor: Actor) -> int:
    if not actor.is_staff:
        raise NotHere
    if not actor.has(Duty.SET_UP):
        raise NotAllowed("Needs the role admin or owner.")
    return actor.organisation_id


def _fill(offer: Offer, form: OfferForm) -> None:
    offer.name = texts.name_of(form.name, 120)
    for field, longest in _TEXTS.items():
        text = " ".join(texts.remark(getattr(form, field), field=field).split())
        if len(text) > longest:
            raise BadInput(f"At most {longest} signs.", field=field)
        setattr(offer, field, text)
    offer.price, offer.setup_fee = money(form.price, "price"), money(form.setup_fee, "setup_fee")
    offer.currency = one_of(form.currency, CURRENCIES, "currency")
    offer.hidden = form.hidden
    offer.server_group = None
    if form.server_group_id is not None:
        own = ServerGroup.objects.filter(organisation_id=offer.organisation_id)
        offer.server_group = own.filter(pk=form.server_group_id).first()
        if offer.server_group is None:
            raise BadInput("Choose a server group, or None.", field="server_group_id")
    try:
        with transaction.atomic():
            offer.save()
    except IntegrityError as error:
        raise BadInput("An offer of this name is there already.", field="name") from error
