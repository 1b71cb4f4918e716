"""What stands before both APIs: for which hosts they are there, who may not even ask, and what becomes of a fault.

No cookie reaches them, and no word of a request reaches a log: addresses and bodies carry credentials.
"""

import logging
import secrets
import traceback
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.views.decorators.csrf import csrf_exempt

from doublehop.leap.answers import NOT_KNOWN
from doublehop.organisations.hosts import BrandView
from doublehop.organisations.machine_identity import IdentityRefused, TooManyAttempts
from doublehop.organisations.queries import serves_resellers

LOG = logging.getLogger(__name__)
LEAP_PATH = "/leap/api.php"
DROPZONE_PATH = "/dropzone"
METHODS = ("GET", "POST")
BIGGEST_BODY = 1_000_000
"""Octets: no document of an honest client comes near it."""
_SIGNS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_TOO_LARGE = "The request is too large."
_UNREADABLE = "The request could not be read."

P = ParamSpec("P")
Face = Callable[Concatenate[HttpRequest, P], HttpResponse]
Complain = Callable[[str, int], HttpResponse]


class MachineFaceMiddleware:
    """Before sessions: takes the cookies off a request to one of the APIs, and says whether they are there at all.

    Under the own name of an organisation without resellers there is nobody they could serve: they are not there, and
    answer like any address that does not exist.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if path in (LEAP_PATH, DROPZONE_PATH) or path.startswith(f"{DROPZONE_PATH}/"):
            brand: BrandView = request.brand  # type: ignore[attr-defined]
            if brand.organisation_id is None or serves_resellers(brand.organisation_id):
                request.META.pop("HTTP_COOKIE", None)
                request.is_for_machines = True  # type: ignore[attr-defined]
        return self.get_response(request)


def face(complain: Complain) -> Callable[[Face[P]], Face[P]]:
    """A view of one of the APIs; ``complain`` (sentence, status) draws its errors."""

    def around(view: Face[P]) -> Face[P]:
        @csrf_exempt
        @wraps(view)
        def gate(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if not getattr(request, "is_for_machines", False):
                raise Http404
            if (refused := _kept_out(request, complain)) is not None:
                return refused
            try:
                return view(request, *args, **kwargs)
            except IdentityRefused:
                # Without WWW-Authenticate: no browser asks a person for the login of a machine.
                return complain(NOT_KNOWN, 401)
            except TooManyAttempts as error:
                return _later(complain, error.retry_after)
            except RequestDataTooBig:
                return complain(_TOO_LARGE, 413)
            except (SuspiciousOperation, BadRequest, MultiPartParserError, UnreadablePostError):
                return complain(_UNREADABLE, 400)
            except Exception as error:  # noqa: BLE001 (a traceback's texts may hold what was sent: only places are logged)
                return _fault(complain, request, error)

        return gate

    return around


def _kept_out(request: HttpRequest, complain: Complain) -> HttpResponse | None:
    if _comes_from_elsewhere(request):
        return complain("Requests from other sites are not answered.", 403)
    if request.method not in METHODS:
        refused = complain("Only GET and POST are answered.", 405)
        refused["Allow"] = ", ".join(METHODS)
        return refused
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdecimal()) or len(length) > 7 or int(length) > BIGGEST_BODY:
        return complain(_TOO_LARGE, 413)
    return None


def _comes_from_elsewhere(request: HttpRequest) -> bool:
    """A page of somebody else's that makes a browser ask. Programs send neither header."""
    site = request.META.get("HTTP_SEC_FETCH_SITE", "none")
    origin = request.META.get("HTTP_ORIGIN")
    own = f"{request.scheme}://{request.META.get('HTTP_HOST', '')}"
    return site not in ("none", "same-origin") or (origin is not None and origin.lower() != own.lower())


def _later(complain: Complain, seconds: int) -> HttpResponse:
    refused = complain("Too many attempts have failed. Try again later.", 429)
    refused["Retry-After"] = str(seconds)
    return refused


def _fault(complain: Complain, request: HttpRequest, error: Exception) -> HttpResponse:
    signs = "".join(secrets.choice(_SIGNS) for _ in range(6))
    reference = f"{signs[:3]}-{signs[3:]}"
    places = " < ".join(
        f"{one.filename.rpartition('doublehop/')[2]}:{one.lineno} {one.name}"
        for one in reversed(traceback.extract_tb(error.__traceback__))
    )
    path = LEAP_PATH if request.path_info == LEAP_PATH else DROPZONE_PATH
    LOG.error("%s broke, reference %s: %s at %s", path, reference, type(error).__name__, places)
    return complain(f"Something on our side broke. Reference {reference}.", 500)
