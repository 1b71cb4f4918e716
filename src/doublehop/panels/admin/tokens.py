"""Setup > API tokens, and one of them. The text of a token stands on one answer, and nowhere else."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from doublehop.organisations import actions, queries
from doublehop.organisations.actions import TokenForm
from doublehop.organisations.actions.tokens import OLD_SECRET_HOURS
from doublehop.organisations.actor import Actor, Scope
from doublehop.organisations.refusals import BadInput, Refusal
from doublehop.organisations.tokens import old_secret_opens
from doublehop.panels.admin.forms import Filled, typed
from doublehop.panels.admin.frame import show
from doublehop.panels.gates import actor_of, key_of
from doublehop.panels.refusals import back_with
from doublehop.panels.tokens import OVER, after_the_last_day, last_day, state_of

MOST_LISTED = 500
SCOPES = (
    (Scope.READ.value, "Read", "Everything that the holder may see. Changes nothing."),
    (
        Scope.OPERATE.value,
        "Operate",
        "Power, reverse DNS, null routes, rescue; attach a server and take it out.",
    ),
    (
        Scope.BILLING.value,
        "Billing",
        "Order, suspend, unsuspend and terminate; sign a client in to the panel.",
    ),
    (Scope.WEBHOOKS.value, "Webhooks", "Add, change and delete webhooks, and read what was sent to them."),
)
_TEXTS = ("name", "billing_system", "client_number", "networks", "expires_on")
_GRACE = {
    0: ("At once", "For a secret that others may have seen."),
    1: ("In an hour", "Time to carry the new one to where it is used."),
    24: ("In a day", "The same, where it is used in many places."),
}


@require_http_methods(["GET", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """A POST makes one; its answer tells the whole text, once, and no cache may keep it."""
    actor = actor_of(request)
    names = [*_TEXTS, "signed_only", *(scope for scope, _, _ in SCOPES)]
    form = empty = Filled({**dict.fromkeys(names, ""), "read": "1", "signed_only": "1"})
    made = None
    if request.method == "POST":
        form = typed(request.POST, form.values)
        try:
            made = actions.create_token(actor, _form_of(actor, form.values), key=key_of(request))
            form = empty
        except Refusal as refusal:
            form.refuse(refusal)
    return _told_once(
        request,
        "tokens.html",
        {
            "tokens": [_line(row) for row in queries.tokens_visible_to(actor)[:MOST_LISTED]],
            "form": form,
            "made": made,
            "text": _text_of(made),
            "scopes": [(name, label, hint, form.values[name]) for name, label, hint in SCOPES],
        },
        form.status,
    )


@require_GET
def token(request: HttpRequest, token_id: int) -> HttpResponse:
    return _token_page(request, token_id)


@require_POST
def rotate(request: HttpRequest, token_id: int) -> HttpResponse:
    """Its answer tells the new text, once."""
    hours = request.POST.get("old_for_hours", "0")
    try:
        made = actions.rotate_token(
            actor_of(request),
            token_id,
            old_for_hours=int(hours) if hours.isascii() and hours.isdigit() and len(hours) < 4 else -1,
            key=key_of(request),
        )
    except Refusal as refusal:
        return back_with(request, refusal, reverse("admin-token", args=[token_id]))
    return _token_page(request, token_id, made)


@require_POST
def accept(request: HttpRequest, token_id: int) -> HttpResponse:
    return _about_a_copy(request, token_id, actions.accept_installation, "Accepted")


@require_POST
def keep_refusing(request: HttpRequest, token_id: int) -> HttpResponse:
    return _about_a_copy(request, token_id, actions.keep_refusing, "Noted")


@require_POST
def choose_signed_only(request: HttpRequest, token_id: int) -> HttpResponse:
    address = reverse("admin-token", args=[token_id])
    try:
        actions.choose_signed_only(
            actor_of(request), token_id, signed_only=request.POST.get("signed_only") == "1"
        )
    except Refusal as refusal:
        return back_with(request, refusal, address)
    messages.success(request, "Saved")
    return HttpResponseRedirect(address)


@require_POST
def revoke(request: HttpRequest, token_id: int) -> HttpResponse:
    address = reverse("admin-tokens")
    try:
        actions.revoke_token(actor_of(request), token_id)
    except Refusal as refusal:
        return back_with(request, refusal, address)
    messages.success(request, "Revoked")
    return HttpResponseRedirect(address)


def _about_a_copy(
    request: HttpRequest, token_id: int, deed: Callable[[Actor, int, int], object], said: str
) -> HttpResponse:
    address = reverse("admin-token", args=[token_id])
    number = request.POST.get("other_id", "")
    try:
        deed(actor_of(request), token_id, int(number) if number.isascii() and number.isdigit() else 0)
    except Refusal as refusal:
        return back_with(request, refusal, address)
    messages.success(request, said)
    return HttpResponseRedirect(address)


def _token_page(request: HttpRequest, token_id: int, made: Any = None) -> HttpResponse:
    actor = actor_of(request)
    row = queries.token(actor, token_id)
    others = queries.other_installations(actor, token_id=row.pk) if row.installation else ()
    told = {name: (label, hint) for name, label, hint in SCOPES}
    return _told_once(
        request,
        "token.html",
        {
            **_line(row),
            "made": made,
            "text": _text_of(made),
            "scopes": [told[scope] for scope in row.scopes],
            "others": others,
            "waits": any(other.dismissed_at is None for other in others),
            "old_until": row.previous_until if old_secret_opens(row) else None,
            "grace": [(hours, *_GRACE[hours], hours == 0) for hours in OLD_SECRET_HOURS],
        },
    )


def _line(row: Any) -> dict[str, Any]:
    state = state_of(row)
    return {"row": row, "state": state, "is_over": state in OVER, "last_day": last_day(row.expires_at)}


def _text_of(made: Any) -> str:
    return made.shown.reveal() if made is not None and made.shown is not None else ""


def _told_once(request: HttpRequest, name: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    answer = show(request, name, context, status=status)
    answer["Cache-Control"] = "no-store"
    return answer


def _form_of(actor: Actor, values: dict[str, str]) -> TokenForm:
    return TokenForm(
        name=values["name"],
        scopes=[scope for scope, _, _ in SCOPES if values[scope]],
        client_id=_client_id(actor, values["client_number"].strip()),
        billing_system=values["billing_system"],
        networks=values["networks"].split(),
        expires_at=after_the_last_day(values["expires_on"], field="expires_on"),
        # The tick stands there for billing systems, and says nothing of others.
        signed_only=bool(values["signed_only"] and values["billing_system"].strip()),
    )


def _client_id(actor: Actor, number: str) -> int | None:
    if not number:
        return None
    whole = number.isascii() and number.isdigit() and len(number) < 10
    row = queries.clients_visible_to(actor).filter(number=int(number)).first() if whole else None
    if row is None:
        raise BadInput("Write the number of one of your clients, or nothing.", field="client_number")
    return int(row.pk)
