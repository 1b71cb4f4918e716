"""Details, Pricing and Custom Fields of one product. Module Settings has a file of its own."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.views.decorators.http import require_http_methods

from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import Refusal
from doublehop.panels.admin.forms import Filled
from doublehop.panels.admin.products import TYPES, groups_of, number, show_tab
from doublehop.panels.gates import actor_of
from doublehop.services import actions, queries, welcome
from doublehop.services.actions.catalogue import CURRENCIES, MOST_CUSTOM_FIELDS, ProductForm

CYCLES = (("monthly", "Monthly"), ("quarterly", "Quarterly"), ("annually", "Annually"))
ASKED = (("client", "The client, when ordering"), ("staff", "Staff, on the service"))
_DETAILS = ("type", "group_id", "name", "description", "hidden", "welcome_subject", "welcome_body")
_PRICING = ("price", "currency", "cycle", "overdue_grace_days", "alert_percents", "alert_client")


@require_http_methods(["GET", "POST"])
def details(request: HttpRequest, product_id: int) -> HttpResponse:
    actor = actor_of(request)
    product = queries.product(actor, product_id)
    form = Filled(_stored(product))
    if request.method == "POST":
        form.values.update({name: request.POST.get(name, "") for name in _DETAILS})
        if "default" in request.POST:
            form.values["welcome_subject"], form.values["welcome_body"] = welcome.default_welcome()
        elif _save(request, actor, product_id, form):
            return HttpResponseRedirect(request.path)
    placeholders = [(f"{{{name}}}", meaning) for name, meaning in welcome.PLACEHOLDERS.items()]
    context = {"own_groups": groups_of(actor), "types": TYPES, "placeholders": placeholders}
    return show_tab(request, "product_details.html", product, "details", context, form)


@require_http_methods(["GET", "POST"])
def pricing(request: HttpRequest, product_id: int) -> HttpResponse:
    actor = actor_of(request)
    product = queries.product(actor, product_id)
    form = Filled(_stored(product))
    if request.method == "POST":
        form.values.update({name: request.POST.get(name, "") for name in _PRICING})
        if _save(request, actor, product_id, form):
            return HttpResponseRedirect(request.path)
    context = {"cycles": CYCLES, "currencies": [(name, name) for name in CURRENCIES]}
    return show_tab(request, "product_pricing.html", product, "pricing", context, form)


@require_http_methods(["GET", "POST"])
def custom_fields(request: HttpRequest, product_id: int) -> HttpResponse:
    """Rows are added and removed by buttons of the form itself, and kept by *Save Changes*."""
    actor = actor_of(request)
    product = queries.product(actor, product_id)
    form = Filled(_stored(product))
    rows = [dict(row) for row in product.custom_fields]
    if request.method == "POST":
        rows = _typed_rows(request.POST)
        form.values["custom_fields"] = [row for row in rows if row["label"].strip()]
        is_asked = "add" in request.POST or "remove" in request.POST
        if not is_asked and _save(request, actor, product_id, form):
            return HttpResponseRedirect(request.path)
    if "add" in request.POST or not rows:
        rows = [*rows, {"key": "", "label": "", "required": False, "asked": "client"}][:MOST_CUSTOM_FIELDS]
    context = {"rows": rows, "asked": ASKED, "is_full": len(rows) >= MOST_CUSTOM_FIELDS}
    return show_tab(request, "product_custom.html", product, "custom", context, form)


def _typed_rows(post: QueryDict) -> list[dict[str, Any]]:
    """What stands in the rows now, without the one whose *Remove* was pressed."""
    count = min(number(post.get("rows", "")) or 0, MOST_CUSTOM_FIELDS)
    gone = number(post.get("remove", ""))
    return [
        {
            "key": post.get(f"key-{index}", ""),
            "label": post.get(f"label-{index}", ""),
            "required": post.get(f"required-{index}") == "1",
            "asked": post.get(f"asked-{index}", ""),
        }
        for index in _without(gone, range(count))
    ]


def _without(gone: int | None, numbers: Iterable[int]) -> list[int]:
    return [one for one in numbers if one != gone]


def _save(request: HttpRequest, actor: Actor, product_id: int, form: Filled) -> bool:
    try:
        actions.update_product(actor, product_id, _product_form(form.values))
    except Refusal as refusal:
        form.refuse(refusal)
        return False
    messages.success(request, "Saved")
    return True


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
        "server_group_id": product.server_group_id,
        "suspend_policy_id": product.suspend_policy_id,
        "client_rights": list(product.client_rights),
        "overdue_grace_days": _text(product.overdue_grace_days),
        "alert_percents": ", ".join(str(one) for one in product.alert_percents),
        "alert_client": "1" if product.alert_client else "",
        "welcome_subject": product.welcome_subject,
        "welcome_body": product.welcome_body,
        "custom_fields": list(product.custom_fields),
    }


def _text(value: int | None) -> str:
    return "" if value is None else str(value)


def _product_form(values: Mapping[str, Any]) -> ProductForm:
    return ProductForm(
        name=values["name"],
        group_id=number(values["group_id"]) or 0,
        type=values["type"],
        description=values["description"],
        price=values["price"],
        currency=values["currency"],
        cycle=values["cycle"],
        server_group_id=values["server_group_id"],
        suspend_policy_id=values["suspend_policy_id"],
        client_rights=tuple(values["client_rights"]),
        hidden=bool(values["hidden"]),
        overdue_grace_days=values["overdue_grace_days"],
        alert_percents=values["alert_percents"],
        alert_client=bool(values["alert_client"]),
        welcome_subject=values["welcome_subject"],
        welcome_body=values["welcome_body"],
        custom_fields=tuple(values["custom_fields"]),
    )
