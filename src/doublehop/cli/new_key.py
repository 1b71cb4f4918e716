"""``doublehop new-key``: for DOUBLEHOP_VAULT_KEYS."""

import argparse

from doublehop.cli import env_file
from doublehop.site.environment import Environment


def run(options: argparse.Namespace, environment: Environment) -> int:
    print(env_file.fresh_vault_key())
    return 0
