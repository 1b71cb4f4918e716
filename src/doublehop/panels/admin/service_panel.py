"""What a service's page shows, and which of it changes while it is open."""

from typing import Any

from django.urls import reverse
from django.utils import timezone

from doublehop.fleet import queries as fleet
from doublehop.organisations.actor import Actor
from doublehop.panels.admin import commands
from doublehop.panels.admin.forms import Filled
from doublehop.panels.admin.frame import reach
from doublehop.panels.admin.presenting import state_now
from doublehop.panels.admin.servers_menu import menu_of
from doublehop.services import queries
from doublehop.services.lifecycle import ServiceStatus
from doublehop.services.queries.billing import is_overdue

ENDED = frozenset({ServiceStatus.TERMINATED, ServiceStatus.CANCELLED, ServiceStatus.FRAUD})
LIVE = (
    "service_poll",
    "machine_state",
    "commands",
    "running",
    "address_card",
    "done",
    "status",
    "servers_menu",
    "service_hostname",
    "service_username",
    "rdns_card",
)
"""The parts that change by themselves; each draws one element."""
POLL_READING, POLL_MACHINE, POLL_WAITING = 2, 4, 10
"""Seconds between two looks: at a list that is being read, at a machine, at an order that waits."""
CUSTOM = "custom-"


def as_stored(row: Any) -> Filled:
    values = {
        "server_id": str(row.server_id or ""),
        "hostname": row.filled_hostname,
        "username": row.shown_username,
    }
    return Filled({**values, **{CUSTOM + key: text for key, text in row.custom_values.items()}})


def panel_of(actor: Actor, row: Any, form: Filled, find: str = "") -> dict[str, Any]:
    """Everything on the page that may change while it is open."""
    server = row.server
    has_ended = row.status in ENDED
    menu = menu_of(actor, row, find)
    last = queries.last_operation(actor, server.pk) if server is not None else None
    name = row.shown_hostname or (server.label if server else str(row))
    effect = commands.suspend_effect(server, row) if server is not None else ""
    questions = commands.drawn(queries.buttons(actor, row), name, effect)
    live_url = reverse("admin-service-live", args=[row.pk])
    return {
        "service": row,
        "server": server,
        "name": name,
        "form": form,
        "menu": menu,
        "has_ended": has_ended,
        "state": state_now(actor, server) if server is not None else None,
        "commands": commands.fitting(questions, server),
        "questions": questions,
        "idle": commands.IDLE,
        "idle_why": "This service has ended." if has_ended else "They work as soon as a server is attached.",
        "suspension": queries.suspension_of(actor, row),
        "pressing": commands.pressing(last),
        "addresses": list(fleet.addresses_of(actor, server.pk)) if server is not None else [],
        "naming": queries.naming_button(actor, row),
        "history": queries.history(actor, row, limit=8),
        "is_overdue": is_overdue(row),
        "overdue_days": (timezone.localdate() - row.next_due_on).days if row.next_due_on else 0,
        "page_url": reverse("admin-client-service", args=[row.client_id, row.pk]),
        "live_url": f"{live_url}?had={row.server_id or ''}",
        "poll_every": _poll_every(row, menu.told.reading, has_ended),
        "act_url": reverse("admin-service-act", args=[row.pk]),
        "may": reach(actor),
    }


def _poll_every(row: Any, is_reading: bool, has_ended: bool) -> int:
    if has_ended:
        return 0
    if is_reading:
        return POLL_READING
    return POLL_MACHINE if row.server_id is not None else POLL_WAITING
