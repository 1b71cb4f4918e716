"""What a brake holds: the exact list, and one decision for all of it."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import BadInput, Refusal
from doublehop.panels.admin.forms import Filled, typed
from doublehop.panels.admin.frame import show
from doublehop.panels.admin.live import fragments
from doublehop.panels.gates import actor_of
from doublehop.panels.keyset import page_of
from doublehop.services import actions, queries

SIZE = 100
"""Rows of one page: the person is to see what they decide about."""
FIELDS = ("typed", "why", "undo_why")


def _panel(request: HttpRequest, actor: Actor, batch: Any) -> dict[str, Any]:
    held = queries.held_count(batch)
    rows = queries.operations_of(actor, batch)
    undoing = batch.undone_at is not None
    return {
        "batch": batch,
        "held": held,
        "approve_label": f"Type {held} to confirm",
        "passed": rows.filter(held_at__isnull=True).count(),
        "begun": rows.exclude(state__in=("held", "cancelled")).exists(),
        "page": page_of(rows, request.GET, by="pk", size=SIZE),
        # Followed while the worker carries out what was decided.
        "is_moving": batch.state != "open" and (held > 0 or undoing),
        "left": sorted(batch.not_undone.items()),
        "live_url": reverse("admin-batch-live", args=[batch.pk]),
    }


def _page(request: HttpRequest, actor: Actor, batch: Any, form: Filled) -> HttpResponse:
    context = {**_panel(request, actor, batch), "form": form}
    return show(request, "batch.html", context, status=form.status)


@require_GET
def batch(request: HttpRequest, batch_id: int) -> HttpResponse:
    actor = actor_of(request)
    return _page(request, actor, queries.batch_of(actor, batch_id), Filled(dict.fromkeys(FIELDS, "")))


@require_GET
def live(request: HttpRequest, batch_id: int) -> HttpResponse:
    actor = actor_of(request)
    context = _panel(request, actor, queries.batch_of(actor, batch_id))
    return fragments(request, ("batch_poll", "batch_title", "batch_told", "batch_rows"), context)


@require_POST
def decide(request: HttpRequest, batch_id: int) -> HttpResponse:
    """*Approve*, *Refuse* or *Undo*, for all of it."""
    actor = actor_of(request)
    found = queries.batch_of(actor, batch_id)
    form = typed(request.POST, FIELDS)
    try:
        said = _decide(actor, batch_id, request.POST.get("do", ""), form.values)
    except Refusal as refusal:
        form.refuse(refusal)
        return _page(request, actor, queries.batch_of(actor, batch_id), form)
    messages.success(request, said)
    return HttpResponseRedirect(reverse("admin-batch", args=[found.pk]))


def _decide(actor: Actor, batch_id: int, what: str, values: dict[str, str]) -> str:
    if what == "approve":
        number = values["typed"].strip()
        if not (number.isascii() and number.isdigit() and len(number) < 9):
            raise BadInput("Type the number of operations that wait.", field="typed")
        actions.approve(actor, batch_id, count=int(number))
        return "Approved. Each of them goes on now, after its guards have run again."
    if what == "refuse":
        actions.refuse(actor, batch_id, why=values["why"])
        return "Refused. Nothing of what waited is done."
    if what == "undo":
        try:
            actions.undo(actor, batch_id, why=values["undo_why"])
        except BadInput as refusal:
            raise BadInput(refusal.sentence, field="undo_why") from refusal
        return "What was done is being undone, one after the other."
    raise BadInput("Choose what is to become of it.")
