"""What a request would do, found by doing it and taking all of it back: no guard can be forgotten, and nothing is sent."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from django.db import transaction

from doublehop.fleet.models import Server
from doublehop.fleet.rests import why_left_in_peace
from doublehop.organisations.installation import AWAITS_CONFIRMATION, in_quarantine
from doublehop.services.lifecycle import OperationState
from doublehop.services.models import Operation
from doublehop.services.wording import NAME, STEP_NAME


@dataclass(frozen=True)
class Rehearsal:
    """``steps`` are words for staff, empty where nothing is asked of the machine or it is known later only.

    ``held``: a brake would hold it. ``not_sent`` says why the machine would not be asked at present; empty: it would.
    """

    kind: str
    what: str
    server: Server
    client: str
    service: str
    steps: tuple[str, ...]
    held: bool
    not_sent: str


T = TypeVar("T")


def tried(deed: Callable[[], T]) -> T:
    """What ``deed`` answers, with everything that it did taken back. Raises the Refusal that the action raises."""
    with transaction.atomic():
        answer = deed()
        transaction.set_rollback(True)
    return answer


def rehearse(deed: Callable[[], Operation]) -> Rehearsal:
    """Runs ``deed`` (a call of an action that answers with an operation) to its end, then rolls it back.

    Raises the Refusal that the action raises. Rows are locked no longer than the action itself would lock them.
    """
    with transaction.atomic():
        operation = deed()
        found = Rehearsal(
            kind=operation.kind,
            what=NAME[operation.kind],
            server=operation.server,
            client=operation.client.name if operation.client else "",
            service=str(operation.service) if operation.service else "",
            steps=tuple(STEP_NAME[step.kind] for step in operation.steps.all()),
            held=operation.state == OperationState.HELD,
            not_sent=_not_sent(operation),
        )
        transaction.set_rollback(True)
    return found


def _not_sent(operation: Operation) -> str:
    """What the door would say. It is no refusal: the state may have changed by the time of the sending. Whoever received the
    server reads nothing of the upstream it comes from."""
    server = operation.server
    is_own = server.upstream.organisation_id == operation.organisation_id
    if not server.upstream.armed:
        why = "its upstream observes only" if is_own else "nothing is done at this machine at present"
        return f"It would not be sent: {why}."
    if server.missing_since is not None:
        return "It would not be sent: the machine is not listed any more."
    if in_quarantine():
        return f"It would wait: {AWAITS_CONFIRMATION}."
    peace = why_left_in_peace(server.upstream)
    if peace is None:
        return ""
    return f"It would not be sent now: {peace.text if is_own else 'the machine cannot be reached at the moment'}."
