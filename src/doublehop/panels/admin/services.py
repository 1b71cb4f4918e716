"""One client's Products/Services: the service form, its server, and the commands."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from doublehop.fleet import actions as fleet_actions
from doublehop.fleet import queries as fleet
from doublehop.organisations import queries as organisations
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import NotHere, Refusal
from doublehop.panels.admin import commands
from doublehop.panels.admin.clients import frame_of
from doublehop.panels.admin.forms import Filled, typed
from doublehop.panels.admin.frame import reach, show
from doublehop.panels.admin.live import fragments
from doublehop.panels.admin.presenting import state_now
from doublehop.panels.gates import actor_of
from doublehop.panels.refusals import back_with
from doublehop.services import actions, queries
from doublehop.services.lifecycle import ServiceStatus

MOST_LISTED = 200
"""Servers offered in the menu, and services in the select, before one has to search."""
ENDED = frozenset({ServiceStatus.TERMINATED, ServiceStatus.CANCELLED, ServiceStatus.FRAUD})
_FIELDS = ("server_id", "hostname", "username")


def address_of(service: Any) -> str:
    return reverse("admin-client-service", args=[service.client_id, service.pk])


@dataclass(frozen=True)
class ServerMenu:
    """The *Servers list*: what may be chosen, how fresh it is, and why it is empty when it is."""

    options: list[tuple[str, str]]
    free: int
    more: bool
    read_at: Any
    refused: list[Any]
    """Upstreams of ours that refuse our login: their servers are not offered, because an old list could name the wrong one."""
    silent: list[Any]
    """Upstreams of ours that cannot be read: their servers are offered as last seen."""
    any_at_all: bool


def _menu(actor: Actor, row: Any, find: str) -> ServerMenu:
    failing = list(fleet.upstreams_visible_to(actor).filter(failing_since__isnull=False)[:20])
    refused = [one for one in failing if one.failure_code == "credentials_rejected"]
    offered = fleet.free_servers(actor).exclude(upstream_id__in=[one.pk for one in refused])
    if find:
        offered = offered.filter(label__istartswith=find)
    found: list[Any] = list(offered[: MOST_LISTED + 1])
    free = found[:MOST_LISTED]
    present = row.server
    listed = [present, *free] if present is not None else free
    read = [one.listed_at for one in listed if one.listed_at is not None]
    return ServerMenu(
        options=[("", "None"), *((str(one.pk), _option(one)) for one in listed)],
        free=len(free),
        more=len(found) > MOST_LISTED,
        read_at=min(read) if read else None,
        refused=refused,
        silent=[one for one in failing if one not in refused],
        any_at_all=bool(listed) or bool(find) or fleet.sellable_servers(actor).exists(),
    )


def _option(server: Any) -> str:
    power = server.power_state or "not read yet"
    return ", ".join(filter(None, (server.label, server.hostname, server.primary_address, power)))


def _panel(actor: Actor, row: Any) -> dict[str, Any]:
    """Everything on the page that may change while it is open."""
    server = row.server
    last = queries.last_operation(actor, server.pk) if server is not None else None
    questions = commands.drawn(queries.buttons(actor, row)) if server is not None else []
    return {
        "service": row,
        "server": server,
        "name": row.shown_hostname or (server.label if server else str(row)),
        "state": state_now(actor, server) if server is not None else None,
        "commands": commands.fitting(questions, server),
        "questions": questions,
        "suspension": queries.suspension_of(actor, row),
        "pressing": commands.pressing(last),
        "effect": commands.suspend_effect(server, row) if server is not None else "",
        "addresses": list(fleet.addresses_of(actor, server.pk)) if server is not None else [],
        "history": queries.history(actor, row, limit=8),
        "live_url": reverse("admin-service-live", args=[row.pk]),
        "act_url": reverse("admin-service-act", args=[row.pk]),
        "may": reach(actor),
    }


@require_GET
def open_service(request: HttpRequest, service_id: int) -> HttpResponse:
    return HttpResponseRedirect(address_of(queries.service(actor_of(request), service_id)))


@require_GET
def of_client(request: HttpRequest, client_id: int) -> HttpResponse:
    """The first service of a client; or the word that there is none."""
    actor = actor_of(request)
    client = organisations.client(actor, client_id)
    rows = queries.services_visible_to(actor).filter(client_id=client.pk).order_by("number")
    chosen = request.GET.get("service", "")
    row = rows.filter(pk=int(chosen[:18])).first() if chosen.isascii() and chosen.isdigit() else rows.first()
    if row is not None:
        return HttpResponseRedirect(address_of(row))
    return show(request, "client_no_service.html", frame_of(actor, client, "services"))


@require_GET
def service(request: HttpRequest, client_id: int, service_id: int) -> HttpResponse:
    actor = actor_of(request)
    row = queries.service(actor, service_id)
    if row.client_id != client_id:
        raise NotHere
    return _page(request, actor, row, _as_stored(row))


def _as_stored(row: Any) -> Filled:
    server_id = str(row.server_id) if row.server_id else ""
    return Filled({"server_id": server_id, "hostname": row.shown_hostname, "username": row.shown_username})


def _page(request: HttpRequest, actor: Actor, row: Any, form: Filled) -> HttpResponse:
    menu = _menu(actor, row, request.GET.get("find", "").strip()[:60])
    siblings = (
        queries.services_visible_to(actor).filter(client_id=row.client_id).order_by("number")[:MOST_LISTED]
    )
    context = {
        **frame_of(actor, row.client, "services"),
        **_panel(actor, row),
        "form": form,
        "menu": menu,
        "siblings": siblings,
        "has_ended": row.status in ENDED,
    }
    return show(request, "service.html", context, status=form.status)


@require_POST
def save(request: HttpRequest, service_id: int) -> HttpResponse:
    """*Save Changes*. Swapping and detaching are asked about first."""
    actor = actor_of(request)
    row = queries.service(actor, service_id)
    form = typed(request.POST, _FIELDS)
    chosen = form.values["server_id"]
    server_id = int(chosen) if chosen.isascii() and chosen.isdigit() else None
    leaving = row.server_id is not None and server_id != row.server_id
    if leaving and request.POST.get("confirm") != "1":
        return _ask(request, actor, row, server_id, form)
    try:
        actions.save_service(
            actor,
            service_id,
            server_id=server_id,
            hostname=form.values["hostname"],
            username=form.values["username"],
        )
    except NotHere:
        form.errors["server_id"] = "This server cannot be chosen any more. Choose another one."
        form.status = 409
    except Refusal as refusal:
        form.refuse(refusal)
    else:
        messages.success(request, "Saved")
        return HttpResponseRedirect(address_of(row))
    return _page(request, actor, queries.service(actor, service_id), form)


def _ask(request: HttpRequest, actor: Actor, row: Any, server_id: int | None, form: Filled) -> HttpResponse:
    chosen = fleet.free_servers(actor).filter(pk=server_id).first() if server_id else None
    old = row.server
    told = [
        f"{old.label} is free at once. It is neither switched off nor erased.",
        f"{row.client.name} does not see {old.label} any more, nor its bandwidth from now on.",
    ]
    if chosen is not None:
        told.append(f"{row.client.name} sees {chosen.label} instead.")
    else:
        told.append(f"{row} waits for a server again.")
    # What stood in the form was the old machine's; the new one fills it in.
    kept = {
        "hostname": "" if form.values["hostname"] == old.hostname else form.values["hostname"],
        "username": "" if form.values["username"] == old.username else form.values["username"],
    }
    context = {
        "heading": f"Swap {old.label} for {chosen.label}?" if chosen else f"Detach {old.label} from {row}?",
        "told": told,
        "trail": [("Clients", reverse("admin-clients")), (row.client.name, address_of(row))],
        "action": reverse("admin-service-save", args=[row.pk]),
        "hidden": [("confirm", "1"), ("server_id", server_id or ""), *kept.items()],
        "keep": f"Keep {old.label}",
        "keep_url": address_of(row),
        "go": f"Swap {old.label} for {chosen.label}" if chosen else f"Detach {old.label}",
        "danger": chosen is None,
    }
    return show(request, "confirm.html", context)


@require_POST
def act(request: HttpRequest, service_id: int) -> HttpResponse:
    """A pressed command. ``key`` makes a form that is sent twice act once."""
    actor = actor_of(request)
    row = queries.service(actor, service_id)
    return commands.press(request, actor, address_of(row), service_id=service_id)


@require_GET
def live(request: HttpRequest, service_id: int) -> HttpResponse:
    actor = actor_of(request)
    row = queries.service(actor, service_id)
    if row.server_id is not None:
        fleet_actions.watch(actor, row.server_id)
    return fragments(
        request,
        ("machine_state", "commands", "running", "address_card", "done", "status"),
        _panel(actor, row),
    )


@require_POST
def refresh(request: HttpRequest, service_id: int) -> HttpResponse:
    """Reads the list of servers again, and the attached one."""
    actor = actor_of(request)
    row = queries.service(actor, service_id)
    told = "Asked for. The new values appear here in a moment."
    try:
        if row.server_id is not None:
            fleet_actions.ask_refresh(actor, row.server_id)
        else:
            upstreams = list(fleet.upstreams_visible_to(actor)[:20])
            for upstream in upstreams:
                fleet_actions.ask_sync(actor, upstream.pk)
            told = told if upstreams else "What is allocated to you stands in this list at once."
    except Refusal as refusal:
        return back_with(request, refusal, address_of(row))
    messages.success(request, told)
    return HttpResponseRedirect(address_of(row))


@require_POST
def terminate(request: HttpRequest, service_id: int) -> HttpResponse:
    actor = actor_of(request)
    row = queries.service(actor, service_id)
    try:
        actions.terminate(actor, service_id, reason=request.POST.get("reason", ""))
    except Refusal as refusal:
        return back_with(request, refusal, address_of(row))
    messages.success(request, f"{row} is terminated. Nothing was switched off or erased.")
    return HttpResponseRedirect(address_of(row))


@require_POST
def cancel(request: HttpRequest, service_id: int) -> HttpResponse:
    """Takes back an order that still waits."""
    actor = actor_of(request)
    row = queries.service(actor, service_id)
    try:
        actions.cancel_service(actor, service_id, reason=request.POST.get("reason", ""))
    except Refusal as refusal:
        return back_with(request, refusal, address_of(row))
    messages.success(request, f"{row} is cancelled.")
    return HttpResponseRedirect(address_of(row))
