"""``doublehop init``: the database, the first organisation and its owner. Run again, it leaves all that is there alone."""

import argparse
import getpass
import os
import sys

from doublehop.cli import upkeep
from doublehop.cli.stopping import CannotGoOn
from doublehop.organisations.actions import create_root
from doublehop.organisations.models import Organisation
from doublehop.organisations.refusals import Refusal
from doublehop.site.environment import Environment


def run(options: argparse.Namespace, environment: Environment) -> int:
    upkeep.bring_up_to_date()
    if options.without_owner:
        return 0
    root = Organisation.objects.filter(parent=None).first()
    if root is not None:
        print(f"Organisation: {root.name}, left as it is")
        return 0
    answers = _answers(options)
    try:
        root = create_root(
            answers["--organisation"],
            owner_name=answers["--owner-name"],
            owner_email=answers["--owner-email"],
            owner_password=answers["DOUBLEHOP_OWNER_PASSWORD"],
        )
    except Refusal as refusal:
        raise CannotGoOn(refusal.sentence) from refusal
    print(f"Organisation: {root.name}, with {answers['--owner-email']} as owner")
    print(f"Next: doublehop serve, then sign in at {environment.base_url}")
    return 0


def _answers(options: argparse.Namespace) -> dict[str, str]:
    """From flags and the environment; what is missing is asked, or listed when nobody is there to answer."""
    given = {
        "--organisation": (options.organisation, "Your company"),
        "--owner-name": (options.owner_name, "Your name"),
        "--owner-email": (options.owner_email, "Your e-mail address"),
        "DOUBLEHOP_OWNER_PASSWORD": (os.environ.get("DOUBLEHOP_OWNER_PASSWORD", ""), "A password"),
    }
    missing = [name for name, (value, _) in given.items() if not value]
    if missing and not sys.stdin.isatty():
        raise CannotGoOn(f"The first owner is not made yet: give {', '.join(missing)}.")
    return {
        name: value or (getpass.getpass(f"{question}: ") if "PASSWORD" in name else input(f"{question}: "))
        for name, (value, question) in given.items()
    }
