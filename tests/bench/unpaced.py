"""``python -m tests.bench.unpaced``: a worker whose providers may be asked without a pause, so that it is workers that are
measured, and not the budget of a provider."""

import sys

from doublehop.cli.main import main
from doublehop.driver_kit.budget import Budget
from doublehop.drivers.singlehop import driver

driver.BUDGET = Budget(calls=1_000_000, per_seconds=1, burst=1_000_000, at_once=64)

if __name__ == "__main__":
    sys.argv[1:] = ["worker"]
    sys.exit(main())
