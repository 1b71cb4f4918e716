"""What needs a person now, a few numbers, the newest lines of the journal; and the search box."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from doublehop.fleet.queries import free_servers, servers_visible_to
from doublehop.organisations.actor import Actor
from doublehop.panels.admin.frame import count_up_to, show
from doublehop.panels.admin.journal import lines_page
from doublehop.panels.gates import actor_of
from doublehop.panels.looks import Look
from doublehop.services.lifecycle import OperationState, ServiceStatus
from doublehop.services.queries import (
    Hit,
    Need,
    needs_a_person,
    operations_visible_to,
    services_visible_to,
)
from doublehop.services.queries import (
    search as search_for,
)

MOST_COUNTED = 1000
MOST_OF_TODAY = 500
_ROUTES = {"service": "admin-service", "server": "admin-server", "client": "admin-client"}
_ROUTES |= {"upstream": "admin-upstream", "operation": "admin-operation"}
_ROUTES |= {"supply": "admin-supply-order", "batch": "admin-batch"}
_ROUTES |= {"identity": "admin-server-identity", "token": "admin-token"}
_LISTS = {"doubt": "admin-bandwidth-doubts", "brand": "admin-brand"}
_REMEDY = {
    "doubt": "Decide",
    "brand": "Open the brand",
    "supply": "Open the order",
    "batch": "Decide",
    "identity": "Compare",
    "token": "Open the token",
    "service": "Attach a server",
    "server": "Open the server",
    "upstream": "Open upstream",
}
_HEADINGS = {
    "client": "Clients",
    "service": "Services",
    "server": "Servers",
    "operation": "Operations",
}
_DOTS: dict[str, Look] = {
    "operation": Look("unknown", icon="question-mark", word="Unknown"),
    "failed": Look("failed", icon="x", word="Failed"),
    "batch": Look("suspended", icon="hand-stop", word="Held"),
    "token": Look("failed", icon="ban", word="Refused"),
    "identity": Look("failed", icon="alert-triangle", word="Another machine"),
    "upstream": Look("failed", icon="plug-connected-x", word="Failing"),
    "observe": Look("off", icon="eye", word="Observes only"),
    "service": Look("working", icon="package", word="Waits"),
    "supply": Look("working", icon="shopping-cart", word="Waits"),
    "server": Look("suspended", icon="alert-triangle", word="Missing"),
    "doubt": Look("suspended", icon="question-mark", word="In doubt"),
    "brand": Look("suspended", icon="alert-triangle", word="Not yours"),
    "worker": Look("failed", icon="alert-triangle", word="Stopped"),
}


@dataclass(frozen=True)
class NeedLine:
    """A Need with the button that mends it. ``look`` is its dot."""

    need: Need
    look: Look
    url: str
    remedy: str


def _line(need: Need) -> NeedLine:
    shown = _DOTS[need.kind]
    remedy = _REMEDY.get(need.kind, "")
    if need.kind == "operation":
        remedy = "Decide" if need.tone == "unknown" else "See what failed"
        shown = shown if need.tone == "unknown" else _DOTS["failed"]
    elif need.kind == "upstream" and need.tone == "off":
        shown = _DOTS["observe"]
    return NeedLine(need, shown, _where(need), remedy)


def _where(need: Need) -> str:
    if need.kind in _LISTS:
        return reverse(_LISTS[need.kind])
    return reverse(_ROUTES[need.kind], args=[need.target]) if need.kind in _ROUTES else ""


def _up_to(count: int) -> str:
    return f"{count:,}" if count < MOST_COUNTED else f"{MOST_COUNTED:,}+"


def _figures(actor: Actor) -> list[tuple[str, str, str]]:
    """(number, unit, text). Nothing is counted beyond a thousand: the page costs the same in every house."""
    servers = servers_visible_to(actor)
    services = services_visible_to(actor)
    on = count_up_to(servers.filter(power_state="on"), MOST_COUNTED)
    free = count_up_to(free_servers(actor), MOST_COUNTED)
    active = count_up_to(services.filter(status=ServiceStatus.ACTIVE), MOST_COUNTED)
    suspended = count_up_to(services.filter(status=ServiceStatus.SUSPENDED), MOST_COUNTED)
    pending = count_up_to(services.filter(status=ServiceStatus.PENDING), MOST_COUNTED)
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    newest = operations_visible_to(actor).order_by("-id").values_list("state", "asked_at")[:MOST_OF_TODAY]
    states = [state for state, asked_at in newest if asked_at >= today]
    done = states.count(OperationState.DONE)
    return [
        (_up_to(count_up_to(servers, MOST_COUNTED)), "", f"servers: {_up_to(on)} on, {_up_to(free)} free"),
        (_up_to(active), "", f"active services, {_up_to(suspended)} suspended"),
        (
            _up_to(pending),
            "",
            "service waiting for a server" if pending == 1 else "services waiting for a server",
        ),
        (str(len(states)), "", f"operations today: {done} done"),
    ]


@require_GET
def dashboard(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    lines = [_line(need) for need in needs_a_person(actor)]
    context = {
        "needs": lines,
        "expected": next((line for line in lines if line.url), None),
        "checked_at": timezone.now(),
        "figures": _figures(actor),
        "page": lines_page(request, actor, size=8),
    }
    return show(request, "dashboard.html", context)


def _url_of(hit: Hit) -> str:
    return reverse(_ROUTES[hit.kind], args=[hit.target])


@require_GET
def search(request: HttpRequest) -> HttpResponse:
    """One hit opens it; several make a short list by kind."""
    words = request.GET.get("q", "").strip()[:120]
    hits = search_for(actor_of(request), words)
    if len(hits) == 1:
        return HttpResponseRedirect(_url_of(hits[0]))
    kinds: dict[str, list[Any]] = {}
    for hit in hits:
        kinds.setdefault(_HEADINGS[hit.kind], []).append((hit, _url_of(hit)))
    return show(request, "search.html", {"search_text": words, "kinds": kinds})
