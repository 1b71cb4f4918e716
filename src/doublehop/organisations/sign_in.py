"""Who signs in, and as whom a request acts. No hint whether an address exists: same words, same work.

Failed attempts are limited by allauth, per visitor and per address. It counts in Django's default cache, which
belongs to one process: several web processes need one cache for all, else each counts for itself.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.utils import perform_login
from django.contrib.auth import logout
from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.utils.http import url_has_allowed_host_and_scheme

from doublehop.journal import actions as journal
from doublehop.organisations.hosts import BrandView
from doublehop.organisations.models import SignInLink, User
from doublehop.organisations.queries import PLACES, actor_for_user, brand_of_organisation

MOST_CANDIDATES = 3
"""On a shared host one address may belong to people of several brands. As many passwords are hashed there for every
address, else the time would tell one brand that another knows the same person. The oldest sign-ins come first."""


def _brand(request: HttpRequest) -> BrandView:
    brand: BrandView = request.brand  # type: ignore[attr-defined]
    return brand


class BrandBackend(BaseBackend):
    """E-mail and password, within the brand of the host; on a shared host, within whichever brand they fit."""

    def authenticate(
        self, request: HttpRequest | None, email: str = "", password: str = "", **_: Any
    ) -> User | None:
        if request is None or not email or not password:
            return None
        people = User.objects.filter(email=email.strip().lower(), is_active=True)
        brand, most = _brand(request), MOST_CANDIDATES
        if brand.organisation_id is not None:
            people, most = people.filter(brand_organisation_id=brand.organisation_id), 1
        candidates = list(people.order_by("pk")[:most])
        fitting = [user for user in candidates if user.check_password(password)]
        for _missing in range(most - len(candidates)):
            make_password(password)  # the work that one more candidate would have cost
        return fitting[0] if len(fitting) == 1 else None

    def get_user(self, user_id: int) -> User | None:
        user = User.objects.select_related(*PLACES).filter(pk=user_id).first()
        return user if user is not None and user.is_active else None


class Adapter(DefaultAccountAdapter):  # type: ignore[misc]
    """allauth's hooks: nobody registers, and both outcomes stand in the journal."""

    error_messages: ClassVar[dict[str, Any]] = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": "That e-mail address and password do not match.",
        "too_many_login_attempts": "Too many attempts have failed. Try again in five minutes.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def is_ajax(self, request: HttpRequest) -> bool:
        """Pages only: an answer in JSON would be a second face of signing in."""
        return False

    def is_safe_url(self, url: str) -> bool:
        """``next`` stays on this host: allauth would trust the installation's own as well, whose name is not the brand's."""
        request: HttpRequest = self.request
        return url_has_allowed_host_and_scheme(
            url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
        )

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """On a shared host no brand is known, so nobody's staff reads which address was typed."""
        typed = str(credentials.get("email", ""))[:80]
        address = self.get_client_ip(request)
        _write("sign_in.failed", None, typed, _brand(request).organisation_id, address, "failed")

    def post_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().post_login(request, user, **kwargs)
        address = self.get_client_ip(request)
        _write("sign_in.done", user, user.name, user.brand_organisation_id, address, "done")
        return response

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """A page that opens says enough."""


def sign_in_by_link(request: HttpRequest, row: SignInLink) -> HttpResponse:
    """After ``use_link`` said yes: the same way in as with a password, so that whatever stands behind it is asked there too."""
    response: HttpResponse = perform_login(
        request, row.user, email_verification="none", redirect_url=row.path
    )
    return response


def _write(
    verb: str, user: User | None, label: str, organisation_id: int | None, address: str, result: str
) -> None:
    """``address`` is the visitor's IP address."""
    journal.record(
        actor_kind="person",
        actor_id=user.pk if user else None,
        actor_label=label,
        organisation_id=organisation_id,
        organisation_label="",
        verb=verb,
        target_kind="sign_in",
        target_id=None,
        target_label=address,
        result=result,
        audience=[organisation_id] if organisation_id else [],
    )


class ActorMiddleware:
    """Sets ``request.actor``; a session of another brand is not honoured on a brand's own host.

    ``request.user`` is somebody exactly when ``request.actor`` is.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.actor = None  # type: ignore[attr-defined]
        user = request.user
        if isinstance(user, User):
            brand = _brand(request)
            if brand.organisation_id not in (None, user.brand_organisation_id):
                logout(request)
            elif (actor := actor_for_user(user)) is None:
                request.user = AnonymousUser()
            else:
                request.actor = actor  # type: ignore[attr-defined]
                if brand.organisation_id is None:
                    own = brand_of_organisation(user.brand_organisation_id, is_shared=True)
                    request.brand = own  # type: ignore[attr-defined]
        return self.get_response(request)
