"""``python -m doublehop.box.fill seed|readdress``: addresses of the emulators in, sign-ins out, both JSON.

A process of its own, so that the one which stays in the foreground never loads Django. The cast is loaded by name
because models can be imported only after Django was set up.
"""

import dataclasses
import importlib
import json
import os
import sys

import django

from doublehop.box.emulators import Addresses


def main(what: str) -> int:
    addresses = Addresses(**json.load(sys.stdin))
    os.environ["DJANGO_SETTINGS_MODULE"] = "doublehop.site.settings"
    django.setup()
    cast = importlib.import_module("doublehop.box.seed")
    if what == "readdress":
        cast.readdress(addresses)
        return 0
    sign_ins = cast.seed(addresses)
    print(json.dumps({part: dataclasses.asdict(sign_in) for part, sign_in in sign_ins.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
