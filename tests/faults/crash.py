"""``python -m tests.faults.crash sqlite`` (or ``postgresql``): the crash sweep of ``tests.faults.sweep``, and one JSON line.

``--every 7 --seed 3`` takes every seventh point, beginning with the third; ``--only reboot`` the deeds of that name;
``--without-mark`` leaves out the commit before the first byte, which the sweep must notice; ``--each`` counts the end of one boundary and the beginning of the next as two points.
"""

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import django

from tests.faults.databases import postgresql, sqlite
from tests.faults.place import started


def marked_too_late(send: Callable[..., Any]) -> Callable[..., Any]:
    """What must never be written: the mark is stored when the answer is there, and not before the first byte."""

    def late(*args: Any, mark_sent: Callable[[], None], **others: Any) -> Any:
        ticket = send(*args, mark_sent=lambda: None, **others)
        mark_sent()
        return ticket

    return late


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("database", choices=("sqlite", "postgresql"))
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--each", action="store_true")
    parser.add_argument("--without-mark", action="store_true")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    given = parser.parse_args()
    began = time.monotonic()
    opened = sqlite if given.database == "sqlite" else postgresql
    with ExitStack() as stack:
        databases = stack.enter_context(opened())
        places = [stack.enter_context(started()) for _ in range(given.processes)]
        os.environ |= {
            "DATABASE_URL": databases.url,
            "DOUBLEHOP_LOG_LEVEL": "ERROR",
            "DJANGO_SETTINGS_MODULE": "tests.settings",
        }
        django.setup()
        # Its rooms need a Django that is set up, and that needs the database.
        room = importlib.import_module("tests.faults.sweep")
        if given.without_mark:
            door = importlib.import_module("doublehop.fleet.door")
            door.send = marked_too_late(door.send)
        choice = room.Choice(every=given.every, seed=given.seed, wanted=given.only, each=given.each)
        swept = room.sweep(databases, places, choice)
    for sentence in swept.broken:
        print(sentence, file=sys.stderr)
    line = {
        "metric": f"crash sweep on {given.database}",
        "n": swept.points,
        "broken": len(swept.broken),
        "parked": swept.parked,
        "second_sweeps": swept.second_sweeps,
        "every": given.every,
        "seed": given.seed,
        "seconds": round(time.monotonic() - began, 1),
        "boundaries": swept.boundaries,
    }
    print(json.dumps(line))
    return 1 if swept.broken else 0


if __name__ == "__main__":
    sys.exit(main())
