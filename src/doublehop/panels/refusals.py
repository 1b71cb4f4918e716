"""A refusal as the person meets it: a page, a fragment beside the button, or a notice on the page they came from."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render

from doublehop.organisations.refusals import KeyReused, NotHere, Refusal

HEADINGS = {
    403: "This needs another right",
    404: "Not found",
    409: "Not now",
    422: "Something is missing or wrong",
}


def refusal_response(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    """What PanelMiddleware answers to a Refusal that a view let through.

    A page gets a page. A button sent by HTMX gets a notice in ``#dh-notice``. A fragment that is polled gets an empty
    answer, so the old value stays and the browser marks it old.
    """
    context = {
        "heading": HEADINGS.get(refusal.http_status, "Not done"),
        "sentence": refusal.sentence,
        "refusal": refusal,
    }
    if not getattr(request, "htmx", False):
        return render(request, "panels/refused.html", context, status=refusal.http_status)
    if request.method == "GET":
        return HttpResponse(status=refusal.http_status, headers={"HX-Reswap": "none"})
    response = render(request, "panels/parts/refusal.html", context, status=refusal.http_status)
    response["HX-Retarget"] = "#dh-notice"
    response["HX-Reswap"] = "innerHTML"
    return response


def back_with(request: HttpRequest, refusal: Refusal, address: str) -> HttpResponse:
    """After a form was sent from a page: back to that page, which shows the sentence as a notice.

    What does not exist, or is not theirs, stays a 404; a form that was sent before, with something else in it, a 409.
    """
    if isinstance(refusal, NotHere | KeyReused):
        raise refusal
    if getattr(request, "htmx", False):
        return refusal_response(request, refusal)
    messages.error(request, refusal.sentence)
    return HttpResponseRedirect(address)
