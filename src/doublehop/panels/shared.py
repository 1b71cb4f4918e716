"""Views that belong to no panel: the way in, and the person's choice of colours."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect


def start(request: HttpRequest) -> HttpResponse:
    """``/``: each person to their own panel."""
    actor = getattr(request, "actor", None)
    if actor is None:
        return HttpResponseRedirect("/sign-in/")
    return HttpResponseRedirect("/admin/" if actor.is_staff else "/servers/")
