"""What a database holds, asked in plain SQL: a copy may be of another release than this program's models."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from doublehop.cli.copy_file import Facts

Ask = Callable[[str], Sequence[Sequence[Any]]]
MAIN_TABLES = {
    "organisations_organisation": "organisations",
    "organisations_user": "users",
    "organisations_client": "clients",
    "fleet_upstream": "upstreams",
    "fleet_server": "servers",
    "services_service": "services",
    "services_operation": "operations",
    "notices_mail": "mails",
    "bandwidth_block": "bandwidth blocks",
    "journal_entry": "journal lines",
}
"""Tables that are counted, with the word for people."""


def facts_of(ask: Ask, tables: Iterable[str]) -> Facts:
    """``ask`` runs one statement and answers with its rows; ``tables`` are those that are there."""
    there = set(tables)
    counts = {
        table: int(ask(f"SELECT count(*) FROM {table}")[0][0])  # noqa: S608 (names from above)
        for table in MAIN_TABLES
        if table in there
    }
    newest = ask("SELECT max(id) FROM journal_entry")[0][0] if "journal_entry" in there else None
    applied = (
        ask("SELECT app, name FROM django_migrations ORDER BY id") if "django_migrations" in there else []
    )
    rows = ask("SELECT uuid FROM organisations_installation") if "organisations_installation" in there else []
    return Facts(
        installation=str(rows[0][0]).replace("-", "") if rows else "",
        counts=counts,
        newest_journal_entry=int(newest or 0),
        migrations=[f"{app}.{name}" for app, name in applied],
    )


def holds_data(facts: Facts) -> bool:
    """Somebody works with it: `doublehop init` has made an organisation."""
    return bool(facts.counts.get("organisations_organisation"))
