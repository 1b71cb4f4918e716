"""The client's help page."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from doublehop.panels.client.views import client_name
from doublehop.panels.gates import actor_of, client_only
from doublehop.services import queries


@require_GET
@client_only
def help_page(request: HttpRequest) -> HttpResponse:
    """The support address, and what became of a reference number."""
    actor = actor_of(request)
    asked = request.GET.get("reference", "").strip()[:20]
    found = None
    if asked:
        found = queries.operations_visible_to(actor).filter(reference=asked.upper()).first()
    line = None
    if found is not None and found.service is not None:
        lines = queries.history(actor, found.service, limit=200)
        line = next((item for item in lines if item.reference == found.reference), None)
    return render(
        request,
        "panels/client/help.html",
        {
            "place": "help",
            "client_name": client_name(actor),
            "asked": asked,
            "line": line,
            "service": found.service if found is not None else None,
        },
    )
