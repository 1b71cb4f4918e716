"""Every page opens, for every kind of staff, and says what is so."""

import pytest
from tests.routes import all_routes
from tests.stage import a_product, a_service, a_stage, ask, run_jobs

from doublehop.driver_kit.conformance.world import Fault
from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Server, UpstreamOrder
from doublehop.journal.models import Entry
from doublehop.notices.endpoints import EndpointForm, create_endpoint, send_test
from doublehop.notices.models import Mail
from doublehop.organisations import actions as organisations
from doublehop.organisations.actor import Role
from doublehop.organisations.models import Staff
from doublehop.panels.admin.tests.conftest import browser
from doublehop.services.actions.supply import OfferForm, create_offer
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import Batch, Operation, SupplyOrder
from doublehop.services.tests.metering import a_statement

ADMIN = [route for route in all_routes() if route.template.startswith("/admin/")]
FORBIDDEN_ON_SCREEN = (" edge", " level step", "step kind", "doorbell", " slot", "driver")
NOT_THERE = {
    "/admin/servers/<int:server_id>/edit/": "machines that are listed by their upstream are not edited",
    "/admin/leap/servers/<int:server_id>/end/": "a machine of one's own is given back to nobody",
    "/admin/leap/tandem/<int:tandem_user_id>/change/": "other rights, or taking away; not suspending",
    "/admin/restored/": "there while the database is a restored copy, for staff of the root",
    "/admin/leap/order/<int:offer_id>/": "one's own offer is for those below",
}
VERBS = ("test", "refresh", "arm", "disarm", "delete", "pin")


@pytest.fixture
def values(house):
    group = fleet.create_server_group(house.cast.rosa, "Pool")
    operation = ask(house.cast.rosa, OperationKind.REFRESH_ADDRESSES, house.service)
    run_jobs()
    night = organisations.add_tandem_user(
        house.cast.rosa, name="Night shift", email="noc@alder.example", password="long-enough-4711"
    )
    offer = create_offer(house.cast.rosa, OfferForm(name="AX-64", price="71.00"))
    below = organisations.create_organisation(house.cast.rosa, name="Cedar Metal")
    asked = SupplyOrder.objects.create(
        organisation=below,
        giver=house.cast.alder,
        number=101,
        offer=offer,
        offer_name=offer.name,
        asked_by="Una",
    )
    mail = Mail.objects.create(organisation=house.cast.alder, to="m@example.org", subject="Hello", key="one")
    token = organisations.create_token(house.cast.rosa, organisations.TokenForm("Shop", ["read"]))
    hook = create_endpoint(
        house.cast.rosa, EndpointForm("https://hooks.example.org/", kinds=["service.attached"])
    )
    bought = UpstreamOrder.objects.create(
        organisation=house.cast.alder, upstream=house.stage.upstream, number=101, key="order:one", offer_id="7",
        offer_name="AX-64", price=71, setup_fee=5, currency="EUR", asked_by="Rosa Lind", state="unknown",
    )  # fmt: skip
    batch = Batch.objects.create(organisation=house.cast.alder, caller="user:1", caller_label="Rosa Lind")
    return {
        "tandem_user_id": night.pk,
        "offer_id": offer.pk,
        "supply_order_id": asked.pk,
        "upstream_order_id": bought.pk,
        "batch_id": batch.pk,
        "statement_id": a_statement(house.cast.rosa, house.service).pk,
        "mail_id": mail.pk,
        "token_id": token.pk,
        "endpoint_id": hook.pk,
        "delivery_id": send_test(house.cast.rosa, hook.pk).pk,
        "service_id": house.service.pk,
        "server_id": house.web.pk,
        "client_id": house.cast.quillfeather.pk,
        "upstream_id": house.stage.upstream.pk,
        "product_id": house.product.pk,
        "group_id": group.pk,
        "reference": operation.reference,
        "allocation_id": 999_999,
        "verb": "arm",
    }


def test_every_page_opens_and_speaks_plainly(values, rosa):
    opened = 0
    for route in ADMIN:
        answer = rosa.get(route.fill(values), {"do": "suspend", "id": values["service_id"]}, follow=True)
        if route.template in NOT_THERE:
            assert answer.status_code == 404, NOT_THERE[route.template]
            continue
        assert answer.status_code in {200, 405}, route.template
        if answer.status_code == 200 and answer["Content-Type"].startswith("text/html"):
            opened += 1
            text = answer.content.decode()
            assert " style=" not in text, route.template
            assert "<h1" in text or "hx-swap-oob" in text, route.template
            body = text.partition("<body")[2].lower()
            found = [word for word in FORBIDDEN_ON_SCREEN if word in body]
            assert not found, f"{route.template}: {found}"
    assert opened > 35


def test_empty_house_has_every_page(house):
    """Birch has nothing: no page may need something to be there."""
    tam = browser(house.cast.tam)
    for route in ADMIN:
        if not route.parameters and route.template not in NOT_THERE:
            answer = tam.get(route.template, {"q": "nothing-at-all", "do": "reboot"})
            assert answer.status_code in {200, 405}, route.template


def test_reading_staff_change_nothing(values, house):
    """The role matrix at its end: whoever may only read cannot post anything that leaves a trace."""
    Staff.objects.filter(user_id=house.cast.ivo.user_id).update(role=Role.READ_ONLY)
    ivo = browser(house.cast.ivo)
    before = Entry.objects.count(), Operation.objects.count(), house.stage.place.ledger()
    for route in ADMIN:
        for verb in VERBS if "verb" in route.parameters else ("",):
            form = {
                "key": "0" * 32,
                "do": "suspend",
                "id": values["service_id"],
                "kind": "reboot",
                "reason": "because",
                "name": "Anything",
                "organisation": "Anything",
                "email": "a@example.org",
                "password": "long-enough-4711",
                "hostname": "other.example.org",
                "server_id": house.spare.pk,
                "confirm": "1",
                "why": "seen",
                "happened": "yes",
                "label": "SPARE",
                "client_id": values["client_id"],
                "product_id": values["product_id"],
                "server": house.spare.pk,
                "which": "pin",
                "url": "https://other.example.org/",
                "kinds": "service.swapped",
            }
            path = route.fill({**values, "verb": verb or "arm"})
            answer = ivo.post(path, form)
            assert answer.status_code in {200, 302, 403, 404, 405, 409, 422}, path
    run_jobs()
    assert (Entry.objects.count(), Operation.objects.count(), house.stage.place.ledger()) == before


def test_clients_find_no_admin_panel(house):
    mara = browser(house.cast.mara)
    for route in ADMIN:
        if not route.parameters:
            assert mara.get(route.template).status_code in {404, 405}, route.template


def test_html_in_a_hostname_stays_text(house, rosa):
    evil = "<script>alert(1)</script>"
    Server.objects.filter(pk=house.web.pk).update(hostname=evil, label=evil, username=evil)
    for path in (
        house.page,
        "/admin/services/",
        "/admin/servers/",
        f"/admin/servers/{house.web.pk}/",
        "/admin/search/?q=" + evil,
        f"/admin/services/bulk/?do=suspend&id={house.service.pk}",
    ):
        text = rosa.get(path, follow=True).content.decode()
        assert evil not in text, path
        assert "&lt;script&gt;" in text, path


def test_search_opens_the_only_hit(house, rosa):
    assert rosa.get("/admin/search/", {"q": "192.0.2.12"})["Location"] == f"/admin/servers/{house.web.pk}/"
    assert b"Nothing of yours matches" in rosa.get("/admin/search/", {"q": "no-such-thing"}).content


def test_dashboard_leads_to_the_remedy(house, rosa):
    waiting = a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product)
    house.stage.place.fault(Fault.UNKNOWN_AFTER_ACTING, on="power.reset")
    operation = ask(house.cast.mara, OperationKind.REBOOT, house.service)
    run_jobs()
    text = rosa.get("/admin/").content.decode()
    assert f"/admin/operations/{operation.reference}/" in text
    assert f"/admin/services/{waiting.pk}/" in text


def test_provider_reads_no_client_of_its_reseller(house):
    """A machine given to Alder: Ines sees what is done to it, and not for whom."""
    cast = house.cast
    stage = a_stage(cast.ines)
    (metal,) = stage.machines("metal")
    fleet.allocate(cast.ines, metal.pk, cast.alder.pk)
    service = a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa, "Other"), metal)
    operation = ask(cast.mara, OperationKind.REBOOT, service)
    ask(cast.rosa, OperationKind.SUSPEND, service, reason="Quillfeather owes us")
    run_jobs()
    ines = browser(cast.ines)
    for path in (
        "/admin/operations/",
        f"/admin/operations/{operation.reference}/",
        f"/admin/servers/{metal.pk}/",
        f"/admin/servers/{metal.pk}/permissions/",
        f"/admin/servers/{metal.pk}/journal/",
        "/admin/journal/",
        "/admin/",
    ):
        text = ines.get(path).content.decode()
        assert "Quillfeather" not in text, path
        assert "Mara" not in text, path
        assert "Rosa" not in text, path
    assert "Alder Hosting" in ines.get("/admin/journal/").content.decode()
    assert "Ines" not in browser(cast.rosa).get("/admin/journal/").content.decode()
