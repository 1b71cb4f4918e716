"""Clients of the asker's organisation. A client's own token reads itself."""

from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponse
from ninja import Field, Query, Router, Schema, Status

from doublehop.api.asking import BY_TOKEN, Body, Key, carried_out
from doublehop.api.paging import READ_PROBLEMS, WRITE_PROBLEMS, Id, Listed, Page, page_of
from doublehop.api.problems import house_with, reader
from doublehop.organisations import actions, queries, texts
from doublehop.organisations.actor import Actor, Scope

if TYPE_CHECKING:
    from doublehop.organisations.models import Client

router = Router(tags=["clients"])


class ClientOut(Schema):
    id: int
    number: int
    name: str
    email: str
    billed_by: str
    billing_reference: str


class Filter(Page):
    billing_reference: str | None = Field(
        None, description="A billing system's own id, within that of the token."
    )
    email: str | None = None
    q: str = Field(
        "",
        max_length=120,
        description="A number, the beginning of a name or e-mail address, or a billing reference.",
    )


class NewClient(Body):
    """``billing_reference`` again answers with the client that has it, as it is."""

    name: str = Field(max_length=120)
    email: str = Field("", max_length=254)
    billing_reference: str = Field("", max_length=80)


class ChangedClient(Body):
    """What is left out stays."""

    name: str | None = Field(None, max_length=120)
    email: str | None = Field(None, max_length=254)
    billing_reference: str | None = Field(None, max_length=80)


def _out(actor: Actor, row: "Client") -> dict[str, object]:
    return {
        "id": row.pk,
        "number": row.number,
        "name": row.name,
        "email": row.email,
        "billed_by": row.billed_by if actor.is_staff else "",
        "billing_reference": row.billing_reference if actor.is_staff else "",
    }


@router.get("/clients", response={200: Listed[ClientOut], **READ_PROBLEMS})
def list_clients(request: HttpRequest, only: Query[Filter]) -> object:
    actor = reader(request)
    rows = queries.clients_visible_to(actor)
    if only.billing_reference is not None:
        rows = rows.filter(billing_reference=texts.searched(only.billing_reference))
        rows = rows.filter(billed_by=actor.billing_system) if actor.billing_system else rows
    if only.email is not None:
        rows = rows.filter(email__iexact=texts.searched(only.email, 254))
    if words := texts.searched(only.q):
        rows = rows.filter(queries.clients_like(actor, words))
    found = page_of(rows, only)
    return {**found, "items": [_out(actor, row) for row in found["items"]]}


@router.get("/clients/{client_id}", response={200: ClientOut, **READ_PROBLEMS})
def one_client(request: HttpRequest, client_id: Id) -> object:
    actor = reader(request)
    return _out(actor, queries.client(actor, client_id))


@router.post("/clients", auth=BY_TOKEN, response={200: ClientOut, 201: ClientOut, **WRITE_PROBLEMS})
def make_client(
    request: HttpRequest, response: HttpResponse, given: NewClient, idempotency_key: Key = ""
) -> object:
    actor = house_with(request, Scope.BILLING)
    known = queries.client_of_reference(actor, texts.reference_of(given.billing_reference))
    made = carried_out(
        lambda key: actions.create_client(actor, **given.dict(), key=key),
        lambda row: _out(actor, row),
        idempotency_key,
    )
    response["Location"] = f"/api/v1/clients/{made['id']}"
    return Status(200 if known is not None and known.pk == made["id"] else 201, made)


@router.patch("/clients/{client_id}", auth=BY_TOKEN, response={200: ClientOut, **WRITE_PROBLEMS})
def change_client(
    request: HttpRequest, client_id: Id, given: ChangedClient, idempotency_key: Key = ""
) -> object:
    actor = house_with(request, Scope.BILLING)
    return carried_out(
        lambda key: actions.update_client(actor, client_id, **given.dict(), key=key),
        lambda changed: _out(actor, changed),
        idempotency_key,
    )
