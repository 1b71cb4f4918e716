"""What may follow ``doublehop`` on the command line."""

import argparse
import os

from doublehop.cli.ports import LARGEST_PORT

DEFAULT_PORT = "8000"


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        prog="doublehop",
        description="Sells dedicated servers under your own name. Settings come from the environment and from"
        " doublehop.env in the data folder (DOUBLEHOP_DATA_DIR); docs/how-to/go-real.md explains them.",
    )
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, text: str, *, needs_django: bool = True) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text)
        one.set_defaults(module=name.replace("-", "_"), needs_django=needs_django)
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
    command("migrate", "bring the database and the page files to this version")
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


def _listening(command: argparse.ArgumentParser) -> None:
    command.add_argument("--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1)")
    command.add_argument(
        "--port",
        type=_port,
        default=os.environ.get("PORT") or DEFAULT_PORT,
        help="default: $PORT or 8000",
    )


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= LARGEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a number from 1 to {LARGEST_PORT} is needed")
    return int(text)
