"""How something is asked of the other side, and how it is followed: our ticket names its operation, or our own request.

{"operation": "7Q5-M3D"}      it has taken the request
{"key": "…"}                  the answer was lost: it is asked what became of the request of that name
{"already": true}             it says that it is so already
"""

import json
from typing import Any

from doublehop.driver_kit.contract import Ticket, TicketState, TicketStatus
from doublehop.driver_kit.errors import BadAnswer, Busy, OutcomeUnknown, Refused
from doublehop.drivers.peer.api import Api
from doublehop.drivers.peer.shapes import Operation

_STATES = {
    "done": TicketState.DONE,
    "failed": TicketState.FAILED,
    "cancelled": TicketState.FAILED,
    "unknown": TicketState.UNKNOWN,
}
_ALREADY = frozenset({"already_suspended", "not_suspended"})
"""Nothing is to be done: it is so. Of ours, at least: what somebody else holds is theirs to lift."""


def once(api: Api, server_id: str, kind: str, **given: Any) -> Ticket:
    """For what must not happen twice. What is under way over there already is a refusal: it is not ours."""
    return _ask(api, server_id, kind, given)


def make_so(api: Api, server_id: str, kind: str, **given: Any) -> Ticket:
    """For what may be asked again. What is under way over there is waited for."""
    try:
        return _ask(api, server_id, kind, given)
    except Refused as refusal:
        if refusal.problem in _ALREADY:
            return Ticket(json.dumps({"already": True}))
        if refusal.problem == "already_open":
            raise Busy(f"another operation is under way over there: {refusal.text}") from None
        raise


def _ask(api: Api, server_id: str, kind: str, given: dict[str, Any]) -> Ticket:
    key = api.key
    body = {"kind": kind, **{name: value for name, value in given.items() if value is not None}}
    try:
        found = api.ask(server_id, body, key)
    except OutcomeUnknown as error:
        raise OutcomeUnknown(error.text, ticket=json.dumps({"key": key})) from None
    except Refused as refusal:
        if refusal.problem == "key_reused":
            raise OutcomeUnknown("something else was asked over there under this name before") from None
        raise
    return Ticket(json.dumps({"operation": found.reference}))


def follow(api: Api, server_id: str, ticket: Ticket) -> TicketStatus:
    found = _found(api, ticket)
    if found is None:
        if _read(ticket).get("already"):
            return TicketStatus(TicketState.DONE, "it was so already over there")
        return TicketStatus(TicketState.UNKNOWN, "nothing of that name is known over there")
    if found.server_id != server_id:
        raise BadAnswer("answered about another server")
    state = _STATES.get(found.state, TicketState.PENDING)
    why = f", {found.failure_code}" if found.failure_code and state is not TicketState.DONE else ""
    return TicketStatus(state, f"over there it is {found.state}{why}: {found.reference}")


def _found(api: Api, ticket: Ticket) -> Operation | None:
    said = _read(ticket)
    if "operation" in said:
        return api.operation(said["operation"])
    return api.operation_of_key(said["key"]) if "key" in said else None


def _read(ticket: Ticket) -> dict[str, Any]:
    try:
        said = json.loads(ticket.text)
    except ValueError:
        said = None
    known = {"operation": str, "key": str, "already": bool}
    fits = isinstance(said, dict) and len(said) == 1
    if not fits or not all(isinstance(value, known.get(name, ())) for name, value in said.items()):
        raise BadAnswer("this is no ticket of this driver")
    return dict(said)
