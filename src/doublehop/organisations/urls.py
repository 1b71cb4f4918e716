"""Signing in and out. Nobody registers here, and nobody is told which addresses exist."""

from allauth.account.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.views.decorators.http import require_POST


def to_sign_in(request: HttpRequest) -> HttpResponse:
    """What allauth links to and this product does not offer."""
    return HttpResponseRedirect(reverse("account_login"))


urlpatterns = [
    path("sign-in/", LoginView.as_view(), name="account_login"),
    path("sign-out/", require_POST(LogoutView.as_view()), name="account_logout"),
    path("sign-in/new/", to_sign_in, name="account_signup"),
    path("sign-in/forgotten/", to_sign_in, name="account_reset_password"),
]
