"""A server bought at an upstream for an order that waits: asked by staff, attached when it has come."""

from django.db import transaction

from doublehop.driver_kit.contract import Price
from doublehop.fleet import actions as fleet
from doublehop.fleet.actions.ordering import OPEN
from doublehop.fleet.models import Server, UpstreamOrder
from doublehop.fleet.queries import upstream_order
from doublehop.notices import actions as notices
from doublehop.organisations import record
from doublehop.organisations.actor import Actor, Duty, house_of
from doublehop.organisations.once import once
from doublehop.organisations.refusals import Refusal, WrongState
from doublehop.services.actions.services import attach, hostname_of, locked_service
from doublehop.services.lifecycle import ServiceStatus
from doublehop.services.models import Service


@once("upstream_order.asked", again=upstream_order)
@transaction.atomic
def buy(
    actor: Actor,
    upstream_id: int,
    offer_id: str,
    *,
    price: Price,
    hostname: str = "",
    note: str = "",
    service_id: int | None = None,
    key: str = "",
) -> UpstreamOrder:
    """Orders at an upstream, at the price agreed to. With ``service_id`` that service gets the server; it has one open
    order at most."""
    service = _waiting(actor, service_id, upstream_id) if service_id is not None else None
    row = fleet.order_upstream(
        actor,
        upstream_id,
        offer_id,
        price=price,
        hostname=hostname_of(hostname),
        note=note,
    )
    if service is not None:
        service.upstream_order = row
        service.save(update_fields=["upstream_order"])
        # No client on this line: where a house buys is not for its clients.
        record.write(
            actor,
            "service.server_bought",
            ("service", service.pk),
            target_label=str(service),
            sentence=f"{row} at {row.upstream.name}",
            service_id=service.pk,
        )
    return row


def _waiting(actor: Actor, service_id: int, upstream_id: int) -> Service:
    service = locked_service(actor, service_id)
    if service.server_id is not None or service.status != ServiceStatus.PENDING:
        raise WrongState(f"{service} does not wait for a server.")
    earlier = service.upstream_order
    if earlier is not None and earlier.state in (*OPEN, UpstreamOrder.State.UNKNOWN):
        raise WrongState(
            f"{earlier} at {earlier.upstream.name} is open for {service} already.", code="already_ordered"
        )
    if service.product.upstream_id not in (None, upstream_id):
        raise WrongState(
            f"{service.product.name} takes servers of the login in its Module Settings only.",
            code="other_module",
        )
    return service


def attach_bought() -> None:
    """Services whose server has come: found by what is so, not by who remembered to ring."""
    waiting = Service.objects.filter(
        status=ServiceStatus.PENDING, server__isnull=True, upstream_order__state=UpstreamOrder.State.FILLED
    )
    for service_id in waiting.values_list("pk", flat=True):
        _attach_bought(service_id)


@transaction.atomic
def _attach_bought(service_id: int) -> None:
    rows = Service.objects.select_for_update(of=("self",)).select_related("organisation")
    service = rows.get(pk=service_id)
    bought = service.upstream_order
    if bought is None or service.server_id is not None or service.status != ServiceStatus.PENDING:
        return
    server = Server.objects.filter(
        upstream_id=bought.upstream_id, external_id=bought.external_id, missing_since__isnull=True
    ).first()
    if server is None:
        return  # not listed yet
    try:
        with transaction.atomic():
            attach(house_of(service.organisation_id, service.organisation.name), service.pk, server.pk)
    except Refusal as refusal:
        why = f"{bought} brought {server.label}, which cannot be attached: {refusal.sentence}"
        if service.waits_because != why[:300]:
            service.waits_because = why[:300]
            service.save(update_fields=["waits_because"])
        # A machine that was not read yet is read at this moment, and tried again.
        if refusal.code != "not_read":
            _tell(service, bought, why)


def _tell(service: Service, bought: UpstreamOrder, why: str) -> None:
    notices.tell_staff(
        organisation_id=service.organisation_id,
        duty=Duty.OPERATE,
        subject=f"{service} waits, although its server has come",
        body=why,
        about="upstream_order",
        key=f"upstream_order:{bought.pk}:service:{service.pk}",
        service_id=service.pk,
    )
