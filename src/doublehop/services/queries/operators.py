"""Operations as the operators of an installation look for them, from the shell."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from doublehop.fleet.permissions import visible_to as servers_visible_to
from doublehop.organisations.actor import Actor
from doublehop.organisations.queries import organisations_visible_to
from doublehop.organisations.refusals import BadInput
from doublehop.organisations.texts import searched
from doublehop.services.lifecycle import OPERATION_LIFE, OperationState
from doublehop.services.models import Operation
from doublehop.services.queries.operations import operations_visible_to
from doublehop.services.queries.services import services_visible_to

NOT_ENDED = tuple(state for state in OperationState if OPERATION_LIFE[state])
"""What still becomes something else, by itself or by a person."""
LARGEST_ID = 2**63 - 1


@dataclass(frozen=True)
class Wanted:
    """``server``: its id, label, hostname or main address. ``service``: its number, as S-3001 or 3001.
    ``organisation``: whoever asked, by id or name. Empty texts leave nothing out."""

    states: Collection[OperationState] = NOT_ENDED
    server: str = ""
    service: str = ""
    organisation: str = ""
    since: datetime | None = None


def operations_wanted(actor: Actor, wanted: Wanted) -> QuerySet[Operation]:
    """Newest first. Raises BadInput for a server, service or organisation that nobody knows."""
    rows = operations_visible_to(actor).select_related("server__upstream").filter(state__in=wanted.states)
    if wanted.server:
        text = searched(wanted.server)
        named = Q(label__iexact=text) | Q(hostname__iexact=text) | Q(primary_address=text)
        servers = servers_visible_to(actor).filter(named | _by_id(text))
        rows = rows.filter(server__in=_some(servers, "server", wanted.server))
    if wanted.service:
        number = searched(wanted.service).upper().removeprefix("S-")
        services = services_visible_to(actor).filter(number=_whole(number) or 0)
        rows = rows.filter(service__in=_some(services, "service", wanted.service))
    if wanted.organisation:
        text = searched(wanted.organisation)
        organisations = organisations_visible_to(actor).filter(Q(name__iexact=text) | _by_id(text))
        rows = rows.filter(organisation__in=_some(organisations, "organisation", wanted.organisation))
    if wanted.since is not None:
        rows = rows.filter(asked_at__gte=wanted.since)
    return rows.order_by("-id")


def _some(rows: QuerySet, what: str, text: str) -> list[int]:  # type: ignore[type-arg]
    found = list(rows.values_list("pk", flat=True))
    if not found:
        raise BadInput(f"No {what} is called {text}.", field=what)
    return found


def _by_id(text: str) -> Q:
    number = _whole(text)
    return Q(pk=number) if number is not None else Q(pk__in=())


def _whole(text: str) -> int | None:
    small = text.isascii() and text.isdigit() and len(text) < 20
    return int(text) if small and int(text) <= LARGEST_ID else None
