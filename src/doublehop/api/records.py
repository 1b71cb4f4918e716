"""For the staff and the programs of an organisation: its upstreams and its journal."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from ninja import Query, Router, Schema

from doublehop.api.paging import READ_PROBLEMS, GivenId, Id, Listed, Page, rows_of
from doublehop.api.problems import reader
from doublehop.fleet import queries as fleet
from doublehop.fleet import rests
from doublehop.journal.queries import entries_for_organisation, first_unsettled_id
from doublehop.notices.events import data_for_organisation, kind_of
from doublehop.organisations.actor import Actor
from doublehop.organisations.queries import clients_visible_to
from doublehop.services.queries import services_visible_to

if TYPE_CHECKING:
    from doublehop.fleet.models import Upstream
    from doublehop.journal.models import Entry

router = Router(tags=["records"])


class UpstreamOut(Schema):
    """``state``: fine, failing, refused (it refuses our login), resting (it asked for patience) or new (never read)."""

    id: int
    name: str
    driver: str
    armed: bool
    state: str
    read_at: datetime | None
    failing_since: datetime | None
    failure_code: str
    next_try_at: datetime | None


class TargetOut(Schema):
    kind: str
    id: int | None = None
    label: str = ""


class EntryOut(Schema):
    """One line of the journal. ``kind`` as webhooks tell it. Names and reasons stay within one house."""

    id: int
    at: datetime
    kind: str
    verb: str
    result: str
    by: str
    sentence: str
    target: TargetOut
    server_id: int | None
    service_id: int | None
    client_id: int | None
    reference: str


class JournalFilter(Page):
    server_id: GivenId | None = None
    service_id: GivenId | None = None
    client_id: GivenId | None = None


def _upstream_out(row: "Upstream") -> dict[str, Any]:
    next_try = rests.next_try_at(row)
    if rests.is_refused(row):
        state = "refused"
    elif next_try is not None:
        state = "resting"
    elif row.failing_since is not None:
        state = "failing"
    else:
        state = "fine" if row.synced_at is not None else "new"
    return {
        "id": row.pk,
        "name": row.name,
        "driver": row.driver,
        "armed": row.armed,
        "state": state,
        "read_at": row.synced_at,
        "failing_since": row.failing_since,
        "failure_code": row.failure_code,
        "next_try_at": next_try,
    }


@router.get("/upstreams", response={200: Listed[UpstreamOut], **READ_PROBLEMS})
def list_upstreams(request: HttpRequest, page: Query[Page]) -> object:
    """Where your servers come from, without settings and secrets. Empty for clients."""
    rows, following = rows_of(fleet.upstreams_visible_to(reader(request)), page)
    return {"items": [_upstream_out(row) for row in rows], "next": following}


@router.get("/upstreams/{upstream_id}", response={200: UpstreamOut, **READ_PROBLEMS})
def one_upstream(request: HttpRequest, upstream_id: Id) -> object:
    return _upstream_out(fleet.upstream(reader(request), upstream_id))


@router.get("/journal", response={200: Listed[EntryOut], **READ_PROBLEMS})
def journal(request: HttpRequest, only: Query[JournalFilter]) -> object:
    """Oldest first after the line ``after``, so that a program can follow it: give the id of the last line that you have, and none
    is missed. A line is told as soon as none with a smaller id can follow, which may take some seconds while much is written.
    Empty for clients, and of clients and services of another house."""
    actor = reader(request)
    if not actor.is_staff or not _are_own(actor, only):
        return {"items": [], "next": None}
    wanted = {
        name: value
        for name in ("server_id", "service_id", "client_id")
        if (value := getattr(only, name)) is not None
    }
    found = entries_for_organisation(
        actor.organisation_id, before_id=first_unsettled_id(), after_id=only.key, limit=only.size, **wanted
    )
    lines = list(reversed(found))
    return {"items": _lines(actor, lines), "next": lines[-1].pk if len(lines) == only.size else None}


def _are_own(actor: Actor, only: JournalFilter) -> bool:
    """Ids that no line tells find none either: else it could be tried out which machines belong together."""
    named = ((clients_visible_to, only.client_id), (services_visible_to, only.service_id))
    return all(pk is None or visible(actor).filter(pk=pk).exists() for visible, pk in named)


def _lines(actor: Actor, entries: list["Entry"]) -> list[dict[str, Any]]:
    ids = {entry.client_id for entry in entries if entry.client_id is not None}
    own = set(clients_visible_to(actor).filter(pk__in=ids).values_list("pk", flat=True))
    return [_line(actor, entry, is_own_client=entry.client_id in own) for entry in entries]


def _line(actor: Actor, entry: "Entry", *, is_own_client: bool) -> dict[str, Any]:
    told = data_for_organisation(entry, actor.organisation_id, is_own_client=is_own_client)
    is_own = told["by"] == entry.actor_label
    return {
        "id": entry.pk,
        "at": entry.at,
        "kind": kind_of(entry.verb),
        "verb": entry.verb,
        "result": entry.result,
        "by": told["by"],
        "sentence": entry.sentence if is_own else "",
        "target": told["target"],
        "server_id": told["server_id"],
        "service_id": told["service_id"],
        "client_id": told["client_id"],
        "reference": str(entry.details.get("reference", "")),
    }
