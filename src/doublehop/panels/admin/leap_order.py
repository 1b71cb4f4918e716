"""Leap > Order: what the organisation above offers, an order for it, and the orders so far."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import NotHere, Refusal
from doublehop.panels.admin.forms import Filled, typed
from doublehop.panels.admin.frame import require_provider, show
from doublehop.panels.gates import actor_of, key_of
from doublehop.panels.keyset import page_of
from doublehop.panels.refusals import back_with
from doublehop.services.actions import supply as actions
from doublehop.services.queries import supply as queries

_NOT_CONFIRMED = "Confirm the price with the box above the button."
_PRICE_MOVED = (
    "The price has changed since this page was opened. It is shown anew: look at it, and confirm it."
)


def stock_in_words(stock: int | None) -> str:
    """ "3 ready at once", "filled by hand", "none at present"."""
    if stock is None:
        return "filled by hand"
    return f"{stock} ready at once" if stock else "none at present"


@require_GET
def offered(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    require_provider(actor)
    page = page_of(queries.supply_orders_of(actor), request.GET, by="-pk")
    offers = queries.offers_for(actor)
    context = {
        "offers": [(line, stock_in_words(line.stock)) for line in offers],
        "has_fee": any(line.offer.setup_fee for line in offers),
        "page": page,
    }
    return show(request, "leap_order.html", context)


def _offer(actor: Actor, offer_id: int) -> Any:
    for line in queries.offers_for(actor):
        if line.offer.pk == offer_id:
            return line
    raise NotHere


def _price_mark(offer: Any) -> str:
    """What a person agrees to, as a form carries it."""
    return f"{offer.price} {offer.setup_fee} {offer.currency}"


@require_http_methods(["GET", "POST"])
def order(request: HttpRequest, offer_id: int) -> HttpResponse:
    actor = actor_of(request)
    provider = require_provider(actor)
    line = _offer(actor, offer_id)
    form = Filled({"hostname": "", "note": "", "agreed": ""})
    if request.method == "POST":
        form = typed(request.POST, form.values)
        agreed = form.values["agreed"]
        if agreed != _price_mark(line.offer):
            form.errors["agreed"], form.status = (_PRICE_MOVED if agreed else _NOT_CONFIRMED), 422
            form.values["agreed"] = ""
        else:
            try:
                row = actions.order_supply(
                    actor,
                    offer_id,
                    hostname=form.values["hostname"],
                    note=form.values["note"],
                    key=key_of(request),
                )
            except Refusal as refusal:
                form.refuse(refusal)
            else:
                messages.success(request, _outcome(actor, row.pk, provider.name))
                return HttpResponseRedirect(reverse("admin-leap-order"))
    context = {
        "line": line,
        "offer": line.offer,
        "stock": stock_in_words(line.stock),
        "price_mark": _price_mark(line.offer),
        "form": form,
    }
    return show(request, "leap_order_new.html", context, status=form.status)


def _outcome(actor: Actor, supply_order_id: int, provider: str) -> str:
    row = queries.supply_order(actor, supply_order_id)
    if row.state == "filled" and row.server is not None:
        return f"{row} is filled: {row.server.label} is yours"
    return f"{row} is sent. It waits for {provider}"


@require_POST
def withdraw(request: HttpRequest, supply_order_id: int) -> HttpResponse:
    actor = actor_of(request)
    require_provider(actor)
    address = reverse("admin-leap-order")
    try:
        row = actions.withdraw_supply(actor, supply_order_id, key=key_of(request))
    except Refusal as refusal:
        return back_with(request, refusal, address)
    messages.success(request, f"{row} is withdrawn")
    return HttpResponseRedirect(address)
