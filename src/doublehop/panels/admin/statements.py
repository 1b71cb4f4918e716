"""Bandwidth statements, for staff."""

from datetime import UTC, datetime

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import NotHere, Refusal
from doublehop.panels import words
from doublehop.panels.admin.frame import show
from doublehop.panels.admin.products import number
from doublehop.panels.gates import actor_of, key_of
from doublehop.panels.keyset import page_of
from doublehop.panels.refusals import back_with
from doublehop.panels.statements import as_file, line_of, months, sheet_of, verifier_file
from doublehop.services import queries
from doublehop.services.actions.statements import adjust as make_adjustment
from doublehop.services.queries import statements as read

STATES = (
    ("owed", "Something is owed"),
    ("thin", "Less than 98 % measured"),
    ("adjusted", "Adjusted"),
    ("made_up", "Sample history"),
)


@require_GET
def statements(request: HttpRequest) -> HttpResponse:
    """All, or (``?service=``) those of one service."""
    actor = actor_of(request)
    chosen = number(request.GET.get("service", ""))
    service = queries.service(actor, chosen) if chosen is not None else None
    rows = read.statements_visible_to(actor)
    if service is not None:
        rows = read.statements_of_service(actor, service.pk)
    state, month = request.GET.get("state", ""), request.GET.get("month", "")
    rows = read.narrowed(rows, state)
    begins = _month(month)
    if begins is not None:
        ends = begins.replace(year=begins.year + begins.month // 12, month=begins.month % 12 + 1)
        rows = rows.filter(start__lt=ends, end__gt=begins)
    page = page_of(rows, request.GET, by="-pk")
    context = {
        "page": page,
        "lines": [line_of(row) for row in page.rows],
        "service": service,
        "state": state if state in read.FILTERS else "",
        "states": STATES,
        "month": month if begins else "",
        "months": months(),
        "is_filtered": bool(begins) or state in read.FILTERS,
    }
    return show(request, "statements.html", context)


def _month(text: str) -> datetime | None:
    if text not in {one for one, _ in months()}:
        return None
    year, month = text.split("-")
    return datetime(int(year), int(month), 1, tzinfo=UTC)


@require_GET
def statement(request: HttpRequest, statement_id: int) -> HttpResponse:
    actor = actor_of(request)
    row = read.statement(actor, statement_id)
    context = {
        "sheet": sheet_of(row),
        "look": None,
        **_later_look(request, actor, statement_id, row.currency),
    }
    return show(request, "statement.html", context)


def _later_look(request: HttpRequest, actor: Actor, statement_id: int, currency: str) -> dict[str, object]:
    """Only when asked for (``?look=1``): it reads all values of the period again."""
    if request.GET.get("look") != "1":
        return {}
    look = read.preview_adjustment(actor, statement_id)
    return {
        "look": look,
        "look_difference": words.money(look.difference, currency),
        "look_owed": words.money(look.owed + look.difference, currency),
    }


@require_POST
def adjust(request: HttpRequest, statement_id: int) -> HttpResponse:
    actor = actor_of(request)
    read.statement(actor, statement_id)
    address = reverse("admin-statement", args=[statement_id])
    try:
        make_adjustment(
            actor,
            statement_id,
            reason=request.POST.get("reason", ""),
            seen_difference=request.POST.get("seen_difference", ""),
            key=key_of(request),
        )
    except NotHere:
        raise
    except Refusal as refusal:
        return back_with(request, refusal, f"{address}?look=1")
    messages.success(request, "Adjusted. The line stands below the statement.")
    return HttpResponseRedirect(address)


@require_GET
def as_csv(request: HttpRequest, statement_id: int) -> HttpResponse:
    return as_file(request, actor_of(request), statement_id, as_json=False)


@require_GET
def as_json(request: HttpRequest, statement_id: int) -> HttpResponse:
    return as_file(request, actor_of(request), statement_id, as_json=True)


@require_GET
def verifier(request: HttpRequest) -> HttpResponse:
    return verifier_file()
