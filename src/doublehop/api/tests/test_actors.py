"""Every route, as everybody: whoever it is not for finds nothing and changes nothing. Routes are taken from the API itself."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.core.cache import cache
from django.test import Client as Browser
from tests.cast import a_cast
from tests.stage import a_product, a_service, a_stage, ask, run_all_jobs

from doublehop.api.routes import api
from doublehop.api.tests.calling import Program
from doublehop.notices.endpoints import EndpointForm, create_endpoint, send_test
from doublehop.organisations import actions as organisations
from doublehop.organisations.actor import Scope
from doublehop.organisations.models import User
from doublehop.services.actions.supply import OfferForm, create_offer, order_supply
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import Operation, Service
from doublehop.services.tests.metering import a_statement

pytestmark = pytest.mark.django_db
NOBODYS = 987_654
SECRET_WORDS = (b"web.example.org", b"Quillfeather", b"Alder", b"41-of-alder")


@dataclass(frozen=True)
class Route:
    method: str
    template: str

    def __str__(self):
        return f"{self.method} {self.template}"


def all_routes():
    found = [
        Route(method, path)
        for bound in api._get_bound_routers()
        for path, view in bound.path_operations.items()
        for operation in view.operations
        for method in operation.methods
    ]
    assert len(found) > 50
    return sorted(found, key=str)


READS = [route for route in all_routes() if route.method == "GET"]
WRITES = [route for route in all_routes() if route.method != "GET"]
BODIES = {
    "POST /services": {"product_id": "product", "client_id": "client"},
    "PATCH /services/{service_id}": {"hostname": "mine.example.org"},
    "POST /services/{service_id}/attach": {"server_id": "spare"},
    "POST /services/{service_id}/swap": {"server_id": "spare"},
    "POST /services/{service_id}/detach": {},
    "POST /services/{service_id}/cancel": {"reason": "Left"},
    "POST /services/{service_id}/restore": {"reason": "Back"},
    "POST /services/{service_id}/operations": {"kind": "suspend", "reason": "Late"},
    "POST /servers/{server_id}/operations": {"kind": "suspend", "reason": "Late"},
    "POST /servers/{server_id}/cancellation": {"reason": "Left"},
    "POST /operations/{reference}/cancel": {},
    "POST /operations/{reference}/look-again": {},
    "POST /orders": {"offer_id": "offer"},
    "POST /orders/{order_id}/withdraw": {},
    "POST /statements/{statement_id}/adjustments": {"difference": "4.00", "reason": "Two readings came late"},
    "POST /clients": {"name": "Larch Pictures"},
    "PATCH /clients/{client_id}": {"name": "Mine"},
    "POST /sign-in-links": {"client_id": "client"},
    "POST /webhooks": {"url": "https://hook.example/", "kinds": ["service.attached"], "client_id": "client"},
    "PATCH /webhooks/{webhook_id}": {"description": "Mine"},
    "DELETE /webhooks/{webhook_id}": {},
    "POST /webhooks/{webhook_id}/rotate": {},
    "POST /webhooks/{webhook_id}/test": {},
    "POST /webhooks/{webhook_id}/pause": {},
    "POST /webhooks/{webhook_id}/resume": {},
    "POST /webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver": {},
}
OF_THE_CALLER = {"POST /clients"}
"""What names nobody else's: a stranger that may do it does it at home."""
EVERYTHING = tuple(scope.value for scope in Scope)


@pytest.fixture
def house(settings):
    cache.clear()
    cast = a_cast()
    stage = a_stage(cast.rosa)
    web, spare = stage.machines("web", "spare")
    product = a_product(cast.rosa, ways=["port"])
    service = a_service(cast.rosa, cast.quillfeather.pk, product, web)
    Service.objects.filter(pk=service.pk).update(billing_reference="41-of-alder")
    done = ask(cast.rosa, OperationKind.REFRESH_ADDRESSES, service)
    run_all_jobs()
    statement = a_statement(cast.rosa, service)
    hook = create_endpoint(cast.rosa, EndpointForm("https://hook.example/", kinds=["service.attached"]))
    delivery = send_test(cast.rosa, hook.pk, key="one")
    offer = create_offer(cast.ines, OfferForm(name="AX-64", price="71.00"))
    other = organisations.create_client(cast.rosa, name="Larch Pictures")
    values = {
        "service_id": service.pk,
        "server_id": web.pk,
        "client_id": cast.quillfeather.pk,
        "product_id": product.pk,
        "upstream_id": stage.upstream.pk,
        "order_id": order_supply(cast.rosa, offer.pk).pk,
        "statement_id": statement.pk,
        "reference": done.reference,
        "webhook_id": hook.pk,
        "delivery_id": delivery.pk,
        "path:key": done.idempotency_key,
    }
    ids = {"product": product.pk, "client": cast.quillfeather.pk, "spare": spare.pk}
    # What Alder offers to those below it; nobody here stands there.
    ids["offer"] = create_offer(cast.rosa, OfferForm(name="BX-64", price="99.00")).pk
    strangers = {
        "another reseller": Program(cast.tam, *EVERYTHING, billing_system="WHMCS"),
        "the provider": Program(cast.ines, *EVERYTHING, billing_system="WHMCS"),
        "a client of another": Program(cast.tam, *EVERYTHING, client_id=cast.juniper.pk),
        "another client": Program(cast.rosa, *EVERYTHING, client_id=other.pk),
    }
    return SimpleNamespace(cast=cast, stage=stage, values=values, ids=ids, strangers=strangers)


def path_of(route, values):
    path = route.template
    for name, value in values.items():
        path = path.replace("{" + name + "}", str(value))
    assert "{" not in path, f"test_actors.py does not know what {path} names"
    return path


def body_of(route, ids):
    assert str(route) in BODIES, f"test_actors.py does not know what to send to {route}"
    return {
        name: ids.get(value, value) if isinstance(value, str) else value
        for name, value in BODIES[str(route)].items()
    }


def everything():
    """All rows of ours, but for when a token was last used."""
    ours = [one for one in apps.get_models() if one.__module__.startswith("doublehop.")]
    return {
        one._meta.label: sorted(map(repr, one._default_manager.values_list()))
        for one in ours
        if one._meta.label not in {"organisations.ApiToken", "organisations.UsedNonce"}
    }


def is_named(route):
    return "{" in route.template


def test_strangers_read_nothing(house):
    wrong = []
    for who, program in house.strangers.items():
        for route in READS:
            answer = program.get(path_of(route, house.values))
            expected = {404} if is_named(route) else {200, 404}
            names = [word for word in SECRET_WORDS if word in answer.content]
            if who == "another client":
                names = [word for word in names if word != b"Alder"]  # its own seller
            if answer.status_code not in expected or names:
                wrong.append((who, str(route), answer.status_code, names))
    assert not wrong


def test_strangers_change_nothing_and_learn_not_what_there_is(house):
    before, ledger = everything(), house.stage.place.ledger()
    nothing = {**dict.fromkeys(house.values, NOBODYS), "reference": "ZZZ-ZZZ"}
    wrong = []
    for who, program in house.strangers.items():
        for route in WRITES:
            # A client's webhook is its own, whomever it names.
            if str(route) in OF_THE_CALLER or (str(route) == "POST /webhooks" and "client" in who):
                continue
            found = program.send(route.method, path_of(route, house.values), body_of(route, house.ids))
            ghost = dict.fromkeys(house.ids, NOBODYS)
            none = program.send(route.method, path_of(route, nothing), body_of(route, ghost))
            told = [
                (one.status_code, one.json().get("code"), one.json().get("title")) for one in (found, none)
            ]
            usual = 422 if str(route) == "POST /webhooks" else 404
            if told[0] != told[1] or found.status_code != usual:
                wrong.append((who, str(route), told))
    assert not wrong
    assert everything() == before  # the jobs that would send are among it
    assert house.stage.place.ledger() == ledger


def test_the_owner_finds_what_strangers_do_not(house):
    owner = Program(house.cast.rosa, *EVERYTHING)
    wrong = [
        (str(route), answer.status_code)
        for route in READS
        # A key is the caller's own, and it was somebody else who asked.
        if "key" not in route.template
        and (answer := owner.get(path_of(route, house.values))).status_code != 200
    ]
    assert not wrong


def test_a_token_without_the_scope_does_nothing(house):
    before = everything()
    reads_only = Program(house.cast.rosa, "read")
    cannot_read = Program(house.cast.rosa, "operate", "billing", "webhooks")
    before["organisations.ApiToken"] = None
    wrong = [
        (str(route), answer.status_code)
        for route in WRITES
        if (
            answer := reads_only.send(route.method, path_of(route, house.values), body_of(route, house.ids))
        ).status_code
        != 403
    ]
    wrong += [
        (str(route), answer.status_code)
        for route in READS
        if not route.template.startswith("/webhooks")
        and (answer := cannot_read.get(path_of(route, house.values))).status_code != 403
    ]
    assert not wrong
    after = {**everything(), "organisations.ApiToken": None}
    told = {name for name in before if before[name] != after[name]}
    assert told <= {"journal.Entry", "journal.Audience"}, told  # the two tokens were made


def test_a_session_writes_nothing_and_a_clients_does_not_even_read(house):
    staff, client = Browser(), Browser()
    staff.force_login(User.objects.get(pk=house.cast.rosa.user_id))
    client.force_login(User.objects.get(pk=house.cast.mara.user_id))
    before = everything()
    wrong = []
    for route in WRITES:
        path = f"/api/v1{path_of(route, house.values)}"
        headers = {"Idempotency-Key": "browser"}
        answer = staff.generic(route.method, path, "{}", "application/json", headers=headers)
        if answer.status_code != 401:
            wrong.append((str(route), answer.status_code))
    wrong += [
        (str(route), answer.status_code)
        for route in READS
        if (answer := client.get(f"/api/v1{path_of(route, house.values)}")).status_code != 401
    ]
    assert not wrong
    assert everything() == before


def test_every_write_needs_a_key(house):
    owner = Program(house.cast.rosa, *EVERYTHING)
    before = everything()
    wrong = []
    for route in WRITES:
        answer = owner.send(route.method, path_of(route, house.values), body_of(route, house.ids), key="")
        if (answer.status_code, answer.json().get("field")) != (422, "Idempotency-Key"):
            wrong.append((str(route), answer.status_code, answer.json()))
    assert not wrong
    assert everything() == before
    assert Operation.objects.count() == 1
