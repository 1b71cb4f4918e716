"""What may follow ``doublehop`` on the command line."""

import argparse
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from doublehop.cli.ports import LARGEST_PORT
from doublehop.services.lifecycle import OperationState

DEFAULT_PORT = "8000"
MOST_LISTED = 500
_UNITS = {"min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        prog="doublehop",
        description="Sells dedicated servers under your own name. Settings come from the environment and from"
        " doublehop.env in the data folder (DOUBLEHOP_DATA_DIR); docs/how-to/go-real.md explains them.",
    )
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, text: str, *, needs_django: bool = True) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text)
        one.set_defaults(module=name.replace("-", "_"), needs_django=needs_django, needs_installation=True)
        return one

    _init(command("init", "make the settings file, the database, the first organisation and its owner"))
    serve = command("serve", "run the web server and the worker, and keep both running", needs_django=False)
    _listening(serve)
    web = command("web", "run only the web server", needs_django=False)
    _listening(web)
    worker = command("worker", "run only the worker, which does everything that takes time")
    worker.add_argument("--patience", type=float, default=0.0, help=argparse.SUPPRESS)
    for child in (serve, web, worker):
        child.add_argument("--lifeline", type=int, help=argparse.SUPPRESS)
    check = command("check", "say what is missing or wrong: settings, database, worker, upstreams, clock")
    check.add_argument(
        "--ask-upstreams",
        action="store_true",
        help="let the worker test every connection now (up to a minute)",
    )
    _operations(command("operations", "look at operations, settle unknown ones, take back what still waits"))
    _import(command("import", "move in: match the services of another billing system with the machines here"))
    command("migrate", "bring the database and the page files to this version")
    _backup(command("backup", "copy the database into one file while everything runs, or check such a file"))
    _restore(command("restore", "replace the database by a copy; nothing is sent until a person confirms it"))
    _confirm(command("confirm-restore", "say what waits in a restored copy, and let it go on"))
    verify = command(
        "verify-statement",
        "recompute a bandwidth statement (JSON or CSV) from its own slots; needs no installation",
        needs_django=False,
    )
    verify.set_defaults(needs_installation=False)
    verify.add_argument("file", type=Path, metavar="FILE", help="as downloaded from its page")
    # For the list of commands: what follows `remote` is read by the client itself (doublehop.cli.main).
    command("remote", "use an installation from anywhere with an API token: `doublehop remote --help`")
    command("rotate-keys", "write every stored secret anew with the first of DOUBLEHOP_VAULT_KEYS")
    command("new-key", "print a fresh key for DOUBLEHOP_VAULT_KEYS", needs_django=False)
    return whole


def _init(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--base-url", default="", help="where people will find it, e.g. https://panel.example.net"
    )
    command.add_argument("--organisation", default="", metavar="NAME", help="your company")
    command.add_argument("--owner-name", default="", metavar="NAME")
    command.add_argument("--owner-email", default="", metavar="ADDRESS")
    command.add_argument(
        "--without-owner", action="store_true", help="only settings, database and page files; ask nothing"
    )


def _backup(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", type=Path, metavar="FILE", help="where it goes, e.g. /backup/2026-11-25.tar")
    command.add_argument("--overwrite", action="store_true", help="replace FILE when it is there already")
    command.add_argument("--check", action="store_true", help="make nothing: verify FILE from end to end")


def _restore(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", type=Path, metavar="FILE", help="what `doublehop backup` made")
    command.add_argument(
        "--replace", action="store_true", help="also when the database holds data; that is kept beside it"
    )


def _confirm(command: argparse.ArgumentParser) -> None:
    mails = command.add_mutually_exclusive_group()
    mails.add_argument("--send-mails", action="store_true", help="send the mails that waited in the copy")
    mails.add_argument(
        "--drop-mails", action="store_true", help="do not send the mails that waited in the copy"
    )


def _import(command: argparse.ArgumentParser) -> None:
    # `import` is no name for a module.
    command.set_defaults(module="moving_in")
    command.add_argument(
        "source", choices=("whmcs", "csv"), help="both read CSV and JSON; see docs/how-to/move-in.md"
    )
    command.add_argument("file", type=Path, metavar="FILE")
    command.add_argument(
        "--billing-system",
        default="",
        metavar="NAME",
        help="as its API token says it (default: the only one that has a token)",
    )
    command.add_argument(
        "--organisation", default="", metavar="NAME", help="id or name (default: the first one)"
    )
    command.add_argument(
        "--product",
        action="append",
        default=[],
        metavar="THERE=HERE",
        help="a product that is called otherwise here; may be given more than once; =HERE is for all others",
    )
    command.add_argument("--apply", default="", metavar="MARK", help="attach: the mark that the preview told")
    command.add_argument(
        "--also",
        default="",
        metavar="LINES",
        help="with --apply: doubtful and attached lines that you confirm, such as 4,17",
    )
    command.add_argument(
        "--without", default="", metavar="LINES", help="with --apply: certain lines to leave out"
    )
    command.add_argument("--json", action="store_true", help="for programs")


def _listening(command: argparse.ArgumentParser) -> None:
    command.add_argument("--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1)")
    command.add_argument(
        "--port",
        type=_port,
        default=os.environ.get("PORT") or DEFAULT_PORT,
        help="default: $PORT or 8000",
    )


def _operations(command: argparse.ArgumentParser) -> None:
    deeds = command.add_subparsers(dest="deed", metavar="DEED", required=True)

    def deed(name: str, text: str) -> argparse.ArgumentParser:
        return deeds.add_parser(name, help=text, description=text)

    listing = deed("list", "what has not ended yet, newest first")
    listing.add_argument(
        "--state",
        action="append",
        choices=[*(state.value for state in OperationState), "all"],
        help="only these; may be given more than once (default: all that have not ended)",
    )
    listing.add_argument("--server", default="", metavar="NAME", help="id, label, hostname or main address")
    listing.add_argument("--service", default="", metavar="NUMBER", help="such as S-3001")
    listing.add_argument("--organisation", default="", metavar="NAME", help="whoever asked: id or name")
    listing.add_argument(
        "--since", type=_moment, help="asked since then: 90min, 6h, 2d, 2026-11-25 or 2026-11-25T14:00+01:00"
    )
    listing.add_argument("--limit", type=_limit, default=50, metavar="N", help="default: 50")
    show = deed("show", "one operation: its steps, what is known, and what may be done")
    settle = deed("settle", "say what became of an operation with an unknown outcome; nothing is sent")
    cancel = deed("cancel", "take back an operation of which nothing was sent")
    for one in (listing, show):
        one.add_argument("--json", action="store_true", help="for programs")
    for one in (show, settle, cancel):
        one.add_argument("reference", metavar="REFERENCE", help="such as 7Q5-M3D")
    became = settle.add_mutually_exclusive_group(required=True)
    became.add_argument("--happened", dest="happened", action="store_true")
    became.add_argument("--did-not-happen", dest="happened", action="store_false")
    settle.add_argument(
        "--why",
        required=True,
        metavar="TEXT",
        help="how you know: the staff of whoever asked read it too",
    )


def _moment(text: str) -> datetime:
    """A length of time ago, or a moment; without a zone it is UTC."""
    if found := re.fullmatch(r"(\d{1,5})(min|h|d)", text):
        return datetime.now(UTC) - int(found[1]) * _UNITS[found[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time: write 90min, 6h, 2d, 2026-11-25 or 2026-11-25T14:00+01:00"
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:9]) <= MOST_LISTED:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MOST_LISTED}")
    return int(text)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= LARGEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a number from 1 to {LARGEST_PORT} is needed")
    return int(text)
