"""What goes over the wire in more than one place. Times are ISO 8601 in UTC. A client's token reads neutral words only."""

from datetime import datetime
from typing import TYPE_CHECKING

from ninja import Schema

from doublehop.organisations.actor import Actor
from doublehop.services import wording

if TYPE_CHECKING:
    from doublehop.services.models import Operation


class OperationOut(Schema):
    """``sentence`` is for people, and empty where there is nothing to say; ``asked_by`` is as far as the asker may know."""

    reference: str
    kind: str
    name: str
    state: str
    server_id: int
    service_id: int | None
    asked_by: str
    asked_at: datetime
    settled_at: datetime | None
    failure_code: str
    sentence: str


class Problem(Schema):
    """RFC 9457. ``code`` is stable; ``reference`` is what people quote; ``field`` names what is wrong.

    ``now`` is our time, where a signed call is told what is wrong with it.
    """

    type: str = "about:blank"
    title: str
    status: int
    code: str
    reference: str
    field: str = ""
    now: str = ""


def operation_out(actor: Actor, row: "Operation") -> OperationOut:
    told = wording.client_sentence(row) if actor.is_white_label else wording.staff_sentence(actor, row)
    # Codes of failures say what stands behind a machine: they are for staff.
    code = "" if actor.is_white_label else row.failure_code
    is_own = not actor.is_staff or row.service is None or row.service.organisation_id == actor.organisation_id
    return OperationOut(
        reference=row.reference,
        kind=row.kind,
        name=wording.NAME[row.kind],
        state=row.state,
        server_id=row.server_id,
        service_id=row.service_id if is_own else None,
        asked_by=wording.asked_by(actor, row),
        asked_at=row.asked_at,
        settled_at=row.settled_at,
        failure_code=code,
        sentence=told,
    )
