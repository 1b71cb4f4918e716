"""Servers as the asker's organisation, or a client of it, has them."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from ninja import Field, Query, Router, Schema

from doublehop.api.operations import in_scope
from doublehop.api.paging import READ_PROBLEMS, Id, Listed, Page, rows_of
from doublehop.api.problems import reader
from doublehop.bandwidth import queries as bandwidth
from doublehop.fleet import queries as fleet
from doublehop.fleet.permissions import Right, called, require, rights_of
from doublehop.organisations import texts
from doublehop.organisations.actor import Actor
from doublehop.services import queries as services
from doublehop.services.queries.facts import Suspensions, may_be_asked, suspensions_of

if TYPE_CHECKING:
    from doublehop.fleet.models import Server

router = Router(tags=["servers"])
MOST_GIVEN = 200


class IdentifierOut(Schema):
    """Such as a serial or a MAC. ``proof``: strong ones tell a machine from any other."""

    kind: str
    value: str
    proof: str


class ServerOut(Schema):
    """``status``: free, in_service, suspended, passed_on (to an organisation below), withheld or missing. What was read of the
    machine is as of the time beside it. ``free``: it may be attached to a service now. ``suspended``: by whomever;
    ``suspended_by_you``: what your organisation asked for has been carried out, and it alone can lift that; ``suspension_asked``:
    also while it waits for approval, is under way, or did not succeed: an unsuspend takes it back. ``identifiers`` are for staff,
    and so are other states than in_service and suspended."""

    id: int
    label: str
    hostname: str
    primary_address: str
    username: str
    status: str
    free: bool
    service_id: int | None
    service_number: int | None
    power_state: str
    power_read_at: datetime | None
    health: str
    health_read_at: datetime | None
    suspended: bool
    suspended_by_you: bool
    suspension_asked: bool
    rescue_active: bool | None
    rescue_read_at: datetime | None
    addresses_read_at: datetime | None
    protected: bool
    capabilities: list[str]
    identifiers: list[IdentifierOut]


class ServerInFull(ServerOut):
    """``actions``: the kinds of operation that may be asked now."""

    actions: list[str]


class AddressOut(Schema):
    """``rdns``: its name. A client's token reads the names that the client or the provider set, and no other."""

    address: str
    primary: bool
    rdns: str
    null_routed: bool | None


class GivenOut(Schema):
    """``to``: client, organisation or tandem."""

    to: str
    id: int
    name: str
    rights: list[str]
    since: datetime
    until: datetime | None


class PermissionsOut(Schema):
    """``rights``: your own on this server, now. ``given``: what your organisation has passed on, newest first; for its staff."""

    rights: list[str]
    given: list[GivenOut]


class DayOut(Schema):
    """UTC. ``complete``: the day is over and all of it was counted; ``counted_seconds``: of how much of it that is so.
    ``sample_history``: made up, never billed."""

    day: date
    octets_in: int
    octets_out: int
    complete: bool
    counted_seconds: int
    sample_history: bool


class Filter(Page):
    q: str = Field("", max_length=120, description="The beginning of a label, a hostname or a main address.")
    free: bool | None = Field(None, description="true: only those that may be attached to a service now.")


def servers_out(actor: Actor, rows: Sequence["Server"]) -> list[dict[str, Any]]:
    ids = [row.pk for row in rows]
    ours = services.services_of_servers(actor, ids) if actor.is_staff else _own_services(actor, ids)
    held = set(fleet.open_holds(ids).values_list("server_id", flat=True)) if ids else set()
    own = suspensions_of(actor, ids) if actor.is_staff else Suspensions()
    free = (
        set(fleet.attachable_servers(actor).order_by().filter(pk__in=ids).values_list("pk", flat=True))
        if actor.is_staff
        else set()
    )
    gone = fleet.passed_on(actor, ids)
    return [
        {
            **_out(actor, row, ours, held=row.pk in held, free=row.pk in free, passed_on=row.pk in gone),
            "suspended_by_you": row.pk in own.carried_out,
            "suspension_asked": row.pk in own.asked,
        }
        for row in rows
    ]


def _own_services(actor: Actor, ids: Sequence[int]) -> dict[int, Any]:
    rows = services.services_visible_to(actor).filter(server_id__in=ids)
    return {row.server_id: row for row in rows if row.server_id is not None}


def _out(
    actor: Actor, row: "Server", ours: Mapping[int, Any], *, held: bool, free: bool, passed_on: bool
) -> dict[str, Any]:
    service = ours.get(row.pk)
    known = row.identifiers if actor.is_staff else []
    return {
        "id": row.pk,
        # Its label is a word of whoever owns it, and no client's to read.
        "label": called(actor, row),
        "hostname": row.hostname,
        "primary_address": row.primary_address,
        "username": row.username,
        "status": _status(row, held=held, in_service=service is not None, passed_on=passed_on)
        if actor.is_staff
        else ("suspended" if held else "in_service"),
        "free": free,
        "service_id": service.pk if service else None,
        "service_number": service.number if service else None,
        "power_state": row.power_state,
        "power_read_at": row.power_read_at,
        "health": row.health,
        "health_read_at": row.health_read_at,
        "suspended": held,
        "rescue_active": row.rescue_active,
        "rescue_read_at": row.rescue_read_at,
        "addresses_read_at": row.addresses_read_at,
        "protected": row.protected,
        "capabilities": row.capabilities,
        "identifiers": [{"kind": kind, "value": value, "proof": proof} for kind, value, proof in known],
    }


def _status(row: "Server", *, held: bool, in_service: bool, passed_on: bool) -> str:
    if row.missing_since is not None:
        return "missing"
    # Before a suspension, which has a field of its own: what is not there to be sold is nowhere taken for free.
    if passed_on:
        return "passed_on"
    if row.withheld_since is not None:
        return "withheld"
    if held:
        return "suspended"
    return "in_service" if in_service or row.recorded_identity is not None else "free"


@router.get("/servers", response={200: Listed[ServerOut], **READ_PROBLEMS})
def list_servers(request: HttpRequest, only: Query[Filter]) -> object:
    actor = reader(request)
    rows = fleet.servers_visible_to(actor)
    if only.free:
        rows = rows.filter(pk__in=fleet.attachable_servers(actor).order_by().values("pk"))
    elif only.free is False:
        rows = rows.exclude(pk__in=fleet.attachable_servers(actor).order_by().values("pk"))
    if find := texts.searched(only.q):
        named = Q(hostname__istartswith=find) | Q(primary_address__startswith=find)
        rows = rows.filter(named if actor.is_white_label else named | Q(label__istartswith=find))
    found, following = rows_of(rows, only)
    return {"items": servers_out(actor, found), "next": following}


@router.get("/servers/{server_id}", response={200: ServerInFull, **READ_PROBLEMS})
def one_server(request: HttpRequest, server_id: Id) -> object:
    actor = reader(request)
    row = fleet.server(actor, server_id)
    (told,) = servers_out(actor, [row])
    service = None if told["service_id"] is None else services.service(actor, told["service_id"])
    return {**told, "actions": in_scope(actor, may_be_asked(actor, row, service))}


@router.get("/servers/{server_id}/addresses", response={200: list[AddressOut], **READ_PROBLEMS})
def addresses(request: HttpRequest, server_id: Id) -> object:
    return services.addresses_shown(reader(request), server_id)


@router.get("/servers/{server_id}/permissions", response={200: PermissionsOut, **READ_PROBLEMS})
def permissions(request: HttpRequest, server_id: Id) -> object:
    actor = reader(request)
    held = rights_of(actor, fleet.server(actor, server_id))
    rows = (
        fleet.permissions_on(actor, server_id).select_related("tandem_user__user") if actor.is_staff else ()
    )
    given = []
    for row in rows[:MOST_GIVEN]:
        grantees = {"client": row.client, "organisation": row.organisation, "tandem": row.tandem_user}
        to, grantee = next((kind, one) for kind, one in grantees.items() if one is not None)
        told = {"to": to, "id": grantee.pk, "name": str(grantee), "rights": row.rights}
        given.append({**told, "since": row.since, "until": row.until})
    return {"rights": [right.value for right in Right if right in held], "given": given}


@router.get("/servers/{server_id}/bandwidth", response={200: list[DayOut], **READ_PROBLEMS})
def bandwidth_days(
    request: HttpRequest, server_id: Id, first: date | None = None, last: date | None = None
) -> object:
    """By UTC day, oldest first; without ``first`` and ``last`` this month. Days of which nothing is known are left out."""
    actor = reader(request)
    require(actor, Right.BANDWIDTH, fleet.server(actor, server_id))
    today = timezone.now().date()
    return bandwidth.daily_totals(actor, server_id, first or today.replace(day=1), last or today)
