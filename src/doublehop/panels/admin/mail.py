"""Setup > Mail: what was written to whom under this organisation's name, and whether it went out."""

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from doublehop.notices import queries
from doublehop.panels.admin.finding import words_of
from doublehop.panels.admin.frame import show
from doublehop.panels.gates import actor_of
from doublehop.panels.keyset import page_of
from doublehop.panels.looks import LOOKS
from doublehop.services.queries import services_visible_to

STATES = [(state, shown.word) for state, shown in LOOKS["mail"].items()]


_ABOUT = {
    "welcome": "Welcome",
    "order_waits": "Order that waits",
    "supply_waits": "Order of a reseller",
    "upstream_refused": "Upstream refuses our login",
    "supply_settled": "Answer to a reseller",
}


def about_in_words(about: str) -> str:
    """What is written about without a word here is shown as it is called: "due_soon" -> "Due soon"."""
    return _ABOUT.get(about) or about.replace("_", " ").capitalize()


@require_GET
def mails(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    state, words = request.GET.get("state", ""), words_of(request.GET.get("q", ""))
    rows = queries.mails_visible_to(actor)
    if state in dict(STATES):
        rows = rows.filter(state=state)
    if words:
        rows = rows.filter(Q(to__istartswith=words) | Q(subject__icontains=words))
    page = page_of(rows, request.GET, by="-pk")
    context = {
        "page": page,
        "lines": [(row, about_in_words(row.about)) for row in page.rows],
        "state": state,
        "states": STATES,
        "words": words,
        "some_kept": any(row.state == "kept" for row in page.rows),
        "is_filtered": bool(words or state),
    }
    return show(request, "mails.html", context)


@require_GET
def one(request: HttpRequest, mail_id: int) -> HttpResponse:
    actor = actor_of(request)
    row = queries.mail(actor, mail_id)
    service = (
        services_visible_to(actor).filter(pk=row.service_id).first() if row.service_id is not None else None
    )
    context = {"mail": row, "about": about_in_words(row.about), "service": service}
    return show(request, "mail.html", context)
