"""Leap > Accounts: the machine identity of the organisation at the one above it. Secrets stand on one answer, and nowhere else."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from doublehop.organisations import actions, queries
from doublehop.organisations.refusals import Refusal
from doublehop.panels.admin.forms import Filled
from doublehop.panels.admin.frame import require_provider, show
from doublehop.panels.gates import actor_of, key_of
from doublehop.panels.refusals import back_with

_SECRETS = (
    (
        "password",
        "Password",
        "Signs in together with the username.",
        "Every program that signs in with the username and this password is refused at once, until it knows the new one: "
        "modules of billing systems, and scripts at the LEAP and Dropzone addresses.",
    ),
    (
        "api_key",
        "API key",
        "Stands in the module settings of a billing system.",
        "Every module that holds this API key shows “API Error: Authentication Error” at once, until the new key "
        "stands in its settings. Nothing is done to the servers.",
    ),
    (
        "pin",
        "PIN",
        "Asked for before a server's login is told.",
        "Programs that read the login of a server with this PIN are refused until they know the new one. "
        "Everything else goes on.",
    ),
)


@require_http_methods(["GET", "POST"])
def accounts(request: HttpRequest) -> HttpResponse:
    """A POST is *Show*: with the person's own password the answer holds the secrets, and no cache may keep it."""
    actor = actor_of(request)
    require_provider(actor)
    form = Filled({"password": ""})
    revealed: dict[str, str] = {}
    if request.method == "POST":
        try:
            revealed = actions.show_leap_secrets(actor, request.POST.get("password", ""))
        except Refusal as refusal:
            form.refuse(refusal)
    account = queries.leap_account_of(actor)
    context = {
        "account": account,
        "endpoints": [
            ("LEAP", request.build_absolute_uri("/leap/api.php")),
            ("Dropzone", request.build_absolute_uri("/dropzone/")),
        ],
        "secrets": _lines(account, revealed),
        "revealed": bool(revealed),
        "form": form,
    }
    answer = show(request, "leap_accounts.html", context, status=form.status)
    answer["Cache-Control"] = "no-store"
    return answer


def _lines(account: Any, revealed: dict[str, str]) -> list[dict[str, Any]]:
    if account is None:
        return []
    return [
        {
            "which": which,
            "label": label,
            "use": use,
            "breaks": breaks,
            "value": revealed.get(which, ""),
            "changed_at": getattr(account, f"{which}_changed_at"),
        }
        for which, label, use, breaks in _SECRETS
    ]


@require_POST
def rotate(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    require_provider(actor)
    which = request.POST.get("which", "")
    address = reverse("admin-leap-accounts")
    try:
        actions.rotate_leap_secret(actor, which, key=key_of(request))
    except Refusal as refusal:
        return back_with(request, refusal, address)
    label = next(text for name, text, _, _ in _SECRETS if name == which)
    messages.success(request, f"New {label} made. Show it, and hand it to your programs.")
    return HttpResponseRedirect(address)


@require_POST
def open_account(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    require_provider(actor)
    address = reverse("admin-leap-accounts")
    try:
        actions.open_leap_account(actor, actor.organisation_id, key=key_of(request))
    except Refusal as refusal:
        return back_with(request, refusal, address)
    messages.success(request, "The account is open")
    return HttpResponseRedirect(address)
