"""``python -m doublehop.api.schema``: writes docs/api/openapi.json; with ``--check``, fails when it is out of date."""

import os
import sys
from pathlib import Path

import django
from django.utils.module_loading import import_string

TARGET = Path("docs/api/openapi.json")


def current() -> str:
    # The routes reach models, which may be imported only after Django was set up.
    text: str = import_string("doublehop.api.papers.document")()
    return text


def main(arguments: list[str]) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "doublehop.site.settings")
    django.setup()
    text = current()
    if "--check" not in arguments:
        TARGET.parent.mkdir(parents=True, exist_ok=True)
        TARGET.write_text(text)
        return 0
    if TARGET.exists() and TARGET.read_text() == text:
        return 0
    sys.stderr.write(
        f"{TARGET} is out of date: run python -m doublehop.api.schema and look at the difference\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
