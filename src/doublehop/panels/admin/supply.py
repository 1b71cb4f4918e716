"""Orders: services of clients that wait for a server, and what resellers below ask for."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from doublehop.fleet.queries import free_servers
from doublehop.organisations.actor import Actor
from doublehop.organisations.queries import organisations_visible_to
from doublehop.organisations.refusals import NotHere, Refusal
from doublehop.panels.admin.finding import ids_of, servers_matching, words_of
from doublehop.panels.admin.frame import show
from doublehop.panels.gates import actor_of, key_of
from doublehop.panels.keyset import page_of
from doublehop.panels.refusals import back_with
from doublehop.services import queries
from doublehop.services.actions import supply as actions
from doublehop.services.lifecycle import ServiceStatus
from doublehop.services.queries.supply import supply_orders_for, waiting_supply

MOST_LISTED = 100
"""Waiting ones shown on one page, oldest first: whoever has more begins at the top."""
MOST_OFFERED = 100
"""Servers in the menu before one has to search."""


@require_GET
def orders(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    waiting = list(waiting_supply(actor)[: MOST_LISTED + 1])
    pending = list(
        queries.services_visible_to(actor)
        .select_related("product__server_group")
        .filter(status=ServiceStatus.PENDING)
        .order_by("number")[: MOST_LISTED + 1]
    )
    settled = supply_orders_for(actor).exclude(state="waiting")
    context = {
        "waiting": waiting[:MOST_LISTED],
        "pending": pending[:MOST_LISTED],
        "more_waiting": len(waiting) > MOST_LISTED,
        "more_pending": len(pending) > MOST_LISTED,
        "most": MOST_LISTED,
        "page": page_of(settled, request.GET, by="-pk"),
        "has_below": organisations_visible_to(actor).filter(parent_id=actor.organisation_id).exists(),
    }
    return show(request, "orders.html", context)


def _asked(actor: Actor, supply_order_id: int) -> Any:
    row = supply_orders_for(actor).filter(pk=supply_order_id).first()
    if row is None:
        raise NotHere
    return row


@require_GET
def order(request: HttpRequest, supply_order_id: int) -> HttpResponse:
    """One request of a reseller, with what answers it."""
    actor = actor_of(request)
    row = _asked(actor, supply_order_id)
    context: dict[str, Any] = {"order": row, "is_open": row.state == "waiting"}
    if context["is_open"] and row.kind == "order":
        context |= _fitting(actor, row, words_of(request.GET.get("find", "")))
    return show(request, "supply_order.html", context)


def _fitting(actor: Actor, row: Any, find: str) -> dict[str, Any]:
    """Free servers: those of the offer's server group are suggested, the others follow."""
    group = row.offer.server_group if row.offer is not None else None
    free = servers_matching(free_servers(actor), find)
    suggested = list(free.filter(groups=group)[:MOST_OFFERED]) if group is not None else []
    others = free.exclude(pk__in=[one.pk for one in suggested])[: MOST_OFFERED + 1]
    listed = list(others)
    return {
        "group": group,
        "suggested": [(one.pk, _option(one)) for one in suggested],
        "others": [(one.pk, _option(one)) for one in listed[:MOST_OFFERED]],
        "more": len(listed) > MOST_OFFERED,
        "find": find,
    }


def _option(server: Any) -> str:
    return ", ".join(filter(None, (server.label, server.hostname, server.primary_address)))


def _answer(request: HttpRequest, supply_order_id: int, deed: Any, done: str) -> HttpResponse:
    actor = actor_of(request)
    row = _asked(actor, supply_order_id)
    address = reverse("admin-supply-order", args=[supply_order_id])
    try:
        deed(actor)
    except Refusal as refusal:
        return back_with(request, refusal, address)
    messages.success(request, done.format(order=row, asker=row.organisation.name))
    return HttpResponseRedirect(reverse("admin-orders"))


@require_POST
def fill(request: HttpRequest, supply_order_id: int) -> HttpResponse:
    chosen = ids_of(request.POST.getlist("server_id"), 1)
    if not chosen:
        _asked(actor_of(request), supply_order_id)
        messages.error(request, "Choose a server to fill the order with.")
        return HttpResponseRedirect(reverse("admin-supply-order", args=[supply_order_id]))
    return _answer(
        request,
        supply_order_id,
        lambda actor: actions.fill_supply(actor, supply_order_id, chosen[0], key=key_of(request)),
        "{order} of {asker} is filled",
    )


@require_POST
def refuse(request: HttpRequest, supply_order_id: int) -> HttpResponse:
    why = request.POST.get("reason", "")
    return _answer(
        request,
        supply_order_id,
        lambda actor: actions.refuse_supply(actor, supply_order_id, why, key=key_of(request)),
        "{order} of {asker} is refused",
    )


@require_POST
def accept(request: HttpRequest, supply_order_id: int) -> HttpResponse:
    return _answer(
        request,
        supply_order_id,
        lambda actor: actions.accept_cancellation(actor, supply_order_id, key=key_of(request)),
        "{order} of {asker} is accepted: the server is back",
    )
