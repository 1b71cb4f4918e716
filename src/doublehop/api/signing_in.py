"""One-time links with which a billing system sends a client, signed in, to the white-label panel."""

from datetime import datetime
from typing import Annotated

from django.http import HttpRequest, HttpResponse
from ninja import Field, Router, Schema, Status

from doublehop.api.asking import BY_TOKEN, Body, Key, key_of
from doublehop.api.paging import WRITE_PROBLEMS
from doublehop.api.problems import house_with
from doublehop.fleet.queries import BIGGEST_ID
from doublehop.organisations.actions import make_sign_in_link
from doublehop.organisations.actions.sign_in_links import START, url_of
from doublehop.organisations.actor import Actor, Scope
from doublehop.organisations.refusals import BadInput
from doublehop.services import queries as services

router = Router(tags=["sign-in links"])
_Id = Annotated[int, Field(ge=0, lt=BIGGEST_ID)]


class LinkAsked(Body):
    """For a client, or for whoever holds a service. ``path`` is a page of the client panel; without it the service, or all servers."""

    client_id: _Id | None = None
    service_id: _Id | None = None
    path: str = Field("", max_length=300)


class LinkOut(Schema):
    """``url`` opens once, until ``expires_at``. Send the browser there; keep it nowhere."""

    url: str
    expires_at: datetime


@router.post("/sign-in-links", auth=BY_TOKEN, response={201: LinkOut, **WRITE_PROBLEMS})
def sign_in_link(
    request: HttpRequest, response: HttpResponse, asked: LinkAsked, idempotency_key: Key = ""
) -> object:
    """For tokens of billing systems. The same key answers with the same link: use a new one for each press."""
    actor = house_with(request, Scope.BILLING)
    given = key_of(idempotency_key)
    client_id, page = _of_whom(actor, asked)
    row = make_sign_in_link(actor, client_id, path=asked.path or page, key=given)
    response["Cache-Control"] = "no-store"
    return Status(201, LinkOut(url=url_of(row), expires_at=row.expires_at))


def _of_whom(actor: Actor, asked: LinkAsked) -> tuple[int, str]:
    """The client, and where the link leads by itself."""
    if (asked.client_id is None) == (asked.service_id is None):
        raise BadInput("Name a client or a service, one of them.", field="client_id")
    if asked.service_id is None:
        return asked.client_id or 0, START
    service = services.service(actor, asked.service_id)
    return service.client_id, f"{START}{service.pk}/"
