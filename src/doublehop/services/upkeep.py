"""What the worker does for services by the clock: fills orders from pools, welcomes, and suspends what is overdue, and
closes statements."""

from collections.abc import Mapping
from typing import Any

import structlog
from django.utils import timezone

from doublehop.jobs.engine import JobFunction, Periodic
from doublehop.organisations.installation import in_quarantine
from doublehop.organisations.vault import VaultClosed
from doublehop.services import welcome
from doublehop.services.actions import billing, buying, orders, restored, statements
from doublehop.services.actions.supply import fill_supply_from_pool
from doublehop.services.lifecycle import ServiceStatus
from doublehop.services.models import Service, SupplyOrder
from doublehop.services.queries.billing import late_services

log = structlog.get_logger(__name__)

FILL_EVERY_SECONDS = 60
ATTACH_BOUGHT_EVERY_SECONDS = 15
WELCOME_EVERY_SECONDS = 15
OVERDUE_EVERY_SECONDS = 600
KEEP_WAITING_EVERY_SECONDS = 300
CLOSE_EVERY_SECONDS = 3600


def fill(payload: Mapping[str, Any]) -> None:
    """One order from its pool. What is not there now is looked for again by ``fill_all``."""
    if in_quarantine():
        return
    orders.fill(int(payload["service_id"]))


def fill_all(payload: Mapping[str, Any]) -> None:
    """Orders that wait for a pool: something may have become free."""
    if in_quarantine():
        return
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


def attach_bought(payload: Mapping[str, Any]) -> None:
    """Orders whose server was bought at an upstream, and has come."""
    if in_quarantine():
        return
    buying.attach_bought()


def welcome_all(payload: Mapping[str, Any]) -> None:
    """Services that got their server and were not welcomed: found by what is so, not by who remembered to ring."""
    if in_quarantine():
        return
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
    if in_quarantine():
        return
    for service_id in late_services().order_by("next_due_on", "pk").values_list("pk", flat=True):
        billing.suspend_overdue(service_id)


def close_statements(payload: Mapping[str, Any]) -> None:
    """Periods of bandwidth contracts that are over."""
    if in_quarantine():
        return
    statements.close_due()


def restored_copy(payload: Mapping[str, Any]) -> None:
    """While a restored copy waits for its confirmation, what may still be done afterwards does not run out of time."""
    if in_quarantine():
        restored.keep_waiting()


JOBS: dict[str, JobFunction] = {
    "services.fill": fill,
    "services.fill_all": fill_all,
    "services.attach_bought": attach_bought,
    "services.welcome_all": welcome_all,
    "services.overdue": overdue,
    "services.close_statements": close_statements,
    "services.restored_copy": restored_copy,
}
PERIODIC = (
    Periodic("services.fill_all", FILL_EVERY_SECONDS),
    Periodic("services.attach_bought", ATTACH_BOUGHT_EVERY_SECONDS),
    Periodic("services.welcome_all", WELCOME_EVERY_SECONDS),
    Periodic("services.overdue", OVERDUE_EVERY_SECONDS),
    Periodic("services.close_statements", CLOSE_EVERY_SECONDS),
    Periodic("services.restored_copy", KEEP_WAITING_EVERY_SECONDS),
)
