"""Is this still the machine that was attached? A hostname is never proof."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from doublehop.driver_kit.contract import Identifier, Proof

Recorded = dict[str, object]
"""{"external_id": str, "primary_address": str, "identifiers": [[kind, value, proof], ...]}"""


@dataclass(frozen=True)
class Verdict:
    """``same`` only when proven. ``sentence`` is for staff: what was recorded and what was seen."""

    same: bool
    weak: bool
    sentence: str


def record(external_id: str, primary_address: str, seen: Sequence[Identifier]) -> Recorded:
    return {
        "external_id": external_id,
        "primary_address": primary_address,
        "identifiers": [[i.kind, i.value, i.proof.value] for i in sorted(seen)],
    }


def stored(rows: Sequence[Sequence[str]]) -> list[Identifier]:
    """Identifiers out of [kind, value, proof] each, as they are kept."""
    return [Identifier(kind, value, Proof(proof)) for kind, value, proof in rows]


def mark_of(recorded: Recorded) -> str:
    """Tells two records apart in a form: what a person looked at is what they decide about."""
    return hashlib.sha256(json.dumps(recorded, sort_keys=True).encode()).hexdigest()[:16]


def tells_apart(mine: Sequence[Identifier], other: Sequence[Identifier]) -> bool:
    """Whether ``mine`` shows something strong that ``other`` does not, or neither shows anything strong.

    Some makers give all their machines one serial: whoever records nothing else would later find it in each of them.
    """
    strong = {(i.kind, i.value) for i in mine if i.proof is Proof.STRONG}
    return not strong or not strong <= {(i.kind, i.value) for i in other}


def compare(
    recorded: Recorded, external_id: str, primary_address: str, seen: Sequence[Identifier]
) -> Verdict:
    """All strong identifiers recorded at attach must be seen again; without strong ones, the weak ones, external id and
    main address. What the machine does not show now of its weak ones is compared as it was last read."""
    if recorded["external_id"] != external_id:
        return Verdict(False, False, f"attached as {recorded['external_id']}, now listed as {external_id}")
    seen_pairs = {(i.kind, i.value) for i in seen}
    rows: list[list[str]] = recorded["identifiers"]  # type: ignore[assignment]
    strong = [(kind, value) for kind, value, proof in rows if proof == Proof.STRONG]
    if strong:
        missing = [f"{kind} {value}" for kind, value in strong if (kind, value) not in seen_pairs]
        if missing:
            found = ", ".join(f"{i.kind} {i.value}" for i in sorted(seen)) or "nothing"
            return Verdict(False, False, f"recorded {', '.join(missing)}; the machine now shows {found}")
        return Verdict(True, False, "matches " + ", ".join(f"{kind} {value}" for kind, value in strong))
    recorded_pairs = {(kind, value) for kind, value, _ in rows}
    strangers = [i for i in seen if i.proof is Proof.STRONG and (i.kind, i.value) not in recorded_pairs]
    if strangers:
        # Attached as one that can show nothing strong: whoever shows something strong now is another.
        found = ", ".join(f"{i.kind} {i.value}" for i in strangers)
        return Verdict(False, True, f"recorded nothing strong; the machine now shows {found}")
    shown_now = {i.kind: i.value for i in seen}
    changed = [
        f"{kind} was {value}, is {shown_now[kind]}"
        for kind, value, _ in rows
        if shown_now.get(kind, value) != value
    ]
    if changed:
        return Verdict(False, True, "; ".join(changed))
    if recorded["primary_address"] != primary_address:
        return Verdict(
            False,
            True,
            f"main address was {recorded['primary_address'] or 'none'}, is {primary_address or 'none'}",
        )
    return Verdict(True, True, f"only external id {external_id} and main address could be compared")
