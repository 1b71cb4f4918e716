"""Tandem users, as the LEAP account of their organisation keeps them. Passwords are taken, never given."""

from collections.abc import Iterable

from django.db import transaction

from doublehop.fleet import actions as fleet
from doublehop.fleet import queries
from doublehop.leap import machines
from doublehop.leap.fields import id_of
from doublehop.organisations import actions as organisations
from doublehop.organisations.actor import Actor
from doublehop.organisations.queries import tandem_users_visible_to
from doublehop.organisations.refusals import NotHere


def users(actor: Actor) -> list[dict[str, object]]:
    """With the servers that this API knows; what the organisation permits on its own machines stays out."""
    known = set(machines.servers(actor).values_list("pk", flat=True))
    permitted = queries.servers_of_tandem_users(actor)
    return [
        {
            "id": str(row.pk),
            "email": row.user.email,
            "name": row.user.name,
            "pass": "",
            "servers": [str(pk) for pk in permitted.get(row.pk, ()) if pk in known],
        }
        for row in tandem_users_visible_to(actor)
    ]


def user_id_of(actor: Actor, given: object) -> int:
    user_id = id_of(given)
    if not user_id or not tandem_users_visible_to(actor).filter(pk=user_id).exists():
        raise NotHere("There is no such Tandem user.")
    return user_id


@transaction.atomic
def add(actor: Actor, *, name: str, email: str, password: str, server_ids: list[int] | None = None) -> int:
    row = organisations.add_tandem_user(actor, name=name, email=email, password=password)
    if server_ids:
        permit(actor, row.pk, server_ids)
    return row.pk


@transaction.atomic
def edit(
    actor: Actor, given: object, *, name: str, email: str, password: str, server_ids: list[int] | None
) -> None:
    """An empty password keeps the present one. ``server_ids`` None keeps the permissions, else exactly these remain."""
    user_id = user_id_of(actor, given)
    organisations.edit_tandem_user(actor, user_id, name=name, email=email, password=password)
    if server_ids is not None:
        permit(actor, user_id, server_ids)
        revoke(actor, user_id, _present(actor, user_id) - set(server_ids))


def delete(actor: Actor, given: object) -> None:
    fleet.end_tandem_user(actor, user_id_of(actor, given))


@transaction.atomic
def permit(actor: Actor, given: object, server_ids: Iterable[int]) -> None:
    """What is permitted already keeps its rights."""
    user_id = user_id_of(actor, given)
    wanted = {machines.server_id_of(actor, one) for one in server_ids}
    missing = wanted - _present(actor, user_id)
    if missing:
        fleet.permit_tandem(actor, user_id, missing)


def revoke(actor: Actor, given: object, server_ids: Iterable[int]) -> None:
    fleet.revoke_tandem(
        actor, user_id_of(actor, given), {machines.server_id_of(actor, one) for one in server_ids}
    )


def _present(actor: Actor, user_id: int) -> set[int]:
    rows = queries.tandem_permissions(actor, user_id).order_by().values("server_id")
    return set(machines.servers(actor).filter(pk__in=rows).values_list("pk", flat=True))
