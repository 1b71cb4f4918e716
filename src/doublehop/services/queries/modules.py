"""Modules for the product form, and the menu of servers that a service may have. Everything comes from our own rows."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from doublehop.fleet.models import Server, Upstream
from doublehop.fleet.queries import (
    DriverCard,
    driver_card,
    drivers_known,
    drivers_offered,
    free_servers,
    sellable_servers,
    upstreams_visible_to,
)
from doublehop.organisations.actor import Actor
from doublehop.organisations.texts import searched
from doublehop.services.models import Service

MOST_LISTED = 200
"""Servers in the menu before one has to search."""
MOST_COUNTED = 1000
"""Nothing is counted further: the menu costs the same at ten servers and at a hundred thousand."""
REFUSED = "credentials_rejected"
EMPTY = "empty_list"
GENERAL_LABEL = "Servers list"


def module_cards() -> tuple[DriverCard, ...]:
    """The kinds of upstream that a product can be provisioned by, for its Module Settings."""
    return tuple(card for card in drivers_offered() if card.module_label)


def module_card(name: str) -> DriverCard | None:
    card = driver_card(name) if name in drivers_known() else None
    return card if card is not None and card.module_label else None


@dataclass(frozen=True)
class ServersMenu:
    """The menu in which staff choose the server of a service. ``options`` are (server id or "", text), the present first.

    ``state``: "list" (there is something to choose, or nothing fits what was searched for) · "refused" (the login is
    refused, so no list is believed) · "none" (no permission on any server) · "all_attached" · "unreachable" (``options``
    are what was known) · "reading" (the list is being read for the first time, or anew) · "no_servers" (without a module:
    nothing is owned or received). ``permitted``, ``free`` and ``attached`` are counted up to MOST_COUNTED.
    """

    label: str
    state: str
    options: list[tuple[str, str]]
    permitted: int
    free: int
    attached: int
    read_at: datetime | None
    reading: bool
    """A fresh list was asked for and has not come yet."""
    upstream_id: int | None
    """Of the login that the list comes from, or that is in the way; None where there is no single one."""
    upstream_name: str
    product_id: int
    refused_at: datetime | None
    refused_text: str
    unreachable_since: datetime | None
    more: bool
    """Not all are listed: search for the one that is wanted."""


def servers_menu(actor: Actor, service: Service, find: str = "") -> ServersMenu:
    """What may be attached to a service of the actor's organisation. Costs no call to anybody."""
    upstream = service.product.upstream
    if upstream is None:
        return _general_menu(actor, service, searched(find))
    return _module_menu(actor, service, upstream, searched(find))


def _module_menu(actor: Actor, service: Service, upstream: Upstream, find: str) -> ServersMenu:
    ours = sellable_servers(actor).filter(upstream=upstream)
    permitted = ours.filter(missing_since__isnull=True, withheld_since__isnull=True)
    free = free_servers(actor).filter(upstream=upstream)
    counted = _count(permitted), _count(free)
    state = _state_of(upstream, *counted)
    offered = _found(free, find) if state in {"list", "unreachable"} else []
    failing = upstream.failing_since is not None
    card = driver_card(upstream.driver)
    return ServersMenu(
        label=card.servers_list_label,
        state=state,
        options=_options(service, offered[:MOST_LISTED]),
        permitted=counted[0],
        free=counted[1],
        attached=max(0, counted[0] - counted[1]),
        read_at=upstream.synced_at,
        reading=_is_reading(upstream),
        upstream_id=upstream.pk,
        upstream_name=upstream.name,
        product_id=service.product_id,
        refused_at=upstream.failed_at or upstream.failing_since if state == "refused" else None,
        refused_text=upstream.failure_text if state == "refused" else "",
        unreachable_since=upstream.failing_since if failing and state == "unreachable" else None,
        more=len(offered) > MOST_LISTED,
    )


def _state_of(upstream: Upstream, permitted: int, free: int) -> str:
    if upstream.failure_code == REFUSED and upstream.failing_since is not None:
        return "refused"
    if upstream.failing_since is not None and upstream.failure_code != EMPTY:
        return "unreachable"
    if upstream.synced_at is None and upstream.failing_since is None:
        return "reading"
    if permitted == 0 or upstream.failing_since is not None:
        return "none"
    return "list" if free else "all_attached"


def _is_reading(upstream: Upstream) -> bool:
    """Asked, and neither a list nor a failure has come since."""
    asked = upstream.sync_asked_at
    if asked is None:
        return upstream.synced_at is None and upstream.failing_since is None
    return not any(at is not None and at >= asked for at in (upstream.synced_at, upstream.failed_at))


def _general_menu(actor: Actor, service: Service, find: str) -> ServersMenu:
    """Without a module: whatever the organisation owns or received. A login that is refused is left out of it."""
    failing = list(
        upstreams_visible_to(actor).filter(failing_since__isnull=False).order_by("pk")[:MOST_LISTED]
    )
    refused = [row for row in failing if row.failure_code == REFUSED]
    silent = next((row for row in failing if row not in refused), None)
    ours = sellable_servers(actor).filter(missing_since__isnull=True, withheld_since__isnull=True)
    free = free_servers(actor).exclude(upstream__in=refused) if refused else free_servers(actor)
    counted = _count(ours), _count(free)
    offered = _found(free, find)
    shown = offered[:MOST_LISTED]
    first = refused[0] if refused else None
    read = [one.listed_at for one in shown if one.listed_at is not None]
    if counted[1]:
        state = "list"
    elif first is not None:
        state = "refused"
    else:
        state = "all_attached" if counted[0] else "no_servers"
    in_the_way = first or silent
    return ServersMenu(
        label=GENERAL_LABEL,
        state=state,
        options=_options(service, shown),
        permitted=counted[0],
        free=counted[1],
        attached=max(0, counted[0] - counted[1]),
        read_at=min(read) if read else None,
        reading=False,
        upstream_id=in_the_way.pk if in_the_way else None,
        upstream_name=in_the_way.name if in_the_way else "",
        product_id=service.product_id,
        refused_at=(first.failed_at or first.failing_since) if first else None,
        refused_text=first.failure_text if first else "",
        unreachable_since=silent.failing_since if silent else None,
        more=len(offered) > MOST_LISTED,
    )


def _count(rows: QuerySet[Server]) -> int:
    return len(rows.order_by().values_list("pk", flat=True)[:MOST_COUNTED])


def _found(free: QuerySet[Server], find: str) -> list[Server]:
    if find:
        free = free.filter(
            Q(label__istartswith=find) | Q(hostname__istartswith=find) | Q(primary_address__startswith=find)
        )
    return list(free[: MOST_LISTED + 1])


def _options(service: Service, free: list[Server]) -> list[tuple[str, str]]:
    present = service.server
    listed = [present, *(row for row in free if row.pk != present.pk)] if present is not None else free
    return [("", "None"), *((str(row.pk), _text_of(row)) for row in listed)]


def _text_of(server: Server) -> str:
    """Its label once, where the provider has no other name for it than the hostname."""
    told = (server.label, server.hostname, server.primary_address, server.power_state or "not read yet")
    return ", ".join(dict.fromkeys(filter(None, told)))
