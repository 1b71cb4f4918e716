"""Who else may use a server: groups, allocations to organisations below, permissions of clients."""

from collections.abc import Iterable
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from doublehop.fleet.actions.upstreams import require_set_up
from doublehop.fleet.models import Allocation, Hold, Permission, Server, ServerGroup
from doublehop.fleet.permissions import ALL_RIGHTS, Right, organisation_rights, visible_to
from doublehop.fleet.queries import BIGGEST_ID, allocations_visible_to, server_groups_visible_to
from doublehop.organisations import record, texts
from doublehop.organisations.actor import Actor, Duty
from doublehop.organisations.once import once
from doublehop.organisations.queries import organisations_visible_to
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, WrongState

DEAREST = 10_000_000


def _group_again(actor: Actor, group_id: int) -> ServerGroup:
    group = server_groups_visible_to(actor).filter(pk=group_id).first()
    if group is None:
        raise NotHere
    return group


@once("server_group.create", again=_group_again)
@transaction.atomic
def create_server_group(actor: Actor, name: str, *, key: str = "") -> ServerGroup:
    organisation_id = require_set_up(actor)
    label = texts.name_of(name, 80)
    try:
        with transaction.atomic():
            group = ServerGroup.objects.create(organisation_id=organisation_id, name=label)
    except IntegrityError as error:
        raise BadInput("A server group of this name is there already.", field="name") from error
    record.write(actor, "server_group.created", ("server_group", group.pk), target_label=group.name)
    return group


def _own_group(actor: Actor, group_id: int) -> ServerGroup:
    group = ServerGroup.objects.filter(pk=group_id, organisation_id=require_set_up(actor)).first()
    if group is None:
        raise NotHere
    return group


@transaction.atomic
def delete_server_group(actor: Actor, group_id: int) -> None:
    group = _own_group(actor, group_id)
    label = group.name
    group.delete()
    record.write(actor, "server_group.deleted", ("server_group", group_id), target_label=label)


@transaction.atomic
def set_group_members(actor: Actor, group_id: int, server_ids: Iterable[int]) -> None:
    group = _own_group(actor, group_id)
    wanted = set(server_ids)
    servers = list(visible_to(actor).filter(pk__in=[pk for pk in wanted if 0 < pk < BIGGEST_ID]))
    if len(servers) != len(wanted):
        raise NotHere
    group.servers.set(servers)
    sentence = "1 server" if len(servers) == 1 else f"{len(servers)} servers"
    record.write(
        actor, "server_group.changed", ("server_group", group.pk), target_label=group.name, sentence=sentence
    )


def _allocation_again(actor: Actor, allocation_id: int) -> Allocation:
    allocation = allocations_visible_to(actor).filter(pk=allocation_id).first()
    if allocation is None:
        raise NotHere
    return allocation


@once("server.allocate", again=_allocation_again)
@transaction.atomic
def allocate(
    actor: Actor,
    server_id: int,
    receiver_id: int,
    *,
    price: Decimal | None = None,
    currency: str = "",
    key: str = "",
) -> Allocation:
    """Gives a server to the organisation directly below. It may then sell it; the giver may not any more."""
    if not actor.has(Duty.GOVERN):
        raise NotAllowed("Needs the role admin or owner.")
    _check_price(price, currency)
    server = visible_to(actor).select_for_update(of=("self",)).filter(pk=server_id).first()
    receiver = organisations_visible_to(actor).filter(pk=receiver_id, parent_id=actor.organisation_id).first()
    if server is None or receiver is None:
        raise NotHere
    if server.recorded_identity is not None:
        raise WrongState(f"{server.label} is attached to a service. Detach it first.")
    rights = organisation_rights(actor.organisation_id, server)
    try:
        with transaction.atomic():
            allocation = Allocation.objects.create(
                server=server,
                giver_id=actor.organisation_id,
                receiver=receiver,
                price=price,
                currency=currency,
            )
            Permission.objects.create(
                server=server,
                organisation=receiver,
                given_by_id=actor.organisation_id,
                rights=[right.value for right in Right if right in rights],
            )
    except IntegrityError as error:
        raise WrongState(f"{server.label} is allocated already.", code="already_allocated") from error
    record.write(
        actor,
        "server.allocated",
        ("server", server.pk),
        target_label=server.label,
        sentence=f"to {receiver.name}",
        server_id=server.pk,
        also=[receiver.pk],
    )
    return allocation


def _check_price(price: Decimal | None, currency: str) -> None:
    if price is not None and not (price.is_finite() and 0 <= price < DEAREST):
        raise BadInput("Write an amount from 0 to 9,999,999.99.", field="price")
    if currency and not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
        raise BadInput("Write a currency such as EUR.", field="currency")


@once("server.end_allocation")
@transaction.atomic
def end_allocation(actor: Actor, allocation_id: int, *, key: str = "") -> None:
    """Takes the server back. Refused while a client below still has it."""
    if not actor.has(Duty.GOVERN):
        raise NotAllowed("Needs the role admin or owner.")
    allocation = (
        Allocation.objects.select_for_update(of=("self",))
        .select_related("receiver")
        .filter(pk=allocation_id, giver_id=actor.organisation_id, until__isnull=True)
        .first()
    )
    if allocation is None:
        raise NotHere
    # Attaching, suspending and this take turns at the server's row.
    server = Server.objects.select_for_update(of=("self",)).get(pk=allocation.server_id)
    if server.recorded_identity is not None:
        raise WrongState(
            f"{server.label} is in use by {allocation.receiver.name}. It has to be detached there first."
        )
    held_below = Hold.objects.filter(
        server=server, lifted_at__isnull=True, organisation__path__startswith=allocation.receiver.path
    )
    if held_below.exists():
        raise WrongState(
            f"{server.label} is suspended by {allocation.receiver.name}, which alone can lift that. "
            "It has to be unsuspended there first."
        )
    now = timezone.now()
    below = Allocation.objects.filter(
        server=server, until__isnull=True, receiver__path__startswith=allocation.receiver.path
    )
    below.update(until=now)
    passed_on = Q(organisation__path__startswith=allocation.receiver.path) | Q(
        tandem_user__organisation__path__startswith=allocation.receiver.path
    )
    Permission.objects.filter(passed_on, server=server, until__isnull=True).update(until=now)
    record.write(
        actor,
        "server.allocation_ended",
        ("server", server.pk),
        target_label=server.label,
        sentence=f"from {allocation.receiver.name}",
        server_id=server.pk,
        also=[allocation.receiver_id],
    )


def permit_client(
    server: Server, *, organisation_id: int, client_id: int, rights: Iterable[str]
) -> Permission:
    """Written by attach, within its transaction. Passes on only what the organisation holds; always with view."""
    held = organisation_rights(organisation_id, server)
    wanted = {Right.VIEW, *(Right(name) for name in rights)}
    passed = [right.value for right in Right if right in wanted & held & ALL_RIGHTS]
    if Right.VIEW.value not in passed:
        raise NotHere
    return Permission.objects.create(
        server=server, client_id=client_id, given_by_id=organisation_id, rights=passed, since=timezone.now()
    )


def revoke_client(server_id: int, client_id: int) -> None:
    """Written by detach, within its transaction. The dates stay: they cut what bandwidth is shown."""
    open_rows = Permission.objects.filter(server_id=server_id, client_id=client_id, until__isnull=True)
    open_rows.update(until=timezone.now())
