"""The client's pages. Foreign things are not there; every sentence is the brand's own."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from doublehop.bandwidth.queries import has_bandwidth
from doublehop.fleet import actions as fleet_actions
from doublehop.fleet import queries as fleet
from doublehop.fleet.permissions import Right, may, rights_of
from doublehop.organisations import queries as organisations
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import NotHere, Refusal
from doublehop.panels.client.presenting import Glance, ServerPage, name_of, state_of
from doublehop.panels.gates import actor_of, client_only
from doublehop.panels.refusals import back_with
from doublehop.panels.traffic import TrafficCard, traffic_card, traffic_csv, traffic_data
from doublehop.services import actions, queries
from doublehop.services.lifecycle import OPEN_STATES, OperationKind, OperationState, ServiceStatus

PAGE = 25
CLIENT_KINDS = (
    OperationKind.REBOOT,
    OperationKind.POWER_ON,
    OperationKind.POWER_OFF,
    OperationKind.REFRESH_ADDRESSES,
)
ENDED_SECONDS = 90
WATCH_AHEAD = timedelta(seconds=15)
REREAD_SECONDS = 60
"""The username is asked for again when a page opens on an older reading."""


def client_name(actor: Actor) -> str:
    return organisations.client(actor, actor.client_id or 0).name


@require_GET
@client_only
def servers(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    rows = queries.services_visible_to(actor).order_by("number")
    after = request.GET.get("after", "")
    if after.isdigit():
        rows = rows.filter(number__gt=int(after[:9]))
    found = list(rows[: PAGE + 1])
    shown, more = found[:PAGE], len(found) > PAGE
    cards = _cards(actor, shown)
    waiting = [card for card in cards if card["suspension"]]
    return render(
        request,
        "panels/client/servers.html",
        {
            "place": "servers",
            "client_name": client_name(actor),
            "cards": cards,
            "waiting": len(waiting),
            "first": not after,
            "next": f"?after={shown[-1].number}" if more else "",
        },
    )


def _cards(actor: Actor, shown: Sequence[Any]) -> list[dict[str, Any]]:
    """The machines and what is under way for all of them in two queries; why one is suspended only where one is."""
    ids = [row.server_id for row in shown if row.server_id]
    machines = {row.pk: row for row in fleet.servers_visible_to(actor).filter(pk__in=ids)}
    pressing = (*OPEN_STATES, OperationState.UNKNOWN)
    running = {
        row.service_id: row
        for row in queries.operations_visible_to(actor)
        .filter(service_id__in=[row.pk for row in shown], state__in=pressing)
        .order_by("id")
    }
    cards = []
    for row in shown:
        server = machines.get(row.server_id) if row.server_id else None
        held = queries.suspension_of(actor, row) if row.status == ServiceStatus.SUSPENDED else None
        cards.append(
            {
                "service": row,
                "server": server,
                "name": name_of(row, server),
                "state": state_of(row, server, running.get(row.pk), held),
                "suspension": held,
            }
        )
    return cards


def _glance(actor: Actor, service_id: int) -> Glance:
    """Raises NotHere for what is not theirs."""
    row = queries.service(actor, service_id)
    machine = fleet.servers_visible_to(actor).filter(pk=row.server_id).first() if row.server_id else None
    operation = queries.last_operation(actor, machine.pk) if machine is not None else None
    held = queries.suspension_of(actor, row)
    return Glance(
        service=row,
        server=machine,
        name=name_of(row, machine),
        state=state_of(row, machine, operation, held),
        operation=operation,
        suspension=held,
        rights=rights_of(actor, machine) if machine is not None else frozenset(),
    )


def _page(actor: Actor, glance: Glance) -> ServerPage:
    operation = glance.operation
    lines = queries.history(actor, glance.service)
    reference = operation.reference if operation is not None else ""
    now = next((line for line in lines if line.reference == reference), None)
    drawn = queries.buttons(actor, glance.service) if glance.server is not None else []
    return ServerPage(
        **vars(glance),
        buttons=[button for button in drawn if button.kind in CLIENT_KINDS],
        lines=lines,
        now_running=now if now is not None and now.state in OPEN_STATES else None,
        just_ended=now if now is not None and glance.suspension is None and _ended_lately(now) else None,
        undecided=now if now is not None and now.state == OperationState.UNKNOWN else None,
        may_take_back=operation is not None
        and operation.state == OperationState.QUEUED
        and operation.actor_user_id == actor.user_id,
    )


def _ended_lately(line: queries.HistoryLine) -> bool:
    if line.settled_at is None or line.state in (*OPEN_STATES, OperationState.CANCELLED):
        return False
    return (timezone.now() - line.settled_at).total_seconds() < ENDED_SECONDS


@require_GET
@client_only
def server(request: HttpRequest, service_id: int) -> HttpResponse:
    actor = actor_of(request)
    page = _page(actor, _glance(actor, service_id))
    addresses = fleet.addresses_of(actor, page.server.pk) if page.server is not None else ()
    return render(
        request,
        "panels/client/server.html",
        {
            "place": "servers",
            "client_name": client_name(actor),
            "page": page,
            "addresses": addresses,
            "card": _traffic_card(actor, request, page),
        },
    )


def _traffic_card(actor: Actor, request: HttpRequest, page: ServerPage) -> TrafficCard | None:
    """None where nothing counts for the machine, or the client no right to see them."""
    machine = page.server
    if machine is None or Right.BANDWIDTH not in page.rights:
        return None
    if not has_bandwidth(actor, machine.pk):
        return None
    place = [page.service.pk]
    return traffic_card(
        actor,
        machine.pk,
        request,
        name=page.name,
        data_url=reverse("client-bandwidth", args=place),
        csv_url=reverse("client-bandwidth-csv", args=place),
    )


def _measured(actor: Actor, service_id: int) -> tuple[int, str]:
    """(server id, its name) of a service whose bandwidth the client may see. Raises NotHere."""
    row = queries.service(actor, service_id)
    machine = fleet.servers_visible_to(actor).filter(pk=row.server_id).first() if row.server_id else None
    if machine is None or not may(actor, Right.BANDWIDTH, machine):
        raise NotHere
    return machine.pk, name_of(row, machine)


@require_GET
@client_only
def bandwidth(request: HttpRequest, service_id: int) -> HttpResponse:
    actor = actor_of(request)
    return traffic_data(actor, _measured(actor, service_id)[0], request)


@require_GET
@client_only
def bandwidth_csv(request: HttpRequest, service_id: int) -> HttpResponse:
    actor = actor_of(request)
    server_id, name = _measured(actor, service_id)
    return traffic_csv(actor, server_id, request, name=name)


@require_GET
@client_only
def live(request: HttpRequest, service_id: int) -> HttpResponse:
    """What changed while the page is open: 304, or the state with its age, or every fragment."""
    actor = actor_of(request)
    glance = _glance(actor, service_id)
    known = request.headers.get("If-None-Match", "").strip('"')
    if glance.server is not None:
        _watch(actor, glance.server)
        if not known:
            _read_again_if_old(actor, glance.server)
    tag = f"{glance.shape}-{glance.reading}"
    if known == tag:
        return HttpResponse(status=304)
    whole = known.partition("-")[0] != glance.shape
    page = _page(actor, glance) if whole else glance
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


@require_POST
@client_only
def act(request: HttpRequest, service_id: int) -> HttpResponse:
    """A pressed button. ``key`` makes a form that is sent twice act once."""
    actor = actor_of(request)
    address = reverse("client-server", args=[service_id])
    kind = request.POST.get("kind", "")
    if kind not in CLIENT_KINDS:
        raise NotHere
    try:
        actions.request(
            actor,
            OperationKind(kind),
            service_id,
            idempotency_key=request.POST.get("key", ""),
            graceful=request.POST.get("graceful", "yes") == "yes",
        )
    except Refusal as refusal:
        return back_with(request, refusal, address)
    messages.success(request, "Asked for. Its progress stands on this page.")
    return HttpResponseRedirect(address)


@require_POST
@client_only
def take_back(request: HttpRequest, service_id: int) -> HttpResponse:
    address = reverse("client-server", args=[service_id])
    try:
        actions.cancel(actor_of(request), request.POST.get("reference", ""))
    except Refusal as refusal:
        return back_with(request, refusal, address)
    messages.success(request, "Taken back. Nothing was sent.")
    return HttpResponseRedirect(address)


@require_POST
@client_only
def read_again(request: HttpRequest, service_id: int) -> HttpResponse:
    actor = actor_of(request)
    row = queries.service(actor, service_id)
    if row.server_id is not None:
        fleet_actions.ask_refresh(actor, row.server_id)
    if getattr(request, "htmx", False):
        return HttpResponse(status=204)
    return HttpResponseRedirect(reverse("client-server", args=[service_id]))
