"""Setup > Follow the manual: the old module's documentation as a list of steps, each with its page and how far it got."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from doublehop.fleet.queries import driver_card, servers_of_tandem_users, upstreams_visible_to
from doublehop.organisations.actor import Actor
from doublehop.organisations.queries import leap_account_of, provider_of, tandem_users_visible_to
from doublehop.panels.admin.frame import show
from doublehop.panels.gates import actor_of
from doublehop.services.lifecycle import ServiceStatus
from doublehop.services.queries import products_visible_to, services_visible_to

MODULE = "singlehop"
"""The manual is this module's; other modules have settings of their own."""


@dataclass(frozen=True)
class Step:
    """``done`` is None where nobody can tell from here. ``path`` names the way through the menu, as the manual does."""

    title: str
    path: str
    text: str
    url: str = ""
    done: bool | None = None


@dataclass(frozen=True)
class Part:
    heading: str
    lead: str
    steps: tuple[Step, ...]


def _at_the_provider(actor: Actor) -> Part:
    """Where the provider's panel is another installation, the words stay and the links are its own."""
    provider = provider_of(actor)
    here = provider is not None

    def link(path: str) -> str:
        return path if here else ""

    whose = provider.name if provider is not None else "your provider"
    permitted = servers_of_tandem_users(actor) if here else {}
    return Part(
        f"In the panel of {whose}",
        "Once. These pages stand in the menu on the left."
        if here
        else "Once, signed in there. This installation has nobody above it, so the pages are in your provider's panel.",
        (
            Step(
                "Make a Tandem user",
                "Leap > Tandem > Tandem Users > Add New User",
                "Name, Email, Password, Submit. Your products work with this login; its permissions decide what they offer.",
                link("/admin/leap/tandem/"),
                tandem_users_visible_to(actor).exists() if here else None,
            ),
            Step(
                "Note the LEAP account",
                "Leap > Accounts",
                "Username, password and API key, shown after your own password. The PIN too, if passwords and rescue are wanted.",
                link("/admin/leap/accounts/"),
                leap_account_of(actor) is not None if here else None,
            ),
            Step(
                "Give it the servers",
                "Leap > Tandem > Tandem Users > Add Server Permissions > Apply Permissions",
                "Choose the user in the left-side pane, tick the servers. Again after each order.",
                link("/admin/leap/tandem/"),
                bool(permitted) if here else None,
            ),
        ),
    )


def _product(actor: Actor, module: str, menu: str) -> Part:
    products = products_visible_to(actor).filter(module=MODULE)
    first = products.first()
    answers = upstreams_visible_to(actor).filter(
        products__isnull=False, synced_at__isnull=False, failing_since__isnull=True
    )
    settings = reverse("admin-product-module", args=[first.pk]) if first else reverse("admin-products")
    return Part(
        "In your own panel, once a product",
        "",
        (
            Step(
                "Create the product",
                "Setup > Products/Services > Create a New Product",
                "Product type VPS/Dedicated Server, a product group, a name, Continue. Price and the other settings as normal.",
                reverse("admin-product-new"),
                first is not None,
            ),
            Step(
                f"Choose the module {module}",
                "the product's tab Module Settings",
                f"Module {module}, server group None, the LEAP username and password, the Tandem username and password, "
                f"the API key. Save Changes tests them and reads the {menu}.",
                settings,
                answers.exists(),
            ),
        ),
    )


def _order(actor: Actor, menu: str) -> Part:
    sold = services_visible_to(actor).filter(product__module=MODULE)
    waiting = sold.filter(status=ServiceStatus.PENDING).order_by("number").first()
    attached = sold.filter(server__isnull=False).order_by("number").first()
    any_of_them = waiting or attached
    page = (
        reverse("admin-client-service", args=[any_of_them.client_id, any_of_them.pk])
        if any_of_them
        else reverse("admin-services")
    )
    return Part(
        "With each order",
        "",
        (
            Step(
                "A client orders",
                "the client's own panel > Orders, or Services > New service",
                "With server group None the order waits for you: a badge and a mail say so.",
                reverse("admin-service-new"),
                any_of_them is not None,
            ),
            Step(
                "Order the server",
                "in your provider's panel: Leap > Servers > Order",
                "Then give it to the Tandem user as above.",
                "/admin/leap/order/" if provider_of(actor) is not None else "",
            ),
            Step(
                "Give the client the server",
                f"Clients > the client > Products/Services > {menu} > Save Changes",
                "Choose the service, choose the server in the menu. Hostname and username fill themselves in.",
                page,
                attached is not None,
            ),
            Step(
                "Use the buttons",
                "the same page: Suspend, Unsuspend, Reboot, Get Server IP",
                "Get Server IP lists the server's addresses. The client sees username and bandwidth in its own panel.",
                page if attached is not None else "",
            ),
        ),
    )


def _troubles(menu: str) -> tuple[tuple[str, str], ...]:
    return (
        (
            "API Error: Authentication Error",
            f"Stands beside the {menu} of the service: the login was refused. Mend it in the product's Module Settings; "
            "saving tests it at once. Until then the list stays hidden, because an old one could name the wrong server.",
        ),
        (
            "No Servers Listed",
            "The login works, and the Tandem user has no permission on any server. Add it in your provider's panel: "
            "Leap > Tandem > Tandem Users > Add Server Permissions, then press Refresh here.",
        ),
    )


@require_GET
def manual(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    card = driver_card(MODULE)
    module, menu = card.module_label, card.servers_list_label
    parts = (_at_the_provider(actor), _product(actor, module, menu), _order(actor, menu))
    context: dict[str, Any] = {"parts": parts, "module": module, "troubles": _troubles(menu)}
    return show(request, "manual.html", context)
