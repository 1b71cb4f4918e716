"""A service becomes another product, gets other names, or is known to a billing system by another id."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from doublehop.bandwidth.contract import period_of
from doublehop.fleet import actions as fleet
from doublehop.organisations import texts
from doublehop.organisations.actor import Actor, Duty
from doublehop.organisations.once import once
from doublehop.organisations.refusals import NotAllowed, NotHere, ReferenceTaken, WrongState
from doublehop.services.actions.orders import ring_fill
from doublehop.services.actions.services import because, hostname_of, locked_service, username_of, write
from doublehop.services.charging import subject_of
from doublehop.services.lifecycle import ServiceStatus
from doublehop.services.models import ContractVersion, EarlierProduct, Product, Service

_ALIVE = (ServiceStatus.PENDING, ServiceStatus.ACTIVE, ServiceStatus.SUSPENDED)


@once("service.change", again=locked_service)
@transaction.atomic
def change_service(
    actor: Actor,
    service_id: int,
    *,
    hostname: str | None = None,
    username: str | None = None,
    product_id: int | None = None,
    billing_reference: str | None = None,
    reason: str = "",
    key: str = "",
) -> Service:
    """None keeps what is there; an empty name goes back to what the machine says.

    Another product brings its price, its rights for the client and its suspend policy at once, and its bandwidth contract
    from the next period on. A ``billing_reference`` of a billing system makes the service one of its own.
    """
    if not actor.has(Duty.SELL):
        raise NotAllowed("Your role does not reach this. An owner or admin can do it.")
    service = locked_service(actor, service_id)
    if billing_reference is not None:
        service.billing_reference = texts.reference_of(billing_reference)
        if actor.billing_system and not service.billed_by:
            service.billed_by, service.next_due_on = actor.billing_system, None
    if hostname is not None:
        service.hostname = hostname_of(hostname)
    if username is not None:
        service.username = username_of(username)
    before = service.product
    if product_id is not None and product_id != service.product_id:
        _become(service, product_id)
    try:
        with transaction.atomic():
            service.save()
    except IntegrityError as error:
        raise ReferenceTaken from error
    if service.product_id != before.pk:
        sentence = because(f"{before.name} becomes {service.product.name}", reason)
        write(actor, "service.product_changed", service, server=service.server, sentence=sentence)
    if (hostname, username, billing_reference) != (None, None, None):
        write(actor, "service.saved", service, server=service.server, sentence=because("", reason))
    return service


def _become(service: Service, product_id: int) -> None:
    product = Product.objects.filter(pk=product_id, organisation_id=service.organisation_id).first()
    if product is None:
        raise NotHere
    if service.status not in _ALIVE:
        raise WrongState(f"{service} is {service.status}.", code="service_ended")
    if _is_pooled(service.product) or _is_pooled(product):
        raise WrongState(
            "Its bandwidth is added up with that of other services, so its product cannot change. Order another service.",
            code="pooled",
        )
    server = service.server
    if server is not None and product.upstream_id not in (None, server.upstream_id):
        raise WrongState(
            f"{product.name} takes servers of the login in its Module Settings only.", code="other_module"
        )
    if service.attachments.exists():
        _charge_to_the_end(service)
    if server is not None and set(product.client_rights) != set(service.product.client_rights):
        fleet.revoke_client(server.pk, service.client_id)
        fleet.permit_client(
            server,
            organisation_id=service.organisation_id,
            client_id=service.client_id,
            rights=product.client_rights,
        )
    service.product, service.price, service.currency = product, product.price, product.currency
    if service.status == ServiceStatus.PENDING and product.server_group_id is not None:
        ring_fill(service)


def _is_pooled(product: Product) -> bool:
    first = ContractVersion.objects.filter(product=product).order_by("in_force_from", "pk").first()
    return first is not None and bool(first.values["pooled"])


def _charge_to_the_end(service: Service) -> None:
    """The period that runs keeps the contract with which it began."""
    now = timezone.now()
    subject = subject_of(service)
    contract = subject.contract_at(now) if subject is not None else None
    until = period_of(contract, now).end if contract is not None else now
    EarlierProduct.objects.create(service=service, product=service.product, charged_until=until)
