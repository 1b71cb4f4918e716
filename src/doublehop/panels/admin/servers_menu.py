"""The menu in which staff choose a service's server: what stands in it, and why it is empty when it is."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.utils import timezone

from doublehop.fleet import queries as fleet
from doublehop.organisations.actor import Actor
from doublehop.services.queries.modules import ServersMenu, servers_menu

LATE_AFTER = timedelta(seconds=10)
CANNOT_CHOOSE = {
    "refused": "Choosing waits for a login that works: an old list could name the wrong server.",
    "unreachable": "Choosing waits for a fresh list: press Refresh first.",
}
"""States in which a module's list is not believed."""


@dataclass(frozen=True)
class Option:
    value: str
    text: str
    greyed: bool = False


@dataclass(frozen=True)
class Menu:
    """What the page draws. ``options`` begin with None; the present choice is always among them."""

    told: ServersMenu
    options: list[Option]
    find: str
    is_late: bool
    is_hidden: bool
    """The login is refused: not even an old list is shown."""
    mend_url: str
    """Where permissions are given, when no server is listed; empty when we cannot know."""
    waits: str
    """Why nothing else can be chosen now."""

    @property
    def has_choice(self) -> bool:
        return len(self.options) > 1

    def allows(self, server_id: int | None, present_id: int | None) -> bool:
        """Whether this choice may be saved now. A hidden list says nothing, so what is attached stays."""
        if server_id == present_id:
            return True
        return not self.waits or (server_id is None and not self.is_hidden)


def menu_of(actor: Actor, service: Any, find: str) -> Menu:
    told = servers_menu(actor, service, find=find)
    has_module = bool(service.product.module)
    upstream = fleet.upstream(actor, told.upstream_id) if told.upstream_id is not None else None
    return Menu(
        told=told,
        options=_options(told, service, greyed=has_module and told.state == "unreachable"),
        find=find,
        is_late=told.state == "reading" and _is_late(upstream),
        is_hidden=has_module and told.state == "refused",
        mend_url=_root_of(upstream) if told.state == "none" else "",
        waits=CANNOT_CHOOSE.get(told.state, "") if has_module else "",
    )


def _options(told: ServersMenu, service: Any, *, greyed: bool) -> list[Option]:
    present = str(service.server_id or "")
    listed = [(str(value), text) for value, text in told.options if value]
    return [Option("", "None"), *(Option(value, text, greyed and value != present) for value, text in listed)]


def _is_late(upstream: Any) -> bool:
    asked = upstream.sync_asked_at if upstream is not None else None
    return asked is not None and timezone.now() - asked > LATE_AFTER


def _root_of(upstream: Any) -> str:
    """The other side's own panel: permissions are given there."""
    address = urlsplit(upstream.endpoint) if upstream is not None else urlsplit("")
    return f"{address.scheme}://{address.netloc}/" if address.scheme in {"http", "https"} else ""
