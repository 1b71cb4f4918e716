"""What changes something: tried first, asked about where it does harm, sent under a key of its own."""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from typing import Any

from doublehop_remote import finding
from doublehop_remote.calling import Api
from doublehop_remote.shown import number, state_of
from doublehop_remote.stopping import DONE, NOT_CONFIRMED, USAGE, Stop
from doublehop_remote.tables import plain, zone_of
from doublehop_remote.watching import Watch

KIND = {
    "reboot": "reboot",
    "power-on": "power_on",
    "power-off": "power_off",
    "suspend": "suspend",
    "unsuspend": "unsuspend",
}
HARM = frozenset({"reboot", "power-off", "suspend", "detach"})
"""Asked about first: somebody may be cut off by it."""


def operate(api: Api, options: argparse.Namespace) -> int:
    path, name, row = _where(api, options)
    body: dict[str, Any] = {"kind": KIND[options.command]}
    if options.reason:
        body["reason"] = options.reason
    if options.command == "suspend":
        body["client_text"] = options.client_text
    if options.command in ("reboot", "power-off"):
        body["graceful"] = not options.cut
    target = f"{path}/{row.get('id')}/operations"
    rehearsed = None
    # Under a key of an earlier call it may be done already, and a trial, which no key answers, would be refused for that.
    if options.dry_run or (_asks(options) and not options.key):
        rehearsed = api.write(target, body, key=_key(options), dry_run=True)
    if options.dry_run:
        return _tell_rehearsal(options, name, rehearsed)
    _confirm(options, name, rehearsed)
    operation = api.write(target, body, key=_key(options))
    return _follow(api, options, operation)


def attach(api: Api, options: argparse.Namespace) -> int:
    service = finding.service(api, options.service)
    server = finding.server(api, options.server)
    return _bind(api, options, service, {"server_id": server.get("id")}, f" {_server(server)}")


def detach(api: Api, options: argparse.Namespace) -> int:
    return _bind(api, options, finding.service(api, options.service), {}, "")


def _bind(
    api: Api, options: argparse.Namespace, service: dict[str, Any], body: dict[str, Any], what: str
) -> int:
    target = f"services/{service.get('id')}/{options.command}"
    if options.reason:
        body["reason"] = options.reason
    name = _service(service)
    if options.dry_run:
        tried = api.write(target, body, key=_key(options), dry_run=True)
        print(
            json.dumps(tried, indent=2)
            if options.json
            else f"Would be done: {options.command}{what}, {name}."
        )
        return DONE
    _confirm(options, name, None)
    try:
        row = api.write(target, body, key=_key(options))
    except Stop as stop:
        if options.key in stop.step:
            # It may be detached by now, and then its machine's names find it no more.
            stop.step = f"Name it {number('S', service.get('number'))} then. {stop.step}"
        raise
    if options.json:
        print(json.dumps(row, indent=2))
    else:
        print(f"Done: {options.command}{what}, {name}. The service is {plain(row.get('status'))}.")
        print("The machine itself was not touched.")
    return DONE


def _where(api: Api, options: argparse.Namespace) -> tuple[str, str, dict[str, Any]]:
    if bool(options.server) == bool(options.service):
        raise Stop(USAGE, "Name a service, or a server with --server.")
    if options.server:
        row = finding.server(api, options.server)
        return "servers", _server(row), row
    row = finding.service(api, options.service)
    return "services", _service(row), row


def _service(row: dict[str, Any]) -> str:
    named = [row.get("hostname"), row.get("primary_address")]
    return plain(" ".join([number("S", row.get("number")), *(str(one) for one in named if one)]))


def _server(row: dict[str, Any]) -> str:
    named = [row.get("label"), row.get("primary_address")]
    return plain(" ".join(str(one) for one in named if one) or f"server {row.get('id')}")


def _key(options: argparse.Namespace) -> str:
    """Made once for the whole command, so that each repetition of a call carries the same one."""
    if not options.key:
        options.key = f"remote-{uuid.uuid4()}"
    return str(options.key)


def _asks(options: argparse.Namespace) -> bool:
    return options.command in HARM and not options.yes


def _confirm(options: argparse.Namespace, name: str, rehearsed: Any) -> None:
    if not _asks(options):
        return
    if not sys.stdin.isatty():
        raise Stop(
            NOT_CONFIRMED,
            f"{options.command} asks first, and nobody is there to answer. Nothing was sent.",
            step="Add --yes.",
        )
    for line in _steps(rehearsed):
        print(line, file=sys.stderr)
    print(f"{options.command} {name}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Stop(NOT_CONFIRMED, "Nothing was sent.")


def _steps(rehearsed: Any) -> list[str]:
    if not isinstance(rehearsed, dict):
        return []
    told = [f"  {at}. {plain(step)}" for at, step in enumerate(rehearsed.get("steps") or [], 1)]
    if rehearsed.get("held"):
        told.append("  It would be held for approval: many were asked within an hour.")
    if rehearsed.get("not_sent"):
        told.append(f"  {plain(rehearsed['not_sent'])}")
    return told


def _tell_rehearsal(options: argparse.Namespace, name: str, rehearsed: Any) -> int:
    if options.json:
        print(json.dumps(rehearsed, indent=2))
    else:
        print("\n".join([f"Would be done: {options.command} {name}. Nothing was sent.", *_steps(rehearsed)]))
    return DONE


def _follow(api: Api, options: argparse.Namespace, operation: dict[str, Any]) -> int:
    reference = str(operation.get("reference"))
    if options.watch:
        watch = Watch(api, sys.stdout, zone_of(options.zone), as_json=options.json, timeout=options.timeout)
        return watch.to_the_end([reference])
    if options.json:
        print(json.dumps(operation, indent=2))
        return DONE
    print(f"{reference}: {plain(operation.get('kind')).replace('_', ' ')}, {state_of(operation)}.")
    print(f"Watch it: {options.program} operations --watch {reference}")
    return DONE
