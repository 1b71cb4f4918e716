"""What may be written on the command line."""

from __future__ import annotations

import argparse

from doublehop_remote import __version__

MOST_LISTED = 10_000
_EXITS = """\
exit codes: 0 done · 1 refused, or it failed · 2 wrong command line · 3 not found, or several are called that ·
4 not signed in, or the token does not reach it · 5 no answer · 6 outcome unknown · 7 not ended yet ·
8 not confirmed · 70 what answers is not understood"""


def parser(program: str) -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        prog=program,
        description="Servers and services, from anywhere, with an API token. DOUBLEHOP_API and DOUBLEHOP_TOKEN"
        " in the environment win over what `login` keeps.",
        epilog=_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text, epilog=_EXITS)
        one.add_argument("--json", action="store_true", help="for programs: what the API says, as JSON")
        one.add_argument(
            "--zone", default="UTC", metavar="ZONE", help="of times: UTC (default), local, Europe/Berlin"
        )
        one.add_argument(
            "--patience",
            type=_seconds,
            default=60.0,
            metavar="SECONDS",
            help="for how long a call is repeated while the service is busy or does not answer (default: 60)",
        )
        return one

    login = command(
        "login", "keep an address and a token for it; the token is asked for, or read from a pipe"
    )
    login.add_argument("address", nargs="?", default="", help="such as https://panel.example.net")
    command("logout", "forget them")
    command("whoami", "whose token it is and what it may do")
    _looking(command)
    _deeds(command)
    return whole


def _looking(command: object) -> None:
    listing = command("list", "what there is")  # type: ignore[operator]
    kinds = ("servers", "services", "clients", "products", "operations", "orders")
    listing.add_argument("what", choices=kinds)
    listing.add_argument("text", nargs="?", default="", help="only what is called or numbered like this")
    listing.add_argument(
        "--status", default="", help="of services, operations and orders, such as active or running"
    )
    listing.add_argument("--free", action="store_true", help="only servers that may be attached now")
    show = command("show", "one of them in full")  # type: ignore[operator]
    show.add_argument("what", choices=("server", "service", "operation", "client"))
    show.add_argument("name", help="S-3001, an id, a hostname, an address, or an operation's reference")
    bandwidth = command("bandwidth", "what a service sent and received")  # type: ignore[operator]
    bandwidth.add_argument("service", metavar="SERVICE")
    bandwidth.add_argument("--month", default="", help="such as 2026-11 (default: this one)")
    bandwidth.add_argument("--start", default="", help="2026-11-01 or 2026-11-01T14:00")
    bandwidth.add_argument("--end", default="", help="likewise; a day counts wholly")
    bandwidth.add_argument("--step", choices=("5m", "1h", "1d"), default="1d", help="default: 1d")
    bandwidth.add_argument("--percentile", action="store_true", help="the 95th percentile too")
    statements = command("statements", "what bandwidth came to, period by period")  # type: ignore[operator]
    statements.add_argument("service", nargs="?", default="", metavar="SERVICE")
    operations = command("operations", "what is done to machines; --watch follows it to its end")  # type: ignore[operator]
    operations.add_argument("reference", nargs="*", help="such as 7Q5-M3D (default: all)")
    operations.add_argument("--state", default="", help="such as unknown")
    for one in (listing, statements, operations):
        one.add_argument("--limit", type=_limit, default=100, metavar="N", help="default: 100")
    _watching(operations)


def _deeds(command: object) -> None:
    texts = {
        "reboot": "restart a server",
        "power-on": "switch a server on",
        "power-off": "switch a server off",
        "suspend": "take a service away, by its suspend policy",
        "unsuspend": "give it back",
    }
    for name, text in texts.items():
        one = command(name, text)  # type: ignore[operator]
        one.add_argument("service", nargs="?", default="", metavar="SERVICE")
        one.add_argument("--server", default="", metavar="SERVER", help="a server instead of a service")
        if name in ("reboot", "power-off"):
            one.add_argument("--cut", action="store_true", help="do not ask the system first: cut the power")
        one.add_argument(
            "--reason",
            required=name == "suspend",
            default="",
            help="for the journal; needed after an unknown outcome too",
        )
        if name == "suspend":
            one.add_argument("--client-text", default="", help="what the client reads")
        _writing(one)
        _watching(one)
    attach = command("attach", "give a service its server; the machine is not touched")  # type: ignore[operator]
    attach.add_argument("service", metavar="SERVICE")
    attach.add_argument("server", metavar="SERVER")
    detach = command("detach", "take the server out of a service; the machine is not touched")  # type: ignore[operator]
    detach.add_argument("service", metavar="SERVICE")
    for one in (attach, detach):
        one.add_argument("--reason", default="", help="for the journal")
        _writing(one)


def _writing(one: argparse.ArgumentParser) -> None:
    one.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    one.add_argument("--yes", action="store_true", help="do not ask")
    one.add_argument(
        "--key", default="", help="of an earlier call whose answer was lost: it is done once, not twice"
    )


def _watching(one: argparse.ArgumentParser) -> None:
    one.add_argument("--watch", action="store_true", help="follow it to its end, line by line")
    one.add_argument(
        "--timeout",
        type=_seconds,
        default=900.0,
        metavar="SECONDS",
        help="for how long it is watched (default: 900)",
    )


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds up to a day")
    return found


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:9]) <= MOST_LISTED:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MOST_LISTED}")
    return int(text)
