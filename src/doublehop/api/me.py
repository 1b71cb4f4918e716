"""Who asks, as this installation sees it."""

from datetime import datetime

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Schema

from doublehop import __version__
from doublehop.api.paging import READ_PROBLEMS
from doublehop.api.problems import reader
from doublehop.organisations.queries import token_of

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


@router.get("/me", response={200: Me, **READ_PROBLEMS})
def me(request: HttpRequest) -> object:
    actor = reader(request)
    token = token_of(actor)
    return {
        "kind": actor.kind.value,
        "name": actor.label,
        "organisation": actor.organisation_label,
        "organisation_id": actor.organisation_id,
        "client_id": actor.client_id,
        "token": token.handle if token else "",
        "scopes": sorted(actor.scopes),
        "billing_system": actor.billing_system,
        "expires_at": token.expires_at if token else None,
        "version": __version__,
        "now": timezone.now(),
    }
