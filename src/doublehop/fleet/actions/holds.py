"""Holds: one organisation's suspension of a server, and what was done for it."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from doublehop.fleet.models import Hold, Server
from doublehop.fleet.permissions import Right, require
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import BadInput, WrongState

Effect = dict[str, object]
"""{"way": "port" | "upstream" | "power" | ..., "was": bool}: what was changed, and what stood there before.
Of a null route also "address"."""


def place_hold(
    actor: Actor, server: Server, *, organisation_id: int, cause: str, reason: str, client_text: str
) -> Hold:
    """Within the caller's transaction. ``reason`` is kept for staff, ``client_text`` is what the client reads."""
    require(actor, Right.SUSPEND, server)
    if not reason.strip():
        raise BadInput("A reason is needed: it stands in the journal with your name.", field="reason")
    try:
        with transaction.atomic():
            return Hold.objects.create(
                server=server,
                organisation_id=organisation_id,
                cause=cause,
                reason=reason.strip()[:300],
                client_text=(client_text.strip() or "This service is suspended. Its data is untouched.")[
                    :600
                ],
                set_by=actor.label,
            )
    except IntegrityError as error:
        raise WrongState(f"{server.label} is suspended already.", code="already_suspended") from error


def lift_hold_row(hold_id: int) -> None:
    """Lifts one hold, within the caller's transaction. If another remains, what was done now belongs to that one."""
    hold = Hold.objects.select_for_update().get(pk=hold_id)
    if hold.lifted_at is not None:
        return
    heir = (
        Hold.objects.filter(server=hold.server_id, lifted_at__isnull=True)
        .exclude(pk=hold.pk)
        .order_by("since")
        .first()
    )
    if heir is not None:
        heir.effects, hold.effects = [*heir.effects, *hold.effects], []
        heir.save(update_fields=["effects"])
    hold.lifted_at = timezone.now()
    hold.save(update_fields=["lifted_at", "effects"])


def record_effects(hold_id: int, effects: list[Effect]) -> None:
    """Adds to what the hold may have taken over from one that was lifted before. Within the caller's transaction."""
    hold = Hold.objects.select_for_update().get(pk=hold_id)
    hold.effects = [*hold.effects, *effects]
    hold.save(update_fields=["effects"])
