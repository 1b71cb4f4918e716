"""``python -m doublehop_remote``."""

import sys

from doublehop_remote.main import main

sys.exit(main())
