"""Due dates and payments of services that no billing system owns, and what becomes of an overdue one.

Overdue is suspended after the grace that the product names, and comes back with the payment. It is never terminated.
"""

from datetime import date, timedelta

from django.db import transaction
from django.utils import timezone

from doublehop.fleet.queries import open_holds
from doublehop.organisations import texts
from doublehop.organisations.actor import Actor, Duty, house_of
from doublehop.organisations.once import caller_of, once
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, Refusal, WrongState
from doublehop.services import cycles
from doublehop.services.actions.catalogue import money
from doublehop.services.actions.operations import request
from doublehop.services.actions.services import locked_service, write
from doublehop.services.lifecycle import OperationKind, ServiceStatus
from doublehop.services.models import Operation, Payment, Service

FARTHEST = timedelta(days=5 * 366)
_ALIVE = (ServiceStatus.ACTIVE, ServiceStatus.SUSPENDED)


def _payment_again(actor: Actor, payment_id: int) -> Payment:
    own = Payment.objects.filter(service__organisation_id=actor.organisation_id)
    payment = own.filter(pk=payment_id).first()
    if payment is None or not actor.is_staff:
        raise NotHere
    return payment


@once("service.record_payment", again=_payment_again)
@transaction.atomic
def record_payment(
    actor: Actor, service_id: int, *, amount: str, received_on: date, note: str = "", key: str = ""
) -> Payment:
    """Money for one more cycle has come in: the due date moves on, and a suspension for being overdue is lifted."""
    service = _own(actor, service_id)
    paid = money(amount, "amount")
    if paid == 0:
        raise BadInput("Write the amount that has come in.", field="amount")
    if received_on > timezone.now().date() + timedelta(days=1):
        raise BadInput("A payment cannot have come in on a day that is yet to come.", field="received_on")
    if service.next_due_on is None:
        raise WrongState(f"{service} has no due date yet: it begins with the first server.")
    anchor = service.activated_at.day if service.activated_at else None
    service.next_due_on = cycles.after(service.next_due_on, service.product.cycle, anchor=anchor)
    service.save(update_fields=["next_due_on"])
    payment = Payment.objects.create(
        service=service,
        amount=paid,
        currency=service.currency,
        received_on=received_on,
        note=texts.remark(note, field="note")[:300],
        pays_until=service.next_due_on,
        recorded_by=actor.label,
    )
    sentence = f"{paid} {service.currency}; next due on {service.next_due_on:%Y-%m-%d}"
    write(actor, "service.payment_recorded", service, server=service.server, sentence=sentence)
    _bring_back(service, payment)
    return payment


@transaction.atomic
def set_due_date(actor: Actor, service_id: int, next_due_on: date) -> Service:
    service = _own(actor, service_id)
    if abs(next_due_on - timezone.now().date()) > FARTHEST:
        raise BadInput("Write a date within five years.", field="next_due_on")
    service.next_due_on = next_due_on
    service.save(update_fields=["next_due_on"])
    write(actor, "service.due_date_set", service, server=service.server, sentence=f"{next_due_on:%Y-%m-%d}")
    return service


def _own(actor: Actor, service_id: int) -> Service:
    service = locked_service(actor, service_id)
    if not actor.has(Duty.SELL):
        raise NotAllowed("Your role does not reach this. An owner or admin can do it.")
    if service.billed_by:
        raise WrongState(
            f"{service} is billed by {service.billed_by}. Record it there.", code="billed_elsewhere"
        )
    if service.status not in (*_ALIVE, ServiceStatus.PENDING):
        raise WrongState(f"{service} is {service.status}.", code="service_ended")
    return service


def _bring_back(service: Service, payment: Payment) -> None:
    """Only what the overdue rule took away comes back by itself; an abuse block, or staff's own suspension, stays."""
    if service.server_id is None or service.next_due_on is None or is_late(service):
        return
    own = next(
        (one for one in open_holds([service.server_id]) if one.organisation_id == service.organisation_id),
        None,
    )
    if own is None or not _placed_by_rule(own.pk):
        return
    try:
        with transaction.atomic():
            request(
                house_of(service.organisation_id, service.organisation.name),
                OperationKind.UNSUSPEND,
                service.pk,
                idempotency_key=f"paid:{payment.pk}",
                reason="The overdue amount was paid",
            )
    except Refusal:
        return  # the page of the service shows what stands in the way


def _placed_by_rule(hold_id: int) -> bool:
    return Operation.objects.filter(hold_id=hold_id, idempotency_key__startswith=OVERDUE).exists()


OVERDUE = "overdue:"
"""Begins the idempotency keys of the rule: one suspension for each service and due date."""


def is_late(service: Service) -> bool:
    """Past its due date and the grace of its product, and nobody's billing system looks after it."""
    grace = service.product.overdue_grace_days
    if grace is None or service.billed_by or service.next_due_on is None:
        return False
    return service.next_due_on + timedelta(days=grace) < timezone.now().date()


def suspend_overdue(service_id: int) -> Operation | None:
    """Asks for the suspension of one service, once for each due date. None when it is not late, was asked before, or is
    refused: then why stands at the service."""
    with transaction.atomic():
        rows = Service.objects.select_for_update(of=("self",)).select_related(
            "product", "client", "organisation"
        )
        service = rows.filter(pk=service_id, status=ServiceStatus.ACTIVE, server__isnull=False).first()
        if service is None or service.next_due_on is None or not is_late(service):
            return None
        house = house_of(service.organisation_id, service.organisation.name)
        key = f"{OVERDUE}{service.pk}:{service.next_due_on:%Y-%m-%d}"
        # Asked before, and lifted by a person since: that is theirs to decide, whatever the price or the grace are by now.
        if Operation.objects.filter(caller=caller_of(house), idempotency_key=key).exists():
            return None
        due = f"{service.next_due_on.day} {service.next_due_on:%b %Y}"
        amount = f"{service.price} {service.currency}"
        try:
            with transaction.atomic():
                return request(
                    house,
                    OperationKind.SUSPEND,
                    service.pk,
                    idempotency_key=key,
                    reason=f"{amount} were due on {due}, {service.product.overdue_grace_days} days of grace have passed",
                    client_text=f"{amount} were due on {due}. Pay, and the service comes back by itself. "
                    "Your data is untouched.",
                )
        except Refusal as refusal:
            if service.waits_because != refusal.sentence:
                service.waits_because = refusal.sentence[:300]
                service.save(update_fields=["waits_because"])
            return None
