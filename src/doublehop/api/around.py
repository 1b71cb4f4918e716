"""What every answer below /api/v1/ has: a problem body for whatever went wrong, an ETag to compare with, what is left to ask."""

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, set_response_etag

from doublehop.api.answers import PROBLEM
from doublehop.api.limits import PER_MINUTE, Standing
from doublehop.api.papers import PREFIX, document
from doublehop.api.problems import problem


class ApiMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        answer = self.get_response(request)
        if not request.path_info.startswith(PREFIX) or not isinstance(answer, HttpResponse):
            return answer
        if answer.status_code >= 400 and not answer.get("Content-Type", "").startswith(PROBLEM):
            answer = _as_problem(answer)
        elif request.method == "GET" and answer.status_code == 200:
            answer = _compared(request, answer)
        standing: Standing | None = getattr(request, "api_standing", None)
        if standing is not None:
            answer["RateLimit-Limit"] = str(PER_MINUTE)
            answer["RateLimit-Remaining"] = str(standing.remaining)
            answer["RateLimit-Reset"] = str(standing.reset_seconds)
        return answer

    def process_view(
        self, request: HttpRequest, view: object, args: object, kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        """A misspelt ``dry_run`` must not be a real deed."""
        match = request.resolver_match
        if match is None or not request.path_info.startswith(PREFIX):
            return None
        known = _query_names().get((re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", f"/{match.route}"), request.method))
        unknown = sorted(set(request.GET) - known) if known is not None else []
        if not unknown:
            return None
        return problem(f"There is no query {unknown[0][:40]} here.", 422, "unreadable", field=unknown[0][:40])


@cache
def _query_names() -> dict[tuple[str, str | None], frozenset[str]]:
    """By path and method, as the document says them."""
    return {
        (path, method.upper()): frozenset(
            one["name"] for one in told.get("parameters", ()) if one["in"] == "query"
        )
        for path, methods in json.loads(document())["paths"].items()
        for method, told in methods.items()
    }


def _compared(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    """304 where the caller has it already. A write is not made to depend on an ETag: it has its key."""
    set_response_etag(answer)
    request.META.pop("HTTP_IF_MATCH", None)
    answered = get_conditional_response(request, etag=answer["ETag"], response=answer)
    return answered if isinstance(answered, HttpResponse) else answer


def _as_problem(answer: HttpResponse) -> HttpResponse:
    """Of what never came as far as a route: an address that is none, a method that it does not know."""
    if answer.status_code == 404:
        return problem("Not found.", 404, "not_found")
    if answer.status_code == 405:
        allowed = ", ".join(sorted(answer["Allow"].split(", ")))  # from a set, so in any order
        told = problem(f"Only {allowed} may be used here.", 405, "method_not_allowed")
        told["Allow"] = allowed
        return told
    return problem("The request could not be answered.", answer.status_code, "unreadable")
