"""The API's own document, and a page to read it and to try it, from our own files only. For staff: it names what no client
reads of."""

import json
from functools import cache

from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.module_loading import import_string
from ninja import Router

from doublehop.api.problems import reader
from doublehop.organisations.refusals import NotHere

router = Router()
PREFIX = "/api/v1/"


@cache
def document() -> str:
    # The routes know this module, and the document knows the routes.
    api = import_string("doublehop.api.routes.api")
    return json.dumps(api.get_openapi_schema(path_prefix=PREFIX), indent=2, sort_keys=True) + "\n"


@router.get("/openapi.json", include_in_schema=False)
def openapi(request: HttpRequest) -> HttpResponse:
    if not reader(request).is_staff:
        raise NotHere
    return HttpResponse(document(), content_type="application/json")


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>API</title>
<link rel="stylesheet" href="{style}">
</head>
<body>
<main id="swagger-ui" data-url="{document}"><p>The page needs JavaScript. The document itself: <a href="{document}">openapi.json</a></p></main>
<script src="{bundle}"></script>
<script src="{start}"></script>
</body>
</html>
"""


@router.get("/docs", include_in_schema=False)
def docs(request: HttpRequest) -> HttpResponse:
    if not reader(request).is_staff:
        raise NotHere
    page = format_html(
        _PAGE,
        style=static("vendor/swagger-ui.css"),
        bundle=static("vendor/swagger-ui.js"),
        start=static("panel/api-docs.js"),
        document=f"{PREFIX}openapi.json",
    )
    return HttpResponse(page)
