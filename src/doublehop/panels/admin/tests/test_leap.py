"""Leap > Servers, Order and Accounts: the reseller's side of its provider."""

import re

import pytest
from tests.cast import PASSWORD as OWN_PASSWORD
from tests.stage import a_stage

from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Allocation
from doublehop.organisations import actions as organisations
from doublehop.organisations.models import LeapAccount
from doublehop.panels.admin.tests.conftest import browser
from doublehop.services.actions.supply import OfferForm, create_offer, refuse_supply, update_offer
from doublehop.services.models import SupplyOrder

MAKER = {"name": "AX-64", "processor": "8 cores", "memory": "64 GB", "price": "71.00", "setup_fee": "20"}


@pytest.fixture
def metal(house):
    """Two machines of the provider, the first given to Alder, the second in a group."""
    stage = a_stage(house.cast.ines)
    given, pooled = stage.machines("metal", "pooled")
    fleet.allocate(house.cast.ines, given.pk, house.cast.alder.pk, price=None)
    group = fleet.create_server_group(house.cast.ines, "Entry")
    fleet.set_group_members(house.cast.ines, group.pk, [pooled.pk])
    return given, pooled, group


def order_form(rosa, path):
    text = rosa.get(path).content.decode()
    key = re.search(r'name="key" value="(\w+)"', text).group(1)
    agreed = re.search(r'name="agreed" value="([^"]+)"', text).group(1)
    return {"key": key, "agreed": agreed, "hostname": "web9.example.org", "note": "Debian 12"}


def test_servers_shows_what_was_given_and_nothing_of_ones_own(house, rosa, metal):
    given, pooled, _ = metal
    night = organisations.add_tandem_user(
        house.cast.rosa, name="Night shift", email="noc@alder.example", password="long-enough-4711"
    )
    fleet.permit_tandem(house.cast.rosa, night.pk, [given.pk])
    text = rosa.get("/admin/leap/servers/").content.decode()
    assert given.hostname in text
    assert "Night shift" in text
    assert house.web.hostname not in text
    assert pooled.hostname not in text
    assert 'href="/admin/leap/order/"' in text
    assert "No server matches." in rosa.get("/admin/leap/servers/", {"q": "zzz"}).content.decode()


def test_empty_pages_say_what_to_do(house, rosa):
    assert "Order a server" in rosa.get("/admin/leap/servers/").content.decode()
    assert "offers nothing here at present" in rosa.get("/admin/leap/order/").content.decode()


def test_its_end_is_asked_for_once_and_withdrawn(house, rosa, metal):
    given, pooled, _ = metal
    path = f"/admin/leap/servers/{given.pk}/end/"
    refused = rosa.post(path, {"reason": "", "note": "by June"})
    assert refused.status_code == 422
    assert "by June</textarea>" in refused.content.decode()
    rosa.post(path, {"reason": "No longer needed", "note": "by June"})
    row = SupplyOrder.objects.get(kind="cancel")
    assert (row.server, row.state) == (given, "waiting")
    assert "end asked for" in rosa.get("/admin/leap/servers/").content.decode()
    rosa.post(path, {"reason": "Twice"})
    assert SupplyOrder.objects.count() == 1
    assert "asks for that already" in rosa.get(path).content.decode()
    rosa.post(f"/admin/leap/orders/{row.pk}/withdraw/")
    row.refresh_from_db()
    assert row.state == "withdrawn"
    assert Allocation.objects.get(server=given).until is None
    for other in (pooled.pk, house.web.pk, 999_999):
        assert rosa.get(f"/admin/leap/servers/{other}/end/").status_code == 404


def test_an_order_is_filled_from_the_group_and_sent_twice_is_one(house, rosa, metal):
    _, pooled, group = metal
    offer = create_offer(house.cast.ines, OfferForm(**MAKER, server_group_id=group.pk))
    text = rosa.get("/admin/leap/order/").content.decode()
    assert "1 ready at once" in text
    assert "€ 71.00" in text
    assert "€ 20.00" in text
    path = f"/admin/leap/order/{offer.pk}/"
    form = order_form(rosa, path)
    answer = rosa.post(path, form, follow=True)
    assert f"is filled: {pooled.label} is yours" in answer.content.decode()
    rosa.post(path, form)
    (row,) = SupplyOrder.objects.all()
    assert (row.state, row.server, row.hostname, row.note) == (
        "filled",
        pooled,
        "web9.example.org",
        "Debian 12",
    )
    assert "none at present" in rosa.get("/admin/leap/order/").content.decode()


def test_the_price_is_agreed_to_as_it_stands_now(house, rosa):
    offer = create_offer(house.cast.ines, OfferForm(**MAKER))
    path = f"/admin/leap/order/{offer.pk}/"
    assert "filled by hand" in rosa.get(path).content.decode()
    form = order_form(rosa, path)
    without = rosa.post(path, {**form, "agreed": ""})
    assert without.status_code == 422
    assert "Confirm the price" in without.content.decode()
    assert 'value="web9.example.org"' in without.content.decode()
    update_offer(house.cast.ines, offer.pk, OfferForm(**{**MAKER, "price": "99.00"}))
    moved = rosa.post(path, form)
    assert "The price has changed" in moved.content.decode()
    assert "€ 99.00 a month" in moved.content.decode()
    assert not SupplyOrder.objects.exists()
    bad = rosa.post(path, {**order_form(rosa, path), "hostname": "no host!"})
    assert bad.status_code == 422
    assert 'href="#f-hostname"' in bad.content.decode()
    answer = rosa.post(path, order_form(rosa, path), follow=True)
    assert "It waits for Northgate Metal" in answer.content.decode()
    assert SupplyOrder.objects.get().state == "waiting"


def test_what_became_of_an_order_names_no_person_above(house, rosa):
    offer = create_offer(house.cast.ines, OfferForm(**MAKER))
    path = f"/admin/leap/order/{offer.pk}/"
    rosa.post(path, order_form(rosa, path))
    refuse_supply(house.cast.ines, SupplyOrder.objects.get().pk, "Out of racks until May")
    text = rosa.get("/admin/leap/order/").content.decode()
    assert "Out of racks until May" in text
    assert "Ines" not in text
    hidden = create_offer(house.cast.ines, OfferForm(name="Secret", hidden=True))
    assert rosa.get(f"/admin/leap/order/{hidden.pk}/").status_code == 404
    foreign = create_offer(house.cast.tam, OfferForm(name="Of another"))
    assert rosa.get(f"/admin/leap/order/{foreign.pk}/").status_code == 404


def test_support_orders_nothing(house):
    offer = create_offer(house.cast.ines, OfferForm(**MAKER))
    path = f"/admin/leap/order/{offer.pk}/"
    ivo = browser(house.cast.ivo)
    assert "Ordering needs the role admin or owner." in ivo.get(path).content.decode()
    assert ivo.post(path, order_form(ivo, path)).status_code == 403
    assert not SupplyOrder.objects.exists()


@pytest.fixture
def account(house):
    return organisations.open_leap_account(house.cast.rosa, house.cast.alder.pk)


def secrets_of(house):
    return organisations.show_leap_secrets(house.cast.rosa, OWN_PASSWORD)


def test_an_account_is_opened_where_there_is_none(house, rosa):
    assert "has no LEAP account" in rosa.get("/admin/leap/accounts/").content.decode()
    browser(house.cast.ivo).post("/admin/leap/accounts/open/")
    assert not LeapAccount.objects.exists()
    rosa.post("/admin/leap/accounts/open/")
    row = LeapAccount.objects.get(organisation=house.cast.alder)
    text = rosa.get("/admin/leap/accounts/").content.decode()
    assert row.username in text
    assert row.client_id in text
    assert "http://testserver/leap/api.php" in text
    assert "http://testserver/dropzone/" in text
    again = rosa.post("/admin/leap/accounts/open/", follow=True)
    assert "has its LEAP account already" in again.content.decode()


def test_secrets_stand_on_one_answer_and_nowhere_else(house, rosa, account):
    path, known = "/admin/leap/accounts/", secrets_of(house).values()
    before = rosa.get(path)
    wrong = rosa.post(path, {"password": "not-it"})
    assert wrong.status_code == 422
    assert "That is not your password." in wrong.content.decode()
    for answer in (before, wrong):
        assert not any(secret in answer.content.decode() for secret in known)
    shown = rosa.post(path, {"password": OWN_PASSWORD})
    assert shown.status_code == 200
    assert all(secret in shown.content.decode() for secret in known)
    assert OWN_PASSWORD not in shown.content.decode()
    assert shown["Cache-Control"] == "no-store"
    assert not any(secret in str(dict(rosa.session)) for secret in known)
    assert not any(secret in rosa.get(path).content.decode() for secret in known)


@pytest.mark.parametrize("which", ["password", "api_key", "pin"])
def test_each_secret_is_renewed_alone(house, rosa, account, which):
    before = secrets_of(house)
    assert "Keep the present one" in rosa.get("/admin/leap/accounts/").content.decode()
    rosa.post("/admin/leap/accounts/new-secret/", {"which": which})
    after = secrets_of(house)
    assert {name for name in before if before[name] != after[name]} == {which}


def test_who_does_not_govern_sees_why_not(house, account):
    ivo, known = browser(house.cast.ivo), secrets_of(house)
    text = ivo.get("/admin/leap/accounts/").content.decode()
    assert account.username in text
    assert "needs the role admin or owner" in text
    assert ivo.post("/admin/leap/accounts/", {"password": OWN_PASSWORD}).status_code == 403
    ivo.post("/admin/leap/accounts/new-secret/", {"which": "pin"})
    assert secrets_of(house) == known
