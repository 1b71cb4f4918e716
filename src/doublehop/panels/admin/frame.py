"""What every admin page stands in: the counts of the menu, and what the person's role reaches."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from doublehop.fleet.queries import upstreams_visible_to
from doublehop.organisations.actor import Actor, Duty
from doublehop.organisations.installation import quarantine_for
from doublehop.organisations.queries import provider_of
from doublehop.organisations.refusals import NotHere
from doublehop.panels.gates import actor_of
from doublehop.panels.menu import MenuCount
from doublehop.services.lifecycle import OperationState, ServiceStatus
from doublehop.services.queries import batches_visible_to, operations_visible_to, services_visible_to
from doublehop.services.queries.supply import waiting_supply

MOST_COUNTED = 99
"""Nothing is counted further than a person reads: a count costs the same at ten services and at a million."""


def count_up_to(rows: QuerySet[Any], most: int = MOST_COUNTED) -> int:
    return len(rows.order_by().values_list("pk")[:most])


def menu_counts(actor: Actor) -> dict[str, MenuCount]:
    """What waits for a person, by entry of the menu."""
    unknown = operations_visible_to(actor).filter(
        state=OperationState.UNKNOWN, organisation_id=actor.organisation_id
    )
    pending = services_visible_to(actor).filter(status=ServiceStatus.PENDING)
    failing = upstreams_visible_to(actor).filter(failing_since__isnull=False)
    return {
        "operations": _pressing(
            count_up_to(unknown), count_up_to(batches_visible_to(actor).filter(state="open"))
        ),
        "orders": MenuCount(count_up_to(pending) + count_up_to(waiting_supply(actor)), "waiting", "w"),
        "upstreams": MenuCount(count_up_to(failing), "failing", "w"),
    }


def _pressing(unknown: int, batches: int) -> MenuCount:
    """Unknown outcomes outrank what waits for approval."""
    if unknown:
        return MenuCount(unknown, "with an unknown outcome", "u")
    return MenuCount(batches, "batches waiting for approval", "w")


def reach(actor: Actor) -> dict[str, bool]:
    """What the role reaches, for buttons that are drawn grey with their reason otherwise."""
    return {duty.value: actor.has(duty) for duty in Duty}


def require_provider(actor: Actor) -> Any:
    """The organisation above the actor's own. Pages of the group *Leap* do not exist without one."""
    provider = provider_of(actor)
    if provider is None:
        raise NotHere
    return provider


def show(
    request: HttpRequest, template: str, context: Mapping[str, Any] | None = None, *, status: int = 200
) -> HttpResponse:
    """A whole page of the admin panel."""
    actor = actor_of(request)
    provider = provider_of(actor)
    shared = {
        "menu_counts": menu_counts(actor),
        "may": reach(actor),
        "provider": provider,
        "quarantine": quarantine_for(actor) if provider is None else None,
    }
    return render(request, f"panels/admin/{template}", {**shared, **(context or {})}, status=status)
