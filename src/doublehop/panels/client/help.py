"""The help page of clients and of users with permissions."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from doublehop.fleet import queries as fleet
from doublehop.organisations.actor import Actor
from doublehop.panels.client.pages import frame
from doublehop.panels.client.presenting import name_of
from doublehop.panels.gates import actor_of, white_label_only
from doublehop.services import queries


@require_GET
@white_label_only
def help_page(request: HttpRequest) -> HttpResponse:
    """The support address, and what became of a reference number."""
    actor = actor_of(request)
    asked = request.GET.get("reference", "").strip()[:20]
    return render(
        request,
        "panels/client/help.html",
        {**frame(actor, "help"), "asked": asked, **(_found(actor, asked.upper()) if asked else {})},
    )


def _found(actor: Actor, reference: str) -> dict[str, object]:
    """``line`` says what became of it; ``of`` and ``address`` where it belongs."""
    found = queries.operations_visible_to(actor).filter(reference=reference).first()
    if found is None:
        return {}
    if actor.is_client and found.service is not None:
        lines = queries.history(actor, found.service, limit=200)
        of = found.service.shown_hostname or str(found.service)
        address = reverse("client-server", args=[found.service.pk])
    else:
        lines = queries.history_of_server(actor, found.server_id, limit=200)
        of = name_of(None, fleet.server(actor, found.server_id))
        address = reverse("machine-server", args=[found.server_id])
    line = next((item for item in lines if item.reference == found.reference), None)
    return {"line": line, "of": of, "address": address}
