"""Which one is meant: by number, by id, or by a name where only one has it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Callable

from doublehop_remote.calling import Api
from doublehop_remote.stopping import NOT_FOUND, USAGE, Stop
from doublehop_remote.tables import plain

MOST_LOOKED_AT = 20_000
FOUND_BY_ANY_NAME = frozenset({"servers"})
"""Lists whose ``q`` looks into every field that is asked for here. In others what it does not find is looked for among all."""
_REFERENCE = re.compile(r"[0-9A-Za-z]{3}-?[0-9A-Za-z]{3}")


def service(api: Api, text: str) -> dict[str, Any]:
    """S-3001, an id, a hostname or a main address."""
    if text.isascii() and text.isdigit():
        return _object(api.get(f"services/{int(text)}"))
    if number := re.fullmatch(r"[sS]-?(\d{1,9})", text):
        return _by_number(api, "services", int(number[1]), f"S-{number[1]}", q=f"S-{number[1]}")
    return _by_name(api, "services", text, ("hostname", "primary_address", "billing_reference"))


def server(api: Api, text: str) -> dict[str, Any]:
    """An id, a label, a hostname or a main address."""
    if text.isascii() and text.isdigit():
        return _object(api.get(f"servers/{int(text)}"))
    return _by_name(api, "servers", text, ("label", "hostname", "primary_address"))


def client(api: Api, text: str) -> dict[str, Any]:
    """C-1001, an id, a name or an e-mail address."""
    if text.isascii() and text.isdigit():
        return _object(api.get(f"clients/{int(text)}"))
    if number := re.fullmatch(r"[cC]-?(\d{1,9})", text):
        return _by_number(api, "clients", int(number[1]), f"C-{number[1]}", q=number[1])
    return _by_name(api, "clients", text, ("name", "email", "billing_reference"))


def reference(text: str) -> str:
    """As it is written in addresses. Raises Stop."""
    if not _REFERENCE.fullmatch(text):
        raise Stop(USAGE, f"{plain(text)[:40]} is no reference. One looks like 7Q5-M3D.")
    bare = text.upper().replace("-", "")
    return f"{bare[:3]}-{bare[3:]}"


def _by_number(api: Api, path: str, number: int, told: str, *, q: str) -> dict[str, Any]:
    for row in _fitting(api, path, told, q, lambda row: row.get("number") == number):
        return row
    raise Stop(NOT_FOUND, f"There is no {told}.", step=f"`list {path}` shows what there is.")


def _by_name(api: Api, path: str, text: str, fields: Sequence[str]) -> dict[str, Any]:
    wanted = text.strip().casefold()

    def fits(row: dict[str, Any]) -> bool:
        return any(str(row.get(field) or "").casefold() == wanted for field in fields)

    name = plain(text)[:80]
    found = list(_fitting(api, path, name, text.strip(), fits))
    if not found:
        raise Stop(
            NOT_FOUND, f"None of the {path} is called {name}.", step=f"`list {path}` shows what there is."
        )
    if len(found) > 1:
        several = ", ".join(called(row) for row in found[:8])
        raise Stop(
            NOT_FOUND,
            f"{len(found)} {path} are called {name}: {several}{' …' if len(found) > 8 else ''}.",
            step="Name one of them by its number.",
        )
    return found[0]


def _fitting(
    api: Api, path: str, name: str, q: str, fits: Callable[[dict[str, Any]], bool]
) -> Iterator[dict[str, Any]]:
    """Those that the service finds by ``q``; where none of them fits, those among all."""
    narrowed = filter(fits, _looked_at(api, path, name, q=q))
    first = next(narrowed, None)
    if first is not None:
        yield from chain((first,), narrowed)
    elif path not in FOUND_BY_ANY_NAME:
        yield from filter(fits, _looked_at(api, path, name))


def _looked_at(api: Api, path: str, name: str, **query: str) -> Iterator[dict[str, Any]]:
    """Raises Stop where there are too many to read: what was not read may be called so too."""
    for number, row in enumerate(api.pages(path, MOST_LOOKED_AT + 1, **query)):
        if number == MOST_LOOKED_AT:
            raise Stop(
                NOT_FOUND,
                f"There are more than {MOST_LOOKED_AT:,} {path}, and not all were read: which one is {name} is not certain.",
                step="Name it by its id.",
            )
        yield row


def called(row: dict[str, Any]) -> str:
    """ "S-3001 (id 7, active)", "EX-2207 (id 4)"."""
    if "product" in row:
        return f"S-{row.get('number')} (id {row.get('id')}, {plain(row.get('status'))})"
    if "email" in row:
        return f"C-{row.get('number')} (id {row.get('id')})"
    return f"{plain(row.get('label'))} (id {row.get('id')})"


def _object(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}
