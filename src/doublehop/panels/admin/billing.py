"""Due dates and payments of services that no billing system owns."""

from datetime import date

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST

from doublehop.organisations.refusals import BadInput, Refusal
from doublehop.panels.admin.services import address_of
from doublehop.panels.gates import actor_of, key_of
from doublehop.panels.refusals import back_with
from doublehop.services import queries
from doublehop.services.actions import billing as actions


@require_POST
def record_payment(request: HttpRequest, service_id: int) -> HttpResponse:
    actor = actor_of(request)
    row = queries.service(actor, service_id)
    try:
        payment = actions.record_payment(
            actor,
            service_id,
            amount=request.POST.get("amount", ""),
            received_on=_date(request, "received_on"),
            note=request.POST.get("note", ""),
            key=key_of(request),
        )
    except Refusal as refusal:
        return back_with(request, refusal, address_of(row))
    until = payment.pays_until
    messages.success(request, f"Recorded. The next due date is {until.day} {until:%b %Y}.")
    return HttpResponseRedirect(address_of(row))


@require_POST
def set_due_date(request: HttpRequest, service_id: int) -> HttpResponse:
    actor = actor_of(request)
    row = queries.service(actor, service_id)
    try:
        actions.set_due_date(actor, service_id, _date(request, "next_due_on"))
    except Refusal as refusal:
        return back_with(request, refusal, address_of(row))
    messages.success(request, "Saved")
    return HttpResponseRedirect(address_of(row))


def _date(request: HttpRequest, field: str) -> date:
    try:
        return date.fromisoformat(request.POST.get(field, "").strip())
    except ValueError as error:
        raise BadInput("Write a date such as 2026-11-25.", field=field) from error
