"""The servers that an old client may speak of, and how they are written down in answers.

They are those that the organisation above gave: what a reseller owns itself it reaches elsewhere. A reseller whose own
installation reads this API would else find its own rows in the answer.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from doublehop.fleet import queries as fleet
from doublehop.leap.fields import id_of
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import NotHere, WrongState
from doublehop.services import queries as services

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from doublehop.fleet.models import Server

KIND = "server"
"""The ``type`` of every machine here: a dedicated server. What the old API called it is not known."""
NO_SUCH_SERVER = "There is no such server."
_COLUMNS = (
    "pk", "hostname", "primary_address", "power_state", "power_read_at", "rescue_active", "username",
)  # fmt: skip
_INSIDE = tuple(
    ipaddress.ip_network(one) for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)


def servers(actor: Actor) -> "QuerySet[Server]":
    """Received, visible now, and not passed on to anybody below."""
    return fleet.received_servers(actor)


def server_id_of(actor: Actor, given: object) -> int:
    """Raises NotHere in the same words for what is not theirs and for what does not exist."""
    server_id = id_of(given)
    if not server_id or not servers(actor).filter(pk=server_id).exists():
        raise NotHere(NO_SUCH_SERVER)
    return server_id


def server_id_of_hostname(actor: Actor, hostname: str) -> int:
    """Raises NotHere, and WrongState when the name does not tell one machine from another."""
    name = hostname.strip().lower().removesuffix(".")
    found = (
        list(servers(actor).filter(hostname__iexact=name).values_list("pk", flat=True)[:2]) if name else []
    )
    if not found:
        raise NotHere(NO_SUCH_SERVER)
    if len(found) > 1:
        raise WrongState("Several servers carry this name.")
    return found[0]


def lines(actor: Actor, server_id: int | None = None) -> Iterator[dict[str, Any]]:
    """Plain values of one server or all, by id: constant many questions to the database, however many servers."""
    rows = servers(actor)
    if server_id is not None:
        rows = rows.filter(pk=server_id)
    held = set(
        fleet.open_holds(rows.values_list("pk", flat=True)).order_by().values_list("server_id", flat=True)
    )
    for row in rows.order_by("pk").values_list(*_COLUMNS).iterator(2000):
        line = dict(zip(_COLUMNS, row, strict=True))
        yield {
            "id": str(line["pk"]),
            "hostname": line["hostname"] or line["primary_address"],
            "address": line["primary_address"],
            "status": _status(line["power_state"], line["rescue_active"]),
            "status_at": unix(line["power_read_at"]),
            "suspended": line["pk"] in held,
            "username": line["username"],
        }


def line(actor: Actor, given: object) -> dict[str, Any]:
    found = next(lines(actor, server_id_of(actor, given)), None)
    if found is None:
        raise NotHere(NO_SUCH_SERVER)
    return found


def _status(power_state: str, rescue_active: bool | None) -> str:
    if rescue_active and power_state != "off":
        return "rescue"
    return {"on": "online", "off": "offline"}.get(power_state, "unknown")


def unix(moment: datetime | None) -> int | None:
    return int(moment.timestamp()) if moment is not None else None


# ---------------------------------------------------------------- addresses


def addresses(actor: Actor, given: object) -> list[tuple[str, bool, str]]:
    """(address or network, whether it is the main one, name) each."""
    rows = services.addresses_shown(actor, server_id_of(actor, given))
    return [(row.address, row.primary, row.rdns) for row in rows]


def names(actor: Actor, given: object) -> dict[str, str]:
    """Name by single address; networks have no name of their own."""
    return {address: name for address, _, name in addresses(actor, given) if "/" not in address}


def network(actor: Actor, given: object) -> dict[str, object]:
    """As Dropzone draws it. Gateways are not known here, netmasks only where an address came as a network."""
    single, blocks, inside = [], [], []
    for address, _, _ in addresses(actor, given):
        place = _place(address)
        if place is not None and _is_inside(place):
            inside.append({"ip": str(place.ip), "gateway": "", "netmask": _mask(place, address)})
        elif "/" in address and place is not None:
            blocks.append(_block([address], _mask(place, address), str(place.ip)))
        else:
            single.append(address)
    first = [_block(single, "", single[0])] if single else []
    return {"public": [*first, *blocks], "private_networks": inside}


def _block(listed: Iterable[str], mask: str, first: str) -> dict[str, object]:
    return {"firstip": first, "allips": list(listed), "gateway": "", "netmask": mask}


def _place(address: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface | None:
    try:
        return ipaddress.ip_interface(address)
    except ValueError:
        return None


def _is_inside(place: ipaddress.IPv4Interface | ipaddress.IPv6Interface) -> bool:
    return any(place.ip in network for network in _INSIDE if network.version == place.version)


def _mask(place: ipaddress.IPv4Interface | ipaddress.IPv6Interface, address: str) -> str:
    if "/" not in address:
        return ""
    return str(place.netmask) if place.version == 4 else str(place.network.prefixlen)
