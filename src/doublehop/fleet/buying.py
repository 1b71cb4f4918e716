"""What the worker does with orders at upstreams: sends them, asks again where an answer was lost, follows them to their end."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.utils import timezone

from doublehop.driver_kit import errors
from doublehop.driver_kit.contract import PRICE_CHANGED, Price
from doublehop.fleet import door
from doublehop.fleet.actions import ordering as actions
from doublehop.fleet.actions.upstreams import lane_of
from doublehop.fleet.models import Server, UpstreamOrder
from doublehop.jobs.actions import ring
from doublehop.jobs.engine import JobFunction, Periodic
from doublehop.organisations import vault
from doublehop.organisations.installation import in_quarantine

FOLLOW_EVERY_SECONDS = 60
"""How often an open order is looked after."""
LISTED_WITHIN = timedelta(hours=1)
"""For so long after an order was filled the list is read every time, until its server stands there."""
_State = UpstreamOrder.State
_CERTAIN_AT_FIRST = frozenset({errors.Refused.code, errors.NotFound.code, PRICE_CHANGED, "not_offered"})
"""They say that nothing was ordered, as long as nothing was sent before."""


def order(payload: Mapping[str, Any]) -> None:
    """One step on with one order."""
    if in_quarantine():
        return
    row = _row(payload)
    if row is not None and row.state in (_State.ASKED, _State.SENT):
        _send(row)
        row = _row(payload)
    if row is not None and row.state == _State.WAITING:
        _follow(row)
        row = _row(payload)
    if row is not None and row.state == _State.FILLED:
        _ask_list(row)


def _row(payload: Mapping[str, Any]) -> UpstreamOrder | None:
    return UpstreamOrder.objects.select_related("upstream").filter(pk=int(payload["order_id"])).first()


def _send(row: UpstreamOrder) -> None:
    was_sent = row.state == _State.SENT
    try:
        if actions.give_up_late(row.pk, door.login_of(row.upstream)):
            return
        receipt = door.place_order(
            row.upstream,
            row.offer_id,
            price=Price(row.price, row.setup_fee, row.currency),
            hostname=row.hostname,
            note=row.note,
            key=row.key,
            mark_sent=lambda login: actions.mark_sent(row.pk, login),
        )
    except actions.NotToBeSent:
        return
    except vault.VaultClosed as error:
        actions.note_trouble(row.pk, str(error))
    except door.Unsure as unsure:
        actions.note_trouble(row.pk, f"{unsure.text}: asked again")
    except door.NotSent as refusal:
        # A refusal of the second asking says nothing about the first, except one that only a new order can meet.
        if refusal.code == PRICE_CHANGED or (not was_sent and refusal.code in _CERTAIN_AT_FIRST):
            actions.store_refusal(row.pk, refusal.text)
            _ask_list(row)
        else:
            actions.note_trouble(row.pk, refusal.text)
    else:
        actions.store_receipt(row.pk, receipt)


def _follow(row: UpstreamOrder) -> None:
    """What came of a withdrawal is not what it answered, but what is read afterwards."""
    trouble = ""
    try:
        if row.withdraw_asked_at is not None:
            door.withdraw_order(row.upstream, row.order_id)
    except (door.NotSent, door.Unsure) as error:
        trouble = error.text
    try:
        status = door.look_at_order(row.upstream, row.order_id)
    except (errors.UpstreamError, vault.VaultClosed) as error:
        actions.note_trouble(row.pk, str(error))
        return
    if status is None:
        actions.note_trouble(row.pk, "orders cannot be asked there any more")
        return
    actions.store_supply(row.pk, status)
    if trouble:
        actions.note_trouble(row.pk, trouble)


def _ask_list(row: UpstreamOrder) -> None:
    """Servers and offers, read anew."""
    ring(
        "fleet.sync",
        key=f"sync:{row.upstream_id}",
        payload={"upstream_id": row.upstream_id},
        lane=lane_of(row.upstream_id),
    )


def follow_orders(payload: Mapping[str, Any]) -> None:
    """Whatever is open; and lists in which a server should stand by now."""
    if in_quarantine():
        return
    for row in UpstreamOrder.objects.filter(state__in=actions.OPEN).only("pk", "upstream_id"):
        actions.ring_order(row, hurry=False)
    filled = UpstreamOrder.objects.filter(state=_State.FILLED, settled_at__gt=timezone.now() - LISTED_WITHIN)
    for row in filled:
        listed = Server.objects.filter(upstream_id=row.upstream_id, external_id=row.external_id)
        if not listed.filter(missing_since__isnull=True).exists():
            _ask_list(row)


JOBS: dict[str, JobFunction] = {"fleet.order": order, "fleet.follow_orders": follow_orders}
PERIODIC = (Periodic("fleet.follow_orders", FOLLOW_EVERY_SECONDS),)
