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


@dataclass(frozen=True)
class MenuGroup:
    label: str
    entries: tuple[MenuEntry, ...]


_MENU = (
    MenuGroup(
        "",
        (
            MenuEntry("dashboard", "Dashboard", "/admin/", icon="layout-dashboard"),
            MenuEntry("clients", "Clients", "/admin/clients/", icon="users"),
            MenuEntry("services", "Services", "/admin/services/", icon="package"),
            MenuEntry("servers", "Servers", "/admin/servers/", icon="server"),
            MenuEntry("operations", "Operations", "/admin/operations/", icon="list-check"),
            MenuEntry("journal", "Journal", "/admin/journal/", icon="notebook"),
        ),
    ),
    MenuGroup(
        "Setup",
        (
            MenuEntry("products", "Products/Services", "/admin/setup/products/", icon="packages"),
            MenuEntry("groups", "Server groups", "/admin/setup/server-groups/", icon="stack-2"),
            MenuEntry("upstreams", "Upstreams", "/admin/setup/upstreams/", icon="plug-connected"),
            MenuEntry("policies", "Suspend policies", "/admin/setup/suspend-policies/", icon="player-pause"),
            MenuEntry("staff", "Staff and brand", "/admin/setup/staff/", icon="id-badge-2"),
        ),
    ),
)


def admin_menu_for(path: str, counts: Mapping[str, MenuCount]) -> list[MenuGroup]:
    """The entry whose path is the longest beginning of ``path`` is the present place."""
    entries = [entry for group in _MENU for entry in group.entries]
    # The dashboard's path begins every other, so it is the place of no page but itself.
    fitting = [
        entry
        for entry in entries
        if path.startswith(entry.path) and (entry.id != "dashboard" or path == entry.path)
    ]
    here = max(fitting, key=lambda entry: len(entry.path)).id if fitting else ""
    return [
        MenuGroup(
            group.label,
            tuple(
                replace(entry, current=entry.id == here, count=counts.get(entry.id))
                for entry in group.entries
            ),
        )
        for group in _MENU
    ]
