"""What was ordered at upstreams, as cards of the pages that it concerns."""

from typing import Any

from doublehop.fleet import queries as fleet
from doublehop.organisations.actor import Actor

MOST_LISTED = 20
"""Orders on the page of an upstream, newest first; upstreams to choose from."""
OPEN = frozenset({"asked", "sent", "waiting"})


def orders_card(actor: Actor, upstream_id: int) -> dict[str, Any]:
    """What was ordered at one upstream of theirs."""
    rows = fleet.upstream_orders_visible_to(actor).filter(upstream_id=upstream_id)
    return {"bought": [_line(row) for row in rows[:MOST_LISTED]]}


def service_card(actor: Actor, row: Any) -> dict[str, Any]:
    """For a service that waits: where a server can be ordered for it, and what is on order."""
    if row.status != "pending" or row.server_id is not None:
        return {}
    upstreams = fleet.selling_upstreams(actor)
    if row.product.upstream_id is not None:
        upstreams = upstreams.filter(pk=row.product.upstream_id)
    order = (
        fleet.upstream_orders_visible_to(actor).filter(pk=row.upstream_order_id).first()
        if row.upstream_order_id
        else None
    )
    is_busy = order is not None and order.state in OPEN | {"unknown"}
    return {
        "sellers": [] if is_busy else list(upstreams[:MOST_LISTED]),
        "bought": [_line(order)] if order is not None else [],
        "has_upstreams": fleet.upstreams_visible_to(actor).exists(),
    }


def _line(row: Any) -> dict[str, Any]:
    is_unknown = row.state == "unknown"
    return {
        "row": row,
        "is_open": row.state in OPEN,
        "is_unknown": is_unknown,
        "dialog": f"d-order-{row.pk}",
        "asks": f"{'Close' if is_unknown else 'Withdraw'} {row}?",
    }
