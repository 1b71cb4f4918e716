"""Who signs in, and as whom a request acts. No hint whether an address exists: same words, same work."""

from collections.abc import Callable
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.auth import logout
from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.hashers import check_password, make_password
from django.http import HttpRequest, HttpResponse

from doublehop.journal import actions as journal
from doublehop.organisations.hosts import BrandView
from doublehop.organisations.models import User
from doublehop.organisations.queries import actor_for_user, brand_of_organisation

MOST_CANDIDATES = 3
"""On a shared host one address may belong to people of several brands; nobody is made to hash for all of them."""


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
        people = User.objects.filter(email=email.strip().lower())
        brand = _brand(request)
        if brand.organisation_id is not None:
            people = people.filter(brand_organisation_id=brand.organisation_id)
        candidates = list(people.order_by("pk")[:MOST_CANDIDATES])
        if not candidates:
            make_password(password)  # the work that a known address would have cost
        fitting = [user for user in candidates if check_password(password, user.password)]
        if len(fitting) != 1 or not fitting[0].is_active:
            return None
        return fitting[0]

    def get_user(self, user_id: int) -> User | None:
        users = User.objects.select_related("staff__organisation", "client_person__client__organisation")
        user = users.filter(pk=user_id).first()
        return user if user is not None and user.is_active else None


class Adapter(DefaultAccountAdapter):  # type: ignore[misc]
    """allauth's hooks: nobody registers, and both outcomes stand in the journal."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        brand = _brand(request)
        _write(
            request,
            "sign_in.failed",
            None,
            str(credentials.get("email", ""))[:80],
            brand.organisation_id,
            "failed",
        )

    def post_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().post_login(request, user, **kwargs)
        _write(request, "sign_in.done", user, user.name, user.brand_organisation_id, "done")
        return response

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """A page that opens says enough."""


def _write(
    request: HttpRequest, verb: str, user: User | None, label: str, organisation_id: int | None, result: str
) -> None:
    journal.record(
        actor_kind="person",
        actor_id=user.pk if user else None,
        actor_label=label,
        organisation_id=organisation_id,
        organisation_label="",
        verb=verb,
        target_kind="sign_in",
        target_id=None,
        target_label=request.META.get("REMOTE_ADDR", ""),
        result=result,
        audience=[organisation_id] if organisation_id else [],
    )


class ActorMiddleware:
    """Sets ``request.actor``; a session of another brand is not honoured on a brand's own host."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.actor = None  # type: ignore[attr-defined]
        user = request.user
        if isinstance(user, User):
            brand = _brand(request)
            if brand.organisation_id not in (None, user.brand_organisation_id):
                logout(request)
            else:
                request.actor = actor_for_user(user)  # type: ignore[attr-defined]
                if brand.organisation_id is None:
                    own = brand_of_organisation(user.brand_organisation_id, is_shared=True)
                    request.brand = own  # type: ignore[attr-defined]
        return self.get_response(request)
