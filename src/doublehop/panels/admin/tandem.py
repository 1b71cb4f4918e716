"""Leap > Tandem > Tandem Users: the list in the left-side pane, one user, and who they are."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from doublehop.fleet import actions as fleet_actions
from doublehop.fleet import queries as fleet
from doublehop.fleet.permissions import Right
from doublehop.organisations import actions, queries
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import Refusal
from doublehop.panels.admin.finding import servers_matching, words_of
from doublehop.panels.admin.forms import Filled, typed
from doublehop.panels.admin.frame import require_provider, show
from doublehop.panels.admin.presenting import states_of
from doublehop.panels.gates import actor_of, key_of
from doublehop.panels.keyset import page_of
from doublehop.panels.refusals import back_with

MOST_USERS = 100
"""Users listed before one has to search."""
COLUMNS: dict[Right, str] = {
    Right.POWER: "Power",
    Right.RDNS: "Reverse DNS",
    Right.BANDWIDTH: "Bandwidth",
    Right.CREDENTIALS: "Username",
    Right.RESCUE: "Rescue",
    Right.CONSOLE: "Console",
    Right.REINSTALL: "Reinstall",
}
"""What may be ticked for each server; to see it comes with every permission."""
BULK_ACTIONS = (("rights", "Change rights…"), ("take-away", "Take away…"))


def address_of(tandem_user_id: int) -> str:
    return reverse("admin-tandem-user", args=[tandem_user_id])


def rights_in_brief(rights: Iterable[str]) -> str:
    """ "View, power, reverse DNS": the words of the boxes that give them."""
    held = set(rights)
    return ", ".join(
        ["View", *(text[0].lower() + text[1:] for right, text in COLUMNS.items() if right in held)]
    )


def pane(
    request: HttpRequest, template: str, context: Mapping[str, Any], *, chosen: Any = None, status: int = 200
) -> HttpResponse:
    """A page of *Tandem Users*: the list of users stands at the left of each."""
    actor = actor_of(request)
    find = words_of(request.GET.get("find", ""))
    rows = queries.tandem_users_visible_to(actor)
    if find:
        rows = rows.filter(Q(user__name__icontains=find) | Q(user__email__icontains=find))
    listed = list(rows[: MOST_USERS + 1])
    shown = listed[:MOST_USERS]
    counts = fleet.tandem_server_counts(actor, [row.pk for row in (*shown, chosen) if row is not None])
    shared = {
        "users": [(row, counts.get(row.pk, 0)) for row in shown],
        "more_users": len(listed) > MOST_USERS,
        "find": find,
        "chosen": chosen,
        "permitted": counts.get(chosen.pk, 0) if chosen is not None else 0,
    }
    return show(request, template, {**shared, **context}, status=status)


@require_GET
def users(request: HttpRequest) -> HttpResponse:
    require_provider(actor_of(request))
    return pane(request, "tandem_users.html", {})


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """*Add New User*: name, e-mail, password, *Submit*."""
    actor = actor_of(request)
    require_provider(actor)
    form = Filled({"name": "", "email": "", "password": ""})
    if request.method == "POST":
        form = typed(request.POST, form.values, secret=["password"])
        try:
            row = actions.add_tandem_user(
                actor,
                name=form.values["name"],
                email=form.values["email"],
                password=request.POST.get("password", ""),
                key=key_of(request),
            )
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, f"{row.user.name} is added. Now add server permissions.")
            return HttpResponseRedirect(address_of(row.pk))
    return pane(request, "tandem_user_new.html", {"form": form}, status=form.status)


@require_GET
def user(request: HttpRequest, tandem_user_id: int) -> HttpResponse:
    """What one user may use, and what it may do there."""
    actor = actor_of(request)
    require_provider(actor)
    row = queries.tandem_user(actor, tandem_user_id)
    words = words_of(request.GET.get("q", ""))
    page = page_of(servers_matching(fleet.tandem_servers(actor, row.pk), words), request.GET, by="label")
    context = {
        "page": page,
        "lines": _lines(actor, row.pk, page.rows),
        "words": words,
        "bulk_actions": BULK_ACTIONS,
    }
    return pane(request, "tandem_user.html", context, chosen=row)


def _lines(actor: Actor, tandem_user_id: int, servers: list[Any]) -> list[dict[str, Any]]:
    states = states_of(actor, servers)
    held = fleet.tandem_permissions(actor, tandem_user_id).filter(server_id__in=[row.pk for row in servers])
    permissions = {one.server_id: one for one in held}
    return [
        {
            "server": row,
            "state": states[row.pk],
            "permission": permissions.get(row.pk),
            "rights": rights_in_brief(permissions[row.pk].rights) if row.pk in permissions else "",
        }
        for row in servers
    ]


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, tandem_user_id: int) -> HttpResponse:
    actor = actor_of(request)
    require_provider(actor)
    row = queries.tandem_user(actor, tandem_user_id)
    form = Filled({"name": row.user.name, "email": row.user.email, "password": ""})
    if request.method == "POST":
        form = typed(request.POST, form.values, secret=["password"])
        try:
            actions.edit_tandem_user(
                actor,
                tandem_user_id,
                name=form.values["name"],
                email=form.values["email"],
                password=request.POST.get("password", ""),
            )
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, "Saved")
            return HttpResponseRedirect(address_of(tandem_user_id))
    return pane(request, "tandem_user_edit.html", {"form": form}, chosen=row, status=form.status)


@require_POST
def delete(request: HttpRequest, tandem_user_id: int) -> HttpResponse:
    actor = actor_of(request)
    require_provider(actor)
    name = queries.tandem_user(actor, tandem_user_id).user.name
    try:
        fleet_actions.end_tandem_user(actor, tandem_user_id)
    except Refusal as refusal:
        return back_with(request, refusal, address_of(tandem_user_id))
    messages.success(request, f"{name} is deleted")
    return HttpResponseRedirect(reverse("admin-tandem"))
