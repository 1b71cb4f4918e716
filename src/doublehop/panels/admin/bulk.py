"""Many services at once: a preview of exactly what will be touched, then each one by itself, then what came of each."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.views.decorators.http import require_http_methods

from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import NotHere, Refusal
from doublehop.panels.admin.forms import Filled, typed
from doublehop.panels.admin.frame import show
from doublehop.panels.admin.orders import filtered
from doublehop.panels.admin.presenting import states_of
from doublehop.panels.gates import actor_of
from doublehop.services import actions, queries
from doublehop.services.lifecycle import OperationKind
from doublehop.services.queries import Preview

KINDS = (OperationKind.SUSPEND, OperationKind.UNSUSPEND, OperationKind.REBOOT)
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
    if kind is OperationKind.SUSPEND and not form.values["reason"].strip():
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
        "count": count,
        "must_type": count if count >= TYPED_FROM else 0,
        "form": form,
    }
    return show(request, "bulk.html", context, status=form.status)


def _run(
    request: HttpRequest, actor: Actor, kind: OperationKind, ids: list[int], form: Filled
) -> HttpResponse:
    """One by one, each with its own key: sent twice, the same operations answer."""
    key = request.POST.get("key", "")
    rows = {row.pk: row for row in queries.services_visible_to(actor).filter(pk__in=ids).order_by("number")}
    outcomes = []
    for service_id, row in rows.items():
        try:
            operation = actions.request(
                actor,
                kind,
                service_id,
                idempotency_key=f"{key[:80]}:{service_id}" if key else "",
                reason=form.values["reason"],
                client_text=form.values["client_text"],
            )
        except Refusal as refusal:
            outcomes.append(Outcome(row, refused=refusal.sentence))
        else:
            outcomes.append(Outcome(row, operation))
    asked = [one for one in outcomes if one.operation is not None]
    context = {
        "outcomes": outcomes,
        "asked": len(asked),
        "refused": len(outcomes) - len(asked),
        "words": _WORDS[kind],
    }
    return show(request, "bulk_result.html", context)
