"""Order from the upstream: what it offers, an order at the price shown, and what became of those before."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from doublehop.driver_kit.contract import Price, SupplyOffer
from doublehop.fleet import actions as fleet_actions
from doublehop.fleet import queries as fleet
from doublehop.fleet.ordering import offers_of
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import NotHere, Refusal, WrongState
from doublehop.panels.admin.forms import Filled, typed
from doublehop.panels.admin.frame import show
from doublehop.panels.admin.leap_order import stock_in_words
from doublehop.panels.admin.products import number
from doublehop.panels.admin.services import address_of
from doublehop.panels.gates import actor_of, key_of
from doublehop.panels.refusals import back_with
from doublehop.services import queries
from doublehop.services.actions.buying import buy

_NOT_CONFIRMED = "Confirm the price with the box above the button."
_PRICE_MOVED = (
    "The price has changed since this page was opened. It is shown anew: look at it, and confirm it."
)


@require_http_methods(["GET", "POST"])
def order(request: HttpRequest, upstream_id: int) -> HttpResponse:
    """The offers; with one chosen, the form that orders it."""
    actor = actor_of(request)
    upstream = fleet.upstream(actor, upstream_id)
    data = request.POST if request.method == "POST" else request.GET
    service = _service(actor, data.get("service", ""))
    chosen = next((one for one in offers_of(upstream) if one.offer_id == data.get("offer", "")), None)
    context = {"upstream": upstream, "service": service, "back": _back(upstream, service)}
    if chosen is None:
        if request.method == "POST":
            messages.error(request, "This is not offered any more. Choose another one.")
            return HttpResponseRedirect(reverse("admin-upstream-order", args=[upstream_id]))
        offers = [(one, stock_in_words(one.stock)) for one in offers_of(upstream)]
        has_fee = any(one.price.setup_fee for one, _ in offers)
        return show(request, "upstream_order.html", {**context, "offers": offers, "has_fee": has_fee})
    form = Filled({"hostname": service.ordered_hostname if service else "", "note": "", "agreed": ""})
    if request.method == "POST":
        form = typed(request.POST, form.values)
        answer = _order(request, actor, upstream, chosen, service, form)
        if answer is not None:
            return answer
    return show(
        request,
        "upstream_order_new.html",
        {
            **context,
            "offer": chosen,
            "stock": stock_in_words(chosen.stock),
            "price_mark": _price_mark(chosen.price),
            "form": form,
        },
        status=form.status,
    )


def _service(actor: Actor, text: str) -> Any:
    """The one that waits, or None where nobody waits for it."""
    if not text:
        return None
    service_id = number(text)
    if service_id is None:
        raise NotHere
    return queries.service(actor, service_id)


def _back(upstream: Any, service: Any) -> str:
    return address_of(service) if service else reverse("admin-upstream", args=[upstream.pk])


def _price_mark(price: Price) -> str:
    """What a person agrees to, as a form carries it."""
    return f"{price.monthly} {price.setup_fee} {price.currency}"


def _order(
    request: HttpRequest, actor: Actor, upstream: Any, offer: SupplyOffer, service: Any, form: Filled
) -> HttpResponse | None:
    """Where to go on; None when the form is shown again."""
    agreed = form.values["agreed"]
    if agreed != _price_mark(offer.price):
        form.errors["agreed"], form.status = (_PRICE_MOVED if agreed else _NOT_CONFIRMED), 422
        form.values["agreed"] = ""
        return None
    try:
        row = buy(
            actor,
            upstream.pk,
            offer.offer_id,
            price=offer.price,
            hostname=form.values["hostname"],
            note=form.values["note"],
            service_id=service.pk if service else None,
            key=key_of(request),
        )
    except WrongState as refusal:
        return back_with(request, refusal, _back(upstream, service))
    except Refusal as refusal:
        form.refuse(refusal)
        return None
    messages.success(request, f"{row} is stored, and is sent to {upstream.name} now")
    return HttpResponseRedirect(_back(upstream, service))


@require_POST
def withdraw(request: HttpRequest, upstream_order_id: int) -> HttpResponse:
    return _decide(
        request,
        upstream_order_id,
        lambda actor: fleet_actions.withdraw_upstream_order(actor, upstream_order_id, key=key_of(request)),
        "{order} is taken back, unless it is filled by now",
    )


@require_POST
def close(request: HttpRequest, upstream_order_id: int) -> HttpResponse:
    why = request.POST.get("reason", "")
    return _decide(
        request,
        upstream_order_id,
        lambda actor: fleet_actions.close_upstream_order(
            actor, upstream_order_id, why=why, key=key_of(request)
        ),
        "{order} is closed",
    )


def _decide(request: HttpRequest, upstream_order_id: int, deed: Any, done: str) -> HttpResponse:
    actor = actor_of(request)
    row = fleet.upstream_order(actor, upstream_order_id)
    address = reverse("admin-upstream", args=[row.upstream_id])
    try:
        deed(actor)
    except Refusal as refusal:
        return back_with(request, refusal, address)
    messages.success(request, done.format(order=row))
    return HttpResponseRedirect(address)
