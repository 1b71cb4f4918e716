"""What stands in the answers of both APIs: servers, Tandem users, addresses, names, daily figures. Every one came in many
shapes, so each reader takes lists, maps keyed by id, and several spellings of a member. None of them raises."""

import contextlib
import ipaddress
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from doublehop.drivers.singlehop.answers import entries, flag, text
from doublehop.drivers.singlehop.words import NO_EXTENSIONS, Day, Extensions, Figures, Line, TandemUser

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ID_NAMES = ("server_id", "serverid", "id")
# Neighbours of addresses that are not the server's own.
_NOT_ITS_OWN = ("gateway", "netmask", "mask", "broadcast", "network", "dns", "nameserver", "resolver", "vlan")
_INSIDE = tuple(
    ipaddress.ip_network(one)
    for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10")
)
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_DEEPEST = 8


def member(content: object, *names: str) -> tuple[Any, bool]:
    """(the first of these members that is there, whether one is). A bare array is its own content."""
    if isinstance(content, list):
        return content, True
    if isinstance(content, dict):
        for name in names:
            if name in content:
                return content[name], True
    return None, False


def lines_in(value: object) -> dict[str, Line]:
    """Servers by id. What has no usable id is left out; of two with one id the first holds."""
    found: dict[str, Line] = {}
    for key, entry in entries(value):
        line = line_in(entry, key)
        if line is not None:
            found.setdefault(line.id, line)
    return found


def line_in(entry: object, external_id: str = "") -> Line | None:
    """``external_id`` is the key under which the entry stood: it counts, for inside a VM's entry stands its host's id."""
    if not isinstance(entry, dict):
        return None
    found = external_id or text(entry, *_ID_NAMES)
    if not _ID.fullmatch(found):
        return None
    return Line(
        id=found,
        hostname=text(entry, "hostname", "server", "host")[:253],
        address=_address(text(entry, "primaryip", "primary_ip", "publicip", "public_ip", "ip")),
        status=text(entry, "status"),
        kind=text(entry, "type"),
        suspended=flag(entry, "suspended"),
    )


def tandem_users_in(value: object) -> tuple[TandemUser, ...]:
    """``pass`` is not looked at."""
    found = []
    for key, entry in entries(value):
        if not isinstance(entry, dict):
            continue
        user_id = text(entry, "id", "userid", "user_id") or key
        if _ID.fullmatch(user_id):
            found.append(
                TandemUser(user_id, text(entry, "email"), text(entry, "name"), _ids_in(entry, "servers"))
            )
    return tuple(found)


def _ids_in(entry: dict[str, Any], name: str) -> frozenset[str] | None:
    """Ids in a list, in a map by id, or joined by commas. None where the member is missing or makes no sense."""
    value = entry.get(name, 0)
    if isinstance(value, str):
        value = [one for one in re.split(r"[\s,;]+", value) if one]
    if value is None:
        return frozenset()
    if not isinstance(value, list | dict):
        return None
    found = set()
    for key, one in value.items() if isinstance(value, dict) else (("", one) for one in value):
        # PHP makes a map of a list with gaps: {"0": "12", "3": "15"}.
        inside = text(one, *_ID_NAMES) if isinstance(one, dict) else text({"id": one}, "id")
        names_itself = isinstance(one, dict) and not inside
        found.add(str(key) if names_itself or isinstance(one, bool) else inside)
    return frozenset(found) if all(_ID.fullmatch(one) for one in found) else None


def addresses_in(value: object) -> tuple[str, ...]:
    """Every address that is the server's own, in the order of the answer, public ones first."""
    seen = dict.fromkeys(_walk_addresses(value, 0))
    return tuple(sorted(seen, key=_is_inside))


def _is_inside(address: str) -> bool:
    ip = ipaddress.ip_interface(address).ip
    return any(ip in network for network in _INSIDE if network.version == ip.version)


def _walk_addresses(value: object, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if isinstance(value, str):
        found = _address(value)
        if found:
            yield found
    elif isinstance(value, list):
        for one in value:
            yield from _walk_addresses(one, depth + 1)
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _walk_addresses(str(key), _DEEPEST)
            if not _is_neighbour(str(key)):
                yield from _walk_addresses(one, depth + 1)


def _is_neighbour(key: str) -> bool:
    word = key.lower()
    # "private_networks" holds addresses, "network" is the foot of one.
    return not word.endswith("networks") and any(part in word for part in _NOT_ITS_OWN)


def _address(word: str) -> str:
    """Normalised; a network keeps its prefix. Empty for what is no address."""
    with contextlib.suppress(ValueError):
        if "/" in word and not word.endswith(("/32", "/128")):
            return str(ipaddress.ip_interface(word))
        found = ipaddress.ip_address(word.partition("/")[0].strip())
        return "" if found.is_unspecified or "%" in str(found) else str(found)
    return ""


def names_in(value: object) -> dict[str, str]:
    """Address to name without its final dot: a map {address: name}, or entries that hold both."""
    if isinstance(value, list) or _named(value)[0]:
        pairs = list(entries(value))
    else:
        pairs = list(value.items()) if isinstance(value, dict) else []
    found: dict[str, str] = {}
    for key, entry in pairs:
        address, name = _named(entry)
        address = address or _address(str(key))
        if address:
            found[address] = name.rstrip(".")
        elif isinstance(entry, dict | list):
            found.update(names_in(entry))
    return found


def _named(entry: object) -> tuple[str, str]:
    """(address, name), either empty where the entry does not hold it."""
    if isinstance(entry, list) and entry:
        entry = entry[0]
    if isinstance(entry, str):
        return "", entry.strip()
    name = text(entry, "rdns", "ptr", "hostname", "host", "name", "record")
    return _address(text(entry, "ip", "ipaddress", "ip_address", "address")), name


def figures_in(content: object) -> Figures | None:
    """None where there is no list of days."""
    data, _ = member(content, "data")
    data = data if isinstance(data, dict) else content
    days, there = member(data, "dailyusage", "daily_usage", "daily", "days")
    if not there:
        return None
    found = []
    for key, entry in entries(days):
        moment = _moment(text(entry, "timestamp")) or _day(text(entry, "date")) or _moment(key) or _day(key)
        if moment is not None and isinstance(entry, dict):
            sample = flag(entry, "sample") is True
            found.append(Day(moment, _figure(entry, "in"), _figure(entry, "out"), sample))
    return Figures(found, text(data, "unit") if isinstance(data, dict) else "")


def _figure(entry: dict[str, Any], name: str) -> str:
    value = entry.get(name)
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _moment(word: str) -> datetime | None:
    if not re.fullmatch(r"\d{9,10}", word):
        return None
    found = datetime.fromtimestamp(int(word), UTC)
    return found if _EARLIEST <= found < _LATEST else None


def _day(word: str) -> datetime | None:
    for form in ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%m/%d/%Y", "%b %d, %Y", "%B %d, %Y", "%d %b %Y"):
        with contextlib.suppress(ValueError):
            found = datetime.strptime(word, form).replace(tzinfo=UTC)
            return found if _EARLIEST <= found < _LATEST else None
    return None


def extensions_in(content: object) -> Extensions:
    """What {"by", "version", "server": [commands], "units": {"bandwidth"}} announces; nothing where it makes no sense."""
    by = text(content, "by")
    if not isinstance(content, dict) or not _WORD.fullmatch(by):
        return NO_EXTENSIONS
    commands = content.get("server")
    words = [one for one in commands if isinstance(one, str)] if isinstance(commands, list) else []
    unit = text(content.get("units"), "bandwidth")
    return Extensions(
        by,
        frozenset(one for one in words if _WORD.fullmatch(one)),
        unit if _WORD.fullmatch(unit) else "",
    )
