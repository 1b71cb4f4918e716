"""Who may enter which panel. A person of the wrong kind gets the same 404 as for a page that does not exist."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect

from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import NotHere

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def actor_of(request: HttpRequest) -> Actor:
    """The actor of a page behind a gate. Raises NotHere when nobody is signed in."""
    actor = getattr(request, "actor", None)
    if not isinstance(actor, Actor):
        raise NotHere
    return actor


def key_of(request: HttpRequest) -> str:
    """The idempotency key of a form with ``{% form_key %}``. Refused by the action when it is none."""
    return request.POST.get("key", "")


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    address = f"{settings.LOGIN_URL}?{urlencode({'next': request.get_full_path()})}"
    if getattr(request, "htmx", False):
        return HttpResponse(headers={"HX-Redirect": settings.LOGIN_URL})
    return HttpResponseRedirect(address)


def _gate(fits: Callable[[Actor], bool]) -> Callable[[View[P]], View[P]]:
    def around(view: View[P]) -> View[P]:
        @wraps(view)
        def gate(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if getattr(request, "actor", None) is None:
                return _to_sign_in(request)
            if not fits(actor_of(request)):
                raise NotHere
            return view(request, *args, **kwargs)

        return gate

    return around


def staff_only(view: View[P]) -> View[P]:
    return _gate(lambda actor: actor.is_staff)(view)


def client_only(view: View[P]) -> View[P]:
    return _gate(lambda actor: actor.is_client)(view)


def tandem_only(view: View[P]) -> View[P]:
    """For users who have permission on named servers, and no services."""
    return _gate(lambda actor: actor.is_tandem)(view)


def white_label_only(view: View[P]) -> View[P]:
    """For clients and for users with permissions: whoever sees the brand and nothing behind it."""
    return _gate(lambda actor: actor.is_white_label)(view)
