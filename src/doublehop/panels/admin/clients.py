"""Clients of the organisation: list, one client, its people."""

from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from doublehop.organisations import actions, queries
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import Refusal
from doublehop.panels.admin.forms import Filled, typed
from doublehop.panels.admin.frame import count_up_to, show
from doublehop.panels.admin.journal import lines_page
from doublehop.panels.gates import actor_of, key_of
from doublehop.panels.keyset import page_of, sort_of
from doublehop.services.lifecycle import ServiceStatus
from doublehop.services.queries import operations_visible_to, services_visible_to

_TABS = (
    ("summary", "Summary", "admin-client"),
    ("profile", "Profile", "admin-client-profile"),
    ("services", "Products/Services", "admin-client-services"),
    ("people", "People", "admin-client-people"),
    ("journal", "Journal", "admin-client-journal"),
)


def frame_of(actor: Actor, client: Any, tab: str) -> dict[str, Any]:
    """What stands above each tab of a client."""
    return {
        "client": client,
        "people_count": count_up_to(queries.people_of(actor, client.pk)),
        "tabs": [(text, reverse(name, args=[client.pk]), tab == here) for here, text, name in _TABS],
    }


@require_GET
def clients(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    sort = sort_of(request.GET, ("name", "number"))
    words = request.GET.get("q", "").strip()[:120]
    rows = queries.clients_visible_to(actor)
    if words:
        matches = Q(name__istartswith=words) | Q(email__istartswith=words)
        if words.isascii() and words.isdigit():
            matches |= Q(number=int(words[:9]))
        rows = rows.filter(matches)
    page = page_of(rows, request.GET, by=sort)
    return show(request, "clients.html", {"page": page, "sort": sort, "words": words})


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    form = Filled({"name": "", "email": ""})
    if request.method == "POST":
        form = typed(request.POST, form.values)
        try:
            client = actions.create_client(actor_of(request), **form.values, key=key_of(request))
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, "Saved")
            return HttpResponseRedirect(reverse("admin-client", args=[client.pk]))
    return show(request, "client_new.html", {"form": form}, status=form.status)


@require_GET
def summary(request: HttpRequest, client_id: int) -> HttpResponse:
    actor = actor_of(request)
    client = queries.client(actor, client_id)
    services = services_visible_to(actor).filter(client_id=client.pk)
    context = {
        **frame_of(actor, client, "summary"),
        "services": services.order_by("number")[:10],
        "has_more": services.order_by("number")[10:11],
        "waiting": services.filter(status=ServiceStatus.PENDING).order_by("number")[:5],
        "operations": operations_visible_to(actor).filter(client_id=client.pk).order_by("-id")[:8],
    }
    return show(request, "client.html", context)


@require_http_methods(["GET", "POST"])
def profile(request: HttpRequest, client_id: int) -> HttpResponse:
    actor = actor_of(request)
    client = queries.client(actor, client_id)
    values = {"name": client.name, "email": client.email}
    if client.billed_by:
        values["billing_reference"] = client.billing_reference
    form = Filled(values)
    if request.method == "POST":
        form = typed(request.POST, form.values)
        try:
            actions.update_client(actor, client_id, **form.values)
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, "Saved")
            return HttpResponseRedirect(reverse("admin-client-profile", args=[client_id]))
    context = {**frame_of(actor, client, "profile"), "form": form}
    return show(request, "client_profile.html", context, status=form.status)


@require_http_methods(["GET", "POST"])
def people(request: HttpRequest, client_id: int) -> HttpResponse:
    actor = actor_of(request)
    client = queries.client(actor, client_id)
    form = Filled({"name": "", "email": "", "password": ""})
    if request.method == "POST":
        form = typed(request.POST, form.values, secret=["password"])
        try:
            actions.create_client_person(
                actor,
                client_id=client_id,
                name=form.values["name"],
                email=form.values["email"],
                password=request.POST.get("password", ""),
                key=key_of(request),
            )
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, "Saved")
            return HttpResponseRedirect(reverse("admin-client-people", args=[client_id]))
    context = {
        **frame_of(actor, client, "people"),
        "form": form,
        "people": queries.people_of(actor, client.pk)[:200],
    }
    return show(request, "client_people.html", context, status=form.status)


@require_GET
def client_journal(request: HttpRequest, client_id: int) -> HttpResponse:
    actor = actor_of(request)
    client = queries.client(actor, client_id)
    page = lines_page(request, actor, client_id=client.pk)
    return show(request, "client_journal.html", {**frame_of(actor, client, "journal"), "page": page})
