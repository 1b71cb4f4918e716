"""All reads of notices. Mails are for the staff of the organisation under whose brand they went out."""

from django.db.models import QuerySet

from doublehop.notices.models import Mail
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
