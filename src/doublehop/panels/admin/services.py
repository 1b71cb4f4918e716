"""One client's Products/Services: the service form, its server, and the commands."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from doublehop.fleet import actions as fleet_actions
from doublehop.fleet import queries as fleet
from doublehop.organisations import queries as organisations
from doublehop.organisations.actor import Actor, Duty
from doublehop.organisations.refusals import NotHere, Refusal
from doublehop.panels.admin import commands
from doublehop.panels.admin.bought import service_card
from doublehop.panels.admin.clients import frame_of
from doublehop.panels.admin.forms import Filled, typed
from doublehop.panels.admin.frame import show
from doublehop.panels.admin.live import fragments
from doublehop.panels.admin.products import number
from doublehop.panels.admin.servers_menu import menu_of
from doublehop.panels.admin.service_panel import CUSTOM, LIVE, as_stored, panel_of
from doublehop.panels.gates import actor_of, key_of
from doublehop.panels.refusals import back_with
from doublehop.panels.usage import usage_card
from doublehop.services import actions, queries
from doublehop.services.queries import contracts
from doublehop.services.queries.billing import payments_of

MOST_LISTED = 200
"""Services in the select of one client."""
MOST_PAYMENTS = 24
_FIELDS = ("server_id", "hostname", "username")


def address_of(service: Any) -> str:
    return reverse("admin-client-service", args=[service.client_id, service.pk])


@require_GET
def open_service(request: HttpRequest, service_id: int) -> HttpResponse:
    return HttpResponseRedirect(address_of(queries.service(actor_of(request), service_id)))


@require_GET
def of_client(request: HttpRequest, client_id: int) -> HttpResponse:
    """The first service of a client; or the word that there is none."""
    actor = actor_of(request)
    client = organisations.client(actor, client_id)
    rows = queries.services_visible_to(actor).filter(client_id=client.pk).order_by("number")
    chosen = number(request.GET.get("service", ""))
    row = rows.filter(pk=chosen).first() if chosen is not None else rows.first()
    if row is not None:
        return HttpResponseRedirect(address_of(row))
    return show(request, "client_no_service.html", frame_of(actor, client, "services"))


@require_GET
def service(request: HttpRequest, client_id: int, service_id: int) -> HttpResponse:
    actor = actor_of(request)
    row = queries.service(actor, service_id)
    if row.client_id != client_id:
        raise NotHere
    form = as_stored(row)
    # What was chosen and not saved stays chosen while the list is searched.
    form.values["server_id"] = request.GET.get("server_id", form.values["server_id"])
    return _page(request, actor, row, form)


def _page(request: HttpRequest, actor: Actor, row: Any, form: Filled) -> HttpResponse:
    siblings = list(
        queries.services_visible_to(actor).filter(client_id=row.client_id).order_by("number")[:MOST_LISTED]
    )
    context = {
        **frame_of(actor, row.client, "services"),
        **panel_of(actor, row, form, _words(request)),
        "siblings": siblings,
        "place": next((index for index, one in enumerate(siblings, 1) if one.pk == row.pk), 0),
        "custom_fields": _custom_fields(row, form),
        "payments": payments_of(actor, row.pk)[:MOST_PAYMENTS],
        "today": timezone.localdate().isoformat(),
        "allowance": contracts.allowance(row.product_id),
        "usage": usage_card(actor, row),
        **service_card(actor, row),
    }
    return show(request, "service.html", context, status=form.status)


def _words(request: HttpRequest) -> str:
    return request.GET.get("find", "").strip()[:60]


def _custom_fields(row: Any, form: Filled) -> list[dict[str, Any]]:
    return [
        {
            "name": CUSTOM + field["key"],
            "label": field["label"],
            "value": form.values.get(CUSTOM + field["key"], ""),
            "error": form.errors.get(CUSTOM + field["key"], ""),
            "hint": "Asked of the client." if field["asked"] == "client" else "",
        }
        for field in row.product.custom_fields
    ]


@require_POST
def save(request: HttpRequest, service_id: int) -> HttpResponse:
    """*Save Changes*. Swapping and detaching are asked about first."""
    actor = actor_of(request)
    row = queries.service(actor, service_id)
    custom = [CUSTOM + field["key"] for field in row.product.custom_fields]
    form = typed(request.POST, (*_FIELDS, *custom))
    server_id = number(form.values["server_id"])
    menu = menu_of(actor, row, _words(request))
    if not menu.allows(server_id, row.server_id):
        form.errors["server_id"], form.status = menu.waits, 409
        return _page(request, actor, row, form)
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
            custom_values={name.removeprefix(CUSTOM): form.values[name] for name in custom},
            key=key_of(request),
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
    kept |= {name: text for name, text in form.values.items() if name.startswith(CUSTOM)}
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
    had = request.GET.get("had")
    if had is not None and had != str(row.server_id or ""):
        # Somebody else attached or took away a server: hardly anything of the open page is still so.
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    if row.server_id is not None:
        fleet_actions.watch(actor, row.server_id)
    return fragments(request, LIVE, panel_of(actor, row, as_stored(row), _words(request)))


@require_POST
def refresh(request: HttpRequest, service_id: int) -> HttpResponse:
    """*Refresh* and *Test again*: reads the list of servers, and the attached one."""
    actor = actor_of(request)
    row = queries.service(actor, service_id)
    told = "Asked for. The new values appear here in a moment."
    try:
        if row.server_id is not None:
            fleet_actions.ask_refresh(actor, row.server_id)
        asked = _ask_lists(actor, row)
    except Refusal as refusal:
        return back_with(request, refusal, address_of(row))
    if row.server_id is None and not asked:
        told = "What is allocated to you stands in this list at once."
    messages.success(request, told)
    return HttpResponseRedirect(address_of(row))


def _ask_lists(actor: Actor, row: Any) -> int:
    """The module's own list; without a module, those of all our upstreams. How many were asked for."""
    if row.product.upstream_id is not None:
        fleet_actions.ask_sync(actor, row.product.upstream_id)
        if actor.has(Duty.SET_UP):
            fleet_actions.ask_test(actor, row.product.upstream_id)
        return 1
    if row.server_id is not None:
        return 0
    upstreams = list(fleet.upstreams_visible_to(actor)[:20])
    for upstream in upstreams:
        fleet_actions.ask_sync(actor, upstream.pk)
    return len(upstreams)
