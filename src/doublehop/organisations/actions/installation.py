"""Writes about the installation itself: into quarantine, and out of it. What that means for operations: services."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from doublehop.organisations import record
from doublehop.organisations.actor import SYSTEM, Actor
from doublehop.organisations.installation import WHY_IN_WORDS, may_confirm
from doublehop.organisations.models import Installation, Organisation
from doublehop.organisations.refusals import NotAllowed, WrongState

_THE_ONE = 1


def this_installation() -> Installation:
    """The row, made when it is first asked for."""
    return Installation.objects.get_or_create(pk=_THE_ONE)[0]


@transaction.atomic
def enter_quarantine(why: Installation.Why, *, copy_taken_at: datetime | None) -> Installation:
    """From now on nothing is sent. One that is in quarantine already keeps its first reason and time."""
    this_installation()
    row = Installation.objects.select_for_update().get(pk=_THE_ONE)
    if row.restored_at is not None and row.confirmed_at is None:
        return row
    row.why, row.restored_at, row.copy_taken_at = why, timezone.now(), copy_taken_at
    row.confirmed_at, row.confirmed_by = None, ""
    row.restores += 1
    row.save()
    _write_line(SYSTEM, "installation.quarantined", row, WHY_IN_WORDS[why])
    return row


@transaction.atomic
def leave_quarantine(actor: Actor, *, sentence: str) -> Installation:
    """A person has looked. ``sentence`` says in the journal what was decided about what waited."""
    if not may_confirm(actor):
        raise NotAllowed(
            "Only an owner of the organisation that runs this installation confirms a restored copy."
        )
    row = (
        Installation.objects.select_for_update().filter(restored_at__isnull=False, confirmed_at=None).first()
    )
    if row is None:
        raise WrongState(
            "Nothing waits to be confirmed: this is no restored copy, or somebody has confirmed it."
        )
    row.confirmed_at, row.confirmed_by = timezone.now(), actor.label[:200]
    row.save()
    _write_line(actor, "installation.confirmed", row, sentence)
    return row


def _write_line(actor: Actor, verb: str, row: Installation, sentence: str) -> None:
    record.write(
        actor,
        verb,
        ("installation", row.pk),
        target_label="this installation",
        sentence=sentence,
        details={"copy_taken_at": row.copy_taken_at.isoformat() if row.copy_taken_at else ""},
        also=Organisation.objects.filter(parent=None).values_list("pk", flat=True),
    )
