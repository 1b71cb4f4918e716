"""What the worker does with webhooks: lines of the journal become events, events are delivered, patiently, and what became of
each is kept.

A line stands in the journal in the transaction of its deed, so no event is lost: each endpoint reads on from where it had
come. A process that dies between the answer and our note sends again, with the same webhook-id: better twice than never.
"""

import base64
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.crypto import salted_hmac

from doublehop.driver_kit.secret import Secret
from doublehop.jobs.actions import ring
from doublehop.jobs.engine import JobFunction, Periodic
from doublehop.journal.models import Entry
from doublehop.journal.queries import lines_after, newest_id, newest_id_before
from doublehop.notices.actions import tell_staff
from doublehop.notices.actions import write as write_mail
from doublehop.notices.events import TEST, data_for_client, data_for_organisation, kind_of, lines_of
from doublehop.notices.models import WebhookDelivery, WebhookEndpoint
from doublehop.notices.sending import Answer, NoAnswer, NotAllowedThere, post
from doublehop.organisations import record, vault
from doublehop.organisations.actor import SYSTEM, Duty
from doublehop.organisations.installation import in_quarantine
from doublehop.organisations.models import Client
from doublehop.organisations.queries import address_of_client

log = structlog.get_logger(__name__)

VAULT_ROW = "webhook"
EVENTS_EVERY_SECONDS = 5
SWEEP_EVERY_SECONDS = 60
LATE_COMMIT = timedelta(minutes=5)
"""On PostgreSQL a line may be committed after one with a greater id. For so long the same lines are looked at again."""
BITE = 500
PAUSES_SECONDS = (5, 60, 300, 1800, 7200, 18_000, 36_000, 50_400, 64_800, 79_200)
"""Before each further attempt, in all 71.5 hours; each up to a fifth shorter or longer. After the last one it has failed."""
REST_SECONDS = 30
"""An endpoint that does not answer, or slowly, costs a thread up to its whole time limit: it is asked again after this."""
SLOW_SECONDS = 5.0
"""An attempt that took longer lets the endpoint rest, whatever it answered: others wait for the same thread."""
FAILING_FOR = timedelta(days=5)
"""Without one delivery in between: then the next event that has failed for good pauses the endpoint."""
KEPT_FOR = timedelta(days=30)
LANES = 4
"""All endpoints of houses share these, and all of clients as many others: silent ones hold up their lane at most, a client's
never a house's, and none of them the machines."""
_State = WebhookDelivery.State


def body_of(kind: str, at: datetime, data: Mapping[str, Any]) -> str:
    told = {"type": kind, "timestamp": at.isoformat(), "data": data}
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)


def opened_by(sentence: str) -> str:
    """For whoever runs the installation: nobody else is told how it is set up, nor could use it."""
    return f"{sentence} Open networks of your own with DOUBLEHOP_WEBHOOK_NETWORKS."


def ring_for(delivery: WebhookDelivery, *, delay_seconds: float = 0.0, hurry: bool = True) -> None:
    endpoint = delivery.endpoint
    whose = "webhooks" if endpoint.client_id is None else "webhooks-of-clients"
    ring(
        "notices.deliver",
        key=f"webhook:{delivery.pk}",
        payload={"delivery_id": delivery.pk},
        lane=f"{whose}:{endpoint.pk % LANES}",
        delay_seconds=delay_seconds,
        hurry=hurry,
    )


# ---------------------------------------------------------------- events are born


def find_events(payload: Mapping[str, Any]) -> None:
    """New lines of the journal, for each active endpoint. Of clients only those about whom there is one: there may be many
    clients, and most lines are about others."""
    rows = WebhookEndpoint.objects.filter(state=WebhookEndpoint.State.ACTIVE, read_to__lt=newest_id())
    settled = newest_id_before(timezone.now() - LATE_COMMIT) if rows.exists() else 0
    lines = Entry.objects.filter(client_id=OuterRef("client_id"), pk__gt=OuterRef("read_to"))
    for pk in list(rows.filter(Q(client__isnull=True) | Exists(lines)).values_list("pk", flat=True)):
        while _find_for(pk, settled) == BITE:
            pass
    behind = rows.filter(client__isnull=False, read_to__lt=settled - BITE)
    behind.exclude(Exists(lines)).update(read_to=settled)


@transaction.atomic
def _find_for(endpoint_id: int, settled: int) -> int:
    """One bite. Answers with how many events were born."""
    rows = WebhookEndpoint.objects.select_for_update(of=("self",))
    endpoint = rows.filter(pk=endpoint_id, state=WebhookEndpoint.State.ACTIVE).first()
    if endpoint is None:
        return 0
    known = WebhookDelivery.objects.filter(endpoint=endpoint, entry_id=OuterRef("pk"))
    lines = lines_after(
        endpoint.read_to,
        organisation_id=endpoint.organisation_id if endpoint.client_id is None else None,
        client_id=endpoint.client_id,
    ).filter(lines_of(endpoint.kinds, of_client=endpoint.client_id is not None))
    born = list(lines.exclude(Exists(known)).order_by("pk")[:BITE])
    ids = {entry.client_id for entry in born if entry.client_id is not None}
    own = set(
        Client.objects.filter(pk__in=ids, organisation=endpoint.organisation_id).values_list("pk", flat=True)
    )
    for entry in born:
        ring_for(_event(endpoint, entry, is_own_client=entry.client_id in own))
    if len(born) < BITE and settled > endpoint.read_to:
        endpoint.read_to = settled
        endpoint.save(update_fields=["read_to"])
    return len(born)


def _event(endpoint: WebhookEndpoint, entry: Entry, *, is_own_client: bool) -> WebhookDelivery:
    kind = kind_of(entry.verb)
    if endpoint.client_id is not None:
        data = data_for_client(entry)
    else:
        data = data_for_organisation(entry, endpoint.organisation_id, is_own_client=is_own_client)
    # From the line itself, so that a restored copy that finds the same line again calls it by the same name.
    name = f"{endpoint.pk}:{entry.pk}:{entry.at.isoformat()}"
    webhook_id = salted_hmac("doublehop.notices.webhook", name, algorithm="sha256").hexdigest()[:32]
    return WebhookDelivery.objects.create(
        endpoint=endpoint,
        entry_id=entry.pk,
        webhook_id=f"evt_{webhook_id}",
        kind=kind,
        body=body_of(kind, entry.at, data),
    )


# ---------------------------------------------------------------- events are delivered


def deliver(payload: Mapping[str, Any]) -> None:
    """One event: delivered, tried again later, or failed."""
    if in_quarantine():
        return  # the sweep rings for it once a person has confirmed the restored copy
    rows = WebhookDelivery.objects.select_related("endpoint__organisation")
    delivery = rows.filter(pk=int(payload["delivery_id"]), state=_State.WAITING).first()
    if delivery is None or delivery.endpoint.state == WebhookEndpoint.State.PAUSED:
        return
    now, endpoint = timezone.now(), delivery.endpoint
    if endpoint.rests_until is not None and endpoint.rests_until > now and delivery.kind != TEST:
        wait = (endpoint.rests_until - now).total_seconds()
        ring_for(delivery, delay_seconds=wait + secrets.randbelow(1000) / 1000)
        return
    try:
        keys = _secrets_of(endpoint, now)
        headers = headers_of(delivery, keys, now)
        began = time.monotonic()
        answer = post(endpoint.url, headers, delivery.body.encode(), is_operators=endpoint.is_operators)
    except vault.VaultClosed:
        _note(delivery, None, "Its secret cannot be opened here, so it cannot be signed. Make a new secret.")
    except NotAllowedThere as error:
        _note(delivery, None, opened_by(str(error)) if endpoint.is_operators else str(error))
    except NoAnswer as error:
        _note(delivery, None, str(error), rests=True)
    else:
        slow = time.monotonic() - began > SLOW_SECONDS
        _note(delivery, _without(answer, keys), _trouble(answer.status), rests=slow)


def headers_of(delivery: WebhookDelivery, keys: list[Secret], at: datetime) -> dict[str, str]:
    """As Standard Webhooks wants them. One signature for each secret that is valid, the newest first."""
    stamp = str(int(at.timestamp()))
    signed = f"{delivery.webhook_id}.{stamp}.{delivery.body}".encode()
    signatures = [_signature(key, signed) for key in keys]
    return {
        "Content-Type": "application/json",
        "webhook-id": delivery.webhook_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(signatures),
    }


def _signature(key: Secret, signed: bytes) -> str:
    octets = base64.b64decode(key.reveal().removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.digest(octets, signed, "sha256")).decode()


def _secrets_of(endpoint: WebhookEndpoint, now: datetime) -> list[Secret]:
    kept = vault.unseal(endpoint.sealed_secrets, row=VAULT_ROW)
    if endpoint.previous_until is None or endpoint.previous_until <= now:
        kept.pop("previous", None)
    return [kept[name] for name in ("current", "previous") if name in kept]


def _without(answer: Answer, keys: list[Secret]) -> Answer:
    """A receiver that answers with our secret does not bring it onto a page."""
    text = answer.text
    for key in keys:
        text = text.replace(key.reveal(), "…").replace(key.reveal().removeprefix("whsec_"), "…")
    return Answer(answer.status, text[:300])


def _trouble(status: int) -> str:
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"It answers {status}: redirects are not followed. Set the address that it leads to."
    return f"It answers {status}."


@transaction.atomic
def _note(delivery: WebhookDelivery, answer: Answer | None, trouble: str, *, rests: bool = False) -> None:
    """What came of one attempt. Of a delivery that was deleted meanwhile nothing is noted."""
    endpoint = WebhookEndpoint.objects.select_for_update(of=("self",)).filter(pk=delivery.endpoint_id).first()
    row = WebhookDelivery.objects.select_for_update(of=("self",)).filter(pk=delivery.pk).first()
    if endpoint is None or row is None:
        return
    now = timezone.now()
    row.attempts, row.tried_at, row.failure_text = row.attempts + 1, now, trouble[:300]
    row.status, row.answer = (answer.status, answer.text) if answer else (None, "")
    if not trouble:
        row.state, row.settled_at = _State.DELIVERED, now
        endpoint.failing_since = None
    else:
        log.warning("webhook not delivered", delivery=row.pk, attempt=row.attempts, status=row.status)
        _plan_again(row, now)
        endpoint.failing_since = endpoint.failing_since or now
        _give_up(endpoint, row, now)
    if rests:
        endpoint.rests_until = now + timedelta(seconds=REST_SECONDS)
    elif not trouble:
        endpoint.rests_until = None
    row.save()
    endpoint.save(update_fields=["failing_since", "rests_until", "state", "paused_why"])


def _plan_again(row: WebhookDelivery, now: datetime) -> None:
    if row.attempts > len(PAUSES_SECONDS) or row.kind == TEST:
        row.state, row.settled_at = _State.FAILED, now
        return
    pause = PAUSES_SECONDS[row.attempts - 1] * (800 + secrets.randbelow(401)) / 1000
    row.next_try_at = now + timedelta(seconds=pause)
    ring_for(row, delay_seconds=pause)


def _give_up(endpoint: WebhookEndpoint, row: WebhookDelivery, now: datetime) -> None:
    """Paused, and staff are told: it said that it is gone, or nothing has arrived for days.

    Days in which nothing happened count too, so an event that is still tried again pauses nothing; nor does a test, which is
    sent once only.
    """
    if endpoint.state == WebhookEndpoint.State.PAUSED:
        return
    if row.status == 410:
        why = "It answered 410: it wants nothing more."
    elif row.state != _State.FAILED or row.kind == TEST:
        return
    elif endpoint.failing_since is not None and now - endpoint.failing_since > FAILING_FOR:
        why = f"Nothing has arrived there for {FAILING_FOR.days} days. Last: {row.failure_text}"
    else:
        return
    endpoint.state, endpoint.paused_why = WebhookEndpoint.State.PAUSED, why[:300]
    record.write(
        SYSTEM,
        "webhook.paused",
        ("webhook", endpoint.pk),
        target_label=str(endpoint),
        sentence=why,
        client_id=endpoint.client_id,
        also=[endpoint.organisation_id],
    )
    _tell_of_pause(endpoint, why, key=f"webhook_paused:{endpoint.pk}:{int(now.timestamp())}")


def _tell_of_pause(endpoint: WebhookEndpoint, why: str, *, key: str) -> None:
    """Whoever can mend it: staff who govern, or the client that it is for."""
    where = "Setup > Webhooks" if endpoint.client_id is None else "Webhooks, in the menu behind your name"
    subject = f"Webhook paused: {endpoint}"
    body = f"{endpoint.url}\n\n{why}\n\nNothing is sent to it any more. Mend the receiver, then resume it under {where}."
    house, about = endpoint.organisation_id, "webhook_paused"
    if endpoint.client_id is None:
        tell_staff(organisation_id=house, duty=Duty.GOVERN, subject=subject, body=body, about=about, key=key)
    else:
        to = address_of_client(endpoint.client_id)
        write_mail(organisation_id=house, to=to, subject=subject, body=body, about=about, key=key)


def sweep_deliveries(payload: Mapping[str, Any]) -> None:
    """Finds waiting deliveries that nobody rings for, and forgets old ones."""
    now = timezone.now()
    overdue = WebhookDelivery.objects.filter(
        state=_State.WAITING, next_try_at__lt=now - timedelta(seconds=SWEEP_EVERY_SECONDS)
    ).filter(endpoint__state=WebhookEndpoint.State.ACTIVE)
    for delivery in overdue.order_by("pk")[:BITE]:
        ring_for(delivery, hurry=False)
    old = WebhookDelivery.objects.exclude(state=_State.WAITING).filter(created_at__lt=now - KEPT_FOR)
    WebhookDelivery.objects.filter(
        pk__in=list(old.order_by("pk").values_list("pk", flat=True)[:BITE])
    ).delete()


def reseal_webhooks() -> int:
    """Key rotation. Answers with how many were rewritten."""
    rows = list(WebhookEndpoint.objects.values_list("pk", "sealed_secrets"))
    return sum(WebhookEndpoint.objects.filter(pk=pk).update(sealed_secrets=vault.reseal(s)) for pk, s in rows)


JOBS: dict[str, JobFunction] = {
    "notices.events": find_events,
    "notices.deliver": deliver,
    "notices.deliveries": sweep_deliveries,
}
PERIODIC = (
    Periodic("notices.events", EVENTS_EVERY_SECONDS),
    Periodic("notices.deliveries", SWEEP_EVERY_SECONDS),
)
