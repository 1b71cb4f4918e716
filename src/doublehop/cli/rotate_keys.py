"""``doublehop rotate-keys``: afterwards only the first of DOUBLEHOP_VAULT_KEYS is needed."""

import argparse

from doublehop.cli.stopping import CannotGoOn
from doublehop.fleet.actions import reseal_secrets
from doublehop.organisations.vault import VaultClosed
from doublehop.site.environment import Environment


def run(options: argparse.Namespace, environment: Environment) -> int:
    try:
        count = reseal_secrets()
    except VaultClosed as error:
        raise CannotGoOn(
            "None of DOUBLEHOP_VAULT_KEYS opens some stored secret; nothing was changed."
        ) from error
    print(f"{count} stored secrets are now sealed with the first key; the others may go.")
    return 0
