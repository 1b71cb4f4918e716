"""The events that webhooks tell of. The list is stable: kinds are added, never renamed. An event is born from a line of the
journal; which verbs are none, and why, stands here too."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Q

if TYPE_CHECKING:
    from doublehop.journal.models import (
        Entry,
    )  # the list is read for the papers too, where there are no tables

TEST = "webhook.test"
ALERT = "bandwidth.alert"


@dataclass(frozen=True)
class Event:
    told: str
    for_clients: bool = False


@dataclass(frozen=True)
class Group:
    """Events that stand together on a page. ``subjects`` are the first words of their kinds."""

    label: str
    subjects: tuple[str, ...]


GROUPS = (
    Group("Operations", ("operation",)),
    Group("Services", ("service",)),
    Group("Bandwidth", ("bandwidth", "statement")),
    Group("Clients", ("client",)),
    Group("Servers", ("server",)),
    Group("Orders of servers from above", ("supply",)),
    Group("What a brake held", ("batch",)),
    Group("Mail", ("mail",)),
)

EVENTS: dict[str, Event] = {
    "operation.asked": Event("An operation was asked for.", True),
    "operation.held": Event("A brake holds an operation until a person approves it."),
    "operation.done": Event("An operation is done.", True),
    "operation.failed": Event("An operation failed; nothing more is tried.", True),
    "operation.unknown": Event("An operation was sent, and its outcome is not known. A person looks.", True),
    "operation.settled": Event("A person decided an unknown outcome; `result` says how.", True),
    "operation.cancelled": Event("An operation was taken back or called off before it was sent.", True),
    "service.ordered": Event("A service was ordered.", True),
    "service.attached": Event("A service has got its server.", True),
    "service.swapped": Event("A service has got another server.", True),
    "service.detached": Event("A service has no server any more.", True),
    "service.saved": Event("The hostname or the username of a service was changed.", True),
    "service.product_changed": Event("A service has become another product.", True),
    "service.cancelled": Event("A service was cancelled before it had a server.", True),
    "service.terminated": Event("A service has ended.", True),
    "service.restored": Event("A termination was taken back.", True),
    "service.payment_recorded": Event("Staff recorded a payment.", True),
    "service.due_date_set": Event("Another due date was set.", True),
    "service.not_welcomed": Event("A welcome mail could not be written."),
    "client.created": Event("A client was added."),
    "client.changed": Event("The facts of a client were changed."),
    "client.person_added": Event("A client has one more sign-in."),
    "supply.ordered": Event("A server was ordered of the organisation above."),
    "supply.cancellation_asked": Event("The end of a server was asked of the organisation above."),
    "supply.filled": Event("An order of a server was filled."),
    "supply.refused": Event("An order of a server was refused."),
    "supply.withdrawn": Event("An order of a server was taken back."),
    "server.added": Event("A server was added by hand."),
    "server.changed": Event("The facts of a server were changed."),
    "server.protected": Event("A server was protected."),
    "server.unprotected": Event("The protection of a server was lifted."),
    "server.linked": Event("Two rows were marked as one machine."),
    "server.unlinked": Event("Two rows are not marked as one machine any more."),
    "server.readopted": Event("Changed hardware was accepted as the same machine."),
    "server.allocated": Event("A server was given to an organisation below."),
    "server.allocation_ended": Event("A server was taken back from an organisation below."),
    "batch.approved": Event("What a brake held was approved."),
    "batch.refused": Event("What a brake held was refused."),
    "batch.undone": Event("What a brake had let through was undone."),
    ALERT: Event(
        "Usage alert: a service has used a chosen share of its bandwidth, or is on the way to it.", True
    ),
    "statement.closed": Event("The bandwidth statement of a period was closed.", True),
    "statement.adjusted": Event("A closed statement got a line of its own for what changed later.", True),
    "mail.failed": Event("A mail could not be sent."),
}
"""By kind. A verb of the journal is its kind, but for operations: ``operation.reboot.done`` is ``operation.done``."""

_OF_ALERT = ("kind", "percent", "period", "quantity", "included", "unit")
_SETTINGS = "how the house is set up; no machine and no service changes by it"
_SIGN_IN = "who signs in is nobody else's business"
_BUYING = "where a house buys is its own affair; its staff get a mail, and the service is told of when it is attached"
NO_EVENT: dict[str, str] = {
    "sign_in.done": _SIGN_IN,
    "sign_in.failed": _SIGN_IN,
    "leap_account.opened": _SETTINGS,
    "leap_account.rotated": _SETTINGS,
    "leap_account.shown": _SIGN_IN,
    "server.password_shown": _SIGN_IN,
    "tandem_user.added": _SETTINGS,
    "tandem_user.changed": _SETTINGS,
    "tandem_user.deleted": _SETTINGS,
    "tandem_user.permitted": _SETTINGS,
    "tandem_user.revoked": _SETTINGS,
    "organisation.created": _SETTINGS,
    "staff.created": _SETTINGS,
    "staff.changed": _SETTINGS,
    "brand.changed": _SETTINGS,
    "product_group.created": _SETTINGS,
    "product.created": _SETTINGS,
    "product.changed": _SETTINGS,
    "product.module_saved": _SETTINGS,
    "suspend_policy.created": _SETTINGS,
    "offer.created": _SETTINGS,
    "offer.changed": _SETTINGS,
    "server_group.created": _SETTINGS,
    "server_group.changed": _SETTINGS,
    "server_group.deleted": _SETTINGS,
    "upstream.created": _SETTINGS,
    "upstream.changed": _SETTINGS,
    "upstream.deleted": _SETTINGS,
    "upstream.armed": _SETTINGS,
    "upstream.disarmed": _SETTINGS,
    "upstream.pinned": _SETTINGS,
    "upstream_order.asked": _BUYING,
    "upstream_order.taken": _BUYING,
    "upstream_order.withdraw_asked": _BUYING,
    "upstream_order.*": _BUYING,
    "service.server_bought": _BUYING,
    "webhook.created": _SETTINGS,
    "webhook.changed": _SETTINGS,
    "webhook.paused": "it would be told of its own pause",
    "webhook.resumed": _SETTINGS,
    "webhook.rotated": _SETTINGS,
    "webhook.deleted": _SETTINGS,
    "webhook.tested": _SETTINGS,
    "webhook.redelivered": _SETTINGS,
    "secrets.resealed": _SETTINGS,
    "installation.quarantined": "for whoever runs the installation",
    "installation.confirmed": "for whoever runs the installation",
    "api_token.created": _SETTINGS,
    "api_token.rotated": _SETTINGS,
    "api_token.revoked": _SETTINGS,
    "api_token.changed": _SETTINGS,
    "api_token.bound": _SETTINGS,
    "api_token.installation_accepted": _SETTINGS,
    "api_token.copy_dismissed": _SETTINGS,
    "api_token.other_installation": "staff get a mail; what would be told of it may be the copy itself",
    "sign_in_link.made": _SIGN_IN,
    "sign_in_link.used": _SIGN_IN,
    "product.contract_saved": _SETTINGS,
    "bandwidth.alerts_chosen": _SETTINGS,
    "bandwidth.quarantine_accepted": "an adjustment follows where it changes a bill",
    "bandwidth.quarantine_rejected": "an adjustment follows where it changes a bill",
    "bandwidth.sample_history": "made up by the box",
    "services.imported": "each service that was attached by it is told of",
    "mail.sent": "what is as it should be; the mails have a page",
    "mail.kept": "what is as it should be; the mails have a page",
}


def kind_of(verb: str) -> str:
    """``operation.reboot.done`` -> ``operation.done``; any other verb as it is."""
    words = verb.split(".")
    return f"{words[0]}.{words[2]}" if words[0] == "operation" and len(words) == 3 else verb


def kinds_for(*, of_client: bool) -> dict[str, Event]:
    """What an endpoint may be told of."""
    return {kind: event for kind, event in EVENTS.items() if event.for_clients or not of_client}


def groups_for(*, of_client: bool) -> list[tuple[Group, dict[str, Event]]]:
    """The same, as it stands on a page. Groups of which nothing is offered are left out."""
    offered = kinds_for(of_client=of_client)
    found = [
        (group, {kind: event for kind, event in offered.items() if kind.partition(".")[0] in group.subjects})
        for group in GROUPS
    ]
    return [(group, events) for group, events in found if events]


def lines_of(kinds: Iterable[str], *, of_client: bool) -> Q:
    """The lines of the journal that are events of these kinds. Of alerts a client hears those at shares that it chose, or
    that are told to clients: at which others its house looks up is the house's own business."""
    of_operations = [kind.partition(".")[2] for kind in kinds if kind.startswith("operation.")]
    told = Q(verb__in=[kind for kind in kinds if not kind.startswith("operation.")])
    for ending in of_operations:
        told |= Q(verb__startswith="operation.", verb__endswith=f".{ending}")
    return told & (~Q(verb=ALERT) | Q(details__for_client=True)) if of_client else told


def data_for_client(entry: "Entry") -> dict[str, Any]:
    """Numbers and words of ours only: nothing that a person wrote, and nothing from beyond the brand."""
    return {"result": entry.result, "service_id": entry.service_id, **_more(entry)}


def data_for_organisation(entry: "Entry", organisation_id: int, *, is_own_client: bool) -> dict[str, Any]:
    """As the journal shows it: names and ids of services, clients and people stay within one house. No sentences: they are
    for people and change."""
    is_own_deed = entry.organisation_id in (None, organisation_id)
    is_own = is_own_client if entry.client_id is not None else is_own_deed
    hidden = not is_own and entry.target_kind in {"service", "client"}
    target = {"kind": entry.target_kind, "id": entry.target_id, "label": entry.target_label}
    return {
        "result": entry.result,
        "target": {"kind": entry.target_kind} if hidden else target,
        "server_id": entry.server_id,
        "service_id": entry.service_id if is_own else None,
        "client_id": entry.client_id if is_own else None,
        "by": entry.actor_label if is_own_deed and is_own else "another organisation",
        **_more(entry),
    }


def _more(entry: "Entry") -> dict[str, Any]:
    """What some kinds tell besides, in words and numbers of ours."""
    if entry.verb.startswith("operation."):
        kind, reference = entry.verb.split(".")[1], str(entry.details.get("reference", ""))
        return {"operation": {"kind": kind, "reference": reference}}
    if entry.verb == ALERT:
        return {"alert": {name: entry.details.get(name) for name in _OF_ALERT}}
    return {}
