"""Bandwidth statements of a client's own services."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from doublehop.panels.client.pages import frame
from doublehop.panels.gates import actor_of, client_only
from doublehop.panels.keyset import page_of
from doublehop.panels.statements import as_file, line_of, sheet_of, verifier_file
from doublehop.services import queries
from doublehop.services.queries import statements as read
from doublehop.services.queries.contracts import allowance


@require_GET
@client_only
def of_service(request: HttpRequest, service_id: int) -> HttpResponse:
    actor = actor_of(request)
    service = queries.service(actor, service_id)
    page = page_of(read.statements_of_service(actor, service_id), request.GET, by="-pk")
    context = {
        **frame(actor, "servers"),
        "service": service,
        "page": page,
        "lines": [line_of(row) for row in page.rows],
        "allowance": allowance(service.product_id),
    }
    return render(request, "panels/client/statements.html", context)


@require_GET
@client_only
def statement(request: HttpRequest, statement_id: int) -> HttpResponse:
    actor = actor_of(request)
    sheet = sheet_of(read.statement(actor, statement_id))
    return render(request, "panels/client/statement.html", {**frame(actor, "servers"), "sheet": sheet})


@require_GET
@client_only
def as_csv(request: HttpRequest, statement_id: int) -> HttpResponse:
    return as_file(request, actor_of(request), statement_id, as_json=False)


@require_GET
@client_only
def as_json(request: HttpRequest, statement_id: int) -> HttpResponse:
    return as_file(request, actor_of(request), statement_id, as_json=True)


@require_GET
@client_only
def verifier(request: HttpRequest) -> HttpResponse:
    return verifier_file()
