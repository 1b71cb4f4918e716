"""All reads of fleet. Each begins with the actor; what is not theirs is not there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from doublehop.driver_kit import registry
from doublehop.driver_kit.contract import SettingField
from doublehop.fleet.models import (
    Address,
    Allocation,
    Hold,
    IdentifierRow,
    Permission,
    Port,
    Server,
    ServerGroup,
    Upstream,
    UpstreamOrder,
)
from doublehop.fleet.permissions import open_at
from doublehop.fleet.permissions import visible_to as servers_visible_to
from doublehop.organisations import vault
from doublehop.organisations.actor import Actor
from doublehop.organisations.models import TandemUser
from doublehop.organisations.queries import tandem_user, tandem_users_visible_to
from doublehop.organisations.refusals import NotHere

__all__ = ["servers_visible_to"]


BIGGEST_ID = 2**63


@dataclass(frozen=True)
class DriverCard:
    """What a form for a new upstream needs: never a driver itself."""

    name: str
    label: str
    settings: tuple[SettingField, ...]
    server_settings: tuple[SettingField, ...]
    module_label: str = ""
    """What the module is called in a product's Module Settings; empty: not offered there."""
    servers_list_label: str = ""
    """What the menu is called in which staff choose one of its servers."""


def drivers_offered() -> tuple[DriverCard, ...]:
    return tuple(driver_card(name) for name in registry.names() if not registry.load(name).for_training)


def drivers_known() -> tuple[str, ...]:
    """Names of all kinds of upstream, also of those that no form offers."""
    return registry.names()


def driver_card(name: str) -> DriverCard:
    driver = registry.load(name)
    return DriverCard(
        driver.name,
        driver.label,
        driver.settings,
        driver.server_settings,
        driver.module_label,
        driver.servers_list_label,
    )


def server(actor: Actor, server_id: int) -> Server:
    row = servers_visible_to(actor).filter(pk=server_id).first()
    if row is None:
        raise NotHere
    return row


def upstreams_visible_to(actor: Actor) -> QuerySet[Upstream]:
    """Only the owner's staff know of an upstream; a reseller sees the servers and not where they come from."""
    if actor.is_system:
        return Upstream.objects.all()
    if not actor.is_staff:
        return Upstream.objects.none()
    return Upstream.objects.filter(organisation_id=actor.organisation_id)


def upstream(actor: Actor, upstream_id: int) -> Upstream:
    row = upstreams_visible_to(actor).filter(pk=upstream_id).first()
    if row is None:
        raise NotHere
    return row


def upstream_orders_visible_to(actor: Actor) -> QuerySet[UpstreamOrder]:
    """What was ordered at the upstreams of the actor's organisation, for its staff."""
    rows = UpstreamOrder.objects.select_related("upstream").order_by("-pk")
    if actor.is_system:
        return rows
    return rows.filter(organisation_id=actor.organisation_id) if actor.is_staff else rows.none()


def upstream_order(actor: Actor, upstream_order_id: int) -> UpstreamOrder:
    row = upstream_orders_visible_to(actor).filter(pk=upstream_order_id).first()
    if row is None:
        raise NotHere
    return row


def selling_upstreams(actor: Actor) -> QuerySet[Upstream]:
    """Those of the actor's organisation at which servers can be ordered."""
    return upstreams_visible_to(actor).filter(offers__isnull=False).order_by("name", "pk")


def owns(actor: Actor, row: Server) -> bool:
    """Whether the actor's organisation owns the upstream of a server, and so may know its name."""
    return actor.is_system or (actor.is_staff and row.upstream.organisation_id == actor.organisation_id)


def sellable_servers(actor: Actor) -> QuerySet[Server]:
    """The servers that the actor's organisation may put into its services: its own or received, and not passed on."""
    mine = servers_visible_to(actor)
    if actor.is_system:
        return mine
    opened = Allocation.objects.filter(server=OuterRef("pk"), until__isnull=True)
    received = opened.filter(receiver_id=actor.organisation_id)
    passed_on = opened.filter(giver_id=actor.organisation_id)
    return mine.filter(Q(upstream__organisation_id=actor.organisation_id) | Exists(received)).exclude(
        Exists(passed_on)
    )


def received_servers(actor: Actor) -> QuerySet[Server]:
    """What the organisation above gave to the actor's, and it did not pass on. Found from the allocations: what it costs
    follows from how many those are, not from how many servers there are."""
    opened = Allocation.objects.filter(until__isnull=True)
    received = opened.filter(receiver_id=actor.organisation_id).values("server_id")
    passed_on = opened.filter(giver_id=actor.organisation_id).values("server_id")
    return servers_visible_to(actor).filter(pk__in=received).exclude(pk__in=passed_on)


def held_servers(actor: Actor) -> QuerySet[Server]:
    """What the actor's organisation may give its Tandem users: its own and received servers, not passed on, not gone."""
    return sellable_servers(actor).filter(missing_since__isnull=True)


def tandem_permissions(actor: Actor, tandem_user_id: int) -> QuerySet[Permission]:
    """What a Tandem user of the actor's organisation may do now, by server."""
    rows = Permission.objects.filter(
        open_at(timezone.now()), tandem_user_id=tandem_user(actor, tandem_user_id).pk
    )
    return rows.select_related("server").order_by("server__label", "server_id")


def tandem_servers(actor: Actor, tandem_user_id: int) -> QuerySet[Server]:
    rows = tandem_permissions(actor, tandem_user_id).order_by().values("server_id")
    return servers_visible_to(actor).filter(pk__in=rows)


def servers_of_tandem_users(actor: Actor) -> dict[int, list[int]]:
    """Server ids by Tandem user id, for all of the actor's organisation at once."""
    found: dict[int, list[int]] = {}
    rows = Permission.objects.filter(
        open_at(timezone.now()), tandem_user__in=tandem_users_visible_to(actor).order_by().values("pk")
    )
    for tandem_user_id, server_id in rows.order_by("server_id").values_list("tandem_user_id", "server_id"):
        if tandem_user_id is not None:
            found.setdefault(tandem_user_id, []).append(server_id)
    return found


def tandem_server_counts(actor: Actor, tandem_user_ids: Iterable[int]) -> dict[int, int]:
    """How many servers each of these Tandem users of the actor's organisation may use now; those with none are left out."""
    theirs = tandem_users_visible_to(actor).filter(pk__in=list(tandem_user_ids)).order_by().values("pk")
    rows = Permission.objects.filter(open_at(timezone.now()), tandem_user__in=theirs)
    counted = rows.order_by().values_list("tandem_user_id").annotate(number=Count("pk"))
    return {pk: number for pk, number in counted if pk is not None}


def tandem_users_of_servers(actor: Actor, server_ids: Iterable[int]) -> dict[int, list[TandemUser]]:
    """Who of the actor's Tandem users may use each of these servers now."""
    theirs = {row.pk: row for row in tandem_users_visible_to(actor)}
    rows = Permission.objects.filter(
        open_at(timezone.now()), server_id__in=list(server_ids), tandem_user_id__isnull=False
    )
    found: dict[int, list[TandemUser]] = {}
    for server_id, tandem_user_id in rows.order_by("pk").values_list("server_id", "tandem_user_id"):
        if tandem_user_id in theirs:
            found.setdefault(server_id, []).append(theirs[tandem_user_id])
    return found


def permissible_servers(actor: Actor, tandem_user_id: int) -> QuerySet[Server]:
    """What *Add Server Permissions* offers: held, and not permitted to this Tandem user yet."""
    present = tandem_permissions(actor, tandem_user_id).order_by().values("server_id")
    return held_servers(actor).exclude(pk__in=present).order_by("label", "pk")


def free_servers(actor: Actor) -> QuerySet[Server]:
    """Sellable, listed, and not attached to any service."""
    return (
        sellable_servers(actor)
        .filter(recorded_identity__isnull=True, missing_since__isnull=True, withheld_since__isnull=True)
        .order_by("label", "pk")
    )


def attachable_servers(actor: Actor) -> QuerySet[Server]:
    """Free, and not suspended from an earlier service: what may be attached now, as far as can be told without trying."""
    held = Hold.objects.filter(server=OuterRef("pk"), lifted_at__isnull=True)
    return free_servers(actor).exclude(Exists(held))


def why_withheld(row: Server) -> str:
    """For staff, of a server whose ``withheld_since`` is set."""
    return (
        f"The permission on {row.label} is withheld at the provider. Give it back there, then press Refresh."
    )


def passed_on(actor: Actor, server_ids: Iterable[int]) -> set[int]:
    """Those that the actor's organisation has given to one below it."""
    given = allocations_given(actor.organisation_id) if actor.is_staff else Allocation.objects.none()
    return set(given.filter(server_id__in=list(server_ids)).values_list("server_id", flat=True))


def chain_of(row: Server) -> list[int]:
    """The organisations a server passed through, from its owner down: they may all read what is done to it."""
    chain = [row.upstream.organisation_id]
    passed = dict(
        Allocation.objects.filter(server=row, until__isnull=True).values_list("giver_id", "receiver_id")
    )
    while chain[-1] in passed:
        chain.append(passed[chain[-1]])
    return chain


def addresses_of(actor: Actor, server_id: int) -> QuerySet[Address]:
    row = server(actor, server_id)
    return Address.objects.filter(server=row).order_by("-primary", "pk")


def ports_of(actor: Actor, server_id: int) -> QuerySet[Port]:
    row = server(actor, server_id)
    return Port.objects.filter(server=row)


def identifiers_of(actor: Actor, server_id: int) -> QuerySet[IdentifierRow]:
    row = server(actor, server_id)
    return IdentifierRow.objects.filter(server=row).order_by("kind", "value")


def permissions_on(actor: Actor, server_id: int) -> QuerySet[Permission]:
    """Given by the actor's organisation, for the staff page of a server."""
    row = server(actor, server_id)
    rows = Permission.objects.filter(server=row).select_related("organisation", "client", "given_by")
    return rows.filter(given_by_id=actor.organisation_id).order_by("-since")


def holds_on(actor: Actor, server_id: int) -> QuerySet[Hold]:
    """Open holds. Reasons of an organisation above are for its own staff: faces show only ``client_text`` of those."""
    row = server(actor, server_id)
    return (
        Hold.objects.filter(server=row, lifted_at__isnull=True)
        .select_related("organisation")
        .order_by("since")
    )


def open_holds(server_ids: Iterable[int]) -> QuerySet[Hold]:
    """For rooms above, which have checked who asks."""
    return Hold.objects.filter(server_id__in=server_ids, lifted_at__isnull=True).order_by("since")


def allocations_visible_to(actor: Actor) -> QuerySet[Allocation]:
    rows = Allocation.objects.select_related("server", "giver", "receiver").order_by("-since")
    if actor.is_system:
        return rows
    if not actor.is_staff:
        return rows.none()
    return rows.filter(Q(giver_id=actor.organisation_id) | Q(receiver_id=actor.organisation_id))


def allocations_given(organisation_id: int) -> QuerySet[Allocation]:
    """What the organisation has given to those below it, and not taken back."""
    return Allocation.objects.filter(giver_id=organisation_id, until__isnull=True)


def server_groups_visible_to(actor: Actor) -> QuerySet[ServerGroup]:
    if actor.is_system:
        return ServerGroup.objects.all()
    if not actor.is_staff:
        return ServerGroup.objects.none()
    return ServerGroup.objects.filter(organisation_id=actor.organisation_id).order_by("name")


def permission_windows(actor: Actor, server_id: int) -> Sequence[tuple[datetime, datetime | None]]:
    """When the actor may see the bandwidth of a server: its owner always, others while it was theirs."""
    row = server(actor, server_id)
    if owns(actor, row):
        return [(datetime.min.replace(tzinfo=UTC), None)]
    rows = Permission.objects.filter(server=row).order_by("since")
    if actor.client_id is not None:
        mine = rows.filter(client_id=actor.client_id)
    elif actor.tandem_user_id is not None:
        mine = rows.filter(tandem_user_id=actor.tandem_user_id)
    else:
        mine = rows.filter(organisation_id=actor.organisation_id)
    return [
        (since, until)
        for since, until, rights in mine.values_list("since", "until", "rights")
        if "bandwidth" in rights
    ]


def bandwidth_windows(actor: Actor) -> dict[int, list[tuple[datetime, datetime | None]]]:
    """``permission_windows`` of every server that staff see, by server id, in two queries. Without those that may not be looked at."""
    if not actor.is_staff:
        return {}
    mine = servers_visible_to(actor).order_by()
    always = (datetime.min.replace(tzinfo=UTC), None)
    owned = mine.filter(upstream__organisation_id=actor.organisation_id).values_list("pk", flat=True)
    found: dict[int, list[tuple[datetime, datetime | None]]] = {pk: [always] for pk in owned}
    given = Permission.objects.filter(organisation_id=actor.organisation_id, server__in=mine.values("pk"))
    for pk, since, until, rights in given.order_by("since").values_list(
        "server_id", "since", "until", "rights"
    ):
        if "bandwidth" in rights and found.get(pk) != [always]:
            found.setdefault(pk, []).append((since, until))
    return found


def stored_settings(actor: Actor, upstream_id: int) -> dict[str, object]:
    """The plain settings for a form; secrets never leave the vault."""
    return dict(upstream(actor, upstream_id).settings)


def stored_secrets(actor: Actor, upstream_id: int) -> frozenset[str]:
    """The names of those that are there, for a form. None where the vault cannot be opened: they have to be typed again."""
    try:
        kept = vault.unseal(upstream(actor, upstream_id).sealed_secrets, row="upstream")
    except vault.VaultClosed:
        return frozenset()
    return frozenset(name for name, secret in kept.items() if secret)
