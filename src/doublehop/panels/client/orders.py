"""Orders of a client: what the brand offers, the form, and how far each order is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import BadInput, NotHere, Refusal
from doublehop.panels.client import progress
from doublehop.panels.client.pages import frame
from doublehop.panels.gates import actor_of, client_only, key_of
from doublehop.panels.looks import Look
from doublehop.panels.refusals import back_with
from doublehop.services import queries
from doublehop.services.actions.orders import order
from doublehop.services.queries import contracts, store

PAGE = 25
LONGEST_VALUE = 300


@dataclass(frozen=True)
class Order:
    """One line of the list."""

    service: Any
    shown: Look
    cost: str


@require_GET
@client_only
def orders(request: HttpRequest) -> HttpResponse:
    """Everything that was ever ordered, newest first."""
    actor = actor_of(request)
    rows = queries.services_visible_to(actor).order_by("-number")
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit():
        rows = rows.filter(number__lt=int(before[:9]))
    found = list(rows[: PAGE + 1])
    shown = [
        Order(row, progress.order_look(row), progress.cost_of(row, row.product.cycle)) for row in found[:PAGE]
    ]
    return render(
        request,
        "panels/client/orders.html",
        {
            **frame(actor, "orders"),
            "orders": shown,
            "may_order": bool(store.store(actor)),
            "newer": "" if not before else reverse("client-orders"),
            "older": f"?before={found[PAGE - 1].number}" if len(found) > PAGE else "",
        },
    )


@dataclass(frozen=True)
class Offered:
    """A product as the store shows it."""

    product: Any
    cycle: str
    allowance: str


def _offered(product: Any, included: Mapping[int, str]) -> Offered:
    return Offered(product, progress.CYCLE[product.cycle], included.get(product.pk, "not limited"))


@require_GET
@client_only
def shop(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    shelves = store.store(actor)
    included = contracts.allowances(one.pk for _, products in shelves for one in products)
    groups = [(group, [_offered(one, included) for one in products]) for group, products in shelves]
    return render(request, "panels/client/store.html", {**frame(actor, "orders"), "groups": groups})


@dataclass(frozen=True)
class Field:
    """One line of the form; ``name`` as the browser sends it."""

    name: str
    label: str
    value: str
    required: bool
    hint: str = ""
    error: str = ""


@require_http_methods(["GET", "POST"])
@client_only
def order_form(request: HttpRequest, product_id: int) -> HttpResponse:
    """``key`` makes a form that is sent twice one order."""
    actor = actor_of(request)
    product = _product(actor, product_id)
    if request.method != "POST":
        return _form(request, actor, product)
    asked = [field["key"] for field in _asked_of_clients(product)]
    try:
        ordered = order(
            actor,
            product.pk,
            hostname=request.POST.get("hostname", ""),
            custom_values={key: request.POST.get(_name(key), "") for key in asked},
            key=key_of(request),
        )
    except BadInput as refusal:
        return _form(request, actor, product, refusal)
    except Refusal as refusal:
        return back_with(request, refusal, reverse("client-order", args=[product.pk]))
    messages.success(request, "Ordered.")
    return HttpResponseRedirect(reverse("client-server", args=[ordered.pk]))


def _product(actor: Actor, product_id: int) -> Any:
    """Only what the store shows can be ordered."""
    for _, products in store.store(actor):
        for product in products:
            if product.pk == product_id:
                return product
    raise NotHere


def _asked_of_clients(product: Any) -> list[Mapping[str, Any]]:
    return [field for field in product.custom_fields if field.get("asked") == "client"]


def _name(key: str) -> str:
    return f"custom-{key}"


def _form(request: HttpRequest, actor: Actor, product: Any, refusal: BadInput | None = None) -> HttpResponse:
    fields = _fields(request.POST, product, refusal)
    errors = []
    if refusal is not None:
        known = next((field.name for field in fields if field.error), "")
        errors = [(known, refusal.sentence)]
    context = {
        **frame(actor, "orders"),
        "offered": _offered(product, contracts.allowances([product.pk])),
        "fields": fields,
        "errors": errors,
        "next_steps": progress.what_happens_next(product),
    }
    status = 200 if refusal is None else refusal.http_status
    return render(request, "panels/client/order.html", context, status=status)


def _fields(given: Mapping[str, str], product: Any, refusal: BadInput | None) -> list[Field]:
    def wrong(name: str) -> str:
        return refusal.sentence if refusal is not None and refusal.field == name else ""

    hostname = Field(
        "hostname",
        "Hostname",
        given.get("hostname", "")[:LONGEST_VALUE],
        required=False,
        hint="What the server is to be called, such as web1.example.org. You may leave it empty.",
        error=wrong("hostname"),
    )
    custom = [
        Field(
            _name(field["key"]),
            field["label"],
            given.get(_name(field["key"]), "")[:LONGEST_VALUE],
            required=bool(field.get("required")),
            hint="" if field.get("required") else "You may leave it empty.",
            error=wrong(_name(field["key"])),
        )
        for field in _asked_of_clients(product)
    ]
    return [hostname, *custom]
