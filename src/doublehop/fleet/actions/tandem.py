"""Which servers a Tandem user may use. It passes on what the organisation itself holds, dated, and takes it back."""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from doublehop.fleet.models import Permission, Server
from doublehop.fleet.permissions import CLIENTS_NEVER, TANDEM_RIGHTS, Right, organisation_rights
from doublehop.fleet.queries import BIGGEST_ID, held_servers
from doublehop.organisations import actions as organisations
from doublehop.organisations import record
from doublehop.organisations.actions.tandem import locked_tandem_user
from doublehop.organisations.actor import Actor
from doublehop.organisations.models import TandemUser
from doublehop.organisations.refusals import BadInput, NotHere


@transaction.atomic
def permit_tandem(
    actor: Actor, tandem_user_id: int, server_ids: Iterable[int], rights: Iterable[str] = TANDEM_RIGHTS
) -> int:
    """*Apply Permissions*: these rights on these servers from now on. Answers with how many changed.

    Rights that the organisation does not hold itself are left out; view is always among them. Raises NotHere when any
    server is not the organisation's to give.
    """
    row = locked_tandem_user(actor, tandem_user_id)
    wanted = _rights(rights)
    changed = [server for server in _held(actor, server_ids) if _permit(row, server, wanted)]
    for server in changed:
        _write(actor, "tandem_user.permitted", row, server)
    return len(changed)


def _rights(names: Iterable[str]) -> frozenset[Right]:
    try:
        return frozenset(Right(name) for name in names) - CLIENTS_NEVER | {Right.VIEW}
    except ValueError as error:
        raise BadInput("Choose rights from the list.", field="rights") from error


def _held(actor: Actor, server_ids: Iterable[int]) -> list[Server]:
    wanted = {pk for pk in server_ids if 0 < pk < BIGGEST_ID} if server_ids else set()
    servers = list(held_servers(actor).select_for_update(of=("self",)).filter(pk__in=wanted).order_by("pk"))
    if len(servers) != len(set(server_ids)):
        raise NotHere("One of these servers is not yours to give.")
    return servers


def _permit(row: TandemUser, server: Server, wanted: frozenset[Right]) -> bool:
    held = organisation_rights(row.organisation_id, server)
    passed = [right.value for right in Right if right in wanted & held]
    present = Permission.objects.select_for_update().filter(
        server=server, tandem_user=row, until__isnull=True
    )
    known = present.first()
    if known is None:
        Permission.objects.create(
            server=server,
            tandem_user=row,
            given_by_id=row.organisation_id,
            rights=passed,
            since=timezone.now(),
        )
        return True
    # Other rights without a pause are one and the same window: what may be seen does not begin anew.
    return known.rights != passed and bool(present.update(rights=passed))


@transaction.atomic
def revoke_tandem(actor: Actor, tandem_user_id: int, server_ids: Iterable[int]) -> int:
    """Takes the permission on these servers away. Answers with how many it had."""
    row = locked_tandem_user(actor, tandem_user_id)
    return _revoke(actor, row, [pk for pk in server_ids if 0 < pk < BIGGEST_ID])


@transaction.atomic
def set_tandem_servers(actor: Actor, tandem_user_id: int, server_ids: Iterable[int]) -> None:
    """Exactly these from now on. Whoever has one of them already keeps its rights there."""
    row = locked_tandem_user(actor, tandem_user_id)
    wanted = set(server_ids)
    present = set(_open(row).values_list("server_id", flat=True))
    permit_tandem(actor, tandem_user_id, wanted - present)
    _revoke(actor, row, present - wanted)


@transaction.atomic
def end_tandem_user(actor: Actor, tandem_user_id: int) -> None:
    """Deletes a Tandem user: its permissions end, its sign-in is closed, its address is free."""
    row = locked_tandem_user(actor, tandem_user_id)
    _open(row).update(until=timezone.now())
    organisations.end_tandem_user(actor, tandem_user_id)


def _revoke(actor: Actor, row: TandemUser, server_ids: Iterable[int]) -> int:
    ending = list(_open(row).select_related("server").filter(server_id__in=set(server_ids)))
    _open(row).filter(pk__in=[one.pk for one in ending]).update(until=timezone.now())
    for one in ending:
        _write(actor, "tandem_user.revoked", row, one.server)
    return len(ending)


def _open(row: TandemUser) -> QuerySet[Permission]:
    return Permission.objects.filter(tandem_user=row, until__isnull=True)


def _write(actor: Actor, verb: str, row: TandemUser, server: Server) -> None:
    record.write(
        actor,
        verb,
        ("tandem_user", row.pk),
        target_label=row.user.name,
        sentence=server.label,
        server_id=server.pk,
    )
