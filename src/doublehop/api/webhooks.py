"""Webhooks of a token's holder: an organisation's with its clients', or a client's own. All of it needs the scope ``webhooks``.

A secret stands in the answer to the request that made it, once: the same ``Idempotency-Key`` again answers without it.
"""

from datetime import datetime
from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Field, Query, Router, Schema, Status

from doublehop.api.asking import BY_TOKEN, Body, DryRun, Key, key_of
from doublehop.api.paging import READ_PROBLEMS, WRITE_PROBLEMS, GivenId, Id, Listed, Page, page_of
from doublehop.api.problems import actor_with
from doublehop.notices import endpoints, queries
from doublehop.notices.endpoints import EndpointChange, EndpointForm
from doublehop.organisations.actor import Actor, Scope

router = Router(tags=["webhooks"], auth=BY_TOKEN)
MOST_KINDS = 200


class WebhookIn(Body):
    """``kinds`` are those of docs/how-to/webhooks.md. ``client_id``: for one of your clients, told of that client's services
    only. A client's token leaves it out."""

    url: str = Field(max_length=500)
    kinds: list[str] = Field(max_length=MOST_KINDS)
    description: str = Field("", max_length=200)
    client_id: GivenId | None = None


class WebhookChange(Body):
    """What is left out stays."""

    url: str | None = Field(None, max_length=500)
    kinds: list[str] | None = Field(None, max_length=MOST_KINDS)
    description: str | None = Field(None, max_length=200)


class WebhookOut(Schema):
    """``state`` is ``active`` or ``paused``. ``failing_since``: nothing was delivered since then, though it was tried.
    Until ``previous_secret_until`` the secret before signs too."""

    id: int
    url: str
    description: str
    kinds: list[str]
    client_id: int | None
    state: str
    paused_because: str
    failing_since: datetime | None
    previous_secret_until: datetime | None
    created_at: datetime

    @staticmethod
    def resolve_paused_because(row: Any) -> str:
        return str(row.paused_why)

    @staticmethod
    def resolve_previous_secret_until(row: Any) -> datetime | None:
        until: datetime | None = row.previous_until
        return until


class WebhookMade(WebhookOut):
    """``secret``: told this once, null when the same key is sent again."""

    secret: str | None

    @staticmethod
    def resolve_secret(row: Any) -> str | None:
        return row.new_secret.reveal() if row.new_secret is not None else None


class DeliveryOut(Schema):
    """``state`` is ``waiting``, ``delivered`` or ``failed``. ``status`` and ``answer`` are of the last attempt; null and empty
    when nobody answered."""

    id: int
    webhook_id: str
    kind: str
    state: str
    created_at: datetime
    attempts: int
    tried_at: datetime | None
    next_try_at: datetime | None
    status: int | None
    answer: str
    failure: str

    @staticmethod
    def resolve_next_try_at(row: Any) -> datetime | None:
        return row.next_try_at if row.state == "waiting" else None

    @staticmethod
    def resolve_failure(row: Any) -> str:
        return str(row.failure_text)


class Log(Page):
    state: Literal["waiting", "delivered", "failed"] | None = None


class WouldDelete(Schema):
    """``waiting``: so many deliveries would not be sent any more (counted up to 99)."""

    dry_run: Literal[True] = True
    waiting: int


def _actor(request: HttpRequest) -> Actor:
    return actor_with(request, Scope.WEBHOOKS)


@router.get("/webhooks", response={200: Listed[WebhookOut], **READ_PROBLEMS})
def list_webhooks(request: HttpRequest, page: Query[Page]) -> object:
    """An organisation's token lists those of its clients too."""
    return page_of(queries.endpoints_visible_to(_actor(request)), page)


@router.post("/webhooks", response={201: WebhookMade, **WRITE_PROBLEMS})
def make_webhook(
    request: HttpRequest, response: HttpResponse, asked: WebhookIn, idempotency_key: Key = ""
) -> object:
    actor = _actor(request)
    form = EndpointForm(
        url=asked.url, description=asked.description, kinds=asked.kinds, client_id=asked.client_id
    )
    row = endpoints.create_endpoint(actor, form, key=key_of(idempotency_key))
    response["Location"] = f"/api/v1/webhooks/{row.pk}"
    response["Cache-Control"] = "no-store"
    return Status(201, row)


@router.get("/webhooks/{webhook_id}", response={200: WebhookOut, **READ_PROBLEMS})
def one_webhook(request: HttpRequest, webhook_id: Id) -> object:
    return queries.endpoint(_actor(request), webhook_id)


@router.patch("/webhooks/{webhook_id}", response={200: WebhookOut, **WRITE_PROBLEMS})
def change_webhook(
    request: HttpRequest, webhook_id: Id, asked: WebhookChange, idempotency_key: Key = ""
) -> object:
    change = EndpointChange(url=asked.url, description=asked.description, kinds=asked.kinds)
    return endpoints.change_endpoint(_actor(request), webhook_id, change, key=key_of(idempotency_key))


@router.delete("/webhooks/{webhook_id}", response={200: WouldDelete, 204: None, **WRITE_PROBLEMS})
def delete_webhook(
    request: HttpRequest, webhook_id: Id, idempotency_key: Key = "", dry_run: DryRun = False
) -> object:
    """With its log and its secret. What waits is not sent."""
    actor = _actor(request)
    if dry_run:
        (glance,) = queries.glances(actor, [queries.endpoint(actor, webhook_id).pk])
        return Status(200, WouldDelete(waiting=glance.waiting))
    endpoints.delete_endpoint(actor, webhook_id, key=key_of(idempotency_key))
    return Status(204, None)


@router.post("/webhooks/{webhook_id}/rotate", response={200: WebhookMade, **WRITE_PROBLEMS})
def rotate_secret(
    request: HttpRequest, response: HttpResponse, webhook_id: Id, idempotency_key: Key = ""
) -> object:
    """A new secret. The present one signs beside it for 24 hours; one before that ends at once."""
    actor = _actor(request)
    response["Cache-Control"] = "no-store"
    return endpoints.rotate_secret(actor, webhook_id, key=key_of(idempotency_key))


@router.post("/webhooks/{webhook_id}/pause", response={200: WebhookOut, **WRITE_PROBLEMS})
def pause_webhook(request: HttpRequest, webhook_id: Id, idempotency_key: Key = "") -> object:
    """Events that happen meanwhile are not made up for."""
    return endpoints.pause_endpoint(_actor(request), webhook_id, key=key_of(idempotency_key))


@router.post("/webhooks/{webhook_id}/resume", response={200: WebhookOut, **WRITE_PROBLEMS})
def resume_webhook(request: HttpRequest, webhook_id: Id, idempotency_key: Key = "") -> object:
    return endpoints.resume_endpoint(_actor(request), webhook_id, key=key_of(idempotency_key))


@router.post("/webhooks/{webhook_id}/test", response={202: DeliveryOut, **WRITE_PROBLEMS})
def send_test(request: HttpRequest, webhook_id: Id, idempotency_key: Key = "") -> object:
    """Sent once, at once. What came of it stands among the deliveries, under the same ``id``."""
    return Status(202, endpoints.send_test(_actor(request), webhook_id, key=key_of(idempotency_key)))


@router.get("/webhooks/{webhook_id}/deliveries", response={200: Listed[DeliveryOut], **READ_PROBLEMS})
def deliveries(request: HttpRequest, webhook_id: Id, only: Query[Log]) -> object:
    """Newest first, of the last 30 days."""
    actor = _actor(request)
    rows = queries.deliveries_visible_to(actor).filter(endpoint_id=queries.endpoint(actor, webhook_id).pk)
    return page_of(rows.filter(state=only.state) if only.state else rows, only, newest_first=True)


@router.post(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver", response={202: DeliveryOut, **WRITE_PROBLEMS}
)
def redeliver(request: HttpRequest, webhook_id: Id, delivery_id: Id, idempotency_key: Key = "") -> object:
    """The same event under the same ``webhook-id``, now, and patiently again if that fails."""
    actor, key = _actor(request), key_of(idempotency_key)
    return Status(202, endpoints.redeliver(actor, delivery_id, endpoint_id=webhook_id, key=key))
