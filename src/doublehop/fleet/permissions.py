"""Who may do what on one server. Rights only shrink on their way down, because they are cut at every giver."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from django.db.models import Q, QuerySet
from django.utils import timezone

from doublehop.fleet.models import Permission, Server
from doublehop.organisations.actor import Actor, Duty
from doublehop.organisations.refusals import NotAllowed, NotHere


class Right(StrEnum):
    VIEW = "view"
    POWER = "power"
    SUSPEND = "suspend"
    REINSTALL = "reinstall"
    RESCUE = "rescue"
    RDNS = "rdns"
    CONSOLE = "console"
    CREDENTIALS = "credentials"
    BANDWIDTH = "bandwidth"


ALL_RIGHTS = frozenset(Right)
READING = frozenset({Right.VIEW, Right.BANDWIDTH})
CLIENT_RIGHTS = (Right.VIEW, Right.POWER, Right.RDNS, Right.CREDENTIALS, Right.BANDWIDTH)
"""What a product permits its clients unless staff choose otherwise."""
TANDEM_RIGHTS = (Right.VIEW, Right.POWER, Right.RDNS, Right.BANDWIDTH)
"""What *Apply Permissions* gives a Tandem user unless the fold *Advanced* says otherwise."""
CLIENTS_NEVER = frozenset({Right.SUSPEND})
"""Whoever may suspend may unsuspend, and a client does not lift the hold of who serves it."""


def open_at(moment: datetime) -> Q:
    return Q(since__lte=moment) & (Q(until__isnull=True) | Q(until__gt=moment))


def _stored(rights: Iterable[str]) -> frozenset[Right]:
    return frozenset(Right(name) for name in rights)


def organisation_rights(organisation_id: int, server: Server) -> frozenset[Right]:
    """What an organisation holds on a server now: everything if it owns the upstream, else what came down to it."""
    rights = ALL_RIGHTS
    owner_id = server.upstream.organisation_id
    permissions = {
        row.organisation_id: row
        for row in Permission.objects.filter(
            open_at(timezone.now()), server=server, organisation__isnull=False
        )
    }
    holder = organisation_id
    while holder != owner_id:
        row = permissions.pop(holder, None)
        if row is None:
            return frozenset()
        rights &= _stored(row.rights)
        holder = row.given_by_id
    return rights


def client_rights(client_id: int, server: Server) -> frozenset[Right]:
    return _of_a_guest(Permission.objects.filter(client_id=client_id), server)


def tandem_rights(tandem_user_id: int, server: Server) -> frozenset[Right]:
    return _of_a_guest(Permission.objects.filter(tandem_user_id=tandem_user_id), server)


def _of_a_guest(permissions: QuerySet[Permission], server: Server) -> frozenset[Right]:
    row = permissions.filter(open_at(timezone.now()), server=server).first()
    if row is None:
        return frozenset()
    return (_stored(row.rights) & organisation_rights(row.given_by_id, server)) - CLIENTS_NEVER


def rights_of(actor: Actor, server: Server) -> frozenset[Right]:
    """Every right that ``actor`` may use on ``server`` now."""
    if actor.is_system:
        return ALL_RIGHTS
    if actor.client_id is not None:
        return client_rights(actor.client_id, server)
    if actor.tandem_user_id is not None:
        return tandem_rights(actor.tandem_user_id, server)
    rights = organisation_rights(actor.organisation_id, server)
    if not actor.has(Duty.OPERATE):
        reachable = READING | ({Right.SUSPEND} if actor.has(Duty.SELL) else frozenset())
        rights &= reachable
    return rights


def may(actor: Actor, right: Right, server: Server) -> bool:
    return right in rights_of(actor, server)


def require(actor: Actor, right: Right, server: Server) -> None:
    """NotHere for what the actor may not even see, NotAllowed for the rest."""
    rights = rights_of(actor, server)
    if Right.VIEW not in rights:
        raise NotHere
    if right not in rights:
        raise NotAllowed(f"Needs the right {right.value} on {called(actor, server)}.")


def called(actor: Actor, server: Server) -> str:
    """Its label is a word of whoever owns it: clients and Tandem users know a server by what it calls itself."""
    return server.hostname or server.primary_address if actor.is_white_label else server.label


def visible_to(actor: Actor) -> QuerySet[Server]:
    """The servers an actor may see now."""
    servers = Server.objects.select_related("upstream")
    if actor.is_system:
        return servers
    now = timezone.now()
    if actor.client_id is not None:
        mine = Permission.objects.filter(open_at(now), client_id=actor.client_id)
        return servers.filter(pk__in=_having_view(mine))
    if actor.tandem_user_id is not None:
        # What the organisation itself lost is gone for its Tandem users too, whatever is written for them.
        theirs = Permission.objects.filter(open_at(now), tandem_user_id=actor.tandem_user_id)
        servers = servers.filter(pk__in=_having_view(theirs))
    ours = Permission.objects.filter(open_at(now), organisation_id=actor.organisation_id)
    return servers.filter(Q(upstream__organisation_id=actor.organisation_id) | Q(pk__in=_having_view(ours)))


def _having_view(permissions: QuerySet[Permission]) -> QuerySet[Permission, int]:
    # SQLite knows no JSON containment, so `actions.permit` writes `view` first and refuses a permission without it.
    return permissions.filter(rights__0=Right.VIEW.value).values_list("server_id", flat=True)
