"""How the welcome of a service stands: what was sent, and not what was meant to be."""

from enum import StrEnum

from doublehop.notices.models import Mail
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import NotHere
from doublehop.services.models import Service
from doublehop.services.queries.services import services_visible_to
from doublehop.services.welcome import key_of


class Welcome(StrEnum):
    NONE = "none"
    """There is none: no text, or nobody to send it to."""
    COMING = "coming"
    SENT = "sent"
    NOT_SENT = "not_sent"
    """It was written, and could not be sent."""


_OF_A_MAIL = {
    Mail.State.WAITING: Welcome.COMING,
    Mail.State.SENT: Welcome.SENT,
    Mail.State.KEPT: Welcome.NOT_SENT,
    Mail.State.FAILED: Welcome.NOT_SENT,
}


def welcome_of(actor: Actor, service: Service) -> Welcome:
    """Fit for its client as for its staff."""
    row = services_visible_to(actor).filter(pk=service.pk).first()
    if row is None:
        raise NotHere
    state = Mail.objects.filter(key=key_of(row)).values_list("state", flat=True).first()
    if state is not None:
        return _OF_A_MAIL[Mail.State(state)]
    awaited = row.welcomed_at is None and bool(row.product.welcome_body.strip())
    return Welcome.COMING if awaited else Welcome.NONE
