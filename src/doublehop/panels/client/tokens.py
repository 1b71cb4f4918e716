"""API tokens of a client: its people make and revoke them. The text of a token stands on one answer, and nowhere else."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from doublehop.organisations import actions, queries
from doublehop.organisations.actions import TokenForm
from doublehop.organisations.actor import Scope
from doublehop.organisations.refusals import BadInput, NotHere, Refusal
from doublehop.panels.client.pages import frame
from doublehop.panels.gates import actor_of, client_only, key_of
from doublehop.panels.refusals import back_with
from doublehop.panels.tokens import OVER, after_the_last_day, last_day, state_of

MOST_LISTED = 100
SCOPES = (
    (Scope.READ.value, "Read", "See your servers: their state, addresses and bandwidth. Changes nothing."),
    (
        Scope.OPERATE.value,
        "Operate",
        "What the buttons of a server do: restart, switch on and off, reverse DNS.",
    ),
    (Scope.WEBHOOKS.value, "Webhooks", "Add, change and delete webhooks, and read what was sent to them."),
)


@require_http_methods(["GET", "POST"])
@client_only
def tokens(request: HttpRequest) -> HttpResponse:
    """A POST makes one; its answer tells the whole text, once, and no cache may keep it."""
    actor = actor_of(request)
    values = empty = {
        **dict.fromkeys(("name", "operate", "webhooks", "networks", "expires_on"), ""),
        "read": "1",
    }
    errors: dict[str, str] = {}
    made, status = None, 200
    if request.method == "POST":
        values = {name: request.POST.get(name, "") for name in values}
        try:
            made = actions.create_token(actor, _form_of(values), key=key_of(request))
            values = empty
        except NotHere:
            raise
        except Refusal as refusal:
            status = refusal.http_status
            errors[refusal.field if refusal.field in values else ""] = refusal.sentence
    context: dict[str, Any] = {
        **frame(actor, "tokens"),
        "tokens": [_line(row) for row in queries.tokens_visible_to(actor)[:MOST_LISTED]],
        "values": values,
        "errors": errors,
        "summary": list(errors.items()),
        "made": made,
        "text": made.shown.reveal() if made is not None and made.shown is not None else "",
        "scopes": [(name, label, hint, values[name]) for name, label, hint in SCOPES],
        "api": request.build_absolute_uri("/api/v1/"),
    }
    answer = render(request, "panels/client/tokens.html", context, status=status)
    answer["Cache-Control"] = "no-store"
    return answer


@require_POST
@client_only
def revoke(request: HttpRequest, token_id: int) -> HttpResponse:
    address = reverse("client-tokens")
    try:
        actions.revoke_token(actor_of(request), token_id)
    except Refusal as refusal:
        return back_with(request, refusal, address)
    messages.success(request, "Revoked")
    return HttpResponseRedirect(address)


def _line(row: Any) -> dict[str, Any]:
    state = state_of(row)
    return {"row": row, "state": state, "is_over": state in OVER, "last_day": last_day(row.expires_at)}


def _form_of(values: dict[str, str]) -> TokenForm:
    scopes = [scope for scope, _, _ in SCOPES if values[scope]]
    if not scopes:
        raise BadInput("Choose at least one: Read, Operate or Webhooks.", field="read")
    return TokenForm(
        name=values["name"],
        scopes=scopes,
        networks=values["networks"].split(),
        expires_at=after_the_last_day(values["expires_on"], field="expires_on"),
    )
