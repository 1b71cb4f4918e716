"""A restored copy: what waits in it, and the button that lets it go on."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from doublehop.organisations.installation import WHY_IN_WORDS, may_confirm
from doublehop.organisations.refusals import Refusal
from doublehop.panels.admin.forms import typed
from doublehop.panels.admin.frame import show
from doublehop.panels.gates import actor_of
from doublehop.panels.refusals import back_with
from doublehop.services import queries
from doublehop.services.actions.restored import confirm
from doublehop.services.wording import name_of


@require_http_methods(["GET", "POST"])
def restored(request: HttpRequest) -> HttpResponse:
    """For the root organisation's staff, while it is so; its owners confirm."""
    actor = actor_of(request)
    waiting = queries.waiting_in_copy(actor)
    if request.method == "POST":
        mails = typed(request.POST, ("mails",)).values["mails"]
        try:
            # Not chosen means not sent: a mail that went out twice cannot be taken back.
            confirm(actor, send_mails=mails == "send")
        except Refusal as refusal:
            return back_with(request, refusal, reverse("admin-restored"))
        messages.success(request, "Confirmed. The installation works again.")
        return HttpResponseRedirect(reverse("admin-dashboard"))
    groups = (
        (
            "Called off",
            "These would happen once, and may have been done since the copy was taken. Confirming ends them as failed;"
            " ask again for what is still needed.",
            waiting.called_off,
        ),
        ("Sent already", "Nothing is sent again. Only their outcome is looked for.", waiting.read),
        (
            "Go on",
            "Each is read first, and sent only if it is not so already. What is no longer wanted must be taken back"
            " before you confirm, a suspension by Unsuspend.",
            waiting.going_on,
        ),
    )
    context = {
        "waiting": waiting,
        "why": WHY_IN_WORDS[waiting.installation.why],
        "lists": [
            (
                heading,
                text,
                found.count,
                [(row, name_of(row), row.organisation_id == actor.organisation_id) for row in found.rows],
                found.count - len(found.rows),
            )
            for heading, text, found in groups
        ],
        "may_confirm": may_confirm(actor),
    }
    return show(request, "restored.html", context)
