"""Live fragments of the admin panel, by their short names."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse

from doublehop.panels.live import fragments_of


def fragments(request: HttpRequest, templates: Sequence[str], context: Mapping[str, Any]) -> HttpResponse:
    return fragments_of(request, [f"panels/admin/parts/{name}.html" for name in templates], context)
