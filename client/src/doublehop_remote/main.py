"""The command itself: reads what was typed, does it, and ends with a code. No traceback ever, and never the token."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Callable

from doublehop_remote import deeds, looking, stored
from doublehop_remote.arguments import parser
from doublehop_remote.calling import Api
from doublehop_remote.stopping import DONE, INTERRUPTED, NOT_UNDERSTOOD, USAGE, Stop
from doublehop_remote.tables import plain, zone_of

PROGRAM = "doublehop-remote"
Command = Callable[[Api, argparse.Namespace], int]
COMMANDS: dict[str, Command] = {
    "whoami": looking.whoami,
    "list": looking.listing,
    "show": looking.show,
    "bandwidth": looking.bandwidth,
    "statements": looking.statements,
    "operations": looking.operations,
    "attach": deeds.attach,
    "detach": deeds.detach,
    **dict.fromkeys(deeds.KIND, deeds.operate),
}


def main(arguments: Sequence[str] | None = None, *, program: str = PROGRAM) -> int:
    """Answers with the exit code (``stopping``)."""
    options = parser(program).parse_args(arguments)
    options.program = program
    try:
        zone_of(options.zone)
        code = _run(options)
        sys.stdout.flush()
        return code
    except Stop as stop:
        _complain(stop, options)
        return stop.exit_code
    except KeyboardInterrupt:
        print("Stopped here. What was sent goes on at the service.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read has gone, as `head` does. What is left in the buffer has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:  # noqa: BLE001  whatever it is, a person reads a sentence; values may hold the token
        place = traceback.extract_tb(error.__traceback__)[-1]
        sentence = f"Something in this program broke: {type(error).__name__} at {Path(place.filename).name}:{place.lineno}."
        _complain(
            Stop(NOT_UNDERSTOOD, sentence, step="Tell it to who runs the service, with the command."), options
        )
        return NOT_UNDERSTOOD


def _run(options: argparse.Namespace) -> int:
    if options.command == "login":
        return _login(options)
    if options.command == "logout":
        path = stored.forget(os.environ)
        print(f"{path} is gone." if path else "Nothing was kept.")
        return DONE
    place = stored.read(os.environ, command=options.program)
    return COMMANDS[options.command](_api(place, options), options)


def _api(place: stored.Place, options: argparse.Namespace) -> Api:
    return Api(place, patience=options.patience, say=lambda text: print(plain(text), file=sys.stderr))


def _login(options: argparse.Namespace) -> int:
    """Kept only after the service has taken the token."""
    typed = options.address or os.environ.get(stored.ADDRESS, "")
    if not typed:
        raise Stop(USAGE, "Say where: login https://panel.example.net")
    base = stored.base_of(typed)
    token = getpass.getpass(f"Token for {base}: ") if sys.stdin.isatty() else sys.stdin.readline()
    place = stored.Place(base, stored.token_of(token))
    told = _api(place, options).get("me")
    path = stored.keep(os.environ, place)
    if options.json:
        print(json.dumps({"address": base, "file": str(path), "me": told}, indent=2))
    else:
        print(f"Signed in at {base} for {plain(told.get('organisation'))}. Kept in {path}, for you alone.")
    if os.environ.get(stored.TOKEN) or os.environ.get(stored.ADDRESS):
        print(f"{stored.ADDRESS} and {stored.TOKEN} of the environment win over it.", file=sys.stderr)
    return DONE


def _complain(stop: Stop, options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(stop.as_json(), indent=2), file=sys.stderr)
        return
    head, *more = stop.lines()
    print(f"{options.program}: {head}", file=sys.stderr)
    for line in more:
        print(f"  {line}", file=sys.stderr)
