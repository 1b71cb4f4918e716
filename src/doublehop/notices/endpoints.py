"""All writes of webhooks that people and programs ask for: endpoints, their secrets, tests and redeliveries.

Of a house, whoever governs it manages all of them. A client's own people manage those of the client. A token needs the
scope for it.
"""

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from doublehop.driver_kit.secret import Secret
from doublehop.journal.queries import newest_id
from doublehop.notices import queries
from doublehop.notices.deliveries import VAULT_ROW, body_of, opened_by, ring_for
from doublehop.notices.events import TEST, kinds_for
from doublehop.notices.models import WebhookDelivery, WebhookEndpoint
from doublehop.notices.sending import check_url
from doublehop.organisations import record, texts, vault
from doublehop.organisations.actions.sign_ins import require
from doublehop.organisations.actor import Actor, Duty, Scope
from doublehop.organisations.once import once
from doublehop.organisations.queries import brand_of_organisation, clients_visible_to
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, WrongState

MOST_ENDPOINTS = 20
"""Of one organisation, without its clients': each is asked about every line of the journal."""
MOST_OF_CLIENT = 5
OLD_SECRET_FOR = timedelta(hours=24)
"""After a new secret was made, signatures of both are sent for so long."""
_State = WebhookEndpoint.State


@dataclass(frozen=True)
class EndpointForm:
    """As typed. ``client_id`` counts at creation only, and only where staff make it: a client makes its own."""

    url: str
    description: str = ""
    kinds: Sequence[str] = ()
    client_id: int | None = None


@dataclass(frozen=True)
class EndpointChange:
    """As typed. None stays as it is."""

    url: str | None = None
    description: str | None = None
    kinds: Sequence[str] | None = None


@once("webhook.create", again=queries.endpoint)
@transaction.atomic
def create_endpoint(actor: Actor, form: EndpointForm, *, key: str = "") -> WebhookEndpoint:
    """Told of events from now on. ``new_secret`` of the answer is the only way to its secret."""
    _require(actor)
    client_id = actor.client_id if actor.is_client else form.client_id
    if client_id is not None and not clients_visible_to(actor).filter(pk=client_id).exists():
        raise BadInput("There is no such client.", field="client_id")
    _check_room(actor.organisation_id, client_id)
    secret = _new_secret()
    row = WebhookEndpoint(
        organisation_id=actor.organisation_id,
        client_id=client_id,
        sealed_secrets=vault.seal({"current": secret}, row=VAULT_ROW),
        read_to=newest_id(),
    )
    _fill(row, form)
    row.save()
    row.new_secret = secret
    _write(actor, "webhook.created", row)
    return row


@once("webhook.change", again=queries.endpoint)
@transaction.atomic
def change_endpoint(
    actor: Actor, endpoint_id: int, change: EndpointChange, *, key: str = ""
) -> WebhookEndpoint:
    row = _locked(actor, endpoint_id)
    form = EndpointForm(
        url=row.url if change.url is None else change.url,
        description=row.description if change.description is None else change.description,
        kinds=row.kinds if change.kinds is None else change.kinds,
    )
    _fill(row, form)
    row.rests_until = None
    row.save()
    _write(actor, "webhook.changed", row)
    return row


@once("webhook.pause", again=queries.endpoint)
@transaction.atomic
def pause_endpoint(actor: Actor, endpoint_id: int, *, key: str = "") -> WebhookEndpoint:
    row = _locked(actor, endpoint_id)
    if row.state == _State.ACTIVE:
        row.state, row.paused_why = _State.PAUSED, _who(actor, row)
        row.save()
        _write(actor, "webhook.paused", row)
    return row


@once("webhook.resume", again=queries.endpoint)
@transaction.atomic
def resume_endpoint(actor: Actor, endpoint_id: int, *, key: str = "") -> WebhookEndpoint:
    """What waited goes on. Events of the pause are not made up for."""
    row = _locked(actor, endpoint_id)
    if row.state == _State.PAUSED:
        row.state, row.paused_why, row.failing_since, row.rests_until = _State.ACTIVE, "", None, None
        row.read_to = newest_id()
        row.save()
        _write(actor, "webhook.resumed", row)
        for delivery in row.deliveries.filter(state=WebhookDelivery.State.WAITING).order_by("pk"):
            ring_for(delivery)
    return row


@once("webhook.rotate", again=queries.endpoint)
@transaction.atomic
def rotate_secret(actor: Actor, endpoint_id: int, *, key: str = "") -> WebhookEndpoint:
    """A new secret; the present one stays valid beside it for ``OLD_SECRET_FOR``."""
    row = _locked(actor, endpoint_id)
    secret = _new_secret()
    try:
        before = vault.unseal(row.sealed_secrets, row=VAULT_ROW)["current"]
    except vault.VaultClosed:
        kept, row.previous_until = (
            {"current": secret},
            None,
        )  # lost with the vault's key: nothing to go on with
    else:
        kept, row.previous_until = (
            {"current": secret, "previous": before},
            timezone.now() + OLD_SECRET_FOR,
        )
    row.sealed_secrets = vault.seal(kept, row=VAULT_ROW)
    row.save()
    row.new_secret = secret
    _write(actor, "webhook.rotated", row)
    return row


@once("webhook.delete")
@transaction.atomic
def delete_endpoint(actor: Actor, endpoint_id: int, *, key: str = "") -> None:
    """With its log. What waits is not sent."""
    row = _locked(actor, endpoint_id)
    _write(actor, "webhook.deleted", row)
    row.delete()


@once("webhook.test", again=queries.delivery)
@transaction.atomic
def send_test(actor: Actor, endpoint_id: int, *, key: str = "") -> WebhookDelivery:
    """Sent once, at once: whoever pressed it looks at the answer."""
    row = _active(_locked(actor, endpoint_id))
    now = timezone.now()
    delivery = WebhookDelivery.objects.create(
        endpoint=row,
        webhook_id=f"evt_{secrets.token_hex(16)}",
        kind=TEST,
        body=body_of(TEST, now, {"result": "done"}),
    )
    _write(actor, "webhook.tested", row)
    ring_for(delivery)
    return delivery


@once("webhook.redeliver", again=queries.delivery)
@transaction.atomic
def redeliver(
    actor: Actor, delivery_id: int, *, endpoint_id: int | None = None, key: str = ""
) -> WebhookDelivery:
    """The same event with the same webhook-id, now, and patiently again if that fails. One of another endpoint than
    ``endpoint_id`` is not here."""
    found = queries.delivery(actor, delivery_id)
    if endpoint_id not in (None, found.endpoint_id):
        raise NotHere
    row = _active(_locked(actor, found.endpoint_id))
    delivery = WebhookDelivery.objects.select_for_update(of=("self",)).get(pk=found.pk)
    delivery.state, delivery.attempts, delivery.settled_at = WebhookDelivery.State.WAITING, 0, None
    delivery.next_try_at = timezone.now()
    delivery.save()
    _write(actor, "webhook.redelivered", row, sentence=found.kind)
    ring_for(delivery)
    return delivery


def _require(actor: Actor) -> None:
    if actor.token_id is not None:
        if Scope.WEBHOOKS not in actor.scopes:
            raise NotAllowed(f"This token has not the scope {Scope.WEBHOOKS.value}.")
    elif not actor.is_client:
        require(actor, Duty.GOVERN)


def _check_room(organisation_id: int, client_id: int | None) -> None:
    """A client's do not use up the house's. One more at the same moment is harmless."""
    rows = WebhookEndpoint.objects.filter(organisation_id=organisation_id)
    if client_id is None:
        rows, most = rows.filter(client__isnull=True), MOST_ENDPOINTS
    else:
        rows, most = rows.filter(client_id=client_id), MOST_OF_CLIENT
    if rows.count() >= most:
        raise WrongState(f"There are {most} webhooks already. Delete one first.", code="too_many_webhooks")


def _locked(actor: Actor, endpoint_id: int) -> WebhookEndpoint:
    row = queries.endpoints_visible_to(actor).select_for_update(of=("self",)).filter(pk=endpoint_id).first()
    if row is None:
        raise NotHere
    _require(actor)
    return row


def _active(row: WebhookEndpoint) -> WebhookEndpoint:
    if row.state == _State.PAUSED:
        raise WrongState("It is paused, so nothing is sent. Resume it first.", code="webhook_paused")
    return row


def _who(actor: Actor, row: WebhookEndpoint) -> str:
    """A client is not told by name who of the house's staff did it."""
    by = (
        actor.label
        if row.client_id is None or actor.is_client
        else brand_of_organisation(actor.organisation_id).name
    )
    return f"Paused by {by}."[:300]


def _fill(row: WebhookEndpoint, form: EndpointForm) -> None:
    of_client = row.client_id is not None
    try:
        url = check_url(form.url, is_operators=row.is_operators)
    except BadInput as refused:
        if refused.code != "address_not_allowed" or not row.is_operators:
            raise
        raise BadInput(opened_by(refused.sentence), code=refused.code, field=refused.field) from None
    offered = kinds_for(of_client=of_client)
    asked = set(form.kinds)
    kinds = [kind for kind in offered if kind in asked]
    if strange := sorted(asked - set(kinds)):
        whose = "A client's webhook is not told of" if of_client else "There is no event"
        raise BadInput(f"{whose} {', '.join(strange)[:200]}.", field="kinds")
    if not kinds:
        raise BadInput("Choose at least one event.", field="kinds")
    description = texts.remark(form.description, field="description")
    if len(description) > 200 or "\n" in description:
        raise BadInput("One line of at most 200 signs.", field="description")
    row.url, row.description, row.kinds = url, description, kinds


def _new_secret() -> Secret:
    """As Standard Webhooks spells it: 32 octets behind ``whsec_``."""
    return Secret("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())


def _write(actor: Actor, verb: str, row: WebhookEndpoint, *, sentence: str = "") -> None:
    record.write(
        actor,
        verb,
        ("webhook", row.pk),
        target_label=str(row)[:200],
        sentence=sentence,
        client_id=row.client_id,
    )
