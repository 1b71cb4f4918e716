"""Writing the journal: plain values, nobody known."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction

from doublehop.journal.models import Audience, Entry


@transaction.atomic
def record(
    *,
    actor_kind: str,
    actor_id: int | None,
    actor_label: str,
    organisation_id: int | None,
    organisation_label: str,
    verb: str,
    target_kind: str,
    target_id: int | None,
    target_label: str,
    result: str = "done",
    sentence: str = "",
    details: Mapping[str, Any] | None = None,
    server_id: int | None = None,
    service_id: int | None = None,
    client_id: int | None = None,
    audience: Iterable[int],
) -> Entry:
    """One line, within the caller's transaction. ``audience`` are the organisations whose staff may read it."""
    entry = Entry.objects.create(
        actor_kind=actor_kind,
        actor_id=actor_id,
        actor_label=actor_label[:200],
        organisation_id=organisation_id,
        organisation_label=organisation_label[:200],
        verb=verb,
        target_kind=target_kind,
        target_id=target_id,
        target_label=target_label[:300],
        result=result,
        sentence=sentence[:600],
        details=dict(details or {}),
        server_id=server_id,
        service_id=service_id,
        client_id=client_id,
    )
    Audience.objects.bulk_create(
        Audience(entry_id=entry.pk, organisation_id=i) for i in sorted(set(audience))
    )
    return entry
