"""Whether this installation waits for a person after its database was restored: the gate before everything that leaves it.

In quarantine everything is read and nothing is sent: no instruction to a machine, no mail, nothing that acts by the clock.
Otherwise a restored copy would do again what was done since it was taken.
"""

from doublehop.organisations.actor import Actor, Role
from doublehop.organisations.models import Installation, Organisation

AWAITS_CONFIRMATION = "the database is a restored copy, and nothing is sent until an owner has confirmed it"
WHY_IN_WORDS: dict[str, str] = {
    Installation.Why.RESTORED: "The database was restored from a copy.",
    Installation.Why.BEHIND: (
        "The database is older than what was done here before: an old copy was put back,"
        " or the database has lost its newest changes."
    ),
    Installation.Why.OTHER: "The database belongs to another installation than the one that worked here before.",
    Installation.Why.UNREADABLE: (
        "The worker’s note of how far it had come cannot be read, so nobody can tell"
        " whether the database is an old copy."
    ),
}


def in_quarantine() -> bool:
    """Asked before anything leaves this installation."""
    return Installation.objects.filter(restored_at__isnull=False, confirmed_at__isnull=True).exists()


def name_of_installation() -> str:
    """Its name among all there are. A restored copy has the same."""
    row = Installation.objects.only("uuid").first()
    return str(row.uuid) if row is not None else ""


def quarantine_for(actor: Actor) -> Installation | None:
    """What staff of the root organisation are told on every page; None when nothing waits, and for everybody else."""
    row = Installation.objects.filter(restored_at__isnull=False, confirmed_at__isnull=True).first()
    return row if row is not None and (actor.is_system or _is_of_the_root(actor)) else None


def may_confirm(actor: Actor) -> bool:
    return actor.is_system or (actor.role is Role.OWNER and _is_of_the_root(actor))


def _is_of_the_root(actor: Actor) -> bool:
    return actor.is_staff and Organisation.objects.filter(pk=actor.organisation_id, parent=None).exists()
