"""Pages for when nothing else can be shown. The 500 page asks no database."""

import logging
import secrets
import sys

from django.http import HttpRequest, HttpResponse
from django.template import loader

from doublehop.panels.brands import NEUTRAL, colours_query

LOG = logging.getLogger(__name__)
_SIGNS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_reference() -> str:
    """Like 7Q6-B2C: means nothing, stands in the log beside the cause."""
    signs = [secrets.choice(_SIGNS) for _ in range(6)]
    return "".join(signs[:3]) + "-" + "".join(signs[3:])


def _page(
    request: HttpRequest, status: int, heading: str, sentence: str, reference: str = ""
) -> HttpResponse:
    brand = getattr(request, "brand", None) or NEUTRAL
    context = {
        "brand": brand,
        "brand_colours": colours_query(brand),
        "heading": heading,
        "sentence": sentence,
        "reference": reference,
    }
    # No request in here: context processors may ask the database, and the database may be what broke.
    return HttpResponse(loader.render_to_string("panels/broken.html", context), status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(
        request, 400, "That request could not be read", "Nothing was changed. Go back and try it again."
    )


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(
        request, 403, "Not allowed", "Nothing was changed. Sign in again if this page was open for long."
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _page(
        request,
        403,
        "This form is too old",
        "Nothing was changed. Go back, load the page again and send the form once more. Cookies must be allowed.",
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, 404, "Not found", "There is no such page here, or it is not yours to see.")


def server_error(request: HttpRequest) -> HttpResponse:
    reference = new_reference()
    cause = type(sys.exc_info()[1]).__name__
    # Django's own line, with the traceback, stands right below this one.
    LOG.error("page broke, reference %s, path %s: %s", reference, request.path, cause)
    return _page(request, 500, "Something on our side broke", "Nothing was changed.", reference)
