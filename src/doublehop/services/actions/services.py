"""Services: attached, swapped, detached, ended. The same machine is never attached twice."""

from collections.abc import Mapping

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from doublehop.bandwidth.actions import ask_totals
from doublehop.fleet import actions as fleet
from doublehop.fleet.actions.servers import ring_refresh
from doublehop.fleet.models import Server
from doublehop.fleet.queries import chain_of, open_holds, sellable_servers
from doublehop.organisations import record, texts
from doublehop.organisations.actions.billing_systems import refuse_other_billing
from doublehop.organisations.actor import Actor, Duty
from doublehop.organisations.models import Client
from doublehop.organisations.once import once
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, ReferenceTaken, WrongState
from doublehop.services import cycles
from doublehop.services.lifecycle import OPEN_STATES, SERVICE_LIFE, ServiceStatus, ServiceVerb
from doublehop.services.models import Attachment, Operation, Product, Service

FIRST_NUMBER = 3001
LONGEST_VALUE = 300
"""Signs in one custom field."""
LONGEST_REASON = 300


def locked_service(actor: Actor, service_id: int) -> Service:
    """A service of the actor's organisation, locked until the transaction ends."""
    if not actor.is_staff:
        raise NotHere
    rows = Service.objects.select_for_update(of=("self",)).select_related("product", "client")
    service = rows.filter(pk=service_id, organisation_id=actor.organisation_id).first()
    if service is None:
        raise NotHere
    refuse_other_billing(actor, service.billed_by, str(service))
    return service


def _require(actor: Actor, duty: Duty) -> None:
    if not actor.has(duty):
        raise NotAllowed("Your role does not reach this. An owner or admin can do it.")


def move_service(service: Service, verb: ServiceVerb) -> None:
    status = ServiceStatus(service.status)
    if (status, verb) not in SERVICE_LIFE:
        raise WrongState(f"{service} is {status.value}: it cannot be changed that way.")
    service.status = SERVICE_LIFE[status, verb]


def new_service(
    client: Client,
    product: Product,
    *,
    hostname: str,
    custom_values: Mapping[str, str],
    billed_by: str = "",
    billing_reference: str = "",
) -> Service:
    """An order as a row: pending, with the organisation's next number. Within the caller's transaction."""
    service = Service(
        organisation_id=product.organisation_id,
        client=client,
        product=product,
        ordered_hostname=hostname_of(hostname),
        price=product.price,
        currency=product.currency,
        custom_values=dict(custom_values),
        billed_by=billed_by,
        billing_reference=billing_reference,
    )
    for attempt in (1, 2, 3):
        last = Service.objects.filter(organisation_id=product.organisation_id).aggregate(last=Max("number"))[
            "last"
        ]
        service.number = (last or FIRST_NUMBER - 1) + 1
        try:
            with transaction.atomic():
                service.save(force_insert=True)
            break
        except IntegrityError:
            taken = {"billed_by": billed_by, "billing_reference": billing_reference}
            if (
                billing_reference
                and Service.objects.filter(organisation_id=product.organisation_id, **taken).exists()
            ):
                raise ReferenceTaken from None  # by an order of the same moment, for another client
            if attempt == 3:
                raise
    return service


@once("service.attach", again=locked_service)
@transaction.atomic
def attach(actor: Actor, service_id: int, server_id: int, *, reason: str = "", key: str = "") -> Service:
    """Gives the service its machine, remembers who the machine is, and permits the client."""
    service = attach_unread(actor, service_id, server_id, reason=reason)
    if service.server is not None:
        ring_refresh(service.server, full=True)
        ask_totals(service.server.pk)
    return service


@transaction.atomic
def attach_unread(actor: Actor, service_id: int, server_id: int, *, reason: str = "") -> Service:
    """As ``attach``, and the machine is not read for it: what stands here is what the next round reads."""
    _require(actor, Duty.OPERATE)
    service = locked_service(actor, service_id)
    if service.server_id is not None:
        if service.server_id == server_id:
            return service
        raise WrongState(f"{service} has a server already. Swap it instead.")
    move_service(service, ServiceVerb.ATTACH)
    server = take_server(actor, server_id, service.product)
    give_server(service, server)
    save_attached(service)
    sentence = because(f"{server.label} to {service.client.name}", reason)
    write(actor, "service.attached", service, server=server, sentence=sentence)
    return service


@once("service.swap", again=locked_service)
@transaction.atomic
def swap(actor: Actor, service_id: int, server_id: int, *, reason: str = "", key: str = "") -> Service:
    """Another machine for the same service: the old one is free at once, permissions end and begin with it."""
    _require(actor, Duty.OPERATE)
    service = locked_service(actor, service_id)
    if service.server_id is None or service.server is None:
        raise WrongState(f"{service} has no server yet. Attach one.")
    if service.server_id == server_id:
        return service
    move_service(service, ServiceVerb.SWAP)
    old = service.server
    release_server(service, old)
    server = take_server(actor, server_id, service.product)
    give_server(service, server)
    save_attached(service)
    sentence = because(f"{old.label} replaced by {server.label}", reason)
    write(actor, "service.swapped", service, server=server, sentence=sentence)
    ring_refresh(server, full=True)
    ask_totals(server.pk)
    return service


@once("service.detach", again=locked_service)
@transaction.atomic
def detach(actor: Actor, service_id: int, *, reason: str = "", key: str = "") -> Service:
    """Takes the machine out of the service. The machine itself is not touched."""
    _require(actor, Duty.OPERATE)
    service = locked_service(actor, service_id)
    if service.server is None:
        raise WrongState(f"{service} has no server.")
    move_service(service, ServiceVerb.DETACH)
    server = service.server
    release_server(service, server)
    save_attached(service)
    sentence = because(f"{server.label} from {service.client.name}", reason)
    write(actor, "service.detached", service, server=server, sentence=sentence)
    return service


@once("service.cancel", again=locked_service)
@transaction.atomic
def cancel_service(actor: Actor, service_id: int, *, reason: str = "", key: str = "") -> Service:
    """Takes back an order that still waits."""
    _require(actor, Duty.SELL)
    service = locked_service(actor, service_id)
    move_service(service, ServiceVerb.CANCEL)
    service.ended_at = timezone.now()
    save_attached(service)
    write(actor, "service.cancelled", service, sentence=because("", reason))
    return service


@once("service.save", again=locked_service)
@transaction.atomic
def save_service(
    actor: Actor,
    service_id: int,
    *,
    server_id: int | None,
    hostname: str,
    username: str,
    custom_values: Mapping[str, str] | None = None,
    key: str = "",
) -> Service:
    """*Save Changes* of the service page: attaches, swaps or detaches as the menu says, and keeps what staff typed.

    An emptied hostname or username goes back to what the machine says. ``custom_values`` None keeps those that are there.
    """
    _require(actor, Duty.OPERATE)
    service = locked_service(actor, service_id)
    before = (service.filled_hostname, service.shown_username)
    if server_id != service.server_id:
        if server_id is None:
            service = detach(actor, service_id)
        elif service.server_id is None:
            service = attach(actor, service_id, server_id)
        else:
            service = swap(actor, service_id, server_id)
    # What came back unchanged from the form was not typed: the server just chosen may fill it in.
    if hostname.strip() != before[0]:
        service.hostname = hostname_of(hostname)
    if username.strip() != before[1]:
        service.username = username_of(username)
    if custom_values is not None:
        service.custom_values = custom_values_of(service.product, custom_values, asked="staff")
    service.saved_at, service.saved_by = timezone.now(), actor.label
    service.save()
    write(actor, "service.saved", service, server=service.server)
    return service


def custom_values_of(product: Product, given: Mapping[str, str], *, asked: str) -> dict[str, str]:
    """The values of a product's custom fields: those asked of the "client", or for "staff" all of them.

    Raises BadInput with field "custom-<key>".
    """
    values = {}
    for field in product.custom_fields:
        if asked == "client" and field["asked"] != "client":
            continue
        name = f"custom-{field['key']}"
        text = texts.remark(given.get(field["key"], ""), field=name)
        if len(text) > LONGEST_VALUE:
            raise BadInput(f"At most {LONGEST_VALUE} signs.", field=name)
        if field["required"] and not text and asked == "client":
            raise BadInput(f"{field['label']} is needed.", field=name)
        values[field["key"]] = text
    return values


def follow_holds(server_id: int) -> None:
    """A service is suspended exactly while somebody holds its server."""
    service = Service.objects.select_for_update(of=("self",)).filter(server_id=server_id).first()
    if service is None:
        return
    held = open_holds([server_id]).exists()
    if held and service.status == ServiceStatus.ACTIVE:
        move_service(service, ServiceVerb.SUSPEND)
    elif not held and service.status == ServiceStatus.SUSPENDED:
        move_service(service, ServiceVerb.UNSUSPEND)
    service.save(update_fields=["status"])


def _locked(server_id: int) -> Server:
    """Sending, suspending, allocating and attaching take turns at this row."""
    return Server.objects.select_for_update(of=("self",)).get(pk=server_id)


def _refuse_while_open(server: Server) -> None:
    if Operation.objects.filter(server=server, state__in=OPEN_STATES).exists():
        raise WrongState(
            f"An operation is running on {server.label}. Wait for it to end.", code="operation_open"
        )


def take_server(actor: Actor, server_id: int, product: Product, *, held_too: bool = False) -> Server:
    """Locked, and with its identity recorded. ``held_too``: a suspension that is still on it comes along."""
    row = Server.objects.select_for_update(of=("self",)).filter(pk=server_id).first()
    if row is None or not sellable_servers(actor).filter(pk=server_id).exists():
        raise NotHere("This server is not yours to attach.")
    if product.upstream_id is not None and row.upstream_id != product.upstream_id:
        raise WrongState(
            f"{product.name} takes servers of the login in its Module Settings only.", code="other_module"
        )
    other = Service.objects.filter(server_id=server_id).select_related("client").first()
    if other is not None and other.organisation_id == actor.organisation_id:
        raise WrongState(
            f"{row.label} is attached to {other} of {other.client.name} already.", code="already_attached"
        )
    if not held_too and open_holds([server_id]).exists():
        raise WrongState(
            "This server is still suspended from its last service. Unsuspend it first.", code="held"
        )
    server = fleet.record_identity(actor, server_id)
    _refuse_while_open(server)
    return server


def give_server(service: Service, server: Server) -> None:
    service.server = server
    service.activated_at = service.activated_at or timezone.now()
    if not service.billed_by:
        service.next_due_on = service.next_due_on or cycles.after(
            timezone.now().date(), service.product.cycle
        )
    service.waits_because = ""
    service.upstream_order = None  # whatever comes of it is no longer for this service
    fleet.permit_client(
        server,
        organisation_id=service.organisation_id,
        client_id=service.client_id,
        rights=service.product.client_rights,
    )


def release_server(service: Service, server: Server) -> None:
    server = _locked(server.pk)
    if server.protected:
        raise WrongState(f"{server.label} is protected. Lift the protection first.", code="protected")
    _refuse_while_open(server)
    fleet.revoke_client(server.pk, service.client_id)
    fleet.forget_identity(server.pk)
    service.server = None


def save_attached(service: Service) -> None:
    """The row, and since when the server is the service's own: one attachment ends, another begins."""
    moment = timezone.now()
    try:
        with transaction.atomic():
            service.save()
            open_one = Attachment.objects.filter(service=service, until__isnull=True).first()
            if open_one is not None and open_one.server_id != service.server_id:
                open_one.until = moment
                open_one.save(update_fields=["until"])
                open_one = None
            if open_one is None and service.server_id is not None:
                Attachment.objects.create(service=service, server_id=service.server_id, since=moment)
    except IntegrityError as error:
        raise WrongState(
            "This server is attached to another service already.", code="already_attached"
        ) from error


def hostname_of(text: str) -> str:
    """In lower case, without final dot; empty stays empty. Raises BadInput."""
    name = text.strip().lower().rstrip(".")
    labels = name.split(".")
    legal = all(label and len(label) <= 63 and label.replace("-", "").isalnum() for label in labels)
    if name and (len(name) > 253 or not name.isascii() or not legal):
        raise BadInput("Write a host name such as web1.example.org.", field="hostname")
    return name


def username_of(text: str) -> str:
    name = text.strip()
    if len(name) > 64 or any(not sign.isprintable() for sign in name):
        raise BadInput("A username has at most 64 printable signs.", field="username")
    return name


def because(sentence: str, reason: str) -> str:
    """What was done, and why somebody says it was. Raises BadInput."""
    why = texts.remark(reason, field="reason")[:LONGEST_REASON]
    return ". ".join(filter(None, (sentence, why)))


def write(
    actor: Actor,
    verb: str,
    service: Service,
    *,
    server: Server | None = None,
    sentence: str = "",
) -> None:
    record.write(
        actor,
        verb,
        ("service", service.pk),
        target_label=str(service),
        sentence=sentence,
        service_id=service.pk,
        client_id=service.client_id,
        server_id=server.pk if server else None,
        also=chain_of(server) if server else [],
    )
