"""``python -m doublehop.cli``: the same as ``doublehop``."""

import sys

from doublehop.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
