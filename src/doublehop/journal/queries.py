"""Reading the journal. It knows nobody: callers say which organisation or client reads."""

from django.db.models import QuerySet

from doublehop.journal.models import Audience, Entry

MOST_AT_ONCE = 200


def entries_for_organisation(
    organisation_id: int,
    *,
    target_kind: str | None = None,
    target_id: int | None = None,
    server_id: int | None = None,
    service_id: int | None = None,
    client_id: int | None = None,
    text: str = "",
    before_id: int | None = None,
    after_id: int | None = None,
    limit: int = 50,
) -> list[Entry]:
    """Newest first. ``before_id`` and ``after_id`` page by key."""
    theirs = Audience.objects.filter(organisation_id=organisation_id).values("entry_id")
    rows = Entry.objects.filter(pk__in=theirs)
    wanted = {
        "target_kind": target_kind,
        "target_id": target_id,
        "server_id": server_id,
        "service_id": service_id,
        "client_id": client_id,
    }
    rows = rows.filter(**{name: value for name, value in wanted.items() if value is not None})
    if text:
        rows = rows.filter(target_label__icontains=text) | rows.filter(actor_label__icontains=text)
    return _page(rows, before_id, after_id, limit)


def entries_for_client(client_id: int, *, before_id: int | None = None, limit: int = 50) -> list[Entry]:
    return _page(Entry.objects.filter(client_id=client_id), before_id, None, limit)


def _page(rows: QuerySet[Entry], before_id: int | None, after_id: int | None, limit: int) -> list[Entry]:
    limit = min(limit, MOST_AT_ONCE)
    if after_id is not None:
        return list(reversed(rows.filter(pk__gt=after_id).order_by("pk")[:limit]))
    if before_id is not None:
        rows = rows.filter(pk__lt=before_id)
    return list(rows.order_by("-pk")[:limit])
