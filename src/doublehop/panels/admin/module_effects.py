"""*What the buttons will do*: told from what the machines offer and the suspend policy, never from a kind's name."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from doublehop.fleet import queries as fleet
from doublehop.organisations.actor import Actor
from doublehop.services.actions.planning import way_offered

MOST_COMPARED = 50
"""Kinds of machines told apart by what they offer; an upstream has a handful."""
SUSPENDS: dict[str, tuple[str, str]] = {
    "port": ("Switches the network port off.", "The machine keeps running."),
    "upstream": ("Suspends it at the provider, the provider's own way.", ""),
    "power": ("Switches the power off, and power on is refused.", ""),
    "permission": ("Takes our permission at the provider away.", "The machine stays online."),
    "notify": ("Marks it as suspended only.", "The machine stays online."),
}
"""What is done, and what one might not expect."""
_GIVES_BACK = {"permission": "Gives exactly that permission back.", "notify": "Takes the mark away."}


@dataclass(frozen=True)
class Effect:
    """One line: what a button does. ``loud`` is what must not be overlooked; not ``offered`` lines are grey."""

    button: str
    text: str
    loud: str = ""
    offered: bool = True
    is_policy: bool = False


def effects_of(actor: Actor, product: Any) -> list[Effect]:
    """For the servers that this product may get. Before the first list is read it says that it does not know yet."""
    servers = fleet.sellable_servers(actor)
    if product.upstream_id is not None:
        servers = servers.filter(upstream_id=product.upstream_id)
    elif product.module:
        servers = servers.none()
    kinds = [
        frozenset(one)
        for one in servers.order_by().values_list("capabilities", flat=True).distinct()[:MOST_COMPARED]
    ]
    if not kinds:
        return [Effect("Suspend", "Known once its list of servers was read.", is_policy=True), *_always()]
    anything = frozenset().union(*kinds)
    ways = list(
        dict.fromkeys(way_offered(kind, product.suspend_policy) for kind in sorted(kinds, key=sorted))
    )
    return [
        *_suspensions(ways),
        _offered("Reboot", "Sent once, never repeated.", "power" in anything),
        _offered("Get Server IP", "Reads the addresses again.", "addresses" in anything),
        _bandwidth(product, anything),
        *([Effect("Reverse DNS", "A name for each address.")] if "rdns" in anything else []),
        *([Effect("Rescue system", "Restarts into it, once.")] if "rescue" in anything else []),
        _offered("Console", "", False),
    ]


def _suspensions(ways: Iterable[str]) -> list[Effect]:
    ways = list(ways)
    if len(ways) == 1:
        text, loud = SUSPENDS[ways[0]]
        back = _GIVES_BACK.get(ways[0], "Undoes exactly what the suspension did.")
        return [Effect("Suspend", text, loud, is_policy=True), Effect("Unsuspend", back)]
    told = " ".join(" ".join(filter(None, SUSPENDS[way])) for way in ways)
    return [
        Effect("Suspend", f"Not the same on each machine. One of: {told}", is_policy=True),
        Effect("Unsuspend", "Undoes exactly what the suspension did."),
    ]


def _bandwidth(product: Any, anything: frozenset[str]) -> Effect:
    if "traffic" in anything:
        return Effect("Bandwidth", "The provider's own figures, by day.")
    measured = product.upstream is None or product.upstream.ports.exists()
    return _offered("Bandwidth", "Measured at the switch, every 5 minutes.", measured)


def _always() -> list[Effect]:
    return [
        Effect("Unsuspend", "Undoes exactly what the suspension did."),
        Effect("Reboot", "Sent once, never repeated."),
        Effect("Get Server IP", "Reads the addresses again."),
    ]


def _offered(button: str, text: str, is_offered: bool) -> Effect:
    return Effect(button, text if is_offered else "Not offered here.", offered=is_offered)
