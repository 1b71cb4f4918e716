"""Reading the journal. It knows nobody: callers say which organisation or client reads."""

from datetime import datetime, timedelta
from typing import TypeVar

from django.db import connection
from django.db.models import Exists, Model, OuterRef, Q, QuerySet

from doublehop.journal.models import Audience, Entry

MOST_AT_ONCE = 200
LONGEST_SEARCH = 120
_OF_ONE_HOUSE = ("service", "client")
CLOCKS_DIFFER = timedelta(seconds=10)
"""At most by so much, those of the database and of the processes that write lines."""
_OLDEST_WRITER = """
    SELECT min(activity.xact_start) FROM pg_locks AS held JOIN pg_stat_activity AS activity USING (pid)
    WHERE held.relation = %s::regclass AND held.mode = 'RowExclusiveLock' AND held.granted
    AND activity.datname = current_database() AND pid <> pg_backend_pid()
"""
Row = TypeVar("Row", bound=Model)


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
    """Newest first. ``before_id`` and ``after_id`` page by key; with ``after_id`` those next to it."""
    wanted = {
        "target_kind": target_kind,
        "target_id": target_id,
        "server_id": server_id,
        "service_id": service_id,
        "client_id": client_id,
    }
    wanted = {name: value for name, value in wanted.items() if value is not None}
    theirs = Audience.objects.filter(organisation_id=organisation_id)
    text = "".join(sign for sign in text[:LONGEST_SEARCH] if sign.isprintable())
    if not wanted and not text:
        # Their newest lines by the key of the audience: as quick in a journal of millions that are others'.
        ids = [row.entry_id for row in _page(theirs, "entry_id", before_id, after_id, limit)]
        return list(Entry.objects.filter(pk__in=ids).order_by("-pk"))
    rows = Entry.objects.filter(Exists(theirs.filter(entry_id=OuterRef("pk"))), **wanted)
    if text:
        # Only in what they read: else names of another house could be found out letter by letter.
        own = Q(organisation_id=organisation_id) | Q(organisation_id=None)
        named = Q(target_label__icontains=text) & (own | ~Q(target_kind__in=_OF_ONE_HOUSE))
        rows = rows.filter(named | Q(actor_label__icontains=text) & own)
    return _page(rows, "pk", before_id, after_id, limit)


def entries_for_client(client_id: int, *, before_id: int | None = None, limit: int = 50) -> list[Entry]:
    """All that was done for a client, whoever did it: for the client's own eyes, names from beyond its brand must go."""
    return _page(Entry.objects.filter(client_id=client_id), "pk", before_id, None, limit)


def lines_after(
    entry_id: int, *, organisation_id: int | None = None, client_id: int | None = None
) -> QuerySet[Entry]:
    """Lines with a greater id: those that staff of the organisation may read, or those about the client."""
    rows = Entry.objects.filter(pk__gt=entry_id)
    if client_id is not None:
        return rows.filter(client_id=client_id)
    theirs = Audience.objects.filter(organisation_id=organisation_id or 0, entry_id=OuterRef("pk"))
    return rows.filter(Exists(theirs))


def newest_id() -> int:
    return Entry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def first_unsettled_id() -> int | None:
    """Lines with a smaller id are all there: a reader who follows by id misses none. None: so are all others.

    On PostgreSQL a line has its id at once and is seen at the end of its transaction. Whoever writes one locks the table for
    rows before the id is given, and until that end.
    """
    if connection.vendor != "postgresql":
        return None  # SQLite: one writer at a time
    # In this order: what is written after the first question is not asked for, however soon it is seen.
    newest = newest_id()
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST_WRITER, [Entry._meta.db_table])
        (since,) = cursor.fetchone()
    return 1 + (newest if since is None else min(newest, newest_id_before(since - CLOCKS_DIFFER)))


def newest_id_before(moment: datetime) -> int:
    """The id of the newest line that was written before ``moment``."""
    return Entry.objects.filter(at__lt=moment).order_by("-at").values_list("pk", flat=True).first() or 0


def _page(
    rows: QuerySet[Row], key: str, before_id: int | None, after_id: int | None, limit: int
) -> list[Row]:
    limit = min(limit, MOST_AT_ONCE)
    if before_id is not None:
        rows = rows.filter(**{f"{key}__lt": before_id})
    if after_id is not None:
        return list(reversed(rows.filter(**{f"{key}__gt": after_id}).order_by(key)[:limit]))
    return list(rows.order_by(f"-{key}")[:limit])
