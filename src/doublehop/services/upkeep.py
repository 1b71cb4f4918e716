"""What the worker does for services by the clock: fills orders from pools, welcomes, and suspends what is overdue."""

from collections.abc import Mapping
from typing import Any

import structlog
from django.utils import timezone

from doublehop.jobs.engine import JobFunction, Periodic
from doublehop.organisations.vault import VaultClosed
from doublehop.services import welcome
from doublehop.services.actions import billing, orders
from doublehop.services.actions.supply import fill_supply_from_pool
from doublehop.services.lifecycle import ServiceStatus
from doublehop.services.models import Service, SupplyOrder
from doublehop.services.queries.billing import late_services

log = structlog.get_logger(__name__)

FILL_EVERY_SECONDS = 60
WELCOME_EVERY_SECONDS = 15
OVERDUE_EVERY_SECONDS = 600


def fill(payload: Mapping[str, Any]) -> None:
    """One order from its pool. What is not there now is looked for again by ``fill_all``."""
    orders.fill(int(payload["service_id"]))


def fill_all(payload: Mapping[str, Any]) -> None:
    """Orders that wait for a pool: something may have become free."""
    waiting = Service.objects.filter(
        status=ServiceStatus.PENDING,
        server__isnull=True,
        activated_at__isnull=True,
        product__server_group__isnull=False,
    )
    for service in waiting.order_by("created_at", "pk"):
        orders.ring_fill(service, hurry=False)
    for order in SupplyOrder.objects.filter(
        state=SupplyOrder.State.WAITING, kind=SupplyOrder.Kind.ORDER, offer__server_group__isnull=False
    ).order_by("pk"):
        fill_supply_from_pool(order)


def welcome_all(payload: Mapping[str, Any]) -> None:
    """Services that got their server and were not welcomed: found by what is so, not by who remembered to ring."""
    fresh = Service.objects.filter(
        server__isnull=False,
        welcomed_at__isnull=True,
        activated_at__gt=timezone.now() - welcome.WELCOMED_WITHIN,
    )
    for service_id in fresh.values_list("pk", flat=True):
        try:
            welcome.write(service_id)
        except VaultClosed:
            # The others are not to wait until somebody finds the key.
            log.exception("no key opens the password of a server", service=service_id)


def overdue(payload: Mapping[str, Any]) -> None:
    """Services whose due date and grace have passed."""
    for service_id in late_services().order_by("next_due_on", "pk").values_list("pk", flat=True):
        billing.suspend_overdue(service_id)


JOBS: dict[str, JobFunction] = {
    "services.fill": fill,
    "services.fill_all": fill_all,
    "services.welcome_all": welcome_all,
    "services.overdue": overdue,
}
PERIODIC = (
    Periodic("services.fill_all", FILL_EVERY_SECONDS),
    Periodic("services.welcome_all", WELCOME_EVERY_SECONDS),
    Periodic("services.overdue", OVERDUE_EVERY_SECONDS),
)
