"""``python -m doublehop.box.fill seed|readdress|own|move``: JSON in, JSON out, in the installation of the environment.

A process of its own, so that the one which stays in the foreground never loads Django. The casts are loaded by name
because models can be imported only after Django was set up.
"""

import importlib
import json
import os
import sys

import django

from doublehop.box.emulators import Addresses


def main(what: str) -> int:
    given = json.load(sys.stdin)
    os.environ["DJANGO_SETTINGS_MODULE"] = "doublehop.site.settings"
    django.setup()
    cast = importlib.import_module(
        "doublehop.box.seed" if what in ("seed", "readdress") else "doublehop.box.own"
    )
    match what:
        case "seed":
            print(json.dumps(cast.seed(Addresses(**given))))
        case "readdress":
            cast.readdress(Addresses(**given))
        case "own":
            print(json.dumps(cast.seed(cast.Given(**given))))
        case "move":
            cast.move(cast.Given(**given))
        case _:
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
