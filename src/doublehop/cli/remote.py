"""``doublehop remote``: the small client, which needs a token and no installation. It reads its own arguments."""

from collections.abc import Sequence

from doublehop_remote.main import main


def run(arguments: Sequence[str]) -> int:
    return main(arguments, program="doublehop remote")
