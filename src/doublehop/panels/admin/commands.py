"""Module Commands: the buttons of a service or a server, their questions, and what pressing one does."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import NotHere, Refusal
from doublehop.panels.looks import is_stale
from doublehop.panels.refusals import back_with
from doublehop.services import actions
from doublehop.services.actions import AlreadyOpen
from doublehop.services.actions.operations import suspend_ways
from doublehop.services.lifecycle import OPEN_STATES, OperationKind, OperationState
from doublehop.services.queries import Button
from doublehop.services.queries.preview import EFFECT
from doublehop.services.wording import NAME, name_of

ASKS = frozenset(
    {OperationKind.REBOOT, OperationKind.POWER_ON, OperationKind.POWER_OFF, OperationKind.SUSPEND}
    | {OperationKind.UNSUSPEND}
)
"""These open a question first; Get Server IP changes nothing and needs none."""


@dataclass(frozen=True)
class Command:
    """A button as the page draws it: ``dialog`` is the question it opens, or it submits ``form``."""

    kind: str
    label: str
    why_not: str
    blocking_url: str
    needs_reason: bool

    @property
    def id(self) -> str:
        return f"c-{self.kind.replace('_', '-')}"

    @property
    def dialog(self) -> str:
        return f"d-{self.kind.replace('_', '-')}" if self.kind in ASKS else ""


def drawn(buttons: list[Button]) -> list[Command]:
    return [
        Command(
            kind=button.kind.value,
            label=f"{button.label}…" if button.kind in ASKS else button.label,
            why_not=button.why_not,
            blocking_url=reverse("admin-operation", args=[button.blocking_reference])
            if button.blocking_reference
            else "",
            needs_reason=button.needs_reason,
        )
        for button in buttons
    ]


def fitting(all_of_them: list[Command], server: Any) -> list[Command]:
    """Without *Power on* for a machine that was just read as on, and the other way round."""
    if server is None or is_stale(server.power_read_at):
        return all_of_them
    moot = {"on": OperationKind.POWER_ON, "off": OperationKind.POWER_OFF}.get(server.power_state)
    return [one for one in all_of_them if one.kind != moot]


def pressing(operation: Any) -> dict[str, Any] | None:
    """The operation that is under way or undecided, for the notice of a page."""
    if operation is None or operation.state not in (*OPEN_STATES, OperationState.UNKNOWN):
        return None
    return {
        "operation": operation,
        "name": name_of(operation),
        "is_unknown": operation.state == OperationState.UNKNOWN,
        "url": reverse("admin-operation", args=[operation.reference]),
    }


def suspend_effect(server: Any, service: Any) -> str:
    """ "Network port off: network gone, machine stays on." """
    return "{}: {}.".format(*EFFECT[suspend_ways(server, service)])


def press(
    request: HttpRequest,
    actor: Actor,
    address: str,
    *,
    service_id: int | None = None,
    server_id: int | None = None,
) -> HttpResponse:
    """Asks for the operation of the form and goes back to ``address``.

    Where the same is under way already, the person is taken to that operation.
    """
    kind = request.POST.get("kind", "")
    if kind not in set(OperationKind):
        raise NotHere
    try:
        operation = actions.request(
            actor,
            OperationKind(kind),
            service_id,
            server_id=server_id,
            idempotency_key=request.POST.get("key", ""),
            graceful=request.POST.get("graceful", "yes") == "yes",
            reason=request.POST.get("reason", ""),
            client_text=request.POST.get("client_text", ""),
            cause="abuse" if request.POST.get("cause") == "abuse" else "billing",
        )
    except AlreadyOpen as refusal:
        messages.warning(request, refusal.sentence)
        return HttpResponseRedirect(reverse("admin-operation", args=[refusal.operation.reference]))
    except Refusal as refusal:
        return back_with(request, refusal, address)
    messages.success(request, f"{NAME[kind]} is queued: see steps under {operation.reference}")
    return HttpResponseRedirect(address)
