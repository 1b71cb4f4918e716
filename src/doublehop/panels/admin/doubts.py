"""Bandwidth > In doubt: octets that nobody guesses, and what staff decide about them."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from doublehop.bandwidth.actions import decide
from doublehop.bandwidth.queries import doubtful
from doublehop.organisations.refusals import NotHere, Refusal
from doublehop.panels.admin.bandwidth_report import tabs
from doublehop.panels.admin.frame import show
from doublehop.panels.admin.products import number as id_of
from doublehop.panels.gates import actor_of, key_of
from doublehop.panels.refusals import back_with


@require_GET
def doubts(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    is_decided = request.GET.get("show") == "decided"
    context = {
        "tabs": tabs(actor, "doubt"),
        "lines": doubtful(actor, decided=is_decided),
        "is_decided": is_decided,
        "reason": request.GET.get("reason", ""),
    }
    return show(request, "bandwidth_doubts.html", context)


@require_POST
def decide_doubts(request: HttpRequest) -> HttpResponse:
    address = reverse("admin-bandwidth-doubts")
    accept = request.POST.get("do") == "accept"
    ids = [number for text in request.POST.getlist("id") if (number := id_of(text)) is not None]
    try:
        decide(
            actor_of(request), ids, accept=accept, reason=request.POST.get("reason", ""), key=key_of(request)
        )
    except NotHere:
        raise
    except Refusal as refusal:
        return back_with(request, refusal, address)
    messages.success(
        request,
        "Accepted. The octets count for the volume of their days; closed statements follow by Count again."
        if accept
        else "Rejected. The octets count for nobody.",
    )
    return HttpResponseRedirect(address)
