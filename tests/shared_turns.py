"""``python -m tests.shared_turns SECONDS``: one worker process of several; prints when its calls left, as JSON.

It waits for a line on stdin before it begins, so that all begin together.
"""

import json
import os
import sys
import threading
import time

import django

BUDGET = {"calls": 40, "per_seconds": 1.0, "burst": 1, "at_once": 3}


def main(seconds: float) -> list[float]:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    from doublehop.driver_kit.budget import meter_for  # noqa: PLC0415 (after setup)
    from doublehop.driver_kit.contract import Budget  # noqa: PLC0415
    from doublehop.fleet.turns import share_turns  # noqa: PLC0415

    share_turns()
    meter = meter_for("one account", Budget(**BUDGET))  # type: ignore[arg-type]
    left: list[float] = []
    print("ready", flush=True)
    sys.stdin.readline()
    until = time.monotonic() + seconds

    def ask() -> None:
        while time.monotonic() < until:
            with meter.turn(5):
                left.append(time.monotonic())

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return left


if __name__ == "__main__":
    print(json.dumps(main(float(sys.argv[1]))))
