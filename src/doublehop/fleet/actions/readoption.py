"""*Re-adopt*: staff say that changed hardware is the same machine to us (a new mainboard). A hostname is never proof."""

from doublehop.driver_kit import registry
from doublehop.driver_kit.contract import Proof
from doublehop.fleet import identity
from doublehop.fleet.actions.servers import locked_own
from doublehop.fleet.models import Server
from doublehop.fleet.queries import chain_of
from doublehop.organisations import record, texts
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import BadInput, WrongState


def readopt(actor: Actor, server_id: int, *, seen: str, label: str, reason: str) -> Server:
    """Within the caller's transaction. Records the machine as it was last read, in place of what attach recorded.

    ``seen`` is the mark of the identity that the person looked at, ``label`` what they typed. Raises a Refusal.
    """
    row = locked_own(actor, server_id)
    reason = texts.remark(reason, field="reason")
    if row.recorded_identity is None:
        raise WrongState(
            f"{row.label} is not attached: there is nothing to compare it with.", code="not_attached"
        )
    now_seen = identity.record(row.external_id, row.primary_address, identity.stored(row.identifiers))
    if identity.mark_of(now_seen) != seen:
        raise WrongState(
            "It was read anew meanwhile, and shows itself otherwise. Look again.", code="read_anew"
        )
    verdict = identity.compare(
        row.recorded_identity, row.external_id, row.primary_address, identity.stored(row.identifiers)
    )
    if verdict.same:
        raise WrongState(
            f"{row.label} is the machine that was attached. Nothing is to be done.", code="unchanged"
        )
    provable = any(proof is Proof.STRONG for _, proof in registry.load(row.upstream.driver).proves)
    if provable and not any(proof == Proof.STRONG for _, _, proof in row.identifiers):
        raise WrongState(f"{row.label} shows nothing that proves it. Refresh it first.", code="not_read")
    if label.strip() != row.label:
        raise BadInput(f"Type {row.label} to go on.", field="label")
    if not reason:
        raise BadInput("What was changed, and how do you know? It stands in the journal.", field="reason")
    was, row.recorded_identity, row.identity_changed_at = row.recorded_identity, now_seen, None
    row.save(update_fields=["recorded_identity", "identity_changed_at"])
    record.write(
        actor,
        "server.readopted",
        ("server", row.pk),
        target_label=row.label,
        sentence=f"{reason[:200]} ({verdict.sentence})"[:300],
        details={"was": was, "is": now_seen},
        server_id=row.pk,
        also=chain_of(row),
    )
    return row
