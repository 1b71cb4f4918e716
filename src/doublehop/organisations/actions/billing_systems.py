"""What belongs to one billing system is not bound, suspended or ended by another."""

from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import OtherBilling


def other_billing(actor: Actor, billed_by: str, what: str) -> OtherBilling | None:
    """None when it belongs to nobody's billing system, or to the actor's, or when the actor has none."""
    if actor.billing_system and billed_by and billed_by != actor.billing_system:
        return OtherBilling(f"{what} is billed by {billed_by}, not by {actor.billing_system}.")
    return None


def refuse_other_billing(actor: Actor, billed_by: str, what: str) -> None:
    if refusal := other_billing(actor, billed_by, what):
        raise refusal
