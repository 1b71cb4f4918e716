"""``doublehop verify-statement``: needs no installation, no settings and no database."""

import argparse

from doublehop import verify_statement
from doublehop.site.environment import Environment


def run(options: argparse.Namespace, environment: Environment | None) -> int:
    return verify_statement.main([str(options.file)])
