"""Server groups as pools: what may be taken from one without asking a person, one taker at a time."""

from collections.abc import Sequence

from django.db.models import Exists, OuterRef, QuerySet

from doublehop.fleet.models import Hold, Server, ServerGroup
from doublehop.fleet.queries import free_servers
from doublehop.organisations.actor import Actor

MOST_TRIED = 20
"""Machines that are tried for one order: more refusals than that are a matter for a person."""


def locked_pool(server_group_id: int) -> ServerGroup:
    """Takers of one pool wait for each other here, so that two orders never reach for the same last machine."""
    return ServerGroup.objects.select_for_update().get(pk=server_group_id)


def in_pool(house: Actor, server_group_ids: Sequence[int]) -> QuerySet[Server]:
    """Free members of groups of ``house``, and not still suspended from their last service; by label."""
    held = Hold.objects.filter(server=OuterRef("pk"), lifted_at__isnull=True)
    return free_servers(house).filter(groups__in=server_group_ids).exclude(Exists(held))


def candidates(house: Actor, server_group_id: int, *, upstream_id: int | None = None) -> list[Server]:
    rows = in_pool(house, [server_group_id])
    if upstream_id is not None:
        rows = rows.filter(upstream_id=upstream_id)
    return list(rows[:MOST_TRIED])
