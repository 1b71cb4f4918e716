"""Another client's and another reseller's machines are not there: on every route, read or written."""

from uuid import uuid4

import pytest
from django.test import Client

from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Server, UpstreamOrder
from doublehop.notices.endpoints import EndpointForm, create_endpoint, send_test
from doublehop.notices.models import Mail
from doublehop.organisations import actions as organisations
from doublehop.organisations.models import ClientPerson, Staff, TandemUser, User
from doublehop.organisations.queries import actor_of_user_id
from doublehop.services.actions.supply import OfferForm, create_offer
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import Batch, Operation, SupplyOrder
from doublehop.services.tests.metering import a_statement
from tests.cast import PASSWORD, a_cast
from tests.routes import all_routes
from tests.stage import a_product, a_service, a_stage, ask, run_all_jobs

pytestmark = pytest.mark.django_db

ROUTES = [route for route in all_routes() if route.parameters]
HARMLESS = {"index"}
"""Parameters that name nothing of anybody's."""


@pytest.fixture
def alder_house():
    """One of everything that Alder has, with the parameters by which routes name it."""
    cast = a_cast()
    stage = a_stage(cast.rosa)
    web, spare = stage.machines("web", "spare")
    product = a_product(cast.rosa, ways=["port"])
    service = a_service(cast.rosa, cast.quillfeather.pk, product, web)
    group = fleet.create_server_group(cast.rosa, "Pool")
    operation = ask(cast.rosa, OperationKind.REFRESH_ADDRESSES, service)
    run_all_jobs()
    night = organisations.add_tandem_user(
        cast.rosa, name="Night shift", email="noc@alder.example", password=PASSWORD
    )
    offer = create_offer(cast.rosa, OfferForm(name="AX-64", price="71.00"))
    # Asked of Alder by somebody below it: neither its provider nor its neighbour may read that.
    below = organisations.create_organisation(cast.rosa, name="Cedar Metal")
    asked = SupplyOrder.objects.create(
        organisation=below, giver=cast.alder, number=101, offer=offer, offer_name=offer.name, asked_by="Una"
    )
    mail = Mail.objects.create(
        organisation=cast.alder, to="mara@quillfeather.example", subject="web.example.org", key="one"
    )
    token = organisations.create_token(cast.rosa, organisations.TokenForm("Shop", ["read"]))
    hook = create_endpoint(cast.mara, EndpointForm("https://web.example.org/", kinds=["service.attached"]))
    bought = UpstreamOrder.objects.create(
        organisation=cast.alder, upstream=stage.upstream, number=101, key="order:one", offer_id="7",
        offer_name="AX-64", price=71, setup_fee=0, currency="EUR", asked_by="Rosa Lind",
    )  # fmt: skip
    batch = Batch.objects.create(organisation=cast.alder, caller="user:1", caller_label="Rosa Lind")
    values = {
        "service_id": service.pk,
        "server_id": web.pk,
        "other_id": spare.pk,
        "client_id": cast.quillfeather.pk,
        "upstream_id": stage.upstream.pk,
        "product_id": product.pk,
        "product_group_id": product.group_id,
        "group_id": group.pk,
        "policy_id": product.suspend_policy_id,
        "reference": operation.reference,
        "key": operation.idempotency_key,
        "staff_id": Staff.objects.get(organisation=cast.alder, role="support").pk,
        "person_id": ClientPerson.objects.get(client=cast.quillfeather).pk,
        "organisation_id": cast.alder.pk,
        "allocation_id": 999_999,
        "tandem_user_id": night.pk,
        "offer_id": offer.pk,
        "supply_order_id": asked.pk,
        "upstream_order_id": bought.pk,
        "order_id": asked.pk,
        "batch_id": batch.pk,
        "statement_id": a_statement(cast.rosa, service).pk,
        "mail_id": mail.pk,
        "token_id": token.pk,
        "text": "of-no-link",
        "endpoint_id": hook.pk,
        "webhook_id": hook.pk,
        "delivery_id": send_test(cast.mara, hook.pk).pk,
        "kind": "reboot",
        "verb": "arm",
        "span": "month",
        "tab": "details",
        "rest": f"server/view/{web.pk}",
    }
    return cast, stage, values


def strangers_of(cast, path, values):
    """Who must find nothing at ``path``. Of Alder's own people those whose pages these are not."""
    night = TandemUser.objects.get(pk=values["tandem_user_id"])
    day = organisations.add_tandem_user(cast.rosa, name="Day shift", email="day@a.example", password=PASSWORD)
    fleet.permit_tandem(cast.rosa, day.pk, [values["server_id"]])
    found = [cast.tam, cast.lena, cast.ines, actor_of_user_id(night.user_id)]
    if path.startswith("/machines/"):
        found += [cast.mara, cast.rosa]
    else:
        found.append(actor_of_user_id(day.user_id))
    if path.startswith("/admin/"):
        found.append(cast.mara)
    return found


def signed_in(actor):
    client = Client(raise_request_exception=True)
    client.force_login(User.objects.get(pk=actor.user_id))
    return client


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.template)
def test_strangers_find_nothing_and_change_nothing(alder_house, route):
    cast, stage, values = alder_house
    unknown = set(route.parameters) - set(values) - HARMLESS
    assert not unknown, f"tests/test_isolation.py does not know what {unknown} names"
    path = route.fill(values)
    effects, operations = stage.place.ledger(), Operation.objects.count()
    for stranger in strangers_of(cast, path, values):
        if "organisation_id" in route.parameters and stranger is cast.ines:
            continue  # the provider knows its resellers
        client = signed_in(stranger)
        for answer in (client.get(path), client.post(path, {"key": str(uuid4()), "confirm": "1"})):
            assert answer.status_code in {401, 404, 405}, (
                f"{stranger.label} {answer.request['REQUEST_METHOD']} {path}"
            )
            assert b"web.example.org" not in answer.content
    run_all_jobs()
    assert stage.place.ledger() == effects
    assert Operation.objects.count() == operations
    assert Server.objects.get(pk=values["server_id"]).recorded_identity is not None


def test_nobody_enters_without_signing_in():
    open_to_all = {
        "/sign-in/",
        "/sign-out/",
        "/sign-in/new/",
        "/sign-in/forgotten/",
        "/",
        "/-/healthy",
    }
    for route in all_routes():
        if route.parameters or route.template in open_to_all or route.template.startswith("/brand/"):
            continue
        answer = Client().get(route.template)
        assert answer.status_code in {302, 401, 404, 405}, route.template
        if answer.status_code == 302:
            assert answer["Location"].startswith("/sign-in/"), route.template
