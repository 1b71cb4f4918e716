"""What the pages of one server answer, whoever looks: views.py and machines.py say who, and what the page is about."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from doublehop.bandwidth.queries import has_bandwidth
from doublehop.fleet import actions as fleet_actions
from doublehop.fleet import queries as fleet
from doublehop.fleet.permissions import Right
from doublehop.organisations import queries as organisations
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import BadInput, NotHere, Refusal
from doublehop.panels.client.presenting import AddressLine, Glance
from doublehop.panels.client.progress import cost_of
from doublehop.panels.client.subjects import CLIENT_KINDS, address_lines, page_of
from doublehop.panels.gates import actor_of, key_of
from doublehop.panels.refusals import back_with
from doublehop.panels.traffic import Terms, TrafficCard, traffic_card, traffic_csv, traffic_data
from doublehop.panels.usage import UsageCard, terms_of, usage_card
from doublehop.services import actions
from doublehop.services.actions import counting
from doublehop.services.lifecycle import OperationKind
from doublehop.services.queries import contracts

WATCH_AHEAD = timedelta(seconds=15)
REREAD_SECONDS = 60
"""The username is asked for again when a page opens on an older reading."""
RENAMED = "renamed"
"""In the session: the name that an address had before, until the page has offered it once."""


def frame(actor: Actor, place: str) -> dict[str, object]:
    """What the frame of every page needs. ``place`` is the present entry of the menu."""
    name = organisations.client(actor, actor.client_id).name if actor.client_id is not None else ""
    return {"place": place, "client_name": name}


@dataclass(frozen=True)
class Mistyped:
    """A name that was refused: it stands in its field again, with the reason below."""

    address: str
    name: str
    sentence: str


def show(request: HttpRequest, glance: Glance, mistyped: Mistyped | None = None) -> HttpResponse:
    actor = actor_of(request)
    page = page_of(actor, glance)
    if mistyped is not None:
        page = replace(page, addresses=[_with(mistyped, line) for line in page.addresses])
    return render(
        request,
        "panels/client/server.html",
        {
            **frame(actor, "servers"),
            "page": page,
            "card": _traffic_card(actor, request, glance),
            "usage": _usage_card(actor, glance),
            "undo": _undo(request, glance),
            **_plan(glance),
        },
        status=200 if mistyped is None else BadInput.http_status,
    )


def _plan(glance: Glance) -> dict[str, str]:
    """``cost`` and ``allowance`` of what was bought; nothing where nobody bought anything."""
    service = glance.service
    if service is None:
        return {}
    return {
        "cost": cost_of(service, service.product.cycle),
        "allowance": contracts.allowance(service.product_id),
    }


def _with(mistyped: Mistyped, line: AddressLine) -> AddressLine:
    if line.address != mistyped.address:
        return line
    return replace(line, typed=mistyped.name, error=mistyped.sentence)


def _undo(request: HttpRequest, glance: Glance) -> dict[str, str] | None:
    """{"address", "name"} to set again, right after a change on this page."""
    kept = request.session.get(RENAMED)
    if kept is None or kept["page"] != glance.at.page:
        return None
    del request.session[RENAMED]
    return {"address": kept["address"], "name": kept["name"]}


# ---------------------------------------------------------------- while the page is open


def live(request: HttpRequest, glance: Glance) -> HttpResponse:
    """What changed while the page is open: 304, or the state with its age, or every fragment."""
    actor = actor_of(request)
    known = request.headers.get("If-None-Match", "").strip('"')
    if glance.server is not None:
        if request.GET.get("waiting"):
            return HttpResponse(headers={"HX-Refresh": "true"})  # the page was drawn without a machine
        _watch(actor, glance.server)
        if not known:
            _read_again_if_old(actor, glance.server)
    tag = f"{glance.shape}-{glance.reading}"
    if known == tag:
        return HttpResponse(status=304)
    whole = known.partition("-")[0] != glance.shape
    page = page_of(actor, glance) if whole else glance
    response = render(request, "panels/client/live.html", {"page": page, "whole": whole, "oob": True})
    response["ETag"] = f'"{tag}"'
    return response


def _watch(actor: Actor, machine: Any) -> None:
    # Asked again only when the last time runs out: each asking takes the database's one lock for writing.
    if machine.watched_until is None or machine.watched_until - timezone.now() < WATCH_AHEAD:
        fleet_actions.watch(actor, machine.pk)


def _read_again_if_old(actor: Actor, machine: Any) -> None:
    now = timezone.now()
    for moment in (machine.username_read_at, machine.refresh_asked_at):
        if moment is not None and (now - moment).total_seconds() < REREAD_SECONDS:
            return
    fleet_actions.ask_refresh(actor, machine.pk)


def read_again(request: HttpRequest, glance: Glance) -> HttpResponse:
    if glance.server is not None:
        fleet_actions.ask_refresh(actor_of(request), glance.server.pk)
    if getattr(request, "htmx", False):
        return HttpResponse(status=204)
    return HttpResponseRedirect(glance.at.page)


# ---------------------------------------------------------------- what is pressed


def act(request: HttpRequest, glance: Glance) -> HttpResponse:
    """A pressed button. ``key`` makes a form that is sent twice act once."""
    kind = request.POST.get("kind", "")
    if kind not in CLIENT_KINDS:
        raise NotHere
    try:
        _ask(request, glance, OperationKind(kind), graceful=request.POST.get("graceful", "yes") == "yes")
    except Refusal as refusal:
        return back_with(request, refusal, glance.at.page)
    messages.success(request, "Asked for. Its progress stands on this page.")
    return HttpResponseRedirect(glance.at.page)


def _ask(request: HttpRequest, glance: Glance, kind: OperationKind, **more: Any) -> None:
    if glance.service is not None:
        target = {"service_id": glance.service.pk}
    else:
        target = {"server_id": glance.server.pk}
    actions.request(actor_of(request), kind, **target, idempotency_key=key_of(request), **more)


def take_back(request: HttpRequest, glance: Glance) -> HttpResponse:
    try:
        actions.cancel(actor_of(request), request.POST.get("reference", ""))
    except Refusal as refusal:
        return back_with(request, refusal, glance.at.page)
    messages.success(request, "Taken back. Nothing was sent.")
    return HttpResponseRedirect(glance.at.page)


def set_name(request: HttpRequest, glance: Glance) -> HttpResponse:
    """The name of one address; an empty one removes it. What it was before is offered once on the page that follows."""
    if glance.server is None:
        raise NotHere
    address, name = request.POST.get("address", "").strip(), request.POST.get("name", "")
    lines = {line.address: line for line in address_lines(actor_of(request), glance)}
    try:
        _ask(request, glance, OperationKind.SET_RDNS, parameters={"address": address, "name": name})
    except BadInput as refusal:
        if refusal.field != "name":
            return back_with(request, refusal, glance.at.page)
        return show(request, glance, Mistyped(address, name[:300], refusal.sentence))
    except Refusal as refusal:
        return back_with(request, refusal, glance.at.page)
    line = lines[address]
    before = line.rdns if line.pending is None else line.pending
    if before != name.strip().lower().removesuffix("."):
        request.session[RENAMED] = {"page": glance.at.page, "address": address, "name": before}
    messages.success(request, "Asked for. It stands beside the address when it is set.")
    return HttpResponseRedirect(glance.at.page)


# ---------------------------------------------------------------- bandwidth


def choose_alerts(request: HttpRequest, service_id: int) -> HttpResponse:
    """At which shares of what is included the client wants a mail."""
    actor = actor_of(request)
    address = f"{reverse('client-server', args=[service_id])}#usage"
    try:
        counting.choose_alerts(actor, service_id, request.POST.get("percents", "")[:100])
    except Refusal as refusal:
        return back_with(request, refusal, address)
    messages.success(request, "Saved")
    return HttpResponseRedirect(address)


def bandwidth(request: HttpRequest, glance: Glance) -> HttpResponse:
    """A page of its own, for the time in which the server is theirs."""
    actor = actor_of(request)
    card = _traffic_card(actor, request, glance)
    if card is None:
        raise NotHere
    return render(
        request,
        "panels/client/bandwidth.html",
        {
            **frame(actor, "servers"),
            "page": glance,
            "card": card,
            "usage": _usage_card(actor, glance),
            "since": _held_since(actor, glance),
            "whole_table": True,
            **_plan(glance),
        },
    )


def _held_since(actor: Actor, glance: Glance) -> datetime:
    return min(since for since, _ in fleet.permission_windows(actor, glance.server.pk))


def bandwidth_json(request: HttpRequest, glance: Glance) -> HttpResponse:
    actor = actor_of(request)
    return traffic_data(actor, _measured(glance), request, terms=_terms(actor, glance))


def bandwidth_csv(request: HttpRequest, glance: Glance) -> HttpResponse:
    actor = actor_of(request)
    return traffic_csv(actor, _measured(glance), request, name=glance.name, terms=_terms(actor, glance))


def _terms(actor: Actor, glance: Glance) -> Terms:
    return terms_of(actor, glance.service.pk if glance.service is not None else None, timezone.now())


def _usage_card(actor: Actor, glance: Glance) -> UsageCard | None:
    """Only whoever holds the service reads what it costs, and only with the right to see its bandwidth."""
    if glance.service is None or Right.BANDWIDTH not in glance.rights:
        return None
    return usage_card(actor, glance.service, alerts_url=reverse("client-alerts", args=[glance.service.pk]))


def _measured(glance: Glance) -> int:
    """The id of a server whose bandwidth may be seen. Raises NotHere."""
    if glance.server is None or Right.BANDWIDTH not in glance.rights:
        raise NotHere
    return int(glance.server.pk)


def _traffic_card(actor: Actor, request: HttpRequest, glance: Glance) -> TrafficCard | None:
    """None where nothing is counted, or where they have no right to see it."""
    server = glance.server
    if server is None or Right.BANDWIDTH not in glance.rights or not has_bandwidth(actor, server.pk):
        return None
    return traffic_card(
        actor,
        server.pk,
        request,
        name=glance.name,
        data_url=glance.at.bandwidth_json,
        csv_url=glance.at.bandwidth_csv,
        terms=_terms(actor, glance),
    )
