"""What attach recorded of a machine beside what it shows now, for the staff of its owner."""

from dataclasses import dataclass

from doublehop.fleet import identity
from doublehop.fleet.models import Server
from doublehop.fleet.queries import owns
from doublehop.organisations.actor import Actor


@dataclass(frozen=True)
class IdentityLine:
    """One identifier, as attach recorded it and as it was last read; empty where it was not shown."""

    kind: str
    recorded: str
    seen: str
    strong: bool


@dataclass(frozen=True)
class Identities:
    """Both identities side by side. ``mark`` names what was seen, for the form that decides about it."""

    lines: tuple[IdentityLine, ...]
    mark: str
    sentence: str


def identities_of(actor: Actor, row: Server) -> Identities | None:
    """For the staff of the machine's owner; None while it is not attached."""
    if not owns(actor, row) or row.recorded_identity is None:
        return None
    seen = identity.record(row.external_id, row.primary_address, identity.stored(row.identifiers))
    before, now = _by_kind(row.recorded_identity), _by_kind(seen)
    kinds = dict.fromkeys([*before, *now])
    lines = tuple(
        IdentityLine(
            kind=kind,
            recorded=", ".join(before.get(kind, {})),
            seen=", ".join(now.get(kind, {})),
            strong="strong" in {**before.get(kind, {}), **now.get(kind, {})}.values(),
        )
        for kind in kinds
    )
    verdict = identity.compare(
        row.recorded_identity, row.external_id, row.primary_address, identity.stored(row.identifiers)
    )
    return Identities(lines, identity.mark_of(seen), "" if verdict.same else verdict.sentence)


def _by_kind(recorded: identity.Recorded) -> dict[str, dict[str, str]]:
    """Values with their proof by kind; external id and main address count as kinds of their own."""
    found: dict[str, dict[str, str]] = {
        "external id": {str(recorded["external_id"]): "weak"},
        "main address": {str(recorded["primary_address"]): "weak"},
    }
    rows: list[list[str]] = recorded["identifiers"]  # type: ignore[assignment]
    for kind, value, proof in rows:
        found.setdefault(kind, {})[value] = proof
    return found
