"""What old clients have done to machines. They know no keys: the same command on the same server while one is open is that one."""

import ipaddress
from collections.abc import Mapping
from functools import partial
from uuid import uuid4

from django.db import transaction

from doublehop.leap import machines
from doublehop.leap.fields import id_of
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import BadInput, NotHere, WrongState
from doublehop.services import actions as services
from doublehop.services import queries
from doublehop.services.actions.rehearsal import Rehearsal, rehearse
from doublehop.services.actions.supply import ask_cancellation
from doublehop.services.lifecycle import OPEN_STATES, OperationKind
from doublehop.services.queries.supply import supply_orders_of

MOST_NAMES = 300
NOT_YOURS = "This is not an address of a server of yours."
REASONS = (
    "Going out of buisness", "Financial Reasons", "Client Cancelled", "Do not need a server", "Service Interruptions",
    "Support was not what I expected", "Unsatisfied with price",
)  # fmt: skip
"""As they were spelled, and as they may be sent."""


def ask(
    actor: Actor, kind: OperationKind, given: object, *, reason: str = "", dry_run: bool = False
) -> dict[str, object]:
    """{"operation": reference} of a new one or the one that is open; of a dry run {"dry_run": what it would do}.

    Raises a Refusal.
    """
    server_id = machines.server_id_of(actor, given)
    asked = partial(
        services.request, actor, kind, server_id=server_id, idempotency_key=uuid4().hex, reason=reason
    )
    try:
        if dry_run:
            return {"dry_run": _told(rehearse(asked))}
        operation = asked()
    except services.AlreadyOpen as refusal:
        operation = refusal.operation
        if operation.kind != kind or not _may_follow(actor, operation.reference):
            raise
    return {"operation": str(operation.reference)}


def _told(found: Rehearsal) -> dict[str, object]:
    """Neutral: a Tandem user may read it."""
    server = found.server
    return {
        "kind": found.kind,
        "serverid": str(server.pk),
        "hostname": server.hostname,
        "primaryip": server.primary_address,
        "held": found.held,
    }


def _may_follow(actor: Actor, reference: str) -> bool:
    """One that somebody else asked for is answered with only where its end can be looked up."""
    try:
        queries.operation(actor, reference)
    except NotHere:
        return False
    return True


def operation(actor: Actor, reference: str) -> dict[str, object]:
    try:
        row = queries.operation(actor, reference)
    except NotHere:
        raise NotHere("There is no such operation.") from None
    if not machines.servers(actor).filter(pk=row.server_id).exists():
        raise NotHere("There is no such operation.")
    return {
        "operation": row.reference,
        "kind": row.kind,
        "state": row.state,
        "asked_at": machines.unix(row.asked_at),
        "settled_at": machines.unix(row.settled_at),
    }


# ---------------------------------------------------------------- reverse DNS


@transaction.atomic
def set_names(actor: Actor, names: Mapping[str, str], given: object = None) -> dict[str, str]:
    """References by address, of all or, after a Refusal, of none. ``given`` is a server's id; without it the addresses tell."""
    if len(names) > MOST_NAMES:
        raise BadInput(f"At most {MOST_NAMES} addresses at once.", field="rdns")
    known = machines.server_id_of(actor, given) if given is not None else None
    return {
        address: _set_name(actor, known or _server_with(actor, address), address, name)
        for address, name in names.items()
    }


def _server_with(actor: Actor, address: str) -> int:
    rows = machines.servers(actor).filter(addresses__address=_plain(address))
    found = list(rows.values_list("pk", flat=True).distinct()[:2])
    if len(found) != 1:
        raise BadInput(NOT_YOURS, field="rdns")
    return found[0]


def _set_name(actor: Actor, server_id: int, address: str, name: str) -> str:
    entry = {"address": _plain(address), "name": name.strip().lower().removesuffix(".")}
    rows = queries.operations_visible_to(actor).filter(
        server_id=server_id, kind=OperationKind.SET_RDNS, state__in=OPEN_STATES
    )
    # The newest for this address: an older one with this name may be about to be overwritten.
    newest = next(
        (row for row in rows.order_by("-id") if row.parameters.get("address") == entry["address"]), None
    )
    if newest is not None and newest.parameters == entry:
        return str(newest.reference)
    row = services.request(
        actor, OperationKind.SET_RDNS, server_id=server_id, idempotency_key=uuid4().hex, parameters=entry
    )
    return str(row.reference)


def _plain(address: str) -> str:
    """As addresses are stored."""
    try:
        return str(ipaddress.ip_address(address.strip()))
    except ValueError:
        raise BadInput(NOT_YOURS, field="rdns") from None


# ---------------------------------------------------------------- giving back


@transaction.atomic
def give_back(
    actor: Actor, server_ids: list[object], *, reason: str, happy: bool | None = None
) -> dict[str, str]:
    """Cancellation ids by server id; one that waits already is that one."""
    note = "" if happy is None else f"Happy with the service: {'yes' if happy else 'no'}"
    if not server_ids:
        raise BadInput("A server is needed: servers.", field="servers")
    return {
        str(server_id): _ask_back(actor, server_id, reason, note)
        for server_id in dict.fromkeys(machines.server_id_of(actor, id_of(given)) for given in server_ids)
    }


def _ask_back(actor: Actor, server_id: int, reason: str, note: str) -> str:
    try:
        return str(ask_cancellation(actor, server_id, reason=reason, note=note).number)
    except WrongState as refusal:
        if refusal.code != "already_asked":
            raise
        waiting = supply_orders_of(actor).filter(server_id=server_id, kind="cancel", state="waiting").first()
        if waiting is None:
            raise
        return str(waiting.number)
