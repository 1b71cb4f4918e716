"""What is shown of servers, services and so on: columns of lists, facts of one. Missing fields are dashes, never an end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import Any

from doublehop_remote.tables import NOTHING, Column, moment, octets

Row = dict[str, Any]
STATE_WORDS = {"unknown": "unknown: staff decide", "held": "held: waits for approval"}


def number(prefix: str, value: Any) -> str:
    return NOTHING if value is None or value == "" else f"{prefix}-{value}"


def power(row: Row, zone: tzinfo) -> str:
    """With the time of its reading: what was read yesterday is not what is."""
    state = row.get("power_state") or ""
    read = row.get("power_read_at")
    return (f"{state} ({moment(read, zone)})" if read else str(state)) or NOTHING


def money(row: Row, name: str = "price") -> str:
    value = row.get(name)
    return NOTHING if value is None else f"{value} {row.get('currency') or ''}".strip()


def state_of(row: Row) -> str:
    state = str(row.get("state") or "")
    return STATE_WORDS.get(state, state)


def columns_of(kind: str, zone: tzinfo) -> Sequence[Column]:
    if kind == "servers":
        return (
            Column("ID", lambda row: str(row.get("id")), right=True),
            Column("LABEL", lambda row: str(row.get("label") or ""), cut=True),
            Column("HOSTNAME", lambda row: str(row.get("hostname") or "")),
            Column("ADDRESS", lambda row: str(row.get("primary_address") or "")),
            Column("STATUS", lambda row: str(row.get("status") or "")),
            Column("SERVICE", lambda row: number("S", row.get("service_number"))),
            Column("SITE", lambda row: str(row.get("site") or ""), cut=True),
            Column("POWER", lambda row: power(row, zone)),
        )
    if kind == "services":
        return (
            Column("SERVICE", lambda row: number("S", row.get("number"))),
            Column("STATUS", lambda row: str(row.get("status") or "")),
            Column("HOSTNAME", lambda row: str(row.get("hostname") or "")),
            Column("ADDRESS", lambda row: str(row.get("primary_address") or "")),
            Column("PRODUCT", lambda row: str(row.get("product") or ""), cut=True),
            Column("CLIENT", lambda row: number("C", row.get("client_number"))),
            Column("POWER", lambda row: str(row.get("power_state") or "")),
            Column("DUE", lambda row: str(row.get("next_due_on") or "")),
        )
    if kind == "clients":
        return (
            Column("CLIENT", lambda row: number("C", row.get("number"))),
            Column("NAME", lambda row: str(row.get("name") or ""), cut=True),
            Column("E-MAIL", lambda row: str(row.get("email") or ""), cut=True),
            Column("REFERENCE", lambda row: str(row.get("billing_reference") or ""), cut=True),
        )
    return _of_the_rest(kind, zone)


def _of_the_rest(kind: str, zone: tzinfo) -> Sequence[Column]:
    if kind == "products":
        return (
            Column("ID", lambda row: str(row.get("id")), right=True),
            Column("NAME", lambda row: str(row.get("name") or ""), cut=True),
            Column("PRICE", money, right=True),
            Column("CYCLE", lambda row: str(row.get("cycle") or "")),
            Column("HIDDEN", lambda row: "yes" if row.get("hidden") else ""),
        )
    if kind == "operations":
        return (
            Column("REFERENCE", lambda row: str(row.get("reference"))),
            Column("STATE", lambda row: str(row.get("state") or "")),
            Column("WHAT", lambda row: str(row.get("name") or row.get("kind") or "")),
            Column("SERVICE ID", lambda row: str(row.get("service_id") or ""), right=True),
            Column("SERVER ID", lambda row: str(row.get("server_id") or ""), right=True),
            Column("ASKED", lambda row: moment(row.get("asked_at"), zone)),
            Column("NOTE", lambda row: str(row.get("sentence") or ""), cut=True),
        )
    if kind == "orders":
        return (
            Column("ORDER", lambda row: str(row.get("number") or "")),
            Column("STATE", lambda row: str(row.get("state") or "")),
            Column(
                "WHAT",
                lambda row: str(row.get("offer_name") or row.get("offer") or row.get("kind") or ""),
                cut=True,
            ),
            Column("HOSTNAME", lambda row: str(row.get("hostname") or "")),
            Column("PRICE", money, right=True),
            Column("ASKED", lambda row: moment(row.get("asked_at"), zone)),
            Column("SERVER ID", lambda row: str(row.get("server_id") or ""), right=True),
        )
    return (
        Column("STATEMENT", lambda row: str(row.get("number") or "")),
        Column("SERVICE ID", lambda row: str(row.get("service_id") or "pool"), right=True),
        Column("PERIOD", lambda row: str(row.get("label") or "")),
        Column("FROM", lambda row: moment(row.get("start"), zone)),
        Column("TO", lambda row: moment(row.get("end"), zone)),
        Column("USED", lambda row: _used(row), right=True),
        Column("MEASURED", lambda row: _percent(row.get("coverage_percent")), right=True),
        Column("OWED", lambda row: money(row, "owed"), right=True),
    )


def _used(row: Row) -> str:
    return f"{row.get('quantity')} {row.get('unit') or ''}".strip() if row.get("quantity") is not None else ""


def _percent(value: Any) -> str:
    return "" if value is None else f"{value} %"


def filled(rows: Sequence[Row], columns: Sequence[Column]) -> list[Column]:
    """Without those that say nothing in any row."""
    return [
        column
        for at, column in enumerate(columns)
        if at == 0 or any(column.cell(row) not in ("", NOTHING) for row in rows)
    ]


def facts_of(kind: str, row: Row, zone: tzinfo) -> list[tuple[str, Any]]:
    if kind == "service":
        facts = [
            ("Service", f"{number('S', row.get('number'))} (id {row.get('id')})"),
            ("Status", row.get("status")),
            ("Waits because", row.get("waits_because")),
            ("Suspended because", row.get("suspended_because")),
            ("Product", row.get("product")),
            ("Client", number("C", row.get("client_number"))),
            ("Server id", row.get("server_id")),
            ("Hostname", row.get("hostname")),
            ("Username", row.get("username")),
            ("Main address", row.get("primary_address")),
            ("Power", power(row, zone)),
            ("Price", money(row)),
            ("Due", row.get("next_due_on")),
            ("Billed by", row.get("billed_by")),
            ("Billing reference", row.get("billing_reference")),
            ("May be asked now", ", ".join(row.get("actions") or [])),
        ]
        under_way = row.get("open_operation")
        if isinstance(under_way, dict):
            facts.append(
                ("Under way", f"{under_way.get('reference')}, {under_way.get('kind')}, {state_of(under_way)}")
            )
    elif kind == "server":
        facts = [
            ("Server", f"{row.get('label')} (id {row.get('id')})"),
            ("Status", row.get("status")),
            ("Service", number("S", row.get("service_number"))),
            ("Hostname", row.get("hostname")),
            ("Username", row.get("username")),
            ("Main address", row.get("primary_address")),
            ("Site", row.get("site")),
            ("Power", power(row, zone)),
            ("Health", row.get("health")),
            ("Protected", "yes" if row.get("protected") else ""),
            ("May be asked now", ", ".join(row.get("actions") or [])),
        ]
    elif kind == "operation":
        facts = operation_facts(row, zone)
    else:
        facts = [
            ("Client", f"{number('C', row.get('number'))} (id {row.get('id')})"),
            ("Name", row.get("name")),
            ("E-mail", row.get("email")),
            ("Billing reference", row.get("billing_reference")),
        ]
    return [(name, value) for name, value in facts if value not in (None, "", NOTHING)]


def operation_facts(row: Row, zone: tzinfo) -> list[tuple[str, Any]]:
    return [
        ("Operation", row.get("reference")),
        ("What", row.get("name") or row.get("kind")),
        ("State", state_of(row)),
        ("Service id", row.get("service_id")),
        ("Server id", row.get("server_id")),
        ("Asked", moment(row.get("asked_at"), zone)),
        ("By", row.get("asked_by")),
        ("Ended", moment(row.get("settled_at"), zone)),
        ("Code", row.get("failure_code")),
        ("Note", row.get("sentence")),
    ]


DAYS = (
    Column("FROM", lambda row: str(row["from"])),
    Column("IN", lambda row: octets(row.get("in")), right=True),
    Column("OUT", lambda row: octets(row.get("out")), right=True),
    Column("", lambda row: "not measured" if row.get("gap") else " "),
)
