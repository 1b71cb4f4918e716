"""Servers: own machines, questions to them, and which machine is which."""

from collections.abc import Mapping
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.text import slugify

from doublehop.driver_kit import registry
from doublehop.driver_kit.contract import Login, Proof
from doublehop.fleet import identity
from doublehop.fleet.actions.upstreams import (
    ask_sync,
    lane_of,
    lane_of_lists,
    locked_upstream,
    parse_or_refuse,
    require_set_up,
    split_secrets,
)
from doublehop.fleet.models import IdentifierRow, Server
from doublehop.fleet.permissions import Right, called, require, visible_to
from doublehop.fleet.queries import server as visible_server
from doublehop.fleet.queries import why_withheld
from doublehop.jobs.actions import ring
from doublehop.organisations import record, vault
from doublehop.organisations.actor import Actor
from doublehop.organisations.once import once
from doublehop.organisations.refusals import BadInput, NotHere, NotOffered, WrongState

WATCH_SECONDS = 30


def _seen(actor: Actor, server_id: int) -> Server:
    row = visible_to(actor).filter(pk=server_id).first()
    if row is None:
        raise NotHere
    return row


def locked_own(actor: Actor, server_id: int) -> Server:
    """A server through one of the actor's own upstreams, locked."""
    organisation_id = require_set_up(actor)
    rows = Server.objects.select_for_update(of=("self",)).select_related("upstream")
    row = rows.filter(pk=server_id, upstream__organisation_id=organisation_id).first()
    if row is None:
        raise NotHere
    return row


@once("server.add", again=visible_server)
@transaction.atomic
def add_server(actor: Actor, upstream_id: int, values: Mapping[str, str], *, key: str = "") -> Server:
    """Records an own machine: the fields that the upstream's kind declares for servers, as raw form texts."""
    upstream = locked_upstream(actor, upstream_id)
    fields = registry.load(upstream.driver).server_settings
    if not fields:
        raise NotOffered("The servers of this upstream are listed by it; they cannot be added by hand.")
    plain, secrets = split_secrets(parse_or_refuse(fields, values, {}))
    label = str(plain["label"])
    row = Server(upstream=upstream, external_id=slugify(label)[:120], label=label, settings=plain)
    if Server.objects.filter(upstream=upstream, external_id=row.external_id).exists():
        raise BadInput(f"A machine named {label} is recorded already.", field="label")
    row.sealed_secrets = vault.seal(secrets, row="server")
    row.save()
    record.write(actor, "server.added", ("server", row.pk), target_label=row.label, server_id=row.pk)
    ask_sync(actor, upstream.pk)
    return row


@transaction.atomic
def update_server(actor: Actor, server_id: int, values: Mapping[str, str]) -> Server:
    row = locked_own(actor, server_id)
    fields = registry.load(row.upstream.driver).server_settings
    if not fields:
        raise NotOffered("The servers of this upstream are described by it; they cannot be changed here.")
    kept = vault.unseal(row.sealed_secrets, row="server")
    plain, secrets = split_secrets(parse_or_refuse(fields, values, kept))
    row.settings, row.label = plain, str(plain["label"])
    row.sealed_secrets = vault.seal(secrets, row="server")
    row.save()
    record.write(actor, "server.changed", ("server", row.pk), target_label=row.label, server_id=row.pk)
    ask_sync(actor, row.upstream_id)
    return row


@transaction.atomic
def ask_refresh(actor: Actor, server_id: int) -> None:
    """Reads state, health, username, addresses and port of one server soon. Any who may see it may ask."""
    row = _seen(actor, server_id)
    Server.objects.filter(pk=row.pk).update(refresh_asked_at=timezone.now())
    ring_refresh(row, full=True)


def ring_refresh(row: Server, *, full: bool, somebody_waits: bool = True) -> None:
    ring(
        "fleet.refresh",
        key=f"refresh:{row.pk}:{'full' if full else 'state'}",
        payload={"server_id": row.pk, "full": full},
        lane=lane_of(row.upstream_id) if somebody_waits else lane_of_lists(row.upstream_id),
        urgent=somebody_waits,
    )


@transaction.atomic
def watch(actor: Actor, server_id: int) -> None:
    """Somebody has the page open: its state is read every few seconds for a while. Not worth a journal line."""
    row = _seen(actor, server_id)
    now = timezone.now()
    if row.watched_until is None or row.watched_until < now + timedelta(seconds=WATCH_SECONDS / 2):
        Server.objects.filter(pk=row.pk).update(watched_until=now + timedelta(seconds=WATCH_SECONDS))


@transaction.atomic
def protect(actor: Actor, server_id: int) -> None:
    """Nothing that takes the server away is accepted until the protection is lifted in a step of its own."""
    _set_protected(actor, server_id, True)


@transaction.atomic
def unprotect(actor: Actor, server_id: int) -> None:
    _set_protected(actor, server_id, False)


def _set_protected(actor: Actor, server_id: int, protected: bool) -> None:
    row = locked_own(actor, server_id)
    row.protected = protected
    row.save(update_fields=["protected"])
    verb = "server.protected" if protected else "server.unprotected"
    record.write(actor, verb, ("server", row.pk), target_label=row.label, server_id=row.pk)


@transaction.atomic
def link_same_machine(actor: Actor, server_id: int, other_id: int) -> None:
    """Staff say that two rows are one machine seen through two upstreams: only one of them may be attached."""
    row, other = locked_own(actor, server_id), locked_own(actor, other_id)
    if row.pk == other.pk or row.upstream_id == other.upstream_id:
        raise WrongState("Only servers of two different upstreams can be the same machine.")
    if row.same_machine_as_id not in (None, other.pk):
        raise WrongState(f"{row.label} is linked with another server already. Unlink it first.")
    here, there = [row, *_same_machine(row)], [other, *_same_machine(other)]
    if any(one.recorded_identity for one in here) and any(
        one.recorded_identity for one in there if one not in here
    ):
        raise WrongState("Both are attached. Detach one of them first.")
    row.same_machine_as = other
    row.save(update_fields=["same_machine_as"])
    sentence = f"the same machine as {other.label}"
    record.write(
        actor,
        "server.linked",
        ("server", row.pk),
        target_label=row.label,
        sentence=sentence,
        server_id=row.pk,
    )


@transaction.atomic
def unlink_same_machine(actor: Actor, server_id: int) -> None:
    row = locked_own(actor, server_id)
    row.same_machine_as = None
    row.save(update_fields=["same_machine_as"])
    Server.objects.filter(same_machine_as=row).update(same_machine_as=None)
    record.write(actor, "server.unlinked", ("server", row.pk), target_label=row.label, server_id=row.pk)


def _same_machine(row: Server) -> list[Server]:
    """Every other row that is linked with this one, over whichever others, locked."""
    found: dict[int, Server] = {}
    looked_at, to_look_at = set[int](), {row.pk}
    while to_look_at:
        linked = Q(pk__in=to_look_at) | Q(same_machine_as__in=to_look_at)
        looked_at |= to_look_at
        for one in Server.objects.select_for_update(of=("self",)).filter(linked).order_by("pk"):
            found[one.pk] = one
        pointed_at = {one.same_machine_as_id for one in found.values() if one.same_machine_as_id is not None}
        to_look_at = (found.keys() | pointed_at) - looked_at
    return [one for pk, one in found.items() if pk != row.pk]


def record_identity(actor: Actor, server_id: int) -> Server:
    """At attach, within its transaction: remembers who the machine is. Refuses what is attached or was never read."""
    row = Server.objects.select_for_update(of=("self",)).select_related("upstream").get(pk=server_id)
    require(actor, Right.VIEW, row)
    if row.recorded_identity is not None:
        raise WrongState(f"{row.label} is attached already.", code="already_attached")
    if any(twin.recorded_identity is not None for twin in _same_machine(row)):
        raise WrongState(
            f"{row.label} is the same machine as one that is attached already.", code="already_attached"
        )
    if row.missing_since is not None:
        raise WrongState(f"{row.label} is not listed any more.", code="missing")
    if row.withheld_since is not None:
        raise WrongState(why_withheld(row), code="withheld")
    provable = any(proof is Proof.STRONG for _, proof in registry.load(row.upstream.driver).proves)
    if provable and not any(proof == Proof.STRONG for _, _, proof in row.identifiers):
        raise WrongState(f"{row.label} has not been read yet. Refresh it, then attach it.", code="not_read")
    seen = identity.stored(row.identifiers)
    double = next(
        (
            other
            for other in _sharing_one(row)
            if not identity.tells_apart(seen, identity.stored(other.identifiers))
        ),
        None,
    )
    if double is not None:
        other = double.label if visible_to(actor).filter(pk=double.pk).exists() else "another machine"
        raise WrongState(
            f"{row.label} shows no serial or MAC that {other} does not show too: nobody could tell them apart.",
            code="not_unique",
        )
    row.recorded_identity = identity.record(row.external_id, row.primary_address, seen)
    row.save(update_fields=["recorded_identity"])
    return row


def _sharing_one(row: Server) -> QuerySet[Server]:
    """Other servers of the same upstream that show one of its identifiers too. One that is gone is confused with nobody."""
    mine = IdentifierRow.objects.filter(server=row)
    shared = IdentifierRow.objects.filter(
        Exists(mine.filter(kind=OuterRef("kind"), value=OuterRef("value"))),
        server__upstream_id=row.upstream_id,
        server__missing_since__isnull=True,
    )
    return Server.objects.filter(pk__in=shared.values("server_id")).exclude(pk=row.pk)


@transaction.atomic
def reveal_login(actor: Actor, server_id: int) -> Login:
    """The machine's own username and password as last read from its upstream, and a line in the journal.

    Raises NotOffered where the upstream hands no password out.
    """
    row = _seen(actor, server_id)
    require(actor, Right.CREDENTIALS, row)
    password = vault.unseal(row.sealed_login, row="login").get("password")
    if password is None:
        raise NotOffered(f"No password of {called(actor, row)} is known here.")
    record.write(actor, "server.password_shown", ("server", row.pk), target_label=row.label, server_id=row.pk)
    return Login(row.username, password)


def forget_identity(server_id: int) -> None:
    """At detach, within its transaction."""
    Server.objects.filter(pk=server_id).update(recorded_identity=None, identity_changed_at=None)
