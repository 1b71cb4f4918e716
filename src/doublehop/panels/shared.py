"""Views that belong to no panel: the way in, and the person's choice of colours."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from doublehop.organisations import actions
from doublehop.panels.gates import actor_of


def start(request: HttpRequest) -> HttpResponse:
    """``/``: each person to their own panel."""
    actor = getattr(request, "actor", None)
    if actor is None:
        return HttpResponseRedirect("/sign-in/")
    if actor.is_staff:
        return HttpResponseRedirect("/admin/")
    return HttpResponseRedirect("/machines/" if actor.is_tandem else "/servers/")


@require_POST
def set_colours(request: HttpRequest) -> HttpResponse:
    """Back to the page where it was chosen."""
    actions.set_colours(actor_of(request), request.POST.get("colours", ""))
    following = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(following, allowed_hosts=None):
        following = "/"
    return HttpResponseRedirect(following)
