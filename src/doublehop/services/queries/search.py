"""One box for everything: IP, MAC, serial, hostname, e-mail, service."""

from dataclasses import dataclass

from django.db.models import Q

from doublehop.fleet.models import Address, IdentifierRow
from doublehop.fleet.queries import servers_visible_to
from doublehop.organisations.actor import Actor
from doublehop.organisations.queries import clients_visible_to
from doublehop.organisations.texts import searched
from doublehop.services.queries.operations import operations_visible_to
from doublehop.services.queries.services import services_visible_to

MOST_OF_A_KIND = 8
SHORTEST = 2


@dataclass(frozen=True)
class Hit:
    """``kind`` is client, service, server or operation; ``target`` its id or reference."""

    kind: str
    target: str
    label: str
    detail: str


def search(actor: Actor, text: str) -> list[Hit]:
    """Exact matches of identifiers first, then beginnings of names. Only what the actor may see."""
    words = searched(text)
    if len(words) < SHORTEST:
        return []
    return [
        *_operations(actor, words),
        *_services(actor, words),
        *_servers(actor, words),
        *_clients(actor, words),
    ]


def _operations(actor: Actor, words: str) -> list[Hit]:
    rows = operations_visible_to(actor).filter(reference=words.upper())
    return [
        Hit("operation", row.reference, row.reference, f"{row.kind} of {row.server.label}") for row in rows
    ]


def services_like(actor: Actor, words: str) -> Q:
    """By number, hostname or main address; for staff by what a billing system calls them, too."""
    matches = _called(words) | Q(server__primary_address__startswith=words.lower())
    return matches | Q(billing_reference=words) if actor.is_staff else matches


def _called(words: str) -> Q:
    matches = (
        Q(hostname__istartswith=words)
        | Q(ordered_hostname__istartswith=words)
        | Q(server__hostname__istartswith=words)
    )
    number = words.upper().removeprefix("S-")
    return matches | Q(number=int(number[:9])) if number.isascii() and number.isdigit() else matches


def _services(actor: Actor, words: str) -> list[Hit]:
    rows = services_visible_to(actor).filter(_called(words)).order_by("number")[:MOST_OF_A_KIND]
    return [
        Hit(
            "service",
            str(row.pk),
            str(row),
            f"{row.product.name}, {row.shown_hostname or 'no hostname'}, {row.client.name}",
        )
        for row in rows
    ]


def _servers(actor: Actor, words: str) -> list[Hit]:
    compact = words.lower()
    by_address = Address.objects.filter(address__startswith=compact).values("server_id")[:50]
    by_identifier = IdentifierRow.objects.filter(
        Q(value__iexact=words) | Q(value__iexact=_mac(words))
    ).values("server_id")[:50]
    matches = (
        Q(label__istartswith=words)
        | Q(hostname__istartswith=words)
        | Q(primary_address__startswith=compact)
        | Q(pk__in=by_address)
        | Q(pk__in=by_identifier)
    )
    rows = servers_visible_to(actor).filter(matches).order_by("label", "pk")[:MOST_OF_A_KIND]
    return [
        Hit("server", str(row.pk), row.label, ", ".join(filter(None, (row.hostname, row.primary_address))))
        for row in rows
    ]


def _mac(words: str) -> str:
    """However it was written: 02-00-00-00-00-01, 0200.0000.0001 and 020000000001 are one MAC."""
    digits = "".join(sign for sign in words.lower() if sign in "0123456789abcdef")
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2)) if len(digits) == 12 else words


def _clients(actor: Actor, words: str) -> list[Hit]:
    matches = (
        Q(name__istartswith=words) | Q(email__istartswith=words) | Q(people__user__email__istartswith=words)
    )
    rows = clients_visible_to(actor).filter(matches).distinct().order_by("name", "pk")[:MOST_OF_A_KIND]
    return [Hit("client", str(row.pk), row.name, row.email) for row in rows]
