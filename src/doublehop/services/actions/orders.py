"""A client orders, and orders are filled from a pool where the product has one. Else they wait for staff, who are told."""

from collections.abc import Mapping

from django.db import transaction

from doublehop.jobs.actions import ring
from doublehop.notices import actions as notices
from doublehop.organisations import texts
from doublehop.organisations.actor import Actor, Duty, house_of
from doublehop.organisations.models import Client
from doublehop.organisations.once import once
from doublehop.organisations.queries import clients_visible_to
from doublehop.organisations.refusals import (
    BadInput,
    NotAllowed,
    NotHere,
    ReferenceTaken,
    Refusal,
    WrongState,
)
from doublehop.services.actions.pools import candidates, locked_pool
from doublehop.services.actions.services import (
    attach,
    because,
    custom_values_of,
    locked_service,
    new_service,
    write,
)
from doublehop.services.lifecycle import ServiceStatus
from doublehop.services.models import Product, Service
from doublehop.services.queries.store import store_products

MOST_WAITING = 20
"""Orders of one client that may wait at the same time: a form gone mad stops here."""


def _ordered_again(actor: Actor, service_id: int) -> Service:
    service = Service.objects.filter(pk=service_id, client_id=actor.client_id or 0).first()
    if service is None:
        raise NotHere
    return service


@once("service.order", again=_ordered_again)
@transaction.atomic
def order(
    actor: Actor, product_id: int, *, hostname: str, custom_values: Mapping[str, str], key: str
) -> Service:
    """A client orders what its store shows, under a ``key``: a form that is sent twice is one order.

    Raises BadInput with field "key", "hostname" or "custom-<key>".
    """
    product = store_products(actor).select_related("server_group").filter(pk=product_id).first()
    if product is None or actor.client_id is None:
        raise NotHere
    if not key:
        raise BadInput("The request carries no key that can be used.", field="key")
    # Locked: orders of one client are counted one after the other.
    client = Client.objects.select_for_update().get(pk=actor.client_id)
    if client.services.filter(status=ServiceStatus.PENDING).count() >= MOST_WAITING:
        raise WrongState(f"{MOST_WAITING} orders wait already. Ask our staff.", code="too_many")
    values = custom_values_of(product, custom_values, asked="client")
    service = new_service(client, product, hostname=hostname, custom_values=values)
    write(actor, "service.ordered", service, sentence=f"{product.name} for {client.name}")
    if product.server_group_id is not None:
        ring_fill(service)
    else:
        tell_staff_that_it_waits(service)
    return service


@once("service.create", again=locked_service)
@transaction.atomic
def create_service(
    actor: Actor,
    *,
    client_id: int,
    product_id: int,
    hostname: str = "",
    billing_reference: str = "",
    server_id: int | None = None,
    reason: str = "",
    key: str = "",
) -> Service:
    """Staff, or a billing system, order for a client; with ``server_id`` that server is attached at once.

    The same ``billing_reference`` of the same billing system answers with the service that has it, unless that one was
    cancelled. Raises ReferenceTaken where product or client are others.
    """
    if not actor.has(Duty.SELL):
        raise NotAllowed("Your role does not reach this. An owner or admin can do it.")
    client = clients_visible_to(actor).filter(pk=client_id).first()
    products = Product.objects.select_related("server_group")
    product = products.filter(pk=product_id, organisation_id=actor.organisation_id).first()
    if client is None or product is None or not actor.is_staff:
        raise NotHere
    reference = texts.reference_of(billing_reference)
    # Locked: two orders under one reference are made one after the other.
    Client.objects.select_for_update().get(pk=client.pk)
    if known := _known(actor, reference, client, product):
        return known
    service = new_service(
        client,
        product,
        hostname=hostname,
        custom_values={},
        billed_by=actor.billing_system,
        billing_reference=reference,
    )
    write(actor, "service.ordered", service, sentence=because(f"{product.name} for {client.name}", reason))
    if server_id is not None:
        return attach(actor, service.pk, server_id)
    if product.server_group_id is not None:
        ring_fill(service)
    elif actor.token_id is not None:
        tell_staff_that_it_waits(service)
    return service


def _known(actor: Actor, reference: str, client: Client, product: Product) -> Service | None:
    """Whatever the actor's billing system ordered under its reference before. A cancelled order lets go of it."""
    mine = {"organisation_id": client.organisation_id, "billed_by": actor.billing_system}
    known = Service.objects.filter(billing_reference=reference, **mine).first() if reference else None
    if known is None:
        return None
    if known.status == ServiceStatus.CANCELLED:
        known.billing_reference = ""
        known.save(update_fields=["billing_reference"])
        return None
    if (known.client_id, known.product_id) != (client.pk, product.pk):
        raise ReferenceTaken(
            f"This billing reference stands for {known} already, with another client or product."
        )
    return known


def ring_fill(service: Service, *, hurry: bool = True) -> None:
    ring("services.fill", key=f"fill:{service.pk}", payload={"service_id": service.pk}, hurry=hurry)


def tell_staff_that_it_waits(service: Service, why: str = "") -> None:
    """Once for each order, to everybody who may attach a server."""
    lines = (
        f"{service}: {service.product.name} for {service.client.name} waits for a server.",
        f"Hostname: {service.hostname}" if service.hostname else "",
        why or "Server group: None. Attach a server by hand.",
    )
    notices.tell_staff(
        organisation_id=service.organisation_id,
        duty=Duty.OPERATE,
        subject=f"{service} waits for a server",
        body="\n".join(filter(None, lines)),
        about="order_waits",
        key=f"order:{service.pk}:waits",
        service_id=service.pk,
    )


@transaction.atomic
def fill(service_id: int) -> bool:
    """Attaches the first free server of the product's pool that fits. False while there is none; why stands at the service."""
    service = (
        Service.objects.select_for_update(of=("self",))
        .select_related("product__server_group", "client", "organisation")
        .filter(pk=service_id)
        .first()
    )
    if service is None or service.status != ServiceStatus.PENDING or service.server_id is not None:
        return True
    if service.activated_at is not None:
        return False  # staff took its server out: they say which one follows
    group = service.product.server_group
    if group is None:
        return False
    locked_pool(group.pk)
    house = house_of(service.organisation_id, service.organisation.name)
    refused = ""
    for server in candidates(house, group.pk, upstream_id=service.product.upstream_id):
        try:
            with transaction.atomic():
                attach(house, service.pk, server.pk)
        except Refusal as refusal:
            refused = f"{server.label}: {refusal.sentence}"
        else:
            Service.objects.filter(pk=service.pk).update(waits_because="")
            return True
    why = refused or f"No server of the group {group.name} is free."
    if why != service.waits_because:
        service.waits_because = why[:300]
        service.save(update_fields=["waits_because"])
    tell_staff_that_it_waits(service, why)
    return False
