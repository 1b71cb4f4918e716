"""Who asks, as this installation sees it."""

from datetime import datetime

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Schema

from doublehop import __version__
from doublehop.api.paging import READ_PROBLEMS
from doublehop.api.problems import reader
from doublehop.organisations.actor import Actor
from doublehop.organisations.queries import brand_of_organisation, token_of

router = Router(tags=["me"])


class Me(Schema):
    """``kind``: program, client or staff. ``now``: the time here, for whoever wonders about their own clock."""

    kind: str
    name: str
    organisation: str
    organisation_id: int
    client_id: int | None
    token: str
    scopes: list[str]
    billing_system: str
    expires_at: datetime | None
    version: str
    now: datetime


def _house(actor: Actor) -> str:
    """A client knows it by its brand: what it is called above is a word of whoever stands there."""
    return brand_of_organisation(actor.organisation_id).name if actor.is_client else actor.organisation_label


@router.get("/me", response={200: Me, **READ_PROBLEMS})
def me(request: HttpRequest) -> object:
    actor = reader(request)
    token = token_of(actor)
    return {
        "kind": actor.kind.value,
        "name": actor.label,
        "organisation": _house(actor),
        "organisation_id": actor.organisation_id,
        "client_id": actor.client_id,
        "token": token.handle if token else "",
        "scopes": sorted(actor.scopes),
        "billing_system": actor.billing_system,
        "expires_at": token.expires_at if token else None,
        "version": __version__,
        "now": timezone.now(),
    }
