"""Servers: the list, and one server with all that is known of it."""

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from doublehop.fleet import actions as fleet_actions
from doublehop.fleet import queries as fleet
from doublehop.fleet.permissions import rights_of
from doublehop.organisations.actor import Actor
from doublehop.organisations.queries import organisations_visible_to
from doublehop.panels.admin import commands
from doublehop.panels.admin.frame import reach, show
from doublehop.panels.admin.journal import lines_page
from doublehop.panels.admin.live import fragments
from doublehop.panels.admin.presenting import rights_in_words, state_now, states_of
from doublehop.panels.gates import actor_of
from doublehop.panels.keyset import page_of, sort_of
from doublehop.services import queries

STATES = (("on", "On"), ("off", "Off"), ("unread", "Not read yet"), ("missing", "No longer listed"))
ATTACHED = (("yes", "Attached"), ("free", "Free"))
MOST_LISTED = 200
_TABS = (
    ("overview", "Overview", "admin-server"),
    ("addresses", "Addresses", "admin-server-addresses"),
    ("bandwidth", "Bandwidth", "admin-server-bandwidth"),
    ("permissions", "Permissions", "admin-server-permissions"),
    ("operations", "Operations", "admin-server-operations"),
    ("journal", "Journal", "admin-server-journal"),
)


@require_GET
def servers(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    chosen = {name: request.GET.get(name, "") for name in ("upstream", "state", "attached", "group")}
    words = request.GET.get("q", "").strip()[:120]
    rows = _filtered(actor, fleet.servers_visible_to(actor), chosen)
    if words:
        rows = rows.filter(
            Q(label__istartswith=words)
            | Q(hostname__istartswith=words)
            | Q(primary_address__startswith=words.lower())
        )
    sort = sort_of(request.GET, ("label", "primary_address"))
    page = page_of(rows, request.GET, by=sort)
    upstreams = list(fleet.upstreams_visible_to(actor).order_by("name")[:MOST_LISTED])
    context = {
        "page": page,
        "lines": _lines(actor, page.rows),
        "sort": sort,
        "chosen": chosen,
        "words": words,
        "states": STATES,
        "attached": ATTACHED,
        "upstreams": [(str(row.pk), row.name) for row in upstreams],
        "own_groups": [
            (str(row.pk), row.name) for row in fleet.server_groups_visible_to(actor)[:MOST_LISTED]
        ],
        "may_add": any(fleet.driver_card(row.driver).server_settings for row in upstreams),
        "is_filtered": bool(words or any(chosen.values())),
    }
    return show(request, "servers.html", context)


def _filtered(actor: Actor, rows: QuerySet[Any], chosen: dict[str, str]) -> QuerySet[Any]:
    if chosen["upstream"].isdigit():
        own = fleet.upstreams_visible_to(actor).filter(pk=int(chosen["upstream"][:18]))
        rows = rows.filter(upstream__in=own)
    if chosen["group"].isdigit():
        groups = fleet.server_groups_visible_to(actor).filter(pk=int(chosen["group"][:18]))
        rows = rows.filter(groups__in=groups)
    state = chosen["state"]
    if state in {"on", "off"}:
        rows = rows.filter(power_state=state)
    elif state == "unread":
        rows = rows.filter(power_read_at__isnull=True)
    elif state == "missing":
        rows = rows.filter(missing_since__isnull=False)
    if chosen["attached"]:
        ours = Exists(queries.services_visible_to(actor).filter(server_id=OuterRef("pk")))
        if chosen["attached"] == "yes":
            rows = rows.filter(ours)
        else:
            rows = rows.filter(pk__in=fleet.free_servers(actor).order_by().values("pk"))
    return rows


def _lines(actor: Actor, shown: list[Any]) -> list[dict[str, Any]]:
    """Each server with its state, its service, and to whom it was given: three queries for all of them."""
    ids = [row.pk for row in shown]
    states = states_of(actor, shown)
    services = queries.services_of_servers(actor, ids)
    given = {
        row.server_id: row
        for row in fleet.allocations_visible_to(actor).filter(
            server_id__in=ids, until__isnull=True, giver_id=actor.organisation_id
        )
    }
    return [
        {
            "server": row,
            "state": states[row.pk],
            "service": services.get(row.pk),
            "given": given.get(row.pk),
            "is_own": fleet.owns(actor, row),
        }
        for row in shown
    ]


def frame_of(actor: Actor, server: Any, tab: str) -> dict[str, Any]:
    """What stands above each tab of a server. Raises NotHere through the queries that it asks."""
    return {
        "server": server,
        "name": server.label,
        "state": state_now(actor, server),
        "is_own": fleet.owns(actor, server),
        "tabs": [(text, reverse(name, args=[server.pk]), here == tab) for here, text, name in _TABS],
        "live_url": reverse("admin-server-live", args=[server.pk]),
        "act_url": reverse("admin-server-act", args=[server.pk]),
    }


def _panel(actor: Actor, server: Any) -> dict[str, Any]:
    """Everything on the overview that may change while it is open."""
    service = queries.service_of_server(actor, server.pk)
    buttons = (
        queries.buttons(actor, service) if service is not None else queries.server_buttons(actor, server)
    )
    effect = commands.suspend_effect(server, service)
    questions = commands.drawn(buttons, server.label, effect)
    return {
        **frame_of(actor, server, "overview"),
        "service": service,
        "commands": commands.fitting(questions, server),
        "questions": questions,
        "suspension": queries.suspension_of(actor, service) if service is not None else None,
        "holds": list(fleet.holds_on(actor, server.pk)) if service is None else [],
        "pressing": commands.pressing(queries.last_operation(actor, server.pk)),
        "addresses": list(fleet.addresses_of(actor, server.pk)),
        "may": reach(actor),
    }


@require_GET
def overview(request: HttpRequest, server_id: int) -> HttpResponse:
    actor = actor_of(request)
    server = fleet.server(actor, server_id)
    is_own = fleet.owns(actor, server)
    given = fleet.allocations_visible_to(actor).filter(server_id=server_id, until__isnull=True)
    context = {
        **_panel(actor, server),
        "identifiers": fleet.identifiers_of(actor, server_id),
        "ports": fleet.ports_of(actor, server_id) if is_own else [],
        "given": given.filter(giver_id=actor.organisation_id).first(),
        "received": given.filter(receiver_id=actor.organisation_id).first(),
        "twin": _twin(actor, server) if is_own else None,
        "may_edit": is_own and bool(fleet.driver_card(server.upstream.driver).server_settings),
        "has_many_upstreams": is_own and len(fleet.upstreams_visible_to(actor)[:2]) > 1,
    }
    return show(request, "server.html", context)


def _twin(actor: Actor, server: Any) -> Any:
    if server.same_machine_as_id is None:
        return None
    return fleet.servers_visible_to(actor).filter(pk=server.same_machine_as_id).first()


@require_GET
def live(request: HttpRequest, server_id: int) -> HttpResponse:
    actor = actor_of(request)
    server = fleet.server(actor, server_id)
    fleet_actions.watch(actor, server_id)
    names = ("machine_state", "commands", "running", "address_card", "server_facts")
    return fragments(request, names, _panel(actor, server))


@require_POST
def act(request: HttpRequest, server_id: int) -> HttpResponse:
    """A command on a server; where a service of ours has it, on that service."""
    actor = actor_of(request)
    fleet.server(actor, server_id)
    service = queries.service_of_server(actor, server_id)
    address = reverse("admin-server", args=[server_id])
    if service is not None:
        return commands.press(request, actor, address, service_id=service.pk)
    return commands.press(request, actor, address, server_id=server_id)


@require_GET
def addresses(request: HttpRequest, server_id: int) -> HttpResponse:
    actor = actor_of(request)
    server = fleet.server(actor, server_id)
    listed = list(fleet.addresses_of(actor, server_id)[:1000])
    return show(
        request,
        "server_addresses.html",
        {
            **frame_of(actor, server, "addresses"),
            "addresses": listed,
            "routing": queries.null_route_button(actor, server),
        },
    )


@require_GET
def permissions(request: HttpRequest, server_id: int) -> HttpResponse:
    actor = actor_of(request)
    server = fleet.server(actor, server_id)
    below = organisations_visible_to(actor).filter(parent_id=actor.organisation_id)
    allocations = fleet.allocations_visible_to(actor).filter(server_id=server_id)
    context = {
        **frame_of(actor, server, "permissions"),
        "rights": rights_in_words(rights_of(actor, server)),
        "permissions": [
            (row, rights_in_words(row.rights)) for row in fleet.permissions_on(actor, server_id)[:MOST_LISTED]
        ],
        "allocations": list(allocations[:50]),
        "given": allocations.filter(giver_id=actor.organisation_id, until__isnull=True).first(),
        "below": [("", "Choose an organisation"), *((str(row.pk), row.name) for row in below[:MOST_LISTED])],
        "has_below": below.exists(),
    }
    return show(request, "server_permissions.html", context)


@require_GET
def server_operations(request: HttpRequest, server_id: int) -> HttpResponse:
    actor = actor_of(request)
    server = fleet.server(actor, server_id)
    rows = queries.operations_visible_to(actor).filter(server_id=server_id)
    page = page_of(rows, request.GET, by="-pk")
    return show(
        request,
        "server_operations.html",
        {**frame_of(actor, server, "operations"), "page": page, "rows": page.rows},
    )


@require_GET
def server_journal(request: HttpRequest, server_id: int) -> HttpResponse:
    actor = actor_of(request)
    server = fleet.server(actor, server_id)
    page = lines_page(request, actor, server_id=server_id)
    return show(request, "server_journal.html", {**frame_of(actor, server, "journal"), "page": page})
