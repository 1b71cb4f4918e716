"""The bandwidth of one server, for staff."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from doublehop.bandwidth.queries import beside, has_bandwidth
from doublehop.fleet import queries as fleet
from doublehop.fleet.permissions import Right, may
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import NotHere
from doublehop.panels.admin.frame import show
from doublehop.panels.admin.servers import frame_of
from doublehop.panels.gates import actor_of
from doublehop.panels.traffic import Terms, traffic_card, traffic_csv, traffic_data
from doublehop.panels.usage import terms_of, usage_card
from doublehop.services.queries import service_of_server


@require_GET
def bandwidth(request: HttpRequest, server_id: int) -> HttpResponse:
    actor = actor_of(request)
    server = fleet.server(actor, server_id)
    card, compared, usage = None, None, None
    if may(actor, Right.BANDWIDTH, server) and has_bandwidth(actor, server_id):
        card = traffic_card(
            actor,
            server_id,
            request,
            name=server.label,
            data_url=reverse("admin-server-bandwidth-data", args=[server_id]),
            csv_url=reverse("admin-server-bandwidth-csv", args=[server_id]),
            terms=_terms(actor, server_id),
        )
        sold = service_of_server(actor, server_id)
        usage = usage_card(actor, sold) if sold is not None else None
        compared = beside(actor, server_id)
    context = {**frame_of(actor, server, "bandwidth"), "card": card, "compared": compared, "usage": usage}
    return show(request, "server_bandwidth.html", context)


def _terms(actor: Actor, server_id: int) -> Terms:
    """Of the organisation's own service on it; what those below charge is theirs."""
    sold = service_of_server(actor, server_id)
    return terms_of(actor, sold.pk if sold is not None else None, timezone.now())


def _label_of(request: HttpRequest, server_id: int) -> str:
    """Raises NotHere for what the person may not see, bandwidth included."""
    actor = actor_of(request)
    server = fleet.server(actor, server_id)
    if not may(actor, Right.BANDWIDTH, server):
        raise NotHere
    return server.label


@require_GET
def values(request: HttpRequest, server_id: int) -> HttpResponse:
    _label_of(request, server_id)
    actor = actor_of(request)
    return traffic_data(actor, server_id, request, terms=_terms(actor, server_id))


@require_GET
def as_csv(request: HttpRequest, server_id: int) -> HttpResponse:
    name = _label_of(request, server_id)
    actor = actor_of(request)
    return traffic_csv(actor, server_id, request, name=name, terms=_terms(actor, server_id))
