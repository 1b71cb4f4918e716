"""Setup > Products/Services: groups, products, and what stands above the tabs of one product."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import Refusal
from doublehop.panels.admin.forms import Filled, typed
from doublehop.panels.admin.frame import count_up_to, show
from doublehop.panels.gates import actor_of, key_of
from doublehop.panels.refusals import back_with
from doublehop.services import actions, queries
from doublehop.services.actions.catalogue import ProductForm

TYPES = (
    ("server", "VPS/Dedicated Server"),
    ("hosting", "Shared Hosting"),
    ("other", "Other Product/Service"),
)
_TABS = (
    ("details", "Details", "admin-product"),
    ("pricing", "Pricing", "admin-product-pricing"),
    ("bandwidth", "Bandwidth", "admin-product-bandwidth"),
    ("module", "Module Settings", "admin-product-module"),
    ("custom", "Custom Fields", "admin-product-custom"),
)
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
        actions.create_product_group(actor_of(request), request.POST.get("name", ""), key=key_of(request))
    except Refusal as refusal:
        return back_with(request, refusal, address)
    messages.success(request, "Saved")
    following = request.POST.get("next", "")
    return HttpResponseRedirect(reverse("admin-product-new") if following == "new" else address)


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """*Create a New Product*: type, group and name, then *Continue*; the rest stands in the tabs."""
    actor = actor_of(request)
    groups = groups_of(actor)
    form = Filled({"type": "server", "group_id": groups[0][0] if groups else "", "name": ""})
    if request.method == "POST":
        form = typed(request.POST, form.values)
        try:
            chosen = ProductForm(
                name=form.values["name"],
                group_id=number(form.values["group_id"]) or 0,
                type=form.values["type"],
            )
            product = actions.create_product(actor, chosen, key=key_of(request))
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, "Saved")
            return HttpResponseRedirect(reverse("admin-product", args=[product.pk]))
    return show(
        request, "product_new.html", {"form": form, "own_groups": groups, "types": TYPES}, status=form.status
    )


def groups_of(actor: Actor) -> list[tuple[str, str]]:
    return [(str(row.pk), row.name) for row in queries.product_groups_visible_to(actor)[:MOST_LISTED]]


def number(text: Any) -> int | None:
    """An id as a form sends it; None for anything else."""
    text = str(text)
    return int(text[:18]) if text.isascii() and text.isdigit() else None


def show_tab(
    request: HttpRequest, template: str, product: Any, tab: str, context: Mapping[str, Any], form: Filled
) -> HttpResponse:
    """One tab of a product. Each is a form of its own; what stands in the others stays as it is."""
    services = queries.services_visible_to(actor_of(request)).filter(product_id=product.pk)
    frame = {
        "product": product,
        "form": form,
        "tabs": [(text, reverse(name, args=[product.pk]), here == tab) for here, text, name in _TABS],
        "type_label": dict(TYPES).get(product.type, product.type),
        "service_count": count_up_to(services),
        # A form that comes back after a POST shows what is not kept yet.
        "unsaved": request.method == "POST",
    }
    return show(request, template, {**frame, **context}, status=form.status)
