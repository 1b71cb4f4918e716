"""Operations: everything that was asked of a machine, and what came of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from doublehop.fleet.queries import owns
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import NotHere, Refusal
from doublehop.panels.admin.forms import Filled, typed
from doublehop.panels.admin.frame import show
from doublehop.panels.admin.live import fragments
from doublehop.panels.admin.presenting import state_now
from doublehop.panels.gates import actor_of
from doublehop.panels.keyset import KeysetPage, page_of
from doublehop.panels.looks import LOOKS
from doublehop.panels.refusals import back_with
from doublehop.services import actions, queries, wording
from doublehop.services.lifecycle import (
    OPEN_STATES,
    PRESSING_STATES,
    OperationKind,
    OperationState,
    StepState,
)

STATES = [(state.value, LOOKS["operation"][state.value].word) for state in OperationState]
KINDS = [(kind.value, wording.NAME[kind]) for kind in OperationKind]
MOST_ON_TOP = 25
_DID: dict[str, tuple[str, str]] = {
    OperationKind.REBOOT: ("It did restart", "It did not restart"),
    OperationKind.POWER_ON: ("It was switched on", "It was not switched on"),
    OperationKind.POWER_OFF: ("It was switched off", "It was not switched off"),
    OperationKind.SUSPEND: ("It is suspended", "It is not suspended"),
    OperationKind.UNSUSPEND: ("It is no longer suspended", "It is still suspended"),
    OperationKind.REFRESH_ADDRESSES: ("The addresses were read", "The addresses were not read"),
    OperationKind.SET_RDNS: ("The name was set", "The name was not set"),
    OperationKind.NULL_ROUTE: ("The traffic is dropped", "The traffic is not dropped"),
    OperationKind.NULL_ROUTE_END: ("The traffic gets through", "The traffic is still dropped"),
    OperationKind.RESCUE_START: ("It did start the rescue system", "It did not start the rescue system"),
    OperationKind.RESCUE_STOP: ("It did leave the rescue system", "It did not leave the rescue system"),
}


@require_GET
def operations(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    state, kind = request.GET.get("state", ""), request.GET.get("kind", "")
    rows = queries.operations_visible_to(actor)
    if state in dict(STATES):
        rows = rows.filter(state=state)
    if kind in dict(KINDS):
        rows = rows.filter(kind=kind)
    top: list[Any] = []
    if not state:
        # What waits stands on top of the first page, and nowhere twice.
        if not request.GET.get("after") and not request.GET.get("before"):
            top = list(rows.filter(state__in=PRESSING_STATES).order_by("id")[:MOST_ON_TOP])
            top.sort(key=lambda row: row.state != OperationState.UNKNOWN)
        rows = rows.exclude(state__in=PRESSING_STATES)
    page = page_of(rows, request.GET, by="-pk")
    context = {
        "batches": [(row, queries.held_count(row)) for row in _open_batches(actor)] if not state else [],
        "page": page,
        "rows": [*top, *page.rows],
        "words": _words(page, top),
        "state": state,
        "states": STATES,
        "kind": kind,
        "kinds": KINDS,
        "is_filtered": bool(state or kind),
    }
    return show(request, "operations.html", context)


def _open_batches(actor: Actor) -> list[Any]:
    return list(queries.batches_visible_to(actor).filter(state="open").order_by("id")[:MOST_ON_TOP])


def _words(page: KeysetPage[Any], top: list[Any]) -> str:
    told = f"{len(page.rows) + len(top)} shown, newest first."
    if top:
        told += " What waits stays on top."
    return f"{told} More follow." if page.next else told


@dataclass(frozen=True)
class StepLine:
    """One step as ``parts/steps.html`` draws it."""

    state: str
    what: str
    note: str
    moment: datetime | None


def _steps(actor: Actor, operation: Any) -> list[StepLine]:
    lines = [
        StepLine(
            step.state,
            wording.STEP_NAME.get(step.kind, step.kind),
            wording.step_sentence(actor, operation, step),
            step.settled_at or step.sent_at,
        )
        for step in queries.steps_of(actor, operation)
    ]
    if operation.state == OperationState.QUEUED:
        waiting = "Waits its turn: one thing at a time is done at a server."
        return [StepLine(StepState.SENT, "Waiting", waiting, operation.asked_at), *lines]
    return lines


@dataclass(frozen=True)
class Known:
    """One line of *What is known*."""

    moment: datetime | None
    strong: str
    rest: str


def _known(actor: Actor, operation: Any) -> list[Known]:
    """Times and facts for the person who has to decide. The machine's silence is never offered as proof."""
    lines = [Known(operation.asked_at, "Asked", f" by {wording.asked_by(actor, operation)}")]
    place = f" to {operation.server.upstream.name}" if owns(actor, operation.server) else ""
    for step in queries.steps_of(actor, operation):
        if step.sent_at:
            checked = (
                ", after the machine was checked to be the right one" if step.identity_checked_at else ""
            )
            lines.append(Known(step.sent_at, "Sent", f"{place}{checked}"))
        if step.sent_at and step.answered_at is None:
            lines.append(Known(None, "No answer came back", ": we do not know whether it acted"))
        elif step.answered_at is not None:
            told = wording.step_sentence(actor, operation, step) if step.note else ""
            lines.append(Known(step.answered_at, "Answered", f": {told}" if told else ""))
    server = operation.server
    if server.power_read_at is not None:
        tail = ". A restart leaves no trace in this reading" if operation.kind == OperationKind.REBOOT else ""
        shown = LOOKS["power"].get(server.power_state)
        lines.append(
            Known(server.power_read_at, f"Power reads {shown.word.lower() if shown else 'unknown'}", tail)
        )
    return lines


def _panel(actor: Actor, operation: Any) -> dict[str, Any]:
    is_own = operation.organisation_id == actor.organisation_id
    is_open = operation.state in OPEN_STATES
    return {
        "operation": operation,
        "name": wording.name_of(operation),
        "kind_name": wording.NAME[operation.kind],
        "state": state_now(actor, operation.server),
        "steps": _steps(actor, operation),
        "can_be_read_back": queries.can_be_read_back(operation),
        "known": _known(actor, operation) if operation.state == OperationState.UNKNOWN else [],
        "sentence": wording.staff_sentence(actor, operation),
        "client_reads": wording.client_sentence(operation),
        "is_own": is_own,
        "is_open": is_open,
        "is_mine_to_see": owns(actor, operation.server),
        "may_cancel": is_own and queries.can_be_cancelled(operation),
        "did": _DID.get(operation.kind, ("It happened", "It did not happen")),
        "live_url": reverse("admin-operation-live", args=[operation.reference]),
    }


def _page(request: HttpRequest, actor: Actor, operation: Any, form: Filled) -> HttpResponse:
    context = {**_panel(actor, operation), "form": form}
    return show(request, "operation.html", context, status=form.status)


@require_GET
def operation(request: HttpRequest, reference: str) -> HttpResponse:
    actor = actor_of(request)
    return _page(request, actor, queries.operation(actor, reference), Filled({"why": "", "happened": ""}))


@require_GET
def live(request: HttpRequest, reference: str) -> HttpResponse:
    actor = actor_of(request)
    found = queries.operation(actor, reference)
    context = {**_panel(actor, found), "form": Filled({"why": "", "happened": ""})}
    names = ("operation_poll", "operation_title", "operation_outcome", "operation_steps", "operation_client")
    return fragments(request, names, context)


@require_POST
def decide(request: HttpRequest, reference: str) -> HttpResponse:
    """*Decide*: a person says what became of an operation with unknown outcome, and how they know."""
    actor = actor_of(request)
    found = queries.operation(actor, reference)
    if found.organisation_id != actor.organisation_id:
        raise NotHere
    form = typed(request.POST, ("why", "happened"))
    try:
        if form.values["happened"] not in {"yes", "no"}:
            form.errors["happened"] = "Choose what became of it."
            form.status = 422
        else:
            actions.settle(
                actor, reference, happened=form.values["happened"] == "yes", why=form.values["why"]
            )
    except Refusal as refusal:
        form.refuse(refusal)
    if form.summary:
        return _page(request, actor, queries.operation(actor, reference), form)
    messages.success(request, "Recorded. Nothing was sent.")
    return HttpResponseRedirect(reverse("admin-operation", args=[found.reference]))


@require_POST
def look_again(request: HttpRequest, reference: str) -> HttpResponse:
    """*Read it back now*: what an unknown outcome of this kind can be settled by."""
    actor = actor_of(request)
    found = queries.operation(actor, reference)
    address = reverse("admin-operation", args=[found.reference])
    try:
        actions.ask_look_again(actor, reference)
    except Refusal as refusal:
        return back_with(request, refusal, address)
    messages.success(request, "The machine is read now. If it says how it is, this is settled by itself.")
    return HttpResponseRedirect(address)


@require_POST
def cancel(request: HttpRequest, reference: str) -> HttpResponse:
    actor = actor_of(request)
    found = queries.operation(actor, reference)
    address = reverse("admin-operation", args=[found.reference])
    try:
        actions.cancel(actor, reference)
    except Refusal as refusal:
        return back_with(request, refusal, address)
    messages.success(request, "Cancelled. Nothing was sent.")
    return HttpResponseRedirect(address)
