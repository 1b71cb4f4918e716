"""``doublehop confirm-restore``: says what waits in a restored copy, and lets it go on."""

import argparse
import getpass
from dataclasses import replace

from doublehop.cli.stopping import CannotGoOn
from doublehop.organisations.actor import SYSTEM
from doublehop.organisations.installation import WHY_IN_WORDS, quarantine_for
from doublehop.organisations.models import Installation
from doublehop.organisations.refusals import Refusal
from doublehop.services.actions import restored
from doublehop.services.queries.restored import Open, Waiting, waiting_in_copy
from doublehop.services.wording import name_of
from doublehop.site.environment import Environment


def run(options: argparse.Namespace, environment: Environment) -> int:
    if quarantine_for(SYSTEM) is None:
        raise CannotGoOn(
            "Nothing waits to be confirmed: this is no restored copy, or somebody has confirmed it."
        )
    waiting = waiting_in_copy(SYSTEM)
    _tell(waiting)
    if not options.send_mails and not options.drop_mails:
        raise CannotGoOn(
            "Nothing was changed. To confirm, run it again with --drop-mails or --send-mails"
            " (about the mails that waited in the copy)."
        )
    who = replace(SYSTEM, label=f"{_login()} at the shell")
    try:
        restored.confirm(who, send_mails=options.send_mails)
    except Refusal as refusal:
        raise CannotGoOn(refusal.sentence) from refusal
    print("Confirmed. The installation works again.")
    return 0


def _tell(waiting: Waiting) -> None:
    row = waiting.installation
    print(WHY_IN_WORDS[Installation.Why(row.why)])
    if row.copy_taken_at is not None:
        print(f"It knows what happened until {row.copy_taken_at:%Y-%m-%d %H:%M:%S} UTC.")
    _list("called off, because they would happen once and may have been done since", waiting.called_off)
    _list("already sent: only their outcome is looked for", waiting.read)
    _list("go on, each read first", waiting.going_on)
    print(f"{waiting.unknown} operations have an unknown outcome; a person decides each, as always.")
    print(f"{waiting.mails} mails and {waiting.welcomes} welcomes waited: --send-mails or --drop-mails.")
    print(f"{waiting.overdue} services are overdue by this copy, and will be suspended.")
    print(f"{waiting.orders} orders wait for their pool, and will be filled.")


def _list(what: str, found: Open) -> None:
    print(f"{found.count} operations {what}{':' if found.rows else '.'}")
    for row in found.rows:
        print(
            f"  {row.reference}  {name_of(row)}, {row.server.label}, asked {row.asked_at:%Y-%m-%d %H:%M} UTC"
        )
    if found.count > len(found.rows):
        print(f"  and {found.count - len(found.rows)} more")


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"
