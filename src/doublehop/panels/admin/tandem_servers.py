"""Which servers a Tandem user may use: *Add Server Permissions*, other rights on those it has, and taking them away."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.views.decorators.http import require_http_methods

from doublehop.fleet import actions as fleet_actions
from doublehop.fleet import queries as fleet
from doublehop.fleet.permissions import TANDEM_RIGHTS
from doublehop.organisations import queries
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import NotHere, Refusal
from doublehop.panels.admin.finding import ids_of, servers_matching, words_of
from doublehop.panels.admin.forms import Filled
from doublehop.panels.admin.frame import count_up_to, require_provider
from doublehop.panels.admin.presenting import states_of
from doublehop.panels.admin.tandem import COLUMNS, address_of, pane
from doublehop.panels.gates import actor_of

MOST_OFFERED = 50
"""Servers offered for a tick before one has to filter; those that are ticked stay in the list."""
MOST_TICKED = 200
MOST_COUNTED = 1000
NOTHING_TICKED = "Tick at least one server."


def usual_rights_in_words() -> str:
    """ "view, power, reverse DNS and bandwidth": what a tick alone gives."""
    words = [
        "view",
        *(text[0].lower() + text[1:] for right, text in COLUMNS.items() if right in TANDEM_RIGHTS),
    ]
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _rights_rows(
    servers: list[Any], rights: Mapping[int, Any]
) -> list[tuple[Any, list[tuple[str, str, bool]]]]:
    """Each server with (right, word, ticked?) for every column."""
    return [
        (
            server,
            [
                (right.value, text, right.value in rights.get(server.pk, TANDEM_RIGHTS))
                for right, text in COLUMNS.items()
            ],
        )
        for server in servers
    ]


def _typed_rights(post: QueryDict, server_ids: list[int]) -> dict[int, tuple[str, ...]]:
    """The rights ticked for each server; the usual ones where the page did not ask."""
    asked = set(ids_of(post.getlist("asked"), MOST_TICKED + MOST_OFFERED))
    usual = tuple(right.value for right in TANDEM_RIGHTS)
    return {pk: tuple(post.getlist(f"right-{pk}")) if pk in asked else usual for pk in server_ids}


def _permit(actor: Actor, tandem_user_id: int, rights: Mapping[int, tuple[str, ...]]) -> int:
    """All of it or nothing. Answers with how many servers changed."""
    alike: dict[tuple[str, ...], list[int]] = {}
    for server_id, names in rights.items():
        alike.setdefault(names, []).append(server_id)
    with transaction.atomic():
        return sum(
            fleet_actions.permit_tandem(actor, tandem_user_id, ids, names) for names, ids in alike.items()
        )


def _servers(count: int) -> str:
    return f"{count} server{'' if count == 1 else 's'}"


@require_http_methods(["GET", "POST"])
def add(request: HttpRequest, tandem_user_id: int) -> HttpResponse:
    """*Add Server Permissions*: tick servers, *Apply Permissions*."""
    actor = actor_of(request)
    require_provider(actor)
    row = queries.tandem_user(actor, tandem_user_id)
    data = request.POST if request.method == "POST" else request.GET
    ticked = ids_of(data.getlist("server"), MOST_TICKED)
    form = Filled({"server": "", "rights": ""})
    rights: dict[int, tuple[str, ...]] = {}
    if request.method == "POST":
        rights = _typed_rights(request.POST, ticked)
        if not ticked:
            form.errors["server"], form.status = NOTHING_TICKED, 422
        else:
            try:
                _permit(actor, tandem_user_id, rights)
            except Refusal as refusal:
                form.refuse(refusal)
            else:
                messages.success(request, f"{row.user.name} may use {_servers(len(ticked))} more")
                return HttpResponseRedirect(address_of(tandem_user_id))
    context = {"form": form, **_offered(request, actor, tandem_user_id, ticked, rights)}
    return pane(request, "tandem_user_add.html", context, chosen=row, status=form.status)


def _offered(
    request: HttpRequest, actor: Actor, tandem_user_id: int, ticked: list[int], rights: Mapping[int, Any]
) -> dict[str, Any]:
    """Those ticked before the filter was typed come first, then what the filter leaves."""
    words = words_of(request.GET.get("q", ""))
    rows = fleet.permissible_servers(actor, tandem_user_id)
    kept = list(rows.filter(pk__in=ticked)) if ticked else []
    found = list(servers_matching(rows, words).exclude(pk__in=ticked)[: MOST_OFFERED + 1])
    offered = [*kept, *found[:MOST_OFFERED]]
    states = states_of(actor, offered)
    received = fleet.allocations_visible_to(actor).filter(
        receiver_id=actor.organisation_id, until__isnull=True, server_id__in=[one.pk for one in offered]
    )
    since = {one.server_id: one.since for one in received}
    chosen = {one.pk for one in kept}
    count = count_up_to(rows, MOST_COUNTED)
    return {
        "offered": [(one, states[one.pk], since.get(one.pk), one.pk in chosen) for one in offered],
        "ticked": len(kept),
        "rights_rows": _rights_rows(offered, rights),
        "columns": [(right.value, text) for right, text in COLUMNS.items()],
        "usual": usual_rights_in_words(),
        "more": len(found) > MOST_OFFERED,
        "most": MOST_OFFERED,
        "count": count,
        "count_text": f"{MOST_COUNTED:,} or more" if count == MOST_COUNTED else str(count),
        "words": words,
        "holds_any": count > 0 or fleet.held_servers(actor).exists(),
    }


@require_http_methods(["GET", "POST"])
def change(request: HttpRequest, tandem_user_id: int) -> HttpResponse:
    """Other rights on servers that the user may use already, or an end of them: a preview of which, then the deed."""
    actor = actor_of(request)
    require_provider(actor)
    row = queries.tandem_user(actor, tandem_user_id)
    data = request.POST if request.method == "POST" else request.GET
    deed = data.get("do", "")
    if deed not in {"rights", "take-away"}:
        raise NotHere
    ids = ids_of(data.getlist("server"), MOST_TICKED)
    held = list(fleet.tandem_permissions(actor, tandem_user_id).filter(server_id__in=ids))
    form = Filled({"server": "", "rights": ""})
    if not held:
        form.general, form.status = "None of these servers is permitted to this user.", 422
    elif request.method == "POST":
        try:
            done = _change(actor, tandem_user_id, deed, [one.server_id for one in held], request.POST)
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, done)
            return HttpResponseRedirect(address_of(tandem_user_id))
    servers = [one.server for one in held]
    context = {
        "form": form,
        "deed": deed,
        "servers": servers,
        "rights_rows": _rights_rows(servers, {one.server_id: one.rights for one in held}),
        "columns": [(right.value, text) for right, text in COLUMNS.items()],
    }
    return pane(request, "tandem_user_change.html", context, chosen=row, status=form.status)


def _change(actor: Actor, tandem_user_id: int, deed: str, server_ids: list[int], post: QueryDict) -> str:
    if deed == "take-away":
        return f"Taken away: {_servers(fleet_actions.revoke_tandem(actor, tandem_user_id, server_ids))}"
    changed = _permit(actor, tandem_user_id, _typed_rights(post, server_ids))
    return f"Rights changed on {_servers(changed)}"
