"""What only reads: lists, one thing, bandwidth, statements, operations."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Any

from doublehop_remote import finding
from doublehop_remote.calling import Api
from doublehop_remote.shown import DAYS, columns_of, facts_of, filled
from doublehop_remote.stopping import DONE, USAGE, Stop
from doublehop_remote.tables import about, cells_of, day, moment, octets, parsed, plain, rate, table, zone_of
from doublehop_remote.watching import OPEN, Watch

MOST_WATCHED = 50


def listing(api: Api, options: argparse.Namespace) -> int:
    query: dict[str, Any] = {"q": options.text} if options.what == "servers" else {}
    if options.what == "services":
        query["status"] = options.status
    elif options.what in ("operations", "orders"):
        query["state"] = options.status
    elif options.status:
        raise Stop(USAGE, "--status is for services, operations and orders.")
    if options.free:
        if options.what != "servers":
            raise Stop(USAGE, "--free is for servers.")
        query["free"] = "true"
    unread = False
    # One more is asked for: so it is known whether there are more.
    if options.text and options.what != "servers":
        rows, unread = _that_fit(api, options, query)
    else:
        rows = list(api.pages(options.what, options.limit + 1, **query))
    more = len(rows) > options.limit
    _show_rows(options, options.what, rows[: options.limit], more=more, unread=unread)
    return DONE


def _that_fit(
    api: Api, options: argparse.Namespace, query: dict[str, Any]
) -> tuple[list[dict[str, Any]], bool]:
    """(one more than are shown, whether others were left unread)."""
    rows: list[dict[str, Any]] = []
    for number, row in enumerate(api.pages(options.what, finding.MOST_LOOKED_AT + 1, **query)):
        if number == finding.MOST_LOOKED_AT:
            return rows, True
        if _fits(row, options.text):
            rows.append(row)
        if len(rows) > options.limit:
            break
    return rows, False


def _fits(row: dict[str, Any], text: str) -> bool:
    """Of servers the service itself finds what begins so; elsewhere it is looked for here, anywhere in the row's words."""
    wanted = text.casefold()
    numbers = {f"{prefix}-{row.get('number')}".casefold() for prefix in ("S", "C", "R")}
    return wanted in numbers or any(
        wanted in value.casefold()
        for name, value in row.items()
        if isinstance(value, str) and name != "sentence"
    )


def show(api: Api, options: argparse.Namespace) -> int:
    find = {"service": finding.service, "server": finding.server, "client": finding.client}
    steps: list[dict[str, Any]] = []
    if options.what == "operation":
        reference = finding.reference(options.name)
        row = api.get(f"operations/{reference}")
        steps = _steps(api, reference)
    else:
        row = find[options.what](api, options.name)
    if options.what in ("service", "server"):
        # A list may tell less of it.
        row = api.get(f"{options.what}s/{row.get('id')}")
    if options.json:
        print(json.dumps({**row, "steps": steps} if steps else row, indent=2))
        return DONE
    print("\n".join(about(facts_of(options.what, row, zone_of(options.zone)))))
    for at, step in enumerate(steps, 1):
        print(f"  {at}. {plain(step.get('name') or step.get('kind'))}: {plain(step.get('state'))}")
    return DONE


def _steps(api: Api, reference: str) -> list[dict[str, Any]]:
    try:
        found = api.get(f"operations/{reference}/steps")
    except Stop as stop:
        if stop.problem.get("status") in (403, 404):
            return []
        raise
    rows = found.get("items") if isinstance(found, dict) else found
    return rows if isinstance(rows, list) else []


def operations(api: Api, options: argparse.Namespace) -> int:
    references = [finding.reference(text) for text in options.reference]
    if options.state and (references or options.watch):
        raise Stop(USAGE, "--state is for the list: without a reference, and without --watch.")
    if not options.watch:
        if references:
            rows = [api.get(f"operations/{one}") for one in references]
        else:
            rows = list(api.pages("operations", options.limit + 1, state=options.state))
        _show_rows(options, "operations", rows[: options.limit], more=len(rows) > options.limit)
        return DONE
    if not references:
        for state in OPEN:
            found = api.pages("operations", MOST_WATCHED - len(references), state=state)
            references += [str(row.get("reference")) for row in found]
    if not references:
        print("Nothing is under way.", file=sys.stderr)
        return DONE
    watch = Watch(api, sys.stdout, zone_of(options.zone), as_json=options.json, timeout=options.timeout)
    return watch.to_the_end(references)


def statements(api: Api, options: argparse.Namespace) -> int:
    path = "statements"
    if options.service:
        path = f"services/{finding.service(api, options.service).get('id')}/statements"
    rows = list(api.pages(path, options.limit + 1))
    _show_rows(options, "statements", rows[: options.limit], more=len(rows) > options.limit)
    return DONE


def whoami(api: Api, options: argparse.Namespace) -> int:
    row = api.get("me")
    if options.json:
        print(json.dumps(row, indent=2))
        return DONE
    zone = zone_of(options.zone)
    facts = [
        ("Service", api.place.base),
        ("Organisation", row.get("organisation")),
        ("Client id", row.get("client_id")),
        ("Token", row.get("token")),
        ("May", ", ".join(row.get("scopes") or [])),
        ("Billing system", row.get("billing_system")),
        ("Ends", moment(row.get("expires_at"), zone) if row.get("expires_at") else "when it is revoked"),
    ]
    if (now := parsed(row.get("now"))) is not None:
        skew = (datetime.now(timezone.utc) - now).total_seconds()
        if abs(skew) > 60:
            facts.append(
                ("Clock", f"this computer's is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}")
            )
    print("\n".join(about([(name, value) for name, value in facts if value not in (None, "")])))
    return DONE


def _show_rows(
    options: argparse.Namespace,
    kind: str,
    rows: Sequence[dict[str, Any]],
    *,
    more: bool,
    unread: bool = False,
) -> None:
    if options.json:
        print(json.dumps({"items": rows, "more": more or unread}, indent=2))
        return
    if not rows:
        print("None.")
    else:
        columns = filled(rows, columns_of(kind, zone_of(options.zone)))
        print("\n".join(table(rows, columns, cells_of(sys.stdout))))
    if unread:
        told = f"There are more than {finding.MOST_LOOKED_AT:,} {kind}: the others were not looked at."
        print(f"\n{told}", file=sys.stderr)
    elif more:
        print(f"\n{len(rows)} shown. There are more: raise --limit, or narrow it down.", file=sys.stderr)


# ---------------------------------------------------------------- bandwidth


def bandwidth(api: Api, options: argparse.Namespace) -> int:
    service = finding.service(api, options.service)
    zone = zone_of(options.zone)
    start, end = _window(options, zone)
    found = api.get(
        f"services/{service.get('id')}/bandwidth",
        start=start.astimezone(timezone.utc).isoformat(),
        end=end.astimezone(timezone.utc).isoformat(),
        step=options.step,
    )
    if options.json:
        print(json.dumps(found, indent=2))
        return DONE
    rows = [
        {"from": moment(point.get("at"), zone), **{name: point.get(name) for name in ("in", "out", "gap")}}
        for point in found.get("points") or []
    ]
    if rows:
        print("\n".join(table(rows, filled(rows, DAYS), cells_of(sys.stdout))))
        print()
    print("\n".join(about(_totals(found, options.percentile, zone))))
    return DONE


def _totals(found: dict[str, Any], percentile: bool, zone: tzinfo) -> list[tuple[str, Any]]:
    facts: list[tuple[str, Any]] = [
        ("From", moment(found.get("start"), zone)),
        ("To", moment(found.get("end"), zone)),
        ("In", octets(found.get("octets_in"))),
        ("Out", octets(found.get("octets_out"))),
    ]
    if percentile:
        facts += [
            ("95th percentile in", rate(_number(found.get("percentile_95_in")))),
            ("95th percentile out", rate(_number(found.get("percentile_95_out")))),
        ]
    covered = found.get("coverage_percent")
    return [*facts, ("Measured", None if covered is None else f"{covered} %")]


def _number(value: Any) -> Any:
    """The API tells decimal numbers as text."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _window(options: argparse.Namespace, zone: tzinfo) -> tuple[datetime, datetime]:
    """Days are whole days of ``zone``; the end is the first moment that is not in it any more."""
    now = datetime.now(timezone.utc).astimezone(zone)
    if options.month and (options.start or options.end):
        raise Stop(USAGE, "--month, or --start and --end.")
    if options.start or options.end:
        if not options.start:
            raise Stop(USAGE, "--start is needed.")
        start = _moment(options.start, zone)
        end = _moment(options.end, zone, after=True) if options.end else now
    else:
        first = day(f"{options.month}-01") if options.month else now.date().replace(day=1)
        if first is None:
            raise Stop(USAGE, f"{plain(options.month)[:20]} is no month. Write it like 2026-11.")
        following = (first + timedelta(days=31)).replace(day=1)
        start, end = _midnight(first, zone), min(_midnight(following, zone), now)
    if start >= end:
        raise Stop(USAGE, "That time begins after its end, or has not begun yet.")
    return start, end


def _moment(text: str, zone: tzinfo, *, after: bool = False) -> datetime:
    """A day, or a moment. ``after``: a day counts wholly."""
    if (found := day(text)) is not None:
        return _midnight(found + timedelta(days=1) if after else found, zone)
    try:
        typed = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Stop(USAGE, f"{plain(text)[:40]} is no time. Write 2026-11-01 or 2026-11-01T14:00.") from None
    return typed if typed.tzinfo is not None else typed.replace(tzinfo=zone)


def _midnight(when: date, zone: tzinfo) -> datetime:
    return datetime(when.year, when.month, when.day, tzinfo=zone)
