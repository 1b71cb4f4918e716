"""Many services at once: a preview of exactly what will be touched, then each one by itself, then what came of each."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.views.decorators.http import require_http_methods

from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import KeyReused, NotHere, Refusal
from doublehop.panels.admin.forms import Filled, typed
from doublehop.panels.admin.frame import show
from doublehop.panels.admin.orders import filtered
from doublehop.panels.admin.presenting import states_of
from doublehop.panels.gates import actor_of, key_of
from doublehop.services import actions, queries
from doublehop.services.lifecycle import OperationKind, OperationState
from doublehop.services.queries import Preview

KINDS = (
    OperationKind.SUSPEND,
    OperationKind.UNSUSPEND,
    OperationKind.REBOOT,
    OperationKind.POWER_OFF,
    OperationKind.TERMINATE,
)
NEED_REASON = (OperationKind.SUSPEND, OperationKind.TERMINATE)
TYPED_FROM = 5
"""From this many services on their number has to be typed."""
MOST_AT_ONCE = 200
SUGGESTED_TEXT = (
    "This server is suspended because an invoice is overdue. Its data is untouched. "
    "It comes back when the invoice is paid."
)
_WORDS: dict[str, dict[str, str]] = {
    OperationKind.SUSPEND: {"verb": "Suspend", "passive": "suspended"},
    OperationKind.UNSUSPEND: {"verb": "Unsuspend", "passive": "unsuspended"},
    OperationKind.REBOOT: {"verb": "Reboot", "passive": "rebooted"},
    OperationKind.POWER_OFF: {"verb": "Power off", "passive": "powered off"},
    OperationKind.TERMINATE: {"verb": "Terminate", "passive": "terminated"},
}


@dataclass(frozen=True)
class Outcome:
    """What became of one service of the batch: an operation, or the sentence why there is none."""

    service: Any
    operation: Any = None
    refused: str = ""


@require_http_methods(["GET", "POST"])
def bulk(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    data = request.POST if request.method == "POST" else request.GET
    kind = data.get("do", "")
    if kind not in KINDS:
        raise NotHere
    ids = _chosen(actor, data)
    if request.method == "POST":
        form = typed(request.POST, ("reason", "client_text", "typed"))
        if _is_complete(form, OperationKind(kind), ids):
            return _run(request, actor, OperationKind(kind), ids, form)
    else:
        suggested = SUGGESTED_TEXT if kind == OperationKind.SUSPEND else ""
        form = Filled({"reason": "", "client_text": suggested, "typed": ""})
    return _preview(request, queries.preview(actor, OperationKind(kind), ids), ids, form)


def _chosen(actor: Actor, data: QueryDict) -> list[int]:
    """The ticked ones; or, for ``all``, those that the list's filters leave now: the list is read again."""
    if data.get("all") == "1":
        rows = filtered(actor, data).order_by("number")
        return list(rows.values_list("pk", flat=True)[:MOST_AT_ONCE])
    ids = [int(text) for text in data.getlist("id") if text.isascii() and text.isdigit() and len(text) < 19]
    return list(dict.fromkeys(ids))[:MOST_AT_ONCE]


def _is_complete(form: Filled, kind: OperationKind, ids: list[int]) -> bool:
    if kind in NEED_REASON and not form.values["reason"].strip():
        form.errors["reason"] = "A reason is needed: it stands in the journal with your name."
    if len(ids) >= TYPED_FROM and form.values["typed"].strip() != str(len(ids)):
        form.errors["typed"] = f"Type {len(ids)}, the number of services ticked."
    if not ids:
        form.general = "No service is ticked."
    form.status = 422 if form.summary else 200
    return not form.summary


def _preview(request: HttpRequest, shown: Preview, ids: list[int], form: Filled) -> HttpResponse:
    actor = actor_of(request)
    servers = [line.service.server for line in shown.will if line.service.server is not None]
    states = states_of(actor, servers)
    count = len(shown.will)
    context = {
        "preview": shown,
        "will": [(line, states.get(line.service.server_id or 0)) for line in shown.will],
        "kind": shown.kind.value,
        "words": _WORDS[shown.kind],
        "chosen": count + len(shown.left_out),
        "is_cut": len(ids) == MOST_AT_ONCE,
        "held": sum(line.held for line in shown.will),
        "needs_reason": shown.kind in NEED_REASON,
        "is_danger": shown.kind in (*NEED_REASON, OperationKind.POWER_OFF),
        "count": count,
        "must_type": count if count >= TYPED_FROM else 0,
        "form": form,
    }
    return show(request, "bulk.html", context, status=form.status)


def _ask(actor: Actor, kind: OperationKind, service_id: int, key: str, form: Filled) -> Any:
    reason = form.values["reason"]
    if kind is OperationKind.TERMINATE:
        return actions.terminate(actor, service_id, reason=reason, key=key)
    return actions.request(
        actor,
        kind,
        service_id,
        idempotency_key=key,
        reason=reason,
        client_text=form.values["client_text"],
    )


def _run(
    request: HttpRequest, actor: Actor, kind: OperationKind, ids: list[int], form: Filled
) -> HttpResponse:
    """One by one, each with its own key: sent twice, the same operations answer."""
    key = key_of(request)
    rows = {row.pk: row for row in queries.services_visible_to(actor).filter(pk__in=ids).order_by("number")}
    outcomes, status = [], 200
    for service_id, row in rows.items():
        try:
            operation = _ask(actor, kind, service_id, f"{key[:80]}:{service_id}" if key else "", form)
        except Refusal as refusal:
            outcomes.append(Outcome(row, refused=refusal.sentence))
            status = refusal.http_status if isinstance(refusal, KeyReused) else status
        else:
            outcomes.append(Outcome(row, operation))
    asked = [one for one in outcomes if one.operation is not None]
    context = {
        "outcomes": outcomes,
        "asked": len(asked),
        "refused": len(outcomes) - len(asked),
        "held": sum(one.operation.state == OperationState.HELD for one in asked),
        "batch": next((one.operation.batch for one in asked if one.operation.batch), None),
        "words": _WORDS[kind],
    }
    return show(request, "bulk_result.html", context, status=status)
