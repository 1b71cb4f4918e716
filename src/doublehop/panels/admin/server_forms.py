"""Changing what we know of a server: own machines, protection, twins, allocations. Nothing here is sent to a machine."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST

from doublehop.fleet import actions
from doublehop.fleet import queries as fleet
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import BadInput, NotHere, Refusal
from doublehop.panels.admin.forms import Filled, draw, typed_settings
from doublehop.panels.admin.frame import show
from doublehop.panels.gates import actor_of, key_of
from doublehop.panels.refusals import back_with


def _address(server_id: int) -> str:
    return reverse("admin-server", args=[server_id])


def _do(
    request: HttpRequest, server_id: int, deed: Callable[[Actor], object], done: str, back: str = ""
) -> HttpResponse:
    """Does it to a server that the actor can see, and goes back to the server's page."""
    actor = actor_of(request)
    fleet.server(actor, server_id)
    address = back or _address(server_id)
    try:
        deed(actor)
    except Refusal as refusal:
        return back_with(request, refusal, address)
    messages.success(request, done)
    return HttpResponseRedirect(address)


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A machine of our own, through one of our upstreams that takes such records."""
    actor = actor_of(request)
    data = request.POST if request.method == "POST" else request.GET
    takers = [
        row
        for row in fleet.upstreams_visible_to(actor).order_by("name")[:200]
        if fleet.driver_card(row.driver).server_settings
    ]
    chosen = next((row for row in takers if str(row.pk) == data.get("upstream", "")), None)
    if chosen is None and len(takers) == 1:
        chosen = takers[0]
    if chosen is None:
        return show(request, "server_choose.html", {"takers": takers})
    fields = fleet.driver_card(chosen.driver).server_settings
    form, values = Filled(), {one.name: one.default for one in fields}
    if request.method == "POST":
        values = typed_settings(request.POST, fields)
        form.values = {f"setting-{name}": text for name, text in values.items()}
        try:
            row = actions.add_server(actor, chosen.pk, values, key=key_of(request))
        except Refusal as refusal:
            form.refuse(refusal, prefix="setting-")
        else:
            messages.success(request, "Saved. It is read now; its state appears in a moment.")
            return HttpResponseRedirect(_address(row.pk))
    context = {
        "upstream": chosen,
        "fields": draw(fields, values, form.errors, is_new=True),
        "form": form,
        "back": reverse("admin-servers"),
    }
    return show(request, "server_form.html", context, status=form.status)


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, server_id: int) -> HttpResponse:
    actor = actor_of(request)
    server = fleet.server(actor, server_id)
    if not fleet.owns(actor, server):
        raise NotHere
    fields = fleet.driver_card(server.upstream.driver).server_settings
    if not fields:
        raise NotHere
    values: dict[str, Any] = server.settings
    form = Filled()
    if request.method == "POST":
        values = typed_settings(request.POST, fields)
        form.values = {f"setting-{name}": text for name, text in values.items()}
        try:
            actions.update_server(actor, server_id, values)
        except Refusal as refusal:
            form.refuse(refusal, prefix="setting-")
        else:
            messages.success(request, "Saved")
            return HttpResponseRedirect(_address(server_id))
    context = {
        "server": server,
        "upstream": server.upstream,
        "fields": draw(fields, values, form.errors, is_new=False),
        "form": form,
        "back": _address(server_id),
    }
    return show(request, "server_form.html", context, status=form.status)


@require_POST
def refresh(request: HttpRequest, server_id: int) -> HttpResponse:
    following = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(following, allowed_hosts=None):
        following = ""
    return _do(
        request,
        server_id,
        lambda actor: actions.ask_refresh(actor, server_id),
        "Asked for. The new values appear here in a moment.",
        following,
    )


@require_POST
def protect(request: HttpRequest, server_id: int) -> HttpResponse:
    return _do(request, server_id, lambda actor: actions.protect(actor, server_id), "Protected")


@require_POST
def unprotect(request: HttpRequest, server_id: int) -> HttpResponse:
    return _do(request, server_id, lambda actor: actions.unprotect(actor, server_id), "No longer protected")


@require_POST
def same_machine(request: HttpRequest, server_id: int) -> HttpResponse:
    """Links with the server whose label was typed; an empty text parts them."""
    text = request.POST.get("label", "").strip()

    def link(actor: Actor) -> None:
        if not text:
            actions.unlink_same_machine(actor, server_id)
            return
        found = fleet.servers_visible_to(actor).filter(label__iexact=text).exclude(pk=server_id)
        other = found.order_by("pk").first()
        if other is None:
            raise BadInput(f"No server of yours is called {text}.", field="label")
        actions.link_same_machine(actor, server_id, other.pk)

    return _do(request, server_id, link, "Linked" if text else "No longer linked")


@require_POST
def allocate(request: HttpRequest, server_id: int) -> HttpResponse:
    """Gives the server to an organisation directly below."""
    receiver = request.POST.get("receiver_id", "")

    def give(actor: Actor) -> None:
        if not (receiver.isascii() and receiver.isdigit()):
            raise BadInput("Choose an organisation.", field="receiver_id")
        price = _price(request.POST.get("price", ""))
        currency = request.POST.get("currency", "EUR")[:3] if price is not None else ""
        actions.allocate(
            actor, server_id, int(receiver[:18]), price=price, currency=currency, key=key_of(request)
        )

    address = reverse("admin-server-permissions", args=[server_id])
    return _do(request, server_id, give, "Allocated", address)


def _price(text: str) -> Decimal | None:
    if not text.strip():
        return None
    try:
        amount = Decimal(text.strip().replace(",", "."))
    except InvalidOperation as error:
        raise BadInput("Write an amount such as 79.00.", field="price") from error
    if not amount.is_finite() or not 0 <= amount < 10_000_000:
        raise BadInput("Write an amount from 0 to 9,999,999.99.", field="price")
    return amount.quantize(Decimal("0.01"))


@require_POST
def end_allocation(request: HttpRequest, allocation_id: int) -> HttpResponse:
    actor = actor_of(request)
    allocation = fleet.allocations_visible_to(actor).filter(pk=allocation_id).first()
    if allocation is None:
        raise NotHere
    return _do(
        request,
        allocation.server_id,
        lambda one: actions.end_allocation(one, allocation_id, key=key_of(request)),
        "The allocation has ended.",
        reverse("admin-server-permissions", args=[allocation.server_id]),
    )
