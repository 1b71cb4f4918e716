"""What needs a person now. Everything else runs by itself."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef
from django.utils import timezone

from doublehop.bandwidth.queries import open_doubts
from doublehop.fleet.actions.ordering import OPEN
from doublehop.fleet.queries import (
    owns,
    servers_visible_to,
    upstream_orders_visible_to,
    upstreams_visible_to,
)
from doublehop.fleet.rests import is_refused
from doublehop.jobs.queries import worker_is_silent, worker_seen_at
from doublehop.organisations.actor import Actor
from doublehop.organisations.queries import (
    brand_of_organisation,
    clients_visible_to,
    organisation_of,
    other_installations,
    provider_of,
)
from doublehop.services.guards import HOLD_KINDS
from doublehop.services.lifecycle import OperationState, ServiceStatus
from doublehop.services.models import Operation, Service, SupplyOrder
from doublehop.services.queries.batches import batches_visible_to, held_count
from doublehop.services.queries.billing import late_services
from doublehop.services.queries.supply import waiting_supply
from doublehop.services.welcome import WELCOMED_WITHIN
from doublehop.services.wording import NAME, staff_sentence

MOST_OF_A_KIND = 10
READ_WITHIN = timedelta(hours=1)
"""How long a server may be there without having been read before somebody is told that its welcome waits."""


@dataclass(frozen=True)
class Need:
    """One thing that waits for a person. ``kind`` tells faces where its button leads; ``target`` is its id or reference."""

    kind: str
    target: str
    heading: str
    detail: str
    since: datetime
    tone: str


def needs_a_person(actor: Actor) -> list[Need]:
    """Worst kinds first, oldest first within each kind."""
    if not actor.is_staff:
        return []
    return [
        *_silent_worker(),
        *_copies(actor),
        *_batches(actor),
        *_unknown(actor),
        *_failed_suspensions(actor),
        *_unknown_bought(actor),
        *_bought_for_nobody(actor),
        *_upstreams(actor),
        *_waiting_orders(actor),
        *_waiting_supply(actor),
        *_overdue(actor),
        *_not_welcomed(actor),
        *_missing(actor),
        *_changed(actor),
        *_in_doubt(actor),
        *_mails_of_another(actor),
    ]


def _silent_worker() -> list[Need]:
    if not worker_is_silent():
        return []
    seen = worker_seen_at()
    text = "Nothing is read and nothing is sent until it runs again: doublehop worker."
    return [Need("worker", "", "The worker does not run", text, seen or timezone.now(), "failed")]


def _copies(actor: Actor) -> list[Need]:
    """Of a billing system: refused, until staff say which one is the right one."""
    rows = other_installations(actor).filter(dismissed_at=None)[:MOST_OF_A_KIND]
    return [
        Need(
            "token",
            str(row.token_id),
            f"A copy of {row.token.billing_system} called with the token {row.token.name}",
            f"From {row.first_from}. It is refused, and the one before goes on.",
            row.first_at,
            "failed",
        )
        for row in rows
    ]


def _batches(actor: Actor) -> list[Need]:
    needs = []
    for row in batches_visible_to(actor).filter(state="open").order_by("id")[:MOST_OF_A_KIND]:
        heading = f"{row}: {held_count(row)} operations of {row.caller_label} wait for approval"
        text = (
            "More than one caller may ask in an hour. Nothing of it is done until an owner or admin decides."
        )
        needs.append(Need("batch", str(row.pk), heading, text, row.opened_at, "suspended"))
    return needs


def _sentences(*told: str) -> str:
    return " ".join(filter(None, told))


def _unknown(actor: Actor) -> list[Need]:
    rows = Operation.objects.select_related("server__upstream", "client").filter(
        organisation_id=actor.organisation_id, state=OperationState.UNKNOWN
    )
    return [
        Need(
            "operation",
            row.reference,
            f"{NAME[row.kind]} of {row.server.label} has an unknown outcome",
            _sentences(staff_sentence(actor, row), f"{row.client.name} waits." if row.client else ""),
            row.asked_at,
            "unknown",
        )
        for row in rows.order_by("id")[:MOST_OF_A_KIND]
    ]


def _failed_suspensions(actor: Actor) -> list[Need]:
    """The newest word on a held server is a failed suspension: it is marked suspended, and still reachable."""
    later = Operation.objects.filter(
        server=OuterRef("server"),
        kind__in=HOLD_KINDS,
        id__gt=OuterRef("pk"),
        organisation_id=actor.organisation_id,
    )
    rows = Operation.objects.select_related("server__upstream").filter(
        ~Exists(later),
        organisation_id=actor.organisation_id,
        kind__in=HOLD_KINDS,
        state=OperationState.FAILED,
        server__holds__lifted_at__isnull=True,
        server__holds__organisation_id=actor.organisation_id,
    )
    return [
        Need(
            "operation",
            row.reference,
            f"{NAME[row.kind]} of {row.server.label} failed",
            staff_sentence(actor, row),
            row.asked_at,
            "failed",
        )
        for row in rows.order_by("id")[:MOST_OF_A_KIND]
    ]


def _upstreams(actor: Actor) -> list[Need]:
    needs = []
    for row in upstreams_visible_to(actor).order_by("failing_since")[:100]:
        if row.failing_since is not None:
            heading, text = f"{row.name} cannot be read", row.failure_text
            if is_refused(row):
                heading = f"{row.name} refuses our login"
                text = f"Nothing is asked of it or sent to it until the login is corrected. It said: {text}"
            needs.append(Need("upstream", str(row.pk), heading, text, row.failing_since, "failed"))
        elif not row.armed:
            text = "Its servers are read; nothing is sent to them. Test the connection, then arm it."
            needs.append(
                Need("upstream", str(row.pk), f"{row.name} observes only", text, row.created_at, "off")
            )
    return needs[:MOST_OF_A_KIND]


def _unknown_bought(actor: Actor) -> list[Need]:
    """Servers that may have been bought."""
    text = "Look over there, then record on the upstream's page what you found. It said: {}"
    return [
        Need(
            "upstream",
            str(row.upstream_id),
            f"{row} at {row.upstream.name}: nobody knows whether it was ordered",
            text.format(row.why),
            row.asked_at,
            "unknown",
        )
        for row in upstream_orders_visible_to(actor).filter(state="unknown")[:MOST_OF_A_KIND]
    ]


def _bought_for_nobody(actor: Actor) -> list[Need]:
    """On order at an upstream, for a client who does not want it any more."""
    rows = Service.objects.select_related("upstream_order__upstream").filter(
        organisation_id=actor.organisation_id,
        status=ServiceStatus.CANCELLED,
        upstream_order__state__in=OPEN,
        upstream_order__withdraw_asked_at=None,
    )
    text = "Withdraw it on the upstream’s page, or let the server come: it is free then."
    return [
        Need(
            "upstream",
            str(row.upstream_order.upstream_id),
            f"{row.upstream_order} at {row.upstream_order.upstream.name} is open for {row}, which was cancelled",
            text,
            row.ended_at or row.upstream_order.asked_at,
            "working",
        )
        for row in rows.order_by("ended_at")[:MOST_OF_A_KIND]
        if row.upstream_order is not None
    ]


def _waiting_orders(actor: Actor) -> list[Need]:
    rows = Service.objects.select_related("product", "client", "upstream_order__upstream").filter(
        organisation_id=actor.organisation_id, status=ServiceStatus.PENDING
    )
    return [
        Need(
            "service",
            str(row.pk),
            f"{row} waits for a server: {row.product.name} for {row.client.name}",
            row.waits_because or _why_it_waits(row),
            row.created_at,
            "working",
        )
        for row in rows.order_by("created_at")[:MOST_OF_A_KIND]
    ]


def _waiting_supply(actor: Actor) -> list[Need]:
    needs = []
    for row in waiting_supply(actor)[:MOST_OF_A_KIND]:
        wanted = f"{row.organisation.name} orders {row.offer_name}"
        text = "Fill it with one of your servers, or refuse it."
        if row.kind == SupplyOrder.Kind.CANCEL:
            wanted = f"{row.organisation.name} gives {row.server.label if row.server else 'a server'} back"
            text = "Accept it, which ends the allocation, or refuse it."
        needs.append(Need("supply", str(row.pk), f"{row}: {wanted}", text, row.asked_at, "working"))
    return needs


def _why_it_waits(row: Service) -> str:
    bought = row.upstream_order
    if bought is not None and bought.settled_at is None:
        return f"{bought} is on order at {bought.upstream.name}."
    group = row.product.server_group if row.activated_at is None else None
    return (
        f"It is filled from the group {group.name}." if group else "Server group: None. Attach one by hand."
    )


def _overdue(actor: Actor) -> list[Need]:
    """Late, and still running: the suspension is on its way, or something stands against it."""
    rows = late_services().filter(organisation_id=actor.organisation_id).exclude(waits_because="")
    return [
        Need(
            "service",
            str(row.pk),
            f"{row} is overdue and could not be suspended",
            row.waits_because,
            row.activated_at or row.created_at,
            "suspended",
        )
        for row in rows.order_by("next_due_on", "pk")[:MOST_OF_A_KIND]
    ]


def _not_welcomed(actor: Actor) -> list[Need]:
    """A mail that waits for its server longer than reading one takes."""
    now = timezone.now()
    rows = Service.objects.select_related("server").filter(
        organisation_id=actor.organisation_id,
        server__isnull=False,
        welcomed_at__isnull=True,
        activated_at__gt=now - WELCOMED_WITHIN,
        activated_at__lt=now - READ_WITHIN,
    )
    return [
        Need(
            "service",
            str(row.pk),
            f"{row} is not welcomed yet",
            f"{row.server.label if row.server else 'Its server'} was not read since it was attached. "
            "The mail goes out as soon as it is.",
            row.activated_at or row.created_at,
            "suspended",
        )
        for row in rows.exclude(product__welcome_body="").order_by("activated_at")[:MOST_OF_A_KIND]
    ]


def _changed(actor: Actor) -> list[Need]:
    """Whoever owns the machine can re-adopt it; those below only learn that nothing is sent."""
    rows = servers_visible_to(actor).filter(identity_changed_at__isnull=False)
    return [
        Need(
            "identity" if owns(actor, row) else "server",
            str(row.pk),
            f"{row.label} shows itself as another machine than was attached",
            "Nothing is sent to it. Find out which machine stands there; re-adopt it if its hardware was changed.",
            row.identity_changed_at,
            "failed",
        )
        for row in rows.select_related("upstream").order_by("identity_changed_at")[:MOST_OF_A_KIND]
        if row.identity_changed_at is not None
    ]


def _in_doubt(actor: Actor) -> list[Need]:
    return [
        Need(
            "doubt",
            "",
            f"{count} {'interval' if count == 1 else 'intervals'} of bandwidth in doubt at {name}",
            "Counters jumped, or another device or port answered. Nothing of it is billed until you decide.",
            oldest,
            "suspended",
        )
        for _, name, count, oldest in open_doubts(actor)[:MOST_OF_A_KIND]
    ]


def _mails_of_another(actor: Actor) -> list[Need]:
    """Without an address of its own, a reseller's mails to clients come from that of whoever runs the installation."""
    if provider_of(actor) is None or brand_of_organisation(actor.organisation_id).support_email:
        return []
    if not clients_visible_to(actor).exists():
        return []
    text = "Clients read it on each of them. Set a support e-mail of your own, and they come from that."
    return [
        Need(
            "brand",
            "",
            "Mails to your clients come from an address that is not yours",
            text,
            organisation_of(actor).created_at,
            "suspended",
        )
    ]


def _missing(actor: Actor) -> list[Need]:
    rows = servers_visible_to(actor).filter(missing_since__isnull=False, recorded_identity__isnull=False)
    return [
        Need(
            "server",
            str(row.pk),
            f"{row.label} is attached, and no longer listed",
            "It keeps its last known state. Nothing is sent to it until it is listed again.",
            row.missing_since,
            "suspended",
        )
        for row in rows.order_by("missing_since")[:MOST_OF_A_KIND]
        if row.missing_since is not None
    ]
