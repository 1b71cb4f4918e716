"""``doublehop migrate``: after every upgrade."""

import argparse

from doublehop.cli import upkeep
from doublehop.site.environment import Environment


def run(options: argparse.Namespace, environment: Environment) -> int:
    upkeep.bring_up_to_date()
    return 0
