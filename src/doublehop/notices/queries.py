"""All reads of notices. Mails are for the staff of the organisation under whose brand they went out."""

from dataclasses import dataclass

from django.db.models import OuterRef, QuerySet, Subquery

from doublehop.notices.models import Mail, WebhookDelivery, WebhookEndpoint
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import NotHere


def mails_visible_to(actor: Actor) -> QuerySet[Mail]:
    """Newest first. Bodies hold no secrets: those are only in what was sent."""
    rows = Mail.objects.order_by("-id")
    if actor.is_system:
        return rows
    return rows.filter(organisation_id=actor.organisation_id) if actor.is_staff else rows.none()


def mail(actor: Actor, mail_id: int) -> Mail:
    row = mails_visible_to(actor).filter(pk=mail_id).first()
    if row is None:
        raise NotHere
    return row


def endpoints_visible_to(actor: Actor) -> QuerySet[WebhookEndpoint]:
    """For staff those of the organisation and of its clients; for a client its own."""
    rows = WebhookEndpoint.objects.order_by("pk")
    if actor.is_system:
        return rows
    own = rows.filter(organisation_id=actor.organisation_id)
    if actor.is_client and actor.client_id is not None:
        return own.filter(client_id=actor.client_id)
    return own if actor.is_staff else rows.none()


def endpoint(actor: Actor, endpoint_id: int) -> WebhookEndpoint:
    row = endpoints_visible_to(actor).select_related("client").filter(pk=endpoint_id).first()
    if row is None:
        raise NotHere
    return row


def deliveries_visible_to(actor: Actor) -> QuerySet[WebhookDelivery]:
    """Newest first, with what the receivers answered."""
    rows = WebhookDelivery.objects.filter(endpoint__in=endpoints_visible_to(actor).order_by())
    return rows.select_related("endpoint").order_by("-pk")


def delivery(actor: Actor, delivery_id: int) -> WebhookDelivery:
    row = deliveries_visible_to(actor).filter(pk=delivery_id).first()
    if row is None:
        raise NotHere
    return row


MOST_COUNTED = 99


@dataclass(frozen=True)
class EndpointGlance:
    """A line of a list. ``last`` is the delivery that was tried last; the numbers are counted no further than ``MOST_COUNTED``."""

    row: WebhookEndpoint
    last: WebhookDelivery | None
    waiting: int
    failed: int


def glances(actor: Actor, ids: list[int]) -> list[EndpointGlance]:
    """How each of these does, as far as the actor sees it. They are those of one page."""
    tried = WebhookDelivery.objects.filter(endpoint=OuterRef("pk"), tried_at__isnull=False).order_by("-pk")
    rows = endpoints_visible_to(actor).filter(pk__in=ids).select_related("client")
    found = list(rows.annotate(last_id=Subquery(tried.values("pk")[:1])))
    last = WebhookDelivery.objects.in_bulk([row.last_id for row in found if row.last_id])
    return [
        EndpointGlance(
            row=row,
            last=last.get(row.last_id),
            waiting=_count(row, WebhookDelivery.State.WAITING),
            failed=_count(row, WebhookDelivery.State.FAILED),
        )
        for row in found
    ]


def newest_test(actor: Actor, endpoint_id: int) -> WebhookDelivery | None:
    return deliveries_visible_to(actor).filter(endpoint_id=endpoint_id, entry_id__isnull=True).first()


def _count(row: WebhookEndpoint, state: str) -> int:
    return len(row.deliveries.filter(state=state).order_by().values_list("pk")[:MOST_COUNTED])
