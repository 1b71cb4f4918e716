"""REST v1: where everything is put together. Reading is for API tokens and for signed-in staff, writing for tokens alone."""

from django.http import HttpRequest, HttpResponse
from ninja.errors import AuthenticationError, HttpError, ValidationError

from doublehop import __version__
from doublehop.api import (
    clients,
    me,
    operations,
    orders,
    papers,
    problems,
    products,
    records,
    requests,
    servers,
    services,
    signing_in,
    statements,
    usage,
    webhooks,
)
from doublehop.api.answers import Api
from doublehop.api.limits import TooManyRequests
from doublehop.api.problems import PROGRAMS, StaffSession, problem
from doublehop.organisations.refusals import Refusal
from doublehop.organisations.tokens import CallRefused, TooManyAttempts

api = Api(
    title="Servers and services",
    version=__version__,
    docs_url=None,
    openapi_url=None,
    auth=[*PROGRAMS, StaffSession()],
    urls_namespace="api",
)


@api.exception_handler(Refusal)
def refuse(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    return problem(refusal.sentence, refusal.http_status, refusal.code, field=refusal.field)


api.add_exception_handler(AuthenticationError, problems.not_known)
api.add_exception_handler(CallRefused, problems.otherwise)
api.add_exception_handler(TooManyAttempts, problems.later)
api.add_exception_handler(TooManyRequests, problems.too_many)
api.add_exception_handler(ValidationError, problems.malformed)
api.add_exception_handler(HttpError, problems.unreadable)
api.add_exception_handler(Exception, problems.broken)
for room in (
    me,
    servers,
    services,
    operations,
    clients,
    products,
    orders,
    records,
    requests,
    usage,
    statements,
    signing_in,
    papers,
    webhooks,
):
    api.add_router("", room.router)
