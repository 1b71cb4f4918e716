"""Setup > Upstreams: our credentials at the places where servers live. Questions are queued; their answers appear on the page."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from doublehop.driver_kit.contract import FieldKind
from doublehop.fleet import actions, rests
from doublehop.fleet import queries as fleet
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import NotHere, Refusal
from doublehop.panels.admin.bought import orders_card
from doublehop.panels.admin.forms import Filled, draw, typed_settings
from doublehop.panels.admin.frame import reach, show
from doublehop.panels.admin.live import fragments
from doublehop.panels.gates import actor_of, key_of
from doublehop.panels.refusals import back_with

STILL_ASKING_AFTER = timedelta(seconds=10)
MOST_LISTED = 200


def _pending(asked: Any, answered: Any) -> bool:
    return asked is not None and (answered is None or asked > answered)


def source_of(row: Any) -> str:
    """The key of looks.LOOKS["source"]: how an upstream stands."""
    if not rests.is_refused(row) and rests.next_try_at(row) is not None:
        return "resting"
    if row.failing_since is not None:
        known = {"unreachable", "credentials_rejected"}
        return row.failure_code if row.failure_code in known else "failing"
    return "fine" if row.synced_at is not None else "new"


def _label_of(row: Any) -> str:
    return fleet.driver_card(row.driver).label


@require_GET
def upstreams(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    rows = list(fleet.upstreams_visible_to(actor).order_by("name", "pk")[:MOST_LISTED])
    lines = [
        {
            "row": row,
            "kind": _label_of(row),
            "source": source_of(row),
            "next_try_at": rests.next_try_at(row),
        }
        for row in rows
    ]
    return show(request, "upstreams.html", {"lines": lines})


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    data = request.POST if request.method == "POST" else request.GET
    card = next((one for one in fleet.drivers_offered() if one.name == data.get("kind", "")), None)
    if card is None:
        return show(request, "upstream_choose.html", {"cards": fleet.drivers_offered()})
    form = Filled({"name": ""})
    values = {one.name: one.default for one in card.settings}
    if request.method == "POST":
        values = typed_settings(request.POST, card.settings)
        form = _form_of(request, values)
        try:
            row = actions.create_upstream(
                actor, driver=card.name, name=form.values["name"], values=values, key=key_of(request)
            )
        except Refusal as refusal:
            _refuse(form, refusal)
        else:
            messages.success(request, "Saved. The connection is tested now.")
            return HttpResponseRedirect(reverse("admin-upstream", args=[row.pk]))
    context = {
        "card": card,
        "form": form,
        "fields": draw(card.settings, values, form.errors, is_new=True),
        "back": reverse("admin-upstreams"),
    }
    return show(request, "upstream_form.html", context, status=form.status)


def _form_of(request: HttpRequest, values: dict[str, str]) -> Filled:
    settings = {f"setting-{name}": text for name, text in values.items()}
    return Filled({"name": request.POST.get("name", ""), **settings})


def _refuse(form: Filled, refusal: Refusal) -> None:
    # The upstream's own name and a declared setting may both be called "name": the first is not a setting.
    form.refuse(refusal, prefix="" if refusal.field == "name" else "setting-")


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, upstream_id: int) -> HttpResponse:
    actor = actor_of(request)
    row = fleet.upstream(actor, upstream_id)
    card = fleet.driver_card(row.driver)
    form = Filled({"name": row.name})
    values: dict[str, Any] = fleet.stored_settings(actor, upstream_id)
    if request.method == "POST":
        values = typed_settings(request.POST, card.settings)
        form = _form_of(request, values)
        try:
            actions.update_upstream(actor, upstream_id, name=form.values["name"], values=values)
        except Refusal as refusal:
            _refuse(form, refusal)
        else:
            messages.success(request, "Saved. The connection is tested now.")
            return HttpResponseRedirect(reverse("admin-upstream", args=[upstream_id]))
    context = {
        "upstream": row,
        "card": card,
        "form": form,
        "fields": draw(card.settings, values, form.errors, is_new=False),
        "back": reverse("admin-upstream", args=[upstream_id]),
    }
    return show(request, "upstream_form.html", context, status=form.status)


def panel_of(actor: Actor, row: Any) -> dict[str, Any]:
    """Everything on the page that changes when an answer arrives."""
    is_testing = _pending(row.test_asked_at, row.tested_at)
    is_reading = _pending(row.sync_asked_at, row.synced_at) and not _failed_since(row, row.sync_asked_at)
    asked = [
        moment
        for moment, waits in ((row.test_asked_at, is_testing), (row.sync_asked_at, is_reading))
        if waits
    ]
    card = fleet.driver_card(row.driver)
    first_words = {one.name: one.label for one in card.settings}
    settings = fleet.stored_settings(actor, row.pk)
    return {
        "upstream": row,
        "kind": card.label,
        "source": source_of(row),
        "is_refused": rests.is_refused(row),
        "next_try_at": rests.next_try_at(row),
        "is_testing": is_testing,
        "is_reading": is_reading,
        "is_late": bool(asked) and timezone.now() - min(asked) > STILL_ASKING_AFTER,
        "report": row.test_report,
        "is_fine": bool(row.test_report) and all(line[1] for line in row.test_report),
        "to_pin": _to_pin(row, card, settings),
        "settings": [
            (first_words[name], _told(value)) for name, value in settings.items() if name in first_words
        ],
        "takes_machines": bool(card.server_settings),
        "live_url": reverse("admin-upstream-live", args=[row.pk]),
        "may": reach(actor),
    }


def _failed_since(row: Any, asked: Any) -> bool:
    """The last question was answered, by a failure: then it is not waited for any more."""
    return row.failed_at is not None and row.failed_at >= asked


def _to_pin(row: Any, card: fleet.DriverCard, settings: Mapping[str, object]) -> str:
    """The certificate that staff may confirm here; empty where each machine has its own, or none is new."""
    fields = [field.name for field in card.settings if field.kind is FieldKind.FINGERPRINT]
    if not fields or settings.get(fields[0]) == row.test_fingerprint:
        return ""
    return str(row.test_fingerprint)


def _told(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(one) for one in value) or "none"
    return str(value) or "none"


@require_GET
def upstream(request: HttpRequest, upstream_id: int) -> HttpResponse:
    actor = actor_of(request)
    row = fleet.upstream(actor, upstream_id)
    listed = fleet.servers_visible_to(actor).filter(upstream_id=row.pk).order_by("label", "pk")
    context = {
        **panel_of(actor, row),
        "servers": listed[:10],
        "has_servers": listed.exists(),
        **orders_card(actor, row.pk),
    }
    return show(request, "upstream.html", context)


@require_GET
def live(request: HttpRequest, upstream_id: int) -> HttpResponse:
    actor = actor_of(request)
    row = fleet.upstream(actor, upstream_id)
    return fragments(request, ("upstream_poll", "upstream_state", "upstream_test"), panel_of(actor, row))


def _delete(actor: Actor, upstream_id: int) -> None:
    actions.delete_upstream(actor, upstream_id)


_VERBS: dict[str, tuple[Callable[[Actor, int], None], str]] = {
    "test": (actions.ask_test, "Asked for. The result appears here in a moment."),
    "refresh": (actions.ask_sync, "Asked for. The list is read in a moment."),
    "arm": (actions.arm, "Armed. What is asked of its servers is sent from now on."),
    "disarm": (actions.disarm, "Observes only. Nothing is sent from now on."),
    "delete": (_delete, "Deleted."),
}


@require_POST
def act(request: HttpRequest, upstream_id: int, verb: str) -> HttpResponse:
    actor = actor_of(request)
    row = fleet.upstream(actor, upstream_id)
    address = reverse("admin-upstream", args=[upstream_id])
    if verb != "pin" and verb not in _VERBS:
        raise NotHere
    try:
        if verb == "pin":
            actions.pin_certificate(actor, row.pk, request.POST.get("fingerprint", ""))
            done = "Pinned. Only this very certificate is accepted from now on."
        else:
            deed, done = _VERBS[verb]
            deed(actor, row.pk)
    except Refusal as refusal:
        return back_with(request, refusal, address)
    messages.success(request, done)
    return HttpResponseRedirect(reverse("admin-upstreams") if verb == "delete" else address)
