"""How a service ends: terminated, or cancelled before it ever had a server."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from doublehop.organisations.refusals import Refusal
from doublehop.panels.admin.services import address_of
from doublehop.panels.gates import actor_of, key_of
from doublehop.panels.refusals import back_with
from doublehop.services import actions, queries
from doublehop.services.lifecycle import OperationState


@require_POST
def terminate(request: HttpRequest, service_id: int) -> HttpResponse:
    actor = actor_of(request)
    row = queries.service(actor, service_id)
    try:
        operation = actions.terminate(
            actor, service_id, reason=request.POST.get("reason", ""), key=key_of(request)
        )
    except Refusal as refusal:
        return back_with(request, refusal, address_of(row))
    if operation.state == OperationState.HELD:
        messages.warning(request, f"{row} waits for approval: too much at once. See {operation.reference}.")
        return HttpResponseRedirect(reverse("admin-batch", args=[operation.batch_id]))
    messages.success(request, f"{row} is terminated. Nothing was switched off or erased.")
    return HttpResponseRedirect(address_of(row))


@require_POST
def restore(request: HttpRequest, service_id: int) -> HttpResponse:
    """Takes a termination back while the server is free."""
    actor = actor_of(request)
    row = queries.service(actor, service_id)
    try:
        actions.restore(actor, service_id, reason=request.POST.get("reason", ""), key=key_of(request))
    except Refusal as refusal:
        return back_with(request, refusal, address_of(row))
    messages.success(request, f"{row} has its server again.")
    return HttpResponseRedirect(address_of(row))


@require_POST
def cancel(request: HttpRequest, service_id: int) -> HttpResponse:
    """Takes back an order that still waits."""
    actor = actor_of(request)
    row = queries.service(actor, service_id)
    try:
        actions.cancel_service(actor, service_id, reason=request.POST.get("reason", ""), key=key_of(request))
    except Refusal as refusal:
        return back_with(request, refusal, address_of(row))
    messages.success(request, f"{row} is cancelled.")
    return HttpResponseRedirect(address_of(row))
