"""The bandwidth of one server, for staff."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from doublehop.bandwidth.queries import has_bandwidth
from doublehop.fleet import queries as fleet
from doublehop.fleet.permissions import Right, may
from doublehop.organisations.refusals import NotHere
from doublehop.panels.admin.frame import show
from doublehop.panels.admin.servers import frame_of
from doublehop.panels.gates import actor_of
from doublehop.panels.traffic import traffic_card, traffic_csv, traffic_data


@require_GET
def bandwidth(request: HttpRequest, server_id: int) -> HttpResponse:
    actor = actor_of(request)
    server = fleet.server(actor, server_id)
    card = None
    if may(actor, Right.BANDWIDTH, server) and has_bandwidth(actor, server_id):
        card = traffic_card(
            actor,
            server_id,
            request,
            name=server.label,
            data_url=reverse("admin-server-bandwidth-data", args=[server_id]),
            csv_url=reverse("admin-server-bandwidth-csv", args=[server_id]),
        )
    return show(request, "server_bandwidth.html", {**frame_of(actor, server, "bandwidth"), "card": card})


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
    return traffic_data(actor_of(request), server_id, request)


@require_GET
def as_csv(request: HttpRequest, server_id: int) -> HttpResponse:
    name = _label_of(request, server_id)
    return traffic_csv(actor_of(request), server_id, request, name=name)
