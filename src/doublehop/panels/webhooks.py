"""Webhooks as both panels show them: the lists, the form, one webhook with its log, and what is pressed there.

A ``Face`` says whose pages they are; ``admin.webhooks`` and ``client.webhooks`` are the two. The text of a secret stands on
the answer that made it, and nowhere else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from doublehop.notices import endpoints, queries
from doublehop.notices.endpoints import EndpointChange, EndpointForm
from doublehop.notices.events import EVENTS, TEST, groups_for
from doublehop.organisations.actor import Actor, Duty
from doublehop.organisations.refusals import BadInput, NotHere, Refusal
from doublehop.panels.gates import actor_of, key_of
from doublehop.panels.keyset import page_of
from doublehop.panels.live import fragments_of
from doublehop.panels.looks import LOOKS
from doublehop.panels.refusals import back_with

PAGE = 25
STILL_ASKING_AFTER = timedelta(seconds=20)
"""An attempt may take 15 s by itself."""
STATES = [(state, shown.word) for state, shown in LOOKS["delivery"].items()]
_LIVE = ("webhook_poll", "webhook_state", "webhook_test", "webhook_log")
Show = Callable[[HttpRequest, str, Mapping[str, Any], int], HttpResponse]


@dataclass(frozen=True)
class Face:
    """``show`` draws one of the panel's own templates in its frame: (request, name, context, status)."""

    prefix: str
    show: Show
    by_staff: bool

    def to(self, name: str, *ids: int) -> str:
        return reverse(f"{self.prefix}-{name}", args=ids)


@dataclass
class Typed:
    """What stands in the form. ``errors`` is field name to sentence."""

    values: dict[str, Any]
    errors: dict[str, str] = field(default_factory=dict)
    status: int = 200

    @property
    def summary(self) -> list[tuple[str, str]]:
        return list(self.errors.items())

    def refuse(self, refusal: Refusal) -> None:
        if isinstance(refusal, NotHere):
            raise refusal
        self.status = refusal.http_status
        self.errors[refusal.field if refusal.field in self.values else ""] = refusal.sentence


def title_of(row: Any) -> str:
    """Its description, else the host that it leads to."""
    return str(row.description or urlsplit(row.url).hostname or row.url)


def state_of(row: Any) -> str:
    """The key of looks.LOOKS["webhook"]."""
    return "failing" if row.state == "active" and row.failing_since is not None else str(row.state)


# ---------------------------------------------------------------- lists and forms


def listed(request: HttpRequest, face: Face) -> HttpResponse:
    actor = actor_of(request)
    page = page_of(queries.endpoints_visible_to(actor), request.GET, by="pk", size=PAGE)
    lines = [
        {
            "told": one,
            "row": one.row,
            "title": title_of(one.row),
            "shown": state_of(one.row),
            "url": face.to("webhook", one.row.pk),
        }
        for one in queries.glances(actor, [row.pk for row in page.rows])
    ]
    context = {"page": page, "lines": lines, "new_url": face.to("webhook-new"), "may_manage": _may(actor)}
    return face.show(request, "webhooks.html", context, 200)


def _may(actor: Actor) -> bool:
    return actor.is_client or actor.has(Duty.GOVERN)


def new(request: HttpRequest, face: Face) -> HttpResponse:
    """A POST makes one; its answer is the page of the new webhook with its secret, which no cache may keep."""
    actor = actor_of(request)
    form = Typed({"url": "", "description": "", "kinds": [], "client_id": ""})
    if request.method == "POST":
        form = _typed(request)
        try:
            row = endpoints.create_endpoint(actor, _form_of(form, face), key=key_of(request))
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            return _with_secret(request, face, row, is_new=True)
    return _form_page(request, face, form, None)


def edit(request: HttpRequest, face: Face, endpoint_id: int) -> HttpResponse:
    actor = actor_of(request)
    row = queries.endpoint(actor, endpoint_id)
    form = Typed({"url": row.url, "description": row.description, "kinds": row.kinds})
    if request.method == "POST":
        form = _typed(request)
        form.values.pop("client_id")
        change = EndpointChange(form.values["url"], form.values["description"], form.values["kinds"])
        try:
            endpoints.change_endpoint(actor, endpoint_id, change, key=key_of(request))
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, "Saved")
            return HttpResponseRedirect(face.to("webhook", endpoint_id))
    return _form_page(request, face, form, row)


def _typed(request: HttpRequest) -> Typed:
    names = ("url", "description", "client_id")
    kinds = [kind for kind in request.POST.getlist("kinds") if kind in EVENTS]
    return Typed({**{name: request.POST.get(name, "") for name in names}, "kinds": kinds})


def _form_of(form: Typed, face: Face) -> EndpointForm:
    number = str(form.values.get("client_id", "")).strip() if face.by_staff else ""
    if number and not (number.isascii() and number.isdigit() and len(number) < 19):
        raise BadInput("Write the id of one of your clients, or nothing.", field="client_id")
    return EndpointForm(
        url=form.values["url"],
        description=form.values["description"],
        kinds=form.values["kinds"],
        client_id=int(number) if number else None,
    )


def _form_page(request: HttpRequest, face: Face, form: Typed, row: Any) -> HttpResponse:
    of_client = not face.by_staff or (row is not None and row.client_id is not None)
    context = {
        "form": form,
        "row": row,
        "title": title_of(row) if row else "",
        "event_groups": groups_for(of_client=of_client),
        "chosen": form.values["kinds"],
        "asks_client": face.by_staff and row is None,
        "back": face.to("webhook", row.pk) if row else face.to("webhooks"),
        "list_url": face.to("webhooks"),
        "may_manage": _may(actor_of(request)),
    }
    return face.show(request, "webhook_form.html", context, form.status)


# ---------------------------------------------------------------- one webhook


def one(request: HttpRequest, face: Face, endpoint_id: int) -> HttpResponse:
    row = queries.endpoint(actor_of(request), endpoint_id)
    return face.show(request, "webhook.html", _page(request, face, row), 200)


def live(request: HttpRequest, face: Face, endpoint_id: int) -> HttpResponse:
    row = queries.endpoint(actor_of(request), endpoint_id)
    names = [f"panels/parts/{name}.html" for name in _LIVE]
    return fragments_of(request, names, _page(request, face, row))


def _with_secret(request: HttpRequest, face: Face, row: Any, *, is_new: bool) -> HttpResponse:
    made = {"is_new": is_new, "text": row.new_secret.reveal() if row.new_secret is not None else ""}
    answer = face.show(request, "webhook.html", {**_page(request, face, row), "made": made}, 200)
    answer["Cache-Control"] = "no-store"
    return answer


def _page(request: HttpRequest, face: Face, row: Any) -> dict[str, Any]:
    actor, now = actor_of(request), timezone.now()
    state = request.GET.get("state", "")
    rows = queries.deliveries_visible_to(actor).filter(endpoint_id=row.pk)
    if state in dict(STATES):
        rows = rows.filter(state=state)
    page = page_of(rows, request.GET, by="-pk", size=PAGE)
    test = queries.newest_test(actor, row.pk)
    is_testing = test is not None and test.state == "waiting" and row.state == "active"
    verbs = ("edit", "live", "rotate", "test", "pause", "resume", "delete")
    query = f"?{request.GET.urlencode()}" if request.GET else ""
    may_manage = _may(actor)
    return {
        "row": row,
        "title": title_of(row),
        "shown": state_of(row),
        "page": page,
        "log": [(each, face.to("webhook-redeliver", row.pk, each.pk)) for each in page.rows],
        "state": state,
        "states": STATES,
        "at": {name: face.to(f"webhook-{name}", row.pk) for name in verbs},
        "list_url": face.to("webhooks"),
        "page_url": face.to("webhook", row.pk),
        "live_url": face.to("webhook-live", row.pk) + query,
        "told_of": _told_of(row),
        "test": test,
        "is_testing": is_testing,
        "is_late": is_testing and test is not None and now - test.next_try_at > STILL_ASKING_AFTER,
        "old_secret_until": row.previous_until if row.previous_until and row.previous_until > now else None,
        "may_manage": may_manage,
        "may_send": may_manage and row.state == "active",
        "by_staff": face.by_staff,
        "test_kind": TEST,
    }


def _told_of(row: Any) -> list[tuple[str, list[str]]]:
    """What it subscribes to, in the words of the form, by group."""
    kinds = set(row.kinds)
    groups = groups_for(of_client=row.client_id is not None)
    found = [
        (group.label, [event.told for kind, event in events.items() if kind in kinds])
        for group, events in groups
    ]
    return [(label, told) for label, told in found if told]


# ---------------------------------------------------------------- what is pressed


def rotate(request: HttpRequest, face: Face, endpoint_id: int) -> HttpResponse:
    try:
        row = endpoints.rotate_secret(actor_of(request), endpoint_id, key=key_of(request))
    except Refusal as refusal:
        return back_with(request, refusal, face.to("webhook", endpoint_id))
    return _with_secret(request, face, row, is_new=False)


def pause(request: HttpRequest, face: Face, endpoint_id: int) -> HttpResponse:
    return _press(
        request, face, endpoint_id, endpoints.pause_endpoint, "Paused. Nothing is sent from now on."
    )


def resume(request: HttpRequest, face: Face, endpoint_id: int) -> HttpResponse:
    return _press(request, face, endpoint_id, endpoints.resume_endpoint, "Resumed. What waited goes on.")


def test(request: HttpRequest, face: Face, endpoint_id: int) -> HttpResponse:
    return _press(request, face, endpoint_id, endpoints.send_test, "Asked for. The answer appears here.")


def delete(request: HttpRequest, face: Face, endpoint_id: int) -> HttpResponse:
    onto = face.to("webhooks")
    return _press(request, face, endpoint_id, endpoints.delete_endpoint, "Deleted", onto=onto)


def redeliver(request: HttpRequest, face: Face, endpoint_id: int, delivery_id: int) -> HttpResponse:
    actor = actor_of(request)
    address = face.to("webhook", endpoint_id)
    try:
        endpoints.redeliver(actor, delivery_id, endpoint_id=endpoint_id, key=key_of(request))
    except Refusal as refusal:
        return back_with(request, refusal, address)
    messages.success(request, "It is sent again now.")
    return HttpResponseRedirect(address)


def _press(
    request: HttpRequest,
    face: Face,
    endpoint_id: int,
    deed: Callable[..., object],
    told: str,
    *,
    onto: str = "",
) -> HttpResponse:
    address = face.to("webhook", endpoint_id)
    try:
        deed(actor_of(request), endpoint_id, key=key_of(request))
    except Refusal as refusal:
        return back_with(request, refusal, address)
    messages.success(request, told)
    return HttpResponseRedirect(onto or address)
