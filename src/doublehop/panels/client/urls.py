"""The addresses of the client panel. They name nothing beyond the brand."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods, require_POST

from doublehop.organisations.actor import Actor
from doublehop.panels.client import help as help_views
from doublehop.panels.client import orders, pages, statements, tokens, views, webhooks
from doublehop.panels.client.presenting import Glance
from doublehop.panels.client.subjects import machine_glance, service_glance
from doublehop.panels.gates import actor_of, client_only, tandem_only

_Page = Callable[[HttpRequest, Glance], HttpResponse]
_PAGES: tuple[tuple[str, str, str, _Page], ...] = (
    ("", "GET", "server", pages.show),
    ("live/", "GET", "live", pages.live),
    ("do/", "POST", "act", pages.act),
    ("take-back/", "POST", "take-back", pages.take_back),
    ("read-again/", "POST", "read-again", pages.read_again),
    ("rdns/", "POST", "rdns", pages.set_name),
    ("bandwidth/", "GET", "bandwidth-page", pages.bandwidth),
    ("bandwidth.json", "GET", "bandwidth", pages.bandwidth_json),
    ("bandwidth.csv", "GET", "bandwidth-csv", pages.bandwidth_csv),
)
"""Everything about one server, the same for a client's service and for a machine on which somebody has permission."""


def _server_pages(
    root: str, prefix: str, gate: Callable[..., Any], glance_of: Callable[[Actor, int], Glance]
) -> list[URLPattern]:
    """``root`` holds the one parameter that says which."""

    def view(page: _Page, method: str) -> Callable[..., HttpResponseBase]:
        def shown(request: HttpRequest, **which: int) -> HttpResponse:
            (number,) = which.values()
            return page(request, glance_of(actor_of(request), number))

        guarded: Callable[..., HttpResponseBase] = require_http_methods([method])(gate(shown))
        return guarded

    return [
        path(f"{root}{end}", view(page, method), name=f"{prefix}-{name}")
        for end, method, name, page in _PAGES
    ]


urlpatterns = [
    path("servers/", views.servers, name="client-servers"),
    *_server_pages("servers/<int:service_id>/", "client", client_only, service_glance),
    path(
        "servers/<int:service_id>/alerts/",
        require_POST(client_only(pages.choose_alerts)),
        name="client-alerts",
    ),
    path("servers/<int:service_id>/statements/", statements.of_service, name="client-statements"),
    path("statements/verify_statement.py", statements.verifier, name="client-statement-verifier"),
    path("statements/<int:statement_id>/", statements.statement, name="client-statement"),
    path("statements/<int:statement_id>/values.csv", statements.as_csv, name="client-statement-csv"),
    path("statements/<int:statement_id>/values.json", statements.as_json, name="client-statement-json"),
    path("machines/", views.machines, name="machine-servers"),
    *_server_pages("machines/<int:server_id>/", "machine", tandem_only, machine_glance),
    path("orders/", orders.orders, name="client-orders"),
    path("orders/new/", orders.shop, name="client-store"),
    path("orders/new/<int:product_id>/", orders.order_form, name="client-order"),
    path("api-tokens/", tokens.tokens, name="client-tokens"),
    path("api-tokens/<int:token_id>/revoke/", tokens.revoke, name="client-token-revoke"),
    *webhooks.PATHS,
    path("help/", help_views.help_page, name="client-help"),
]
