"""Setup > Products/Services > one product > Module Settings: where its servers come from, and what may be done to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from doublehop.fleet import actions as fleet_actions
from doublehop.fleet import queries as fleet
from doublehop.fleet.actions.upstreams import BadSettings
from doublehop.fleet.permissions import CLIENTS_NEVER, Right
from doublehop.fleet.queries import DriverCard
from doublehop.journal.queries import entries_for_organisation
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import NotHere, Refusal
from doublehop.panels.admin.forms import KEPT, Drawn, Filled, draw, typed_settings
from doublehop.panels.admin.live import fragments
from doublehop.panels.admin.module_effects import effects_of
from doublehop.panels.admin.presenting import RIGHTS
from doublehop.panels.admin.products import MOST_LISTED, number, show_tab
from doublehop.panels.admin.upstreams import panel_of
from doublehop.panels.gates import actor_of
from doublehop.panels.refusals import back_with
from doublehop.panels.words import clock
from doublehop.services import queries
from doublehop.services.actions.modules import ModuleForm, save_module_settings
from doublehop.services.queries.modules import module_card, module_cards

FROM_FIELDS, FROM_SAVED = "fields", "saved"
_TEXTS = ("module", "server_group_id", "suspend_policy_id", "login", "arm")
_SAVING = frozenset({"upstream.created", "upstream.changed"})


@dataclass(frozen=True)
class DrawnModule:
    """One choice of *Module* with all that hangs on it."""

    name: str
    label: str
    fields: list[Drawn]
    saved: list[tuple[str, str]]
    """Upstreams of this kind that are there already: (id, name)."""
    chosen: str
    error: str


@require_http_methods(["GET", "POST"])
def module(request: HttpRequest, product_id: int) -> HttpResponse:
    actor = actor_of(request)
    product = queries.product(actor, product_id)
    form = _stored(product)
    if request.method == "POST":
        form = _typed(request, form)
        if "show" not in request.POST and _save(actor, product_id, form):
            messages.success(request, "Saved. The login is tested now." if form.values["module"] else "Saved")
            return HttpResponseRedirect(request.path)
    context = {**_choices(actor, product, form), **_side(actor, product)}
    return show_tab(request, "product_module.html", product, "module", context, form)


def _stored(product: Any) -> Filled:
    upstream = product.upstream
    return Filled(
        {
            "module": product.module,
            "server_group_id": str(product.server_group_id or ""),
            "suspend_policy_id": str(product.suspend_policy_id or ""),
            "client_rights": list(product.client_rights),
            "login": FROM_FIELDS,
            # The manual knows no second step: what is saved for a module works as soon as its login does.
            "arm": "1" if upstream is None or upstream.armed or upstream.arm_when_fine else "",
            f"upstream-{product.module}": str(product.upstream_id or ""),
        }
    )


def _typed(request: HttpRequest, stored: Filled) -> Filled:
    """What came back. Only the fields of the module that is chosen count; secrets are not given back to the page."""
    values = {**stored.values, **{name: request.POST.get(name, "") for name in _TEXTS}}
    values["client_rights"] = request.POST.getlist("client_rights")
    values["login"] = FROM_SAVED if values["login"] == FROM_SAVED else FROM_FIELDS
    for card in _cards(stored.values["module"], values["module"]):
        for name, text in typed_settings(request.POST, card.settings, prefix_of(card.name)).items():
            values[prefix_of(card.name) + name] = text
        values[f"upstream-{card.name}"] = request.POST.get(f"upstream-{card.name}", "")
    return Filled(values)


def _cards(*named: str) -> list[DriverCard]:
    """What is offered, and what the product has or the form named, whatever it is."""
    cards = {card.name: card for card in module_cards()}
    for name in named:
        card = module_card(name) if name not in cards else None
        if card is not None:
            cards[name] = card
    return list(cards.values())


def prefix_of(module_name: str) -> str:
    """Two modules may both ask for a password: their fields stand on one page."""
    return f"setting-{module_name}-"


def _save(actor: Actor, product_id: int, form: Filled) -> bool:
    values, prefix = form.values, prefix_of(form.values["module"])
    from_fields = values["login"] == FROM_FIELDS
    settings = {name.removeprefix(prefix): text for name, text in values.items() if name.startswith(prefix)}
    chosen = ModuleForm(
        module=values["module"],
        server_group_id=number(values["server_group_id"]),
        suspend_policy_id=number(values["suspend_policy_id"]),
        client_rights=tuple(values["client_rights"]),
        login=values["login"],
        upstream_id=None if from_fields else number(values.get(f"upstream-{values['module']}", "")),
        values=settings if from_fields else {},
        arm=bool(values["arm"]),
    )
    try:
        save_module_settings(actor, product_id, chosen)
    except Refusal as refusal:
        if refusal.field == "upstream_id":
            form.status = refusal.http_status
            form.errors[f"upstream-{values['module']}"] = refusal.sentence
        else:
            form.refuse(refusal, prefix=prefix if isinstance(refusal, BadSettings) else "")
        return False
    return True


def _choices(actor: Actor, product: Any, form: Filled) -> dict[str, Any]:
    groups = fleet.server_groups_visible_to(actor)[:MOST_LISTED]
    policies = queries.suspend_policies_visible_to(actor)[:MOST_LISTED]
    modules = _modules(actor, product, form)
    return {
        "modules": modules,
        "module_names": [("", "None"), *((one.name, one.label) for one in modules)],
        "server_groups": [("", "None"), *((str(row.pk), row.name) for row in groups)],
        "policies": [("", "The usual one"), *((str(row.pk), row.name) for row in policies)],
        "rights": [
            (right.value, RIGHTS[right], right.value in form.values["client_rights"])
            for right in Right
            if right not in CLIENTS_NEVER
        ],
    }


def _modules(actor: Actor, product: Any, form: Filled) -> list[DrawnModule]:
    ours = list(fleet.upstreams_visible_to(actor).order_by("name", "pk")[:MOST_LISTED])
    drawn = []
    for card in _cards(product.module, form.values["module"]):
        is_present = product.upstream is not None and product.upstream.driver == card.name
        prefix, chosen = prefix_of(card.name), f"upstream-{card.name}"
        saved = [(str(row.pk), row.name) for row in ours if row.driver == card.name]
        drawn.append(
            DrawnModule(
                name=card.name,
                label=card.module_label,
                fields=draw(
                    card.settings,
                    _values(actor, product if is_present else None, form, prefix),
                    form.errors,
                    is_new=not is_present,
                    prefix=prefix,
                    stored=fleet.stored_secrets(actor, product.upstream_id) if is_present else (),
                    kept=_kept(actor, product.upstream) if is_present else KEPT,
                ),
                saved=[("", "Choose one"), *saved] if saved else [],
                chosen=form.values.get(chosen, ""),
                error=form.errors.get(chosen, ""),
            )
        )
    return drawn


def _values(actor: Actor, product: Any, form: Filled, prefix: str) -> Mapping[str, Any]:
    """What was typed, else what is stored, else what is declared as default."""
    stored = fleet.stored_settings(actor, product.upstream_id) if product is not None else {}
    typed = {name.removeprefix(prefix): text for name, text in form.values.items() if name.startswith(prefix)}
    return {**stored, **typed}


def _kept(actor: Actor, upstream: Any) -> str:
    """ "Saved 23 Nov, 14:05. Leave as it is to keep it." """
    lines = entries_for_organisation(
        actor.organisation_id, target_kind="upstream", target_id=upstream.pk, limit=20
    )
    saved = next((line.at for line in lines if line.verb in _SAVING), upstream.created_at)
    return f"Saved {clock(saved)}. {KEPT}"


def _side(actor: Actor, product: Any) -> dict[str, Any]:
    """The cards beside the form; they change when an answer arrives."""
    told: dict[str, Any] = {"effects": effects_of(actor, product), "product": product}
    if product.upstream is None:
        return told
    return {
        **panel_of(actor, product.upstream),
        **told,
        "others": queries.products_visible_to(actor)
        .filter(upstream_id=product.upstream_id)
        .exclude(pk=product.pk)[:5],
        "live_url": reverse("admin-product-module-live", args=[product.pk]),
        "test_elsewhere": True,
    }


@require_GET
def live(request: HttpRequest, product_id: int) -> HttpResponse:
    actor = actor_of(request)
    return _fragments(request, actor, queries.product(actor, product_id))


@require_POST
def test(request: HttpRequest, product_id: int) -> HttpResponse:
    """*Test connection* tries the login that is saved; what is typed beside it stays where it is."""
    actor = actor_of(request)
    product = queries.product(actor, product_id)
    address = reverse("admin-product-module", args=[product_id])
    if product.upstream is None:
        raise NotHere
    try:
        fleet_actions.ask_test(actor, product.upstream.pk)
        fleet_actions.ask_sync(actor, product.upstream.pk)
    except Refusal as refusal:
        return back_with(request, refusal, address)
    if getattr(request, "htmx", False):
        return _fragments(request, actor, queries.product(actor, product_id))
    messages.success(request, "Asked for. The result appears here in a moment.")
    return HttpResponseRedirect(address)


def _fragments(request: HttpRequest, actor: Actor, product: Any) -> HttpResponse:
    parts = (
        ("module_effects",)
        if product.upstream is None
        else ("upstream_poll", "upstream_test", "module_effects")
    )
    return fragments(request, parts, _side(actor, product))
