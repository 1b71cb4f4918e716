"""Products/Services > Bandwidth: the contract of one product, its versions, and what a new one would change."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_http_methods

from doublehop.organisations.refusals import Refusal
from doublehop.panels.admin.forms import Filled, typed
from doublehop.panels.admin.products import show_tab
from doublehop.panels.gates import actor_of, key_of
from doublehop.services import contract_words, queries
from doublehop.services.actions.catalogue import CURRENCIES
from doublehop.services.actions.contracts import ContractForm, save_contract, zones
from doublehop.services.queries.contracts import Version, contract_versions, preview_contract

_TEXTS = (
    "method",
    "unit",
    "period",
    "zone",
    "anchor",
    "rolling_days",
    "included",
    "price",
    "currency",
    "cut",
    "pooled",
    "in_force_from",
)


@require_http_methods(["GET", "POST"])
def bandwidth(request: HttpRequest, product_id: int) -> HttpResponse:
    """*Preview* says what changes and when; *Save Changes* adds the version."""
    actor = actor_of(request)
    product = queries.product(actor, product_id)
    versions = contract_versions(actor, product_id)
    form, change = Filled(_stored(product, versions)), None
    if request.method == "POST":
        form = typed(request.POST, _TEXTS)
        values = {name: form.values[name] for name in _TEXTS if name != "pooled"}
        asked = ContractForm(**values, pooled=form.values["pooled"] == "1")
        try:
            if "preview" in request.POST:
                change = preview_contract(actor, product_id, asked)
            else:
                save_contract(actor, product_id, asked, key=key_of(request))
                messages.success(request, "Saved")
                return HttpResponseRedirect(request.path)
        except Refusal as refusal:
            form.refuse(refusal)
    context = {
        "versions": versions,
        "change": change,
        "methods": _choices(contract_words.METHODS),
        "units": _choices(contract_words.UNITS),
        "periods": _choices(contract_words.PERIODS),
        "cuts": _choices(contract_words.CUTS),
        "zones": [(name, name) for name in zones()],
        "currencies": [(name, name) for name in CURRENCIES],
    }
    return show_tab(request, "product_bandwidth.html", product, "bandwidth", context, form)


def _choices(table: Any) -> list[tuple[str, str]]:
    return [(str(value), text) for value, text in table.items()]


def _stored(product: Any, versions: list[Version]) -> dict[str, Any]:
    """What the newest version says, with the day left open."""
    if not versions:
        usual = ContractForm(currency=product.currency)
        return {**{name: getattr(usual, name) for name in _TEXTS}, "pooled": ""}
    newest = versions[0]
    contract = newest.contract
    included = contract.allowance if contract.method.is_volume else contract.commit
    return {
        "method": contract.method.value,
        "unit": contract.unit.value,
        "period": contract.period.value,
        "zone": contract.zone,
        "anchor": contract.anchor.isoformat() if newest.has_anchor else "",
        "rolling_days": str(contract.rolling_days),
        "included": "" if included is None else str(included),
        "price": str(contract.price),
        "currency": contract.currency,
        "cut": contract.cut.value,
        "pooled": "1" if contract.pooled else "",
        "in_force_from": "",
    }
