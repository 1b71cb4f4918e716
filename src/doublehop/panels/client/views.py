"""The lists of servers: a client's services, or the machines of a user without services. Foreign things are not there."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from doublehop.fleet import queries as fleet
from doublehop.panels.client import pages
from doublehop.panels.client.presenting import Card
from doublehop.panels.client.subjects import machine_cards, service_cards
from doublehop.panels.gates import actor_of, client_only, tandem_only
from doublehop.services import queries
from doublehop.services.queries import store

PAGE = 25


@require_GET
@client_only
def servers(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    rows = queries.services_visible_to(actor).order_by("number")
    found = list(rows.filter(number__gt=_after(request))[: PAGE + 1])
    cards = service_cards(actor, found[:PAGE])
    following = found[PAGE - 1].number if len(found) > PAGE else 0
    return _list(request, cards, following, may_order=bool(store.store(actor)))


@require_GET
@tandem_only
def machines(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    found = list(fleet.servers_visible_to(actor).filter(pk__gt=_after(request)).order_by("pk")[: PAGE + 1])
    following = found[PAGE - 1].pk if len(found) > PAGE else 0
    return _list(request, machine_cards(actor, found[:PAGE]), following)


def _after(request: HttpRequest) -> int:
    text = request.GET.get("after", "")
    return int(text[:9]) if text.isascii() and text.isdigit() else 0


def _list(request: HttpRequest, cards: list[Card], following: int, **more: object) -> HttpResponse:
    context = {
        **pages.frame(actor_of(request), "servers"),
        "cards": cards,
        "suspended": sum(1 for card in cards if card.suspension),
        "overdue": sum(1 for card in cards if card.due and card.due.days_late and not card.suspension),
        "first": not request.GET.get("after"),
        "next": f"?after={following}" if following else "",
    }
    return render(request, "panels/client/servers.html", {**context, **more})
