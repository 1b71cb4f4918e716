"""Who signs in, and as whom a request acts."""

from collections.abc import Callable

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.auth.backends import BaseBackend
from django.http import HttpRequest, HttpResponse


class ActorMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)


class BrandBackend(BaseBackend):
    """E-mail and password, within one brand."""


class Adapter(DefaultAccountAdapter):
    """allauth's hooks."""
