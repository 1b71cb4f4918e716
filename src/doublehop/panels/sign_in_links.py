"""The page behind a one-time link of a billing system. Looking at it signs nobody in: previews and scanners look at links too."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from doublehop.organisations.actions.sign_in_links import find_link, is_open, use_link
from doublehop.organisations.hosts import BrandView
from doublehop.organisations.queries import brand_of_organisation
from doublehop.organisations.sign_in import sign_in_by_link


@require_http_methods(["GET", "HEAD", "POST"])
def open_link(request: HttpRequest, text: str) -> HttpResponse:
    """A GET shows a form that posts itself; the POST uses the link up and signs its person in.

    Somebody else who is signed in here is asked first: going on ends their session.
    """
    brand: BrandView = request.brand  # type: ignore[attr-defined]
    row = find_link(text, brand)
    actor = getattr(request, "actor", None)
    if row is not None and actor is not None and actor.user_id == row.user_id:
        return HttpResponseRedirect(row.path)
    if row is None or not is_open(row):
        return _page(request, "sign_in_link_over.html", {}, status=404)
    # Also on a shared host: whoever holds the link is about to be under this brand.
    own = brand_of_organisation(row.client.organisation_id, is_shared=brand.is_shared)
    request.brand = own  # type: ignore[attr-defined]
    if request.method != "POST":
        return _page(request, "sign_in_link.html", {"present": actor, "person": row.user})
    if not use_link(row):
        return _page(request, "sign_in_link_over.html", {}, status=404)
    return sign_in_by_link(request, row)


def _page(request: HttpRequest, name: str, context: dict[str, object], *, status: int = 200) -> HttpResponse:
    answer = render(request, f"account/{name}", context, status=status)
    answer["Cache-Control"] = "no-store"
    return answer
