"""The admin panel's left menu: the map of GUIDE section 2, for the pages that exist."""

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class MenuCount:
    """Something that waits for a person. ``tone`` is "u" (unknown outcome), "w" (waits) or ""."""

    number: int
    title: str
    tone: str = ""


@dataclass(frozen=True)
class MenuEntry:
    id: str
    label: str
    path: str
    icon: str
    current: bool = False
    count: MenuCount | None = None
    is_child: bool = False
    """Drawn under the entry before it, and only while that entry's pages are open."""


@dataclass(frozen=True)
class MenuGroup:
    label: str
    entries: tuple[MenuEntry, ...]
    needs_provider: bool = False
    """Only for organisations that have one above them."""


_MENU = (
    MenuGroup(
        "",
        (
            MenuEntry("dashboard", "Dashboard", "/admin/", icon="layout-dashboard"),
            MenuEntry("clients", "Clients", "/admin/clients/", icon="users"),
            MenuEntry("orders", "Orders", "/admin/orders/", icon="shopping-cart"),
            MenuEntry("services", "Services", "/admin/services/", icon="package"),
            MenuEntry("servers", "Servers", "/admin/servers/", icon="server"),
            MenuEntry("operations", "Operations", "/admin/operations/", icon="list-check"),
            MenuEntry("bandwidth", "Bandwidth", "/admin/bandwidth/", icon="chart-line"),
            MenuEntry("statements", "Statements", "/admin/statements/", icon="list-details"),
            MenuEntry("journal", "Journal", "/admin/journal/", icon="notebook"),
        ),
    ),
    MenuGroup(
        "Leap",
        (
            MenuEntry("leap-servers", "Servers", "/admin/leap/servers/", icon="server-2"),
            MenuEntry("leap-order", "Order", "/admin/leap/order/", icon="circle-plus"),
            MenuEntry("leap-tandem", "Tandem", "/admin/leap/tandem/", icon="users-group"),
            MenuEntry("leap-tandem-users", "Tandem Users", "/admin/leap/tandem/", icon="", is_child=True),
            MenuEntry("leap-accounts", "Accounts", "/admin/leap/accounts/", icon="key"),
        ),
        needs_provider=True,
    ),
    MenuGroup(
        "Setup",
        (
            MenuEntry("products", "Products/Services", "/admin/setup/products/", icon="packages"),
            MenuEntry("offers", "Offers", "/admin/setup/offers/", icon="tags"),
            MenuEntry("groups", "Server groups", "/admin/setup/server-groups/", icon="stack-2"),
            MenuEntry("upstreams", "Upstreams", "/admin/setup/upstreams/", icon="plug-connected"),
            MenuEntry("policies", "Suspend policies", "/admin/setup/suspend-policies/", icon="player-pause"),
            MenuEntry("staff", "Staff and brand", "/admin/setup/staff/", icon="id-badge-2"),
            MenuEntry("tokens", "API tokens", "/admin/setup/tokens/", icon="key"),
            MenuEntry("import", "Import", "/admin/setup/import/", icon="table-import"),
            MenuEntry("webhooks", "Webhooks", "/admin/setup/webhooks/", icon="webhook"),
            MenuEntry("mail", "Mail", "/admin/setup/mail/", icon="mail"),
            MenuEntry("manual", "Follow the manual", "/admin/setup/manual/", icon="book"),
        ),
    ),
)


def admin_menu_for(
    path: str, counts: Mapping[str, MenuCount], *, has_provider: bool = False
) -> list[MenuGroup]:
    """The entry whose path is the longest beginning of ``path`` is the present place; of two, the child."""
    groups = [group for group in _MENU if has_provider or not group.needs_provider]
    entries = [entry for group in groups for entry in group.entries]
    # The dashboard's path begins every other, so it is the place of no page but itself.
    fitting = [
        entry
        for entry in entries
        if path.startswith(entry.path) and (entry.id != "dashboard" or path == entry.path)
    ]
    here = max(fitting, key=lambda entry: (len(entry.path), entry.is_child)).id if fitting else ""
    return [
        MenuGroup(
            group.label,
            tuple(
                replace(entry, current=entry.id == here, count=counts.get(entry.id))
                for entry in group.entries
                if not entry.is_child or path.startswith(entry.path)
            ),
        )
        for group in groups
    ]
