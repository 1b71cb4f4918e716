"""Setup > Offers: what the resellers directly below may order."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from doublehop.fleet.queries import server_groups_visible_to
from doublehop.organisations.refusals import NotHere, Refusal
from doublehop.panels.admin.finding import ids_of
from doublehop.panels.admin.forms import Filled, typed
from doublehop.panels.admin.frame import show
from doublehop.panels.gates import actor_of, key_of
from doublehop.services.actions import supply as actions
from doublehop.services.actions.catalogue import CURRENCIES
from doublehop.services.queries.supply import offers_visible_to

MOST_LISTED = 500
_TEXTS = (
    "name",
    "code",
    "processor",
    "memory",
    "disks",
    "bandwidth",
    "price",
    "setup_fee",
    "currency",
)
_NEW: dict[str, Any] = {**dict.fromkeys(_TEXTS, ""), "setup_fee": "0", "currency": "EUR"}


@require_GET
def offers(request: HttpRequest) -> HttpResponse:
    rows = offers_visible_to(actor_of(request))[:MOST_LISTED]
    return show(request, "offers.html", {"offers": rows})


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    return _page(request, None, Filled({**_NEW, "server_group_id": "", "hidden": ""}))


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, offer_id: int) -> HttpResponse:
    row = offers_visible_to(actor_of(request)).filter(pk=offer_id).first()
    if row is None:
        raise NotHere
    stored = {name: str(getattr(row, name)) for name in _TEXTS}
    group = str(row.server_group_id or "")
    return _page(
        request, row, Filled({**stored, "server_group_id": group, "hidden": "1" if row.hidden else ""})
    )


def _offer_form(values: Mapping[str, Any]) -> actions.OfferForm:
    groups = ids_of([values["server_group_id"]], 1)
    return actions.OfferForm(
        **{name: values[name] for name in _TEXTS},
        server_group_id=groups[0] if groups else None,
        hidden=bool(values["hidden"]),
    )


def _page(request: HttpRequest, row: Any, form: Filled) -> HttpResponse:
    actor = actor_of(request)
    if request.method == "POST":
        form = typed(request.POST, form.values)
        try:
            if row is None:
                actions.create_offer(actor, _offer_form(form.values), key=key_of(request))
            else:
                actions.update_offer(actor, row.pk, _offer_form(form.values))
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, "Saved")
            return HttpResponseRedirect(reverse("admin-offers"))
    groups = server_groups_visible_to(actor)[:MOST_LISTED]
    context = {
        "offer": row,
        "form": form,
        "currencies": [(name, name) for name in CURRENCIES],
        "server_groups": [("", "None: filled by hand"), *((str(one.pk), one.name) for one in groups)],
    }
    return show(request, "offer.html", context, status=form.status)
