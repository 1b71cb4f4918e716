"""*Re-adopt*: what attach recorded of a machine beside what it shows now, and a decision with a reason."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from doublehop.fleet import queries as fleet
from doublehop.fleet.identities import identities_of
from doublehop.organisations.refusals import NotHere, Refusal
from doublehop.panels.admin.forms import Filled, typed
from doublehop.panels.admin.frame import show
from doublehop.panels.gates import actor_of
from doublehop.services import actions

FIELDS = ("seen", "label", "reason")


@require_http_methods(["GET", "POST"])
def identity(request: HttpRequest, server_id: int) -> HttpResponse:
    actor = actor_of(request)
    server = fleet.server(actor, server_id)
    if not fleet.owns(actor, server):
        raise NotHere
    form = Filled(dict.fromkeys(FIELDS, ""))
    if request.method == "POST":
        form = typed(request.POST, FIELDS)
        try:
            actions.readopt(actor, server_id, **form.values)
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, f"{server.label} is re-adopted. It can be acted on again.")
            return HttpResponseRedirect(reverse("admin-server", args=[server_id]))
        server = fleet.server(actor, server_id)
    context = {"server": server, "identities": identities_of(actor, server), "form": form}
    return show(request, "server_identity.html", context, status=form.status)
