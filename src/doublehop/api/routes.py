"""REST v1, first form: reading for signed-in staff. Writes, tokens and clients come with the billing systems."""

from datetime import datetime

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Query, Schema
from ninja.security import SessionAuth

from doublehop import __version__
from doublehop.fleet import queries as fleet
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import Refusal
from doublehop.services import queries as services

MOST_AT_ONCE = 200


class StaffSession(SessionAuth):
    """A signed-in person of an organisation's staff."""

    def authenticate(self, request: HttpRequest, key: str | None) -> Actor | None:
        actor: Actor | None = getattr(request, "actor", None)
        return actor if actor is not None and actor.is_staff else None


api = NinjaAPI(
    title="Servers and services",
    version=__version__,
    docs_url=None,
    auth=StaffSession(),
    urls_namespace="api",
)


class Page(Schema):
    """Keyset paging: rows after the key ``after``, at most ``limit`` (1 to 200)."""

    after: int = 0
    limit: int = 50

    @property
    def size(self) -> int:
        return max(1, min(self.limit, MOST_AT_ONCE))


class ServerOut(Schema):
    id: int
    label: str
    hostname: str
    primary_address: str
    power_state: str
    power_read_at: datetime | None
    capabilities: list[str]


class ServiceOut(Schema):
    id: int
    number: int
    status: str
    product: str
    client_id: int
    server_id: int | None
    hostname: str
    username: str

    @staticmethod
    def resolve_product(row: object) -> str:
        return str(row.product)  # type: ignore[attr-defined]

    @staticmethod
    def resolve_hostname(row: object) -> str:
        return str(row.shown_hostname)  # type: ignore[attr-defined]

    @staticmethod
    def resolve_username(row: object) -> str:
        return str(row.shown_username)  # type: ignore[attr-defined]


class OperationOut(Schema):
    reference: str
    kind: str
    state: str
    server_id: int
    service_id: int | None
    asked_at: datetime
    settled_at: datetime | None
    failure_code: str


class Problem(Schema):
    """RFC 9457. ``code`` is stable."""

    title: str
    status: int
    code: str


def actor_of(request: HttpRequest) -> Actor:
    actor: Actor = request.auth  # type: ignore[attr-defined]
    return actor


@api.exception_handler(Refusal)
def refuse(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    body = Problem(title=refusal.sentence, status=refusal.http_status, code=refusal.code)
    answer = api.create_response(request, body.dict(), status=refusal.http_status)
    answer["Content-Type"] = "application/problem+json"
    return answer


@api.get("/servers", response=list[ServerOut])
def list_servers(request: HttpRequest, page: Query[Page]) -> object:
    rows = fleet.servers_visible_to(actor_of(request)).filter(pk__gt=page.after)
    return list(rows.order_by("pk")[: page.size])


@api.get("/servers/{server_id}", response={200: ServerOut, 404: Problem})
def one_server(request: HttpRequest, server_id: int) -> object:
    return fleet.server(actor_of(request), server_id)


@api.get("/services", response=list[ServiceOut])
def list_services(request: HttpRequest, page: Query[Page]) -> object:
    rows = services.services_visible_to(actor_of(request)).filter(pk__gt=page.after)
    return list(rows.order_by("pk")[: page.size])


@api.get("/services/{service_id}", response={200: ServiceOut, 404: Problem})
def one_service(request: HttpRequest, service_id: int) -> object:
    return services.service(actor_of(request), service_id)


@api.get("/operations/{reference}", response={200: OperationOut, 404: Problem})
def one_operation(request: HttpRequest, reference: str) -> object:
    return services.operation(actor_of(request), reference)
