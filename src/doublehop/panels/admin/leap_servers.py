"""Leap > Servers: what the organisation above has given, and asking for the end of it."""

from typing import Any

from django.contrib import messages
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from doublehop.fleet import queries as fleet
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import NotHere, Refusal
from doublehop.panels.admin.finding import servers_matching, words_of
from doublehop.panels.admin.forms import Filled, typed
from doublehop.panels.admin.frame import require_provider, show
from doublehop.panels.admin.presenting import state_now, states_of
from doublehop.panels.gates import actor_of, key_of
from doublehop.panels.keyset import page_of, sort_of
from doublehop.services import queries
from doublehop.services.actions import supply as actions
from doublehop.services.queries.supply import supply_orders_of


@require_GET
def servers(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    require_provider(actor)
    words = words_of(request.GET.get("q", ""))
    received = Exists(_received(actor).filter(server_id=OuterRef("pk")))
    rows = servers_matching(fleet.servers_visible_to(actor).filter(received), words)
    sort = sort_of(request.GET, ("label", "primary_address"))
    page = page_of(rows, request.GET, by=sort)
    context = {"page": page, "lines": _lines(actor, page.rows), "sort": sort, "words": words}
    return show(request, "leap_servers.html", context)


def _received(actor: Actor) -> Any:
    return (
        fleet.allocations_visible_to(actor)
        .filter(receiver_id=actor.organisation_id, until__isnull=True)
        .order_by()
    )


def _lines(actor: Actor, shown: list[Any]) -> list[dict[str, Any]]:
    """Each server with what is known of it here: one query for each column, however many rows there are."""
    ids = [row.pk for row in shown]
    states = states_of(actor, shown)
    services = queries.services_of_servers(actor, ids)
    tandem = fleet.tandem_users_of_servers(actor, ids)
    received = {one.server_id: one for one in _received(actor).filter(server_id__in=ids)}
    passed_on = fleet.allocations_visible_to(actor).filter(
        giver_id=actor.organisation_id, until__isnull=True, server_id__in=ids
    )
    given = {one.server_id: one for one in passed_on}
    ending = {one.server_id: one for one in _ending(actor).filter(server_id__in=ids)}
    return [
        {
            "server": row,
            "state": states[row.pk],
            "allocation": received.get(row.pk),
            "service": services.get(row.pk),
            "given": given.get(row.pk),
            "tandem": tandem.get(row.pk, []),
            "ending": ending.get(row.pk),
        }
        for row in shown
    ]


def _ending(actor: Actor) -> Any:
    return supply_orders_of(actor).filter(kind="cancel", state="waiting")


@require_http_methods(["GET", "POST"])
def end(request: HttpRequest, server_id: int) -> HttpResponse:
    """*Ask for its end…*: what that means, a reason, and the request to the organisation above."""
    actor = actor_of(request)
    require_provider(actor)
    server = fleet.server(actor, server_id)
    allocation = _received(actor).filter(server_id=server_id).first()
    if allocation is None:
        raise NotHere
    form = Filled({"reason": "", "note": ""})
    if request.method == "POST":
        form = typed(request.POST, form.values)
        try:
            order = actions.ask_cancellation(
                actor,
                server_id,
                reason=form.values["reason"],
                note=form.values["note"],
                key=key_of(request),
            )
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, f"Asked: {order} waits for {allocation.giver.name}")
            return HttpResponseRedirect(reverse("admin-leap-servers"))
    context = {
        "server": server,
        "allocation": allocation,
        "state": state_now(actor, server),
        "service": queries.service_of_server(actor, server_id),
        "ending": _ending(actor).filter(server_id=server_id).first(),
        "form": form,
    }
    return show(request, "leap_server_end.html", context, status=form.status)
