"""An actor's deed as a line of the journal. The rooms above call this, in the transaction of the deed."""

from collections.abc import Iterable, Mapping
from typing import Any

from doublehop.journal import actions as journal
from doublehop.journal.models import Entry
from doublehop.organisations.actor import Actor


def write(
    actor: Actor,
    verb: str,
    target: tuple[str, int],
    *,
    target_label: str,
    result: str = "done",
    sentence: str = "",
    details: Mapping[str, Any] | None = None,
    server_id: int | None = None,
    service_id: int | None = None,
    client_id: int | None = None,
    also: Iterable[int] = (),
) -> Entry:
    """``also``: further organisations whose staff may read it, e.g. those a machine passed through."""
    own = [actor.organisation_id] if actor.organisation_id else []
    return journal.record(
        actor_kind=actor.kind.value,
        actor_id=actor.user_id,
        actor_label=actor.label,
        organisation_id=actor.organisation_id or None,
        organisation_label=actor.organisation_label,
        verb=verb,
        target_kind=target[0],
        target_id=target[1],
        target_label=target_label,
        result=result,
        sentence=sentence,
        details=details,
        server_id=server_id,
        service_id=service_id,
        client_id=client_id,
        audience=[*own, *also],
    )
