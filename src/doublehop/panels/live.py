"""Fragments of a page that is open: only those that changed are sent, and 304 when none did."""

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

_AGE_TEXT = re.compile(r">[^<]*</time>")
_TOKEN = re.compile(r'name="(?:csrfmiddlewaretoken|key)" value="[^"]*"')


def _mark(html: str) -> str:
    """Ages count on in the browser, tokens differ each time: neither is a change."""
    return sha256(_TOKEN.sub("", _AGE_TEXT.sub(">", html)).encode()).hexdigest()[:12]


def fragments_of(request: HttpRequest, templates: Sequence[str], context: Mapping[str, Any]) -> HttpResponse:
    """Each template draws one element with an id, and ``hx-swap-oob`` when ``oob`` is set."""
    drawn = [render_to_string(name, {**context, "oob": True}, request) for name in templates]
    marks = [_mark(html) for html in drawn]
    known = request.headers.get("If-None-Match", "").strip('"').split("-")
    if known == marks:
        return HttpResponse(status=304)
    if len(known) == len(marks):
        drawn = [html for html, mark, old in zip(drawn, marks, known, strict=True) if mark != old]
    response = HttpResponse("\n".join(drawn))
    response["ETag"] = f'"{"-".join(marks)}"'
    return response
