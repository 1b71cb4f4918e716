"""The list of services, and a new one for a client."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_GET, require_http_methods

from doublehop.organisations.actor import Actor
from doublehop.organisations.queries import clients_visible_to
from doublehop.organisations.refusals import NotHere, Refusal
from doublehop.panels.admin.forms import Filled, typed
from doublehop.panels.admin.frame import show
from doublehop.panels.admin.presenting import states_of
from doublehop.panels.admin.services import address_of
from doublehop.panels.gates import actor_of, key_of
from doublehop.panels.keyset import page_of, sort_of
from doublehop.panels.looks import LOOKS
from doublehop.panels.words import money
from doublehop.services import actions, queries
from doublehop.services.lifecycle import ServiceStatus

STATUSES = [(status.value, LOOKS["service"][status.value].word) for status in ServiceStatus]
FILTERS = ("status", "product", "q")
BULK_ACTIONS = (
    ("suspend", "Suspend…"),
    ("unsuspend", "Unsuspend…"),
    ("reboot", "Reboot…"),
    ("power_off", "Power off…"),
    ("terminate", "Terminate…"),
)
MOST_LISTED = 200


@require_GET
def services(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    status, product, words = (request.GET.get(name, "").strip()[:120] for name in FILTERS)
    sort = sort_of(request.GET, ("number",))
    page = page_of(filtered(actor, request.GET), request.GET, by=sort)
    kept = urlencode({name: request.GET[name] for name in FILTERS if request.GET.get(name)})
    states = states_of(actor, [row.server for row in page.rows if row.server is not None])
    context = {
        "page": page,
        "lines": [(row, states.get(row.server_id or 0)) for row in page.rows],
        "sort": sort,
        "status": status,
        "statuses": STATUSES,
        "product": product,
        "products": [(str(pk), name) for pk, name in _product_names(actor)],
        "words": words,
        "is_filtered": bool(status or product or words),
        "bulk_actions": BULK_ACTIONS,
        "for_all": [(f"?do={do}&all=1&{kept}", label) for do, label in BULK_ACTIONS]
        if kept and (page.next or page.previous)
        else [],
    }
    return show(request, "services.html", context)


def filtered(actor: Actor, query: Mapping[str, str]) -> QuerySet[Any]:
    """The services that the filters of an address leave, unordered."""
    status, product, words = (query.get(name, "").strip()[:120] for name in FILTERS)
    rows = queries.services_visible_to(actor)
    if status in dict(STATUSES):
        rows = rows.filter(status=status)
    if product.isascii() and product.isdigit():
        rows = rows.filter(product_id=int(product[:9]))
    return _matching(rows, words) if words else rows


def _product_names(actor: Actor) -> list[tuple[int, str]]:
    return list(queries.products_visible_to(actor).values_list("pk", "name")[:MOST_LISTED])


def _matching(rows: QuerySet[Any], words: str) -> QuerySet[Any]:
    matches = (
        Q(hostname__istartswith=words)
        | Q(ordered_hostname__istartswith=words)
        | Q(server__hostname__istartswith=words)
        | Q(server__label__istartswith=words)
        | Q(client__name__istartswith=words)
    )
    number = words.upper().removeprefix("S-")
    if number.isascii() and number.isdigit():
        matches |= Q(number=int(number[:9]))
    return rows.filter(matches)


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """An order: it waits until a server is attached."""
    actor = actor_of(request)
    form = Filled({"client_id": request.GET.get("client", ""), "product_id": "", "hostname": ""})
    if request.method == "POST":
        form = typed(request.POST, form.values)
        try:
            row = actions.create_service(
                actor,
                client_id=_number(form.values["client_id"]),
                product_id=_number(form.values["product_id"]),
                hostname=form.values["hostname"],
                key=key_of(request),
            )
        except NotHere:
            form.general, form.status = "Choose a client and a product.", 422
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, f"{row} is ordered. It waits for a server.")
            return HttpResponseRedirect(address_of(row))
    return show(request, "service_new.html", _choices(actor, request, form), status=form.status)


def _number(text: str) -> int:
    return int(text[:9]) if text.isascii() and text.isdigit() else 0


def _choices(actor: Actor, request: HttpRequest, form: Filled) -> dict[str, Any]:
    clients = clients_visible_to(actor)
    find = request.GET.get("find", "").strip()[:120]
    chosen = clients.filter(pk=_number(form.values["client_id"])).first()
    offered = clients.filter(name__istartswith=find) if find else clients
    listed = list(offered.order_by("name", "pk")[: MOST_LISTED + 1])
    options = [(str(row.pk), f"{row.name} ({row.number})") for row in listed[:MOST_LISTED]]
    if chosen is not None and str(chosen.pk) not in dict(options):
        options.insert(0, (str(chosen.pk), f"{chosen.name} ({chosen.number})"))
    products = list(queries.products_visible_to(actor)[:MOST_LISTED])
    return {
        "form": form,
        "clients": [("", "Choose a client"), *options],
        "more_clients": len(listed) > MOST_LISTED,
        "find": find,
        "client_hint": "" if listed or find else "No client yet. Add one under Clients.",
        "product_hint": "The price is taken over now; later changes of the product leave it alone."
        if products
        else "No product yet. Create one under Setup > Products/Services.",
        "products": [("", "Choose a product")]
        + [(str(row.pk), f"{row.name}, {money(row.price, row.currency)} {row.cycle}") for row in products],
    }
