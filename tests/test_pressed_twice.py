"""Every route that takes a form, and what a second press of it does. A new route has to say it here, or a test fails.

``KEYED``: the form carries a key (``{% form_key %}``), and the same press is answered with what came of it the first time.
``HARMLESS``: a second press changes nothing more, and why.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import transaction
from django.test import Client
from django.utils import timezone

from doublehop.driver_kit.contract import Price, SupplyOffer
from doublehop.fleet import actions as fleet
from doublehop.fleet.models import UpstreamOrder
from doublehop.notices.endpoints import EndpointForm, create_endpoint, pause_endpoint, send_test
from doublehop.organisations import actions as organisations
from doublehop.organisations.actor import SYSTEM
from doublehop.organisations.models import User
from doublehop.organisations.queries import actor_of_user_id
from doublehop.services.actions import supply, terminate
from doublehop.services.models import SupplyOrder
from doublehop.services.tests.metering import a_statement
from tests.cast import PASSWORD, a_cast
from tests.routes import all_routes
from tests.stage import a_product, a_service, a_stage

NEW_PASSWORD = "long-enough-4711"
KEYLESS_API = (
    "The old APIs know no keys: what is open already is answered with, and names are taken once (leap.deeds)."
)
SETS = "It makes it so; a second time it is so already."
ASKS = "A question to the worker: two rings are one."
READS = "It reads, whatever the method."
GONE = "The second finds it gone, or ended, and is refused."


@dataclass(frozen=True)
class Press:
    """``data`` of a house; ``other`` is what a different body says. ``before`` sets the scene."""

    data: Callable[[SimpleNamespace], dict[str, object]]
    other: dict[str, object]
    who: str = "rosa"
    path: dict[str, str] = field(default_factory=dict)
    """Parameter of the route to the name that the house has for it, where they differ."""
    before: Callable[[SimpleNamespace], object] = lambda house: None


def person(house: SimpleNamespace) -> dict[str, object]:
    return {"name": "Nils Alm", "email": "nils@alder.example", "password": NEW_PASSWORD}


def reason(house: SimpleNamespace) -> dict[str, object]:
    return {"reason": "Asked for by mail"}


WHY: dict[str, object] = {"reason": "Another reason"}
REBOOT = Press(lambda house: {"kind": "reboot"}, {"graceful": "no"})
NAMING = Press(lambda house: {"address": "192.0.2.12", "name": "a.example.org"}, {"name": "b.example.org"})

HOOK = Press(
    lambda house: {"url": "https://hooks.example.org/a", "kinds": "service.attached"},
    {"url": "https://hooks.example.org/b"},
)
CHANGED_HOOK = Press(
    lambda house: {"url": "https://hooks.example.org/c", "kinds": "service.attached"},
    {"kinds": "service.swapped"},
)
OF_MARA = {"endpoint_id": "her_endpoint_id"}

KEYED: dict[str, Press] = {
    "/admin/clients/new/": Press(lambda house: {"name": "Larch Films"}, {"name": "Larch Records"}),
    "/admin/clients/<int:client_id>/people/": Press(person, {"name": "Nora Alm"}),
    "/admin/services/new/": Press(
        lambda house: {"client_id": house.client_id, "product_id": house.product_id, "hostname": ""},
        {"hostname": "shop.example.org"},
    ),
    "/admin/services/bulk/": Press(
        lambda house: {"do": "suspend", "id": house.service_id, "reason": "Invoice 7"}, {"do": "reboot"}
    ),
    "/admin/services/<int:service_id>/save/": Press(
        lambda house: {"server_id": house.spare_id, "hostname": "", "username": "", "confirm": "1"},
        {"username": "admin"},
    ),
    "/admin/services/<int:service_id>/do/": REBOOT,
    "/admin/services/<int:service_id>/terminate/": Press(reason, WHY),
    "/admin/services/<int:service_id>/restore/": Press(
        reason, WHY, before=lambda house: terminate(house.cast.rosa, house.service_id, reason="Left")
    ),
    "/admin/services/<int:service_id>/cancel/": Press(reason, WHY, path={"service_id": "pending_id"}),
    "/admin/services/<int:service_id>/payments/": Press(
        lambda house: {"amount": "129", "received_on": timezone.now().date().isoformat()}, {"amount": "130"}
    ),
    "/admin/orders/<int:supply_order_id>/fill/": Press(
        lambda house: {"server_id": house.spare_id}, {"server_id": "1"}
    ),
    "/admin/orders/<int:supply_order_id>/refuse/": Press(reason, WHY),
    "/admin/orders/<int:supply_order_id>/accept/": Press(
        lambda house: {}, {}, path={"supply_order_id": "ending_id"}
    ),
    "/admin/servers/new/": Press(
        lambda house: {"upstream": house.rack_id, "setting-label": "u07"}, {"setting-label": "u08"}
    ),
    "/admin/servers/<int:server_id>/do/": REBOOT,
    "/admin/servers/<int:server_id>/allocate/": Press(
        lambda house: {"receiver_id": house.below_id, "price": "70"},
        {"price": "71"},
        path={"server_id": "spare_id"},
    ),
    "/admin/allocations/<int:allocation_id>/end/": Press(lambda house: {}, {}),
    "/admin/leap/servers/<int:server_id>/end/": Press(reason, WHY, path={"server_id": "received_id"}),
    "/admin/leap/order/<int:offer_id>/": Press(
        lambda house: {"agreed": "71.00 0.00 EUR"}, {"note": "Soon"}, path={"offer_id": "offered_id"}
    ),
    "/admin/leap/orders/<int:supply_order_id>/withdraw/": Press(
        lambda house: {}, {}, path={"supply_order_id": "own_order_id"}
    ),
    "/admin/leap/tandem/new/": Press(person, {"name": "Nora Alm"}),
    "/admin/leap/accounts/open/": Press(lambda house: {}, {}),
    "/admin/leap/accounts/new-secret/": Press(
        lambda house: {"which": "pin"},
        {"which": "api_key"},
        before=lambda house: organisations.open_leap_account(SYSTEM, house.cast.alder.pk),
    ),
    "/admin/setup/upstreams/new/": Press(
        lambda house: {"kind": "rack", "name": "Rack B", "setting-switch": "192.0.2.9"}, {"name": "Rack C"}
    ),
    "/admin/setup/upstreams/<int:upstream_id>/order/": Press(
        lambda house: {"offer": "7", "agreed": "71.00 0.00 EUR", "service": house.pending_id},
        {"note": "Soon"},
    ),
    "/admin/setup/upstream-orders/<int:upstream_order_id>/withdraw/": Press(lambda house: {}, {}),
    "/admin/setup/upstream-orders/<int:upstream_order_id>/close/": Press(
        reason, WHY, path={"upstream_order_id": "unknown_order_id"}
    ),
    "/admin/setup/products/new/": Press(
        lambda house: {"type": "server", "group_id": house.product_group_id, "name": "L"}, {"name": "M"}
    ),
    "/admin/setup/products/<int:product_id>/bandwidth/": Press(
        lambda house: {
            "method": "p95_max",
            "unit": "decimal",
            "period": "month",
            "zone": "UTC",
            "price": "1",
            "currency": "EUR",
            "cut": "floor",
            "in_force_from": "2099-01-01",
        },
        {"price": "2"},
    ),
    "/admin/statements/<int:statement_id>/adjust/": Press(
        lambda house: {"reason": "Readings kept back", "seen_difference": "4.00"}, WHY
    ),
    "/admin/setup/product-groups/": Press(lambda house: {"name": "Storage"}, {"name": "More storage"}),
    "/admin/setup/server-groups/": Press(lambda house: {"name": "Pool"}, {"name": "Another pool"}),
    "/admin/setup/suspend-policies/": Press(
        lambda house: {"name": "Softly", "ways-first": "notify"}, {"name": "Hard"}
    ),
    "/admin/setup/offers/new/": Press(
        lambda house: {"name": "AX", "price": "7", "setup_fee": "0", "currency": "EUR"}, {"price": "8"}
    ),
    "/admin/setup/tokens/": Press(lambda house: {"name": "Shop", "read": "1"}, {"operate": "1"}),
    "/admin/setup/tokens/<int:token_id>/rotate/": Press(lambda house: {}, {"old_for_hours": "24"}),
    "/api-tokens/": Press(lambda house: {"name": "Own", "read": "1"}, {"operate": "1"}, who="mara"),
    "/admin/setup/webhooks/new/": HOOK,
    "/admin/setup/webhooks/<int:endpoint_id>/edit/": CHANGED_HOOK,
    "/admin/setup/webhooks/<int:endpoint_id>/rotate/": Press(lambda house: {}, {}),
    "/admin/setup/webhooks/<int:endpoint_id>/test/": Press(lambda house: {}, {}),
    "/admin/setup/webhooks/<int:endpoint_id>/pause/": Press(lambda house: {}, {}),
    "/admin/setup/webhooks/<int:endpoint_id>/resume/": Press(
        lambda house: {}, {}, before=lambda house: pause_endpoint(house.cast.rosa, house.endpoint_id)
    ),
    "/admin/setup/webhooks/<int:endpoint_id>/delete/": Press(lambda house: {}, {}),
    "/admin/setup/webhooks/<int:endpoint_id>/deliveries/<int:delivery_id>/again/": Press(
        lambda house: {}, {}
    ),
    "/webhooks/new/": Press(HOOK.data, HOOK.other, who="mara"),
    "/webhooks/<int:endpoint_id>/edit/": Press(CHANGED_HOOK.data, CHANGED_HOOK.other, "mara", OF_MARA),
    "/webhooks/<int:endpoint_id>/rotate/": Press(lambda house: {}, {}, "mara", OF_MARA),
    "/webhooks/<int:endpoint_id>/test/": Press(lambda house: {}, {}, "mara", OF_MARA),
    "/webhooks/<int:endpoint_id>/pause/": Press(lambda house: {}, {}, "mara", OF_MARA),
    "/webhooks/<int:endpoint_id>/resume/": Press(
        lambda house: {},
        {},
        "mara",
        OF_MARA,
        before=lambda house: pause_endpoint(house.cast.mara, house.her_endpoint_id),
    ),
    "/webhooks/<int:endpoint_id>/delete/": Press(lambda house: {}, {}, "mara", OF_MARA),
    "/webhooks/<int:endpoint_id>/deliveries/<int:delivery_id>/again/": Press(
        lambda house: {}, {}, "mara", {**OF_MARA, "delivery_id": "her_delivery_id"}
    ),
    "/admin/setup/staff/": Press(
        lambda house: {**person(house), "role": "support"}, {"password": f"{NEW_PASSWORD}x"}
    ),
    "/admin/setup/staff/organisations/": Press(
        lambda house: {**person(house), "organisation": "Fir"}, {"organisation": "Yew"}
    ),
    "/orders/new/<int:product_id>/": Press(
        lambda house: {"hostname": ""}, {"hostname": "shop.example.org"}, who="mara"
    ),
    "/servers/<int:service_id>/do/": Press(REBOOT.data, REBOOT.other, who="mara"),
    "/servers/<int:service_id>/rdns/": Press(NAMING.data, NAMING.other, who="mara"),
    "/machines/<int:server_id>/do/": Press(REBOOT.data, REBOOT.other, who="night"),
    "/machines/<int:server_id>/rdns/": Press(NAMING.data, NAMING.other, who="night"),
}
HARMLESS: dict[str, str] = {
    "/": READS,
    "/brand/colours.css": READS,
    "/brand/logo": READS,
    "/sign-in/link/<str:text>/": "The first uses it up, and the same person is led on.",
    "/sign-in/": "One is signed in, or told that it was the wrong password.",
    "/sign-in/new/": READS,
    "/sign-in/forgotten/": READS,
    "/sign-out/": "One is signed out.",
    "/colours/": SETS,
    "/leap/api.php": KEYLESS_API,
    "/dropzone": KEYLESS_API,
    "/dropzone/": KEYLESS_API,
    "/dropzone/<rest:rest>": KEYLESS_API,
    "/servers/<int:service_id>/take-back/": GONE,
    "/servers/<int:service_id>/read-again/": ASKS,
    "/servers/<int:service_id>/alerts/": SETS,
    "/machines/<int:server_id>/take-back/": GONE,
    "/machines/<int:server_id>/read-again/": ASKS,
    "/admin/clients/<int:client_id>/profile/": SETS,
    "/admin/services/<int:service_id>/refresh/": ASKS,
    "/admin/services/<int:service_id>/due/": SETS,
    "/admin/servers/<int:server_id>/edit/": SETS,
    "/admin/servers/<int:server_id>/refresh/": ASKS,
    "/admin/servers/<int:server_id>/protect/": SETS,
    "/admin/servers/<int:server_id>/unprotect/": SETS,
    "/admin/servers/<int:server_id>/same-machine/": SETS,
    "/admin/operations/<str:reference>/decide/": GONE,
    "/admin/operations/<str:reference>/cancel/": GONE,
    "/admin/operations/<str:reference>/look/": ASKS,
    "/admin/restored/": GONE,
    "/admin/operations/held/<int:batch_id>/decide/": GONE,
    "/admin/servers/<int:server_id>/identity/": GONE,
    "/admin/bandwidth/in-doubt/decide/": GONE,
    "/admin/leap/accounts/": "It shows secrets, and changes none.",
    "/admin/leap/tandem/<int:tandem_user_id>/edit/": SETS,
    "/admin/leap/tandem/<int:tandem_user_id>/delete/": GONE,
    "/admin/leap/tandem/<int:tandem_user_id>/add/": SETS,
    "/admin/leap/tandem/<int:tandem_user_id>/change/": SETS,
    "/admin/setup/upstreams/<int:upstream_id>/edit/": SETS,
    "/admin/setup/upstreams/<int:upstream_id>/do/<str:verb>/": f"{SETS} A test, or a list, is asked for once. {GONE}",
    "/admin/setup/products/<int:product_id>/": SETS,
    "/admin/setup/products/<int:product_id>/pricing/": SETS,
    "/admin/setup/products/<int:product_id>/module/": "One login is one upstream: the second finds the first one's.",
    "/admin/setup/products/<int:product_id>/module/test/": ASKS,
    "/admin/setup/products/<int:product_id>/custom-fields/": "The whole table is sent: the same labels have the same keys.",
    "/admin/setup/server-groups/<int:group_id>/": SETS,
    "/admin/setup/server-groups/<int:group_id>/delete/": GONE,
    "/admin/setup/offers/<int:offer_id>/": SETS,
    "/admin/setup/tokens/<int:token_id>/revoke/": GONE,
    "/admin/setup/import/": "What was attached is found to be there, so the preview is another one, and is refused.",
    "/admin/setup/tokens/<int:token_id>/accept/": GONE,
    "/admin/setup/tokens/<int:token_id>/refuse/": SETS,
    "/admin/setup/tokens/<int:token_id>/signed/": SETS,
    "/api-tokens/<int:token_id>/revoke/": GONE,
    "/admin/setup/staff/brand/": SETS,
}


@pytest.fixture
def house(db: None) -> SimpleNamespace:
    """Alder, with one of everything that can be pressed, between its provider and an organisation below it."""
    cast = a_cast()
    stage = a_stage(cast.rosa)
    stage.place.offers = {"7": SupplyOffer("7", "AX-64", "", Price(Decimal("71.00"), Decimal("0.00"), "EUR"))}
    web, spare, given = stage.machines("web", "spare", "given")
    (received,) = a_stage(cast.ines).machines("received")
    fleet.allocate(cast.ines, received.pk, cast.alder.pk)
    below = organisations.create_organisation(cast.rosa, name="Cedar Metal")
    allocation = fleet.allocate(cast.rosa, given.pk, below.pk)
    product = a_product(cast.rosa)
    night = organisations.add_tandem_user(
        cast.rosa, name="Night shift", email="noc@alder.example", password=PASSWORD
    )
    fleet.permit_tandem(cast.rosa, night.pk, [web.pk])
    offer = supply.create_offer(cast.ines, supply.OfferForm(name="AX-64", price="71"))
    asked = {"organisation": below, "giver": cast.alder, "offer_name": "AX-16", "asked_by": "Una"}
    bought = {"organisation": cast.alder, "upstream": stage.upstream, "offer_name": "AX-64"}
    bought |= {"price": 71, "setup_fee": 0, "currency": "EUR", "asked_by": "Rosa Lind"}
    service = a_service(cast.rosa, cast.quillfeather.pk, product, web)
    token = organisations.create_token(cast.rosa, organisations.TokenForm("Shop", ["read"]))
    hook = create_endpoint(cast.rosa, EndpointForm("https://a.example/", kinds=["service.attached"]))
    her_hook = create_endpoint(cast.mara, EndpointForm("https://b.example/", kinds=["service.attached"]))
    return SimpleNamespace(
        cast=cast,
        endpoint_id=hook.pk,
        delivery_id=send_test(cast.rosa, hook.pk).pk,
        her_endpoint_id=her_hook.pk,
        her_delivery_id=send_test(cast.mara, her_hook.pk).pk,
        statement_id=a_statement(cast.rosa, service).pk,
        night=actor_of_user_id(night.user_id),
        token_id=token.pk,
        client_id=cast.quillfeather.pk,
        below_id=below.pk,
        allocation_id=allocation.pk,
        product_id=product.pk,
        product_group_id=product.group_id,
        service_id=service.pk,
        pending_id=a_service(cast.rosa, cast.quillfeather.pk, product).pk,
        server_id=web.pk,
        spare_id=spare.pk,
        received_id=received.pk,
        upstream_id=stage.upstream.pk,
        upstream_order_id=UpstreamOrder.objects.create(number=101, key="one", **bought).pk,
        unknown_order_id=UpstreamOrder.objects.create(number=102, key="two", state="unknown", **bought).pk,
        rack_id=fleet.create_upstream(cast.rosa, driver="rack", name="Rack A", values={}).pk,
        offered_id=offer.pk,
        own_order_id=supply.order_supply(cast.rosa, offer.pk).pk,
        supply_order_id=SupplyOrder.objects.create(number=101, **asked).pk,
        ending_id=SupplyOrder.objects.create(number=102, kind="cancel", server=given, **asked).pk,
    )


def browser_of(house: SimpleNamespace, who: str) -> Client:
    actor = house.night if who == "night" else getattr(house.cast, who)
    client = Client()
    client.force_login(User.objects.get(pk=actor.user_id))
    return client


def rows() -> dict[str, int]:
    """How many there are of everything: services, operations, mails, lines of the journal, jobs that ring."""
    ours = [one for one in apps.get_models() if one.__module__.startswith("doublehop.")]
    return {one._meta.label: one._default_manager.count() for one in ours}


def test_every_route_that_takes_a_form_says_what_a_second_press_does(house):
    """Who may not come in is told before the method is looked at, so each route is tried as somebody who may."""
    nothing = dict.fromkeys({name for route in all_routes() for name in route.parameters}, 999_999)
    browsers = [browser_of(house, who) for who in ("rosa", "mara", "night")]
    takes = {
        route.template
        for route in sorted(all_routes(), key=lambda route: "sign-out" in route.template)
        # No forms: the key is a header, which api/tests/test_actors.py asks of every write.
        if not route.template.startswith("/api/v1/")
        and all(browser.post(route.fill(nothing)).status_code != 405 for browser in browsers)
    }
    assert takes == KEYED.keys() | HARMLESS.keys()
    assert not KEYED.keys() & HARMLESS.keys()


def test_a_second_press_of_a_form_with_a_key_does_nothing(house):
    routes = {route.template: route for route in all_routes()}
    for template, press in KEYED.items():
        route = routes[template]
        values = {name: getattr(house, press.path.get(name, name)) for name in route.parameters}
        path = route.fill(values)
        with transaction.atomic():
            press.before(house)
            browser, data = browser_of(house, press.who), {**press.data(house), "key": "form"}
            none = rows()
            first = browser.post(path, data)
            assert first.status_code in {200, 302}, (
                template,
                first.status_code,
                first.content.decode()[:3000],
            )
            once = rows()
            assert once["journal.Entry"] > none["journal.Entry"], f"{template}: the first press did nothing"
            second = browser.post(path, data)
            assert (second.status_code, second.get("Location")) == (
                first.status_code,
                first.get("Location"),
            ), template
            assert rows() == once, f"{template}: the second press did something"
            if press.other:
                third = browser.post(path, {**data, **press.other})
                assert third.status_code == 409, (template, third.status_code)
                assert "used for something else" in third.content.decode(), template
                assert rows() == once, f"{template}: another body under the same key did something"
            transaction.set_rollback(True)
