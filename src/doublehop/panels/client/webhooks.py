"""Webhooks of a client: its own programs are told of what happens to its servers."""

from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods

from doublehop.panels import webhooks
from doublehop.panels.client.pages import frame
from doublehop.panels.gates import actor_of, client_only


def _show(request: HttpRequest, name: str, context: Mapping[str, Any], status: int) -> HttpResponse:
    shared = frame(actor_of(request), "webhooks")
    return render(request, f"panels/client/{name}", {**shared, **context}, status=status)


FACE = webhooks.Face(prefix="client", show=_show, by_staff=False)
_ONE = "webhooks/<int:endpoint_id>/"
_PAGES: tuple[tuple[str, str, str, Callable[..., HttpResponse]], ...] = (
    ("webhooks/", "GET", "webhooks", webhooks.listed),
    ("webhooks/new/", "GET POST", "webhook-new", webhooks.new),
    (_ONE, "GET", "webhook", webhooks.one),
    (f"{_ONE}live/", "GET", "webhook-live", webhooks.live),
    (f"{_ONE}edit/", "GET POST", "webhook-edit", webhooks.edit),
    (f"{_ONE}rotate/", "POST", "webhook-rotate", webhooks.rotate),
    (f"{_ONE}test/", "POST", "webhook-test", webhooks.test),
    (f"{_ONE}pause/", "POST", "webhook-pause", webhooks.pause),
    (f"{_ONE}resume/", "POST", "webhook-resume", webhooks.resume),
    (f"{_ONE}delete/", "POST", "webhook-delete", webhooks.delete),
    (f"{_ONE}deliveries/<int:delivery_id>/again/", "POST", "webhook-redeliver", webhooks.redeliver),
)


def _view(methods: str, of: Callable[..., HttpResponse]) -> Callable[..., HttpResponseBase]:
    def shown(request: HttpRequest, /, **which: int) -> HttpResponse:
        return of(request, FACE, **which)

    guarded: Callable[..., HttpResponseBase] = require_http_methods(methods.split())(client_only(shown))
    return guarded


PATHS: list[URLPattern] = [
    path(route, _view(methods, of), name=f"client-{name}") for route, methods, name, of in _PAGES
]
