"""What goes wrong, as RFC 9457 bodies with a stable ``code``, and who may come in: a token, or, to read, a signed-in person."""

import logging
import secrets
import traceback
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.utils import timezone
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.security import HttpBearer, SessionAuth
from ninja.security.base import AuthBase

from doublehop.api.limits import Standing, TooManyRequests, admit
from doublehop.organisations.actor import Actor, Scope
from doublehop.organisations.refusals import NotAllowed, NotHere
from doublehop.organisations.signed import SCHEME, actor_of_signed_call
from doublehop.organisations.tokens import CallRefused, IdentityRefused, TooManyAttempts, actor_of_token

LOG = logging.getLogger(__name__)
_SIGNS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_WAYS = f"Bearer, {SCHEME}"


def admitted(request: HttpRequest, actor: Actor) -> Actor:
    admit(request, actor)
    return actor


class Bearer(HttpBearer):
    """``Authorization: Bearer dh_…``. No cookie is looked at, so no page of somebody else's can use it."""

    def authenticate(self, request: HttpRequest, token: str) -> Actor | None:
        try:
            return admitted(request, actor_of_token(request, token))
        except IdentityRefused:
            # Not None: a browser's session must not stand in for a token that was refused.
            raise AuthenticationError from None


class Signed(AuthBase):
    """``Authorization: Doublehop-HMAC-SHA256 …``: a billing system that never sends its secret (organisations.signed)."""

    openapi_type = "http"
    openapi_scheme = SCHEME
    openapi_description = (
        "Calls of billing systems, signed by their token's secret: docs/how-to/use-the-api.md."
    )

    def __call__(self, request: HttpRequest) -> Actor | None:
        scheme, _, _ = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != SCHEME.lower():
            return None
        try:
            return admitted(request, actor_of_signed_call(request))
        except IdentityRefused:
            raise AuthenticationError from None
        except RequestDataTooBig:
            raise HttpError(413, "too large") from None
        except UnreadablePostError:
            raise HttpError(400, "cut off") from None


PROGRAMS = (Bearer(), Signed())
"""How programs come in."""


class StaffSession(SessionAuth):
    """A signed-in person of an organisation's staff, for reading."""

    def authenticate(self, request: HttpRequest, key: str | None) -> Actor | None:
        actor: Actor | None = getattr(request, "actor", None)
        return admitted(request, actor) if actor is not None and actor.is_staff else None


def actor_with(request: HttpRequest, scope: Scope) -> Actor:
    """Who asks. A token reaches what its scopes name and nothing else; a person, who only reads here, what they may see."""
    actor: Actor = request.auth  # type: ignore[attr-defined]
    if actor.token_id is not None and scope not in actor.scopes:
        raise NotAllowed(f"This token has not the scope {scope.value}.")
    return actor


def reader(request: HttpRequest) -> Actor:
    return actor_with(request, Scope.READ)


def house_with(request: HttpRequest, scope: Scope) -> Actor:
    """A program of the organisation itself. To a client's token such an address is none."""
    actor = actor_with(request, scope)
    if not actor.is_staff:
        raise NotHere
    return actor


def problem(sentence: str, status: int, code: str, *, field: str = "", **more: str) -> HttpResponse:
    """``reference`` is what people quote of this answer."""
    signs = "".join(secrets.choice(_SIGNS) for _ in range(6))
    body = {
        "type": "about:blank",
        "title": sentence,
        "status": status,
        "code": code,
        "reference": f"{signs[:3]}-{signs[3:]}",
        **({"field": field} if field else {}),
        **more,
    }
    answer = JsonResponse(body, status=status, content_type="application/problem+json")
    answer["Cache-Control"] = "no-store"
    return answer


def not_known(request: HttpRequest, error: AuthenticationError | type[AuthenticationError]) -> HttpResponse:
    answer = problem("A valid API token is needed.", 401, "not_signed_in")
    answer["WWW-Authenticate"] = _WAYS
    return answer


def otherwise(request: HttpRequest, error: CallRefused | type[CallRefused]) -> HttpResponse:
    """Our time stands beside it: whoever signs needs to know how far their clock is from ours."""
    sentence, code = str(getattr(error, "sentence", "")), str(getattr(error, "code", "not_signed_in"))
    answer = problem(sentence, 401, code, now=timezone.now().isoformat(timespec="seconds"))
    answer["WWW-Authenticate"] = _WAYS
    return answer


def later(request: HttpRequest, error: TooManyAttempts | type[TooManyAttempts]) -> HttpResponse:
    answer = problem("Too many attempts have failed. Try again later.", 429, "too_many_attempts")
    answer["Retry-After"] = str(getattr(error, "retry_after", 1))
    return answer


def too_many(request: HttpRequest, error: TooManyRequests | type[TooManyRequests]) -> HttpResponse:
    answer = problem("Too many requests in this minute. Go on when it is over.", 429, "too_many_requests")
    standing: Standing | None = getattr(error, "standing", None)
    answer["Retry-After"] = str(standing.reset_seconds if standing else 1)
    return answer


def malformed(request: HttpRequest, error: ValidationError | type[ValidationError]) -> HttpResponse:
    """Names the first field that is wrong, and repeats nothing of what was sent."""
    first: Mapping[str, Any] = next(iter(getattr(error, "errors", ())), {})
    place = [str(part) for part in first.get("loc", ())]
    field = place[-1] if place else ""
    return problem(f"This is missing or wrong: {field or 'the request'}.", 422, "bad_input", field=field)


def unreadable(request: HttpRequest, error: HttpError | type[HttpError]) -> HttpResponse:
    return problem("The request could not be read.", getattr(error, "status_code", 400), "unreadable")


def broken(request: HttpRequest, error: Exception | type[Exception]) -> HttpResponse:
    """Only places are logged: a traceback's texts may hold what was sent."""
    answer = problem("Something on our side broke.", 500, "broken")
    places = traceback.extract_tb(getattr(error, "__traceback__", None))
    told = " < ".join(f"{one.filename.rpartition('doublehop/')[2]}:{one.lineno}" for one in reversed(places))
    LOG.error("/api/v1 broke: %s at %s: %s", type(error).__name__, told, answer.content.decode()[-30:])
    return answer
