"""Setup > Products/Services: groups, products, and the tabs of one product."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from doublehop.fleet.permissions import CLIENTS_NEVER, Right
from doublehop.fleet.queries import server_groups_visible_to
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import Refusal
from doublehop.panels.admin.forms import Filled, typed
from doublehop.panels.admin.frame import count_up_to, show
from doublehop.panels.admin.presenting import RIGHTS
from doublehop.panels.gates import actor_of
from doublehop.panels.refusals import back_with
from doublehop.services import actions, queries
from doublehop.services.actions.catalogue import CURRENCIES, ProductForm

TYPES = (
    ("server", "VPS/Dedicated Server"),
    ("hosting", "Shared Hosting"),
    ("other", "Other Product/Service"),
)
CYCLES = (("monthly", "Monthly"), ("quarterly", "Quarterly"), ("annually", "Annually"))
_TABS = (
    ("details", "Details", "admin-product"),
    ("pricing", "Pricing", "admin-product-pricing"),
    ("module", "Module Settings", "admin-product-module"),
)
_FIELDS: dict[str, tuple[str, ...]] = {
    "details": ("type", "group_id", "name", "description", "hidden"),
    "pricing": ("price", "currency", "cycle"),
    "module": ("server_group_id", "suspend_policy_id"),
}
MOST_LISTED = 500


@require_GET
def products(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    context = {
        "products": queries.products_visible_to(actor)[:MOST_LISTED],
        "own_groups": queries.product_groups_visible_to(actor)[:MOST_LISTED],
    }
    return show(request, "products.html", context)


@require_POST
def new_group(request: HttpRequest) -> HttpResponse:
    address = reverse("admin-products")
    try:
        actions.create_product_group(actor_of(request), request.POST.get("name", ""))
    except Refusal as refusal:
        return back_with(request, refusal, address)
    messages.success(request, "Saved")
    following = request.POST.get("next", "")
    return HttpResponseRedirect(reverse("admin-product-new") if following == "new" else address)


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """*Create a New Product*: type, group and name; the rest stands in the tabs."""
    actor = actor_of(request)
    groups = _groups(actor)
    form = Filled({"type": "server", "group_id": groups[0][0] if groups else "", "name": ""})
    if request.method == "POST":
        form = typed(request.POST, form.values)
        try:
            chosen = ProductForm(
                name=form.values["name"],
                group_id=_number(form.values["group_id"]) or 0,
                type=form.values["type"],
            )
            product = actions.create_product(actor, chosen)
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, "Saved")
            return HttpResponseRedirect(reverse("admin-product-module", args=[product.pk]))
    return show(
        request, "product_new.html", {"form": form, "own_groups": groups, "types": TYPES}, status=form.status
    )


def _groups(actor: Actor) -> list[tuple[str, str]]:
    return [(str(row.pk), row.name) for row in queries.product_groups_visible_to(actor)[:MOST_LISTED]]


def _number(text: Any) -> int | None:
    text = str(text)
    return int(text[:18]) if text.isascii() and text.isdigit() else None


def _stored(product: Any) -> dict[str, Any]:
    return {
        "name": product.name,
        "group_id": str(product.group_id),
        "type": product.type,
        "description": product.description,
        "hidden": "1" if product.hidden else "",
        "price": str(product.price),
        "currency": product.currency,
        "cycle": product.cycle,
        "server_group_id": str(product.server_group_id or ""),
        "suspend_policy_id": str(product.suspend_policy_id or ""),
        "client_rights": list(product.client_rights),
    }


def _product_form(values: Mapping[str, Any]) -> ProductForm:
    return ProductForm(
        name=values["name"],
        group_id=_number(values["group_id"]) or 0,
        type=values["type"],
        description=values["description"],
        price=values["price"],
        currency=values["currency"],
        cycle=values["cycle"],
        server_group_id=_number(values["server_group_id"]),
        suspend_policy_id=_number(values["suspend_policy_id"]),
        client_rights=tuple(values["client_rights"]),
        hidden=bool(values["hidden"]),
    )


@require_http_methods(["GET", "POST"])
def details(request: HttpRequest, product_id: int) -> HttpResponse:
    return _tab(request, product_id, "details")


@require_http_methods(["GET", "POST"])
def pricing(request: HttpRequest, product_id: int) -> HttpResponse:
    return _tab(request, product_id, "pricing")


@require_http_methods(["GET", "POST"])
def module(request: HttpRequest, product_id: int) -> HttpResponse:
    return _tab(request, product_id, "module")


def _tab(request: HttpRequest, product_id: int, tab: str) -> HttpResponse:
    """Each tab is a form of its own; what stands in the other tabs stays as it is."""
    actor = actor_of(request)
    product = queries.product(actor, product_id)
    form = Filled(_stored(product))
    if request.method == "POST":
        form.values.update({name: request.POST.get(name, "") for name in _FIELDS[tab]})
        if tab == "module":
            form.values["client_rights"] = request.POST.getlist("client_rights")
        try:
            actions.update_product(actor, product_id, _product_form(form.values))
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, "Saved")
            return HttpResponseRedirect(request.path)
    services = queries.services_visible_to(actor).filter(product_id=product.pk)
    context = {
        "product": product,
        "form": form,
        "tab": tab,
        "tabs": [(text, reverse(name, args=[product.pk]), here == tab) for here, text, name in _TABS],
        "type_label": dict(TYPES).get(product.type, product.type),
        "service_count": count_up_to(services),
        **_choices(actor, form),
    }
    return show(request, "product.html", context, status=form.status)


def _choices(actor: Actor, form: Filled) -> dict[str, Any]:
    policies = list(queries.suspend_policies_visible_to(actor)[:MOST_LISTED])
    chosen = next((row for row in policies if str(row.pk) == form.values["suspend_policy_id"]), None)
    groups = server_groups_visible_to(actor)[:MOST_LISTED]
    return {
        "own_groups": _groups(actor),
        "types": TYPES,
        "cycles": CYCLES,
        "currencies": [(name, name) for name in CURRENCIES],
        "server_groups": [("", "None"), *((str(row.pk), row.name) for row in groups)],
        "policies": [("", "The usual one"), *((str(row.pk), row.name) for row in policies)],
        "ways": chosen.ways if chosen is not None else [],
        "rights": [
            (right.value, RIGHTS[right], right.value in form.values["client_rights"])
            for right in Right
            if right not in CLIENTS_NEVER
        ],
    }
