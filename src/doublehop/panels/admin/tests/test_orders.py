"""Orders of clients and resellers, what is offered to resellers, and the mails about it: the provider's side."""

import re

import pytest
from tests.stage import a_service, a_stage, run_jobs

from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Allocation
from doublehop.notices.models import Mail
from doublehop.organisations.models import Staff
from doublehop.panels.admin.tests.conftest import browser
from doublehop.services.actions.supply import OfferForm, ask_cancellation, create_offer, order_supply
from doublehop.services.models import Offer, SupplyOrder


@pytest.fixture
def ines(house):
    return browser(house.cast.ines)


@pytest.fixture
def stage(house):
    return a_stage(house.cast.ines)


def ordered(house, **more):
    offer = create_offer(house.cast.ines, OfferForm(name="AX-64", price="71.00", **more))
    return order_supply(house.cast.rosa, offer.pk, hostname="web9.example.org", note="Debian 12")


def counted(text, entry):
    found = re.search(rf'href="{entry}".*?</a>', text, re.DOTALL).group()
    number = re.search(r'dh-w" title="[^"]*">(\d+)', found)
    return int(number.group(1)) if number else 0


def test_what_waits_is_counted_listed_and_led_to_from_the_dashboard(house, rosa, ines):
    assert "No client waits for a server." in rosa.get("/admin/orders/").content.decode()
    waiting = a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product)
    row = ordered(house)
    text = rosa.get("/admin/orders/").content.decode()
    assert f"/admin/clients/{waiting.client_id}/services/{waiting.pk}/" in text
    assert counted(text, "/admin/orders/") == 1
    above = ines.get("/admin/orders/").content.decode()
    assert counted(above, "/admin/orders/") == 1
    assert "Alder Hosting" in above
    assert "Quillfeather" not in above
    assert "Rosa" not in above
    assert f'href="/admin/orders/{row.pk}/"' in ines.get("/admin/").content.decode()


def test_filled_with_a_server_of_the_offers_group_first(house, ines, stage):
    first, pooled = stage.machines("alpha", "pooled")
    group = fleet.create_server_group(house.cast.ines, "Entry")
    row = ordered(house, server_group_id=group.pk)
    fleet.set_group_members(house.cast.ines, group.pk, [pooled.pk])
    path = f"/admin/orders/{row.pk}/"
    text = ines.get(path).content.decode()
    values = [int(pk) for pk in re.findall(r'<option value="(\d+)">', text)]
    assert values[0] == pooled.pk
    assert first.pk in values
    found = ines.get(path, {"find": "ALPHA"}).content.decode()
    assert [int(pk) for pk in re.findall(r'<option value="(\d+)">', found)] == [first.pk]
    assert "Choose a server" in ines.post(path + "fill/", follow=True).content.decode()
    ines.post(path + "fill/", {"server_id": pooled.pk})
    allocation = Allocation.objects.get(receiver=house.cast.alder)
    assert (allocation.server, str(allocation.price), allocation.currency) == (pooled, "71.00", "EUR")
    again = ines.post(path + "fill/", {"server_id": first.pk}, follow=True)
    assert "is filled already" in again.content.decode()
    assert Allocation.objects.count() == 1
    assert "Settled" in ines.get("/admin/orders/").content.decode()


def test_a_foreign_server_fills_nothing(house, ines):
    row = ordered(house)
    assert ines.post(f"/admin/orders/{row.pk}/fill/", {"server_id": house.web.pk}).status_code == 404
    assert not Allocation.objects.exists()


def test_refused_with_a_reason_that_the_asker_reads(house, ines):
    path = f"/admin/orders/{ordered(house).pk}/"
    told = ines.post(path + "refuse/", {"reason": " "}, follow=True)
    assert "A reason is needed" in told.content.decode()
    ines.post(path + "refuse/", {"reason": "Out of racks"})
    row = SupplyOrder.objects.get()
    assert (row.state, row.settled_why) == ("refused", "Out of racks")
    assert "Out of racks" in ines.get(path).content.decode()


def test_a_server_that_is_given_back_is_taken_only_when_nobody_uses_it(house, rosa, ines, stage):
    (metal,) = stage.machines("metal")
    fleet.allocate(house.cast.ines, metal.pk, house.cast.alder.pk)
    service = a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product, metal)
    row = ask_cancellation(house.cast.rosa, metal.pk, reason="Not needed")
    path = f"/admin/orders/{row.pk}/"
    assert "Take METAL back" in ines.get(path).content.decode()
    ines.post(path + "accept/")
    row.refresh_from_db()
    assert row.state == "waiting"
    rosa.post(
        f"/admin/services/{service.pk}/save/",
        {"server_id": "", "hostname": "", "username": "", "confirm": "1"},
    )
    ines.post(path + "accept/")
    row.refresh_from_db()
    assert row.state == "filled"
    assert Allocation.objects.get(server=metal).until is not None
    assert "Accepted" in ines.get("/admin/orders/").content.decode()


def test_only_who_governs_answers_and_sees_why_not(house, ines, stage):
    (metal,) = stage.machines("metal")
    row = ordered(house)
    path = f"/admin/orders/{row.pk}/"
    assert browser(house.cast.rosa).get(path).status_code == 404
    assert browser(house.cast.rosa).post(path + "fill/", {"server_id": metal.pk}).status_code == 404
    Staff.objects.filter(user_id=house.cast.ines.user_id).update(role="support")
    assert "Answering an order needs the role admin or owner." in ines.get(path).content.decode()
    ines.post(path + "fill/", {"server_id": metal.pk})
    ines.post(path + "refuse/", {"reason": "because"})
    row.refresh_from_db()
    assert row.state == "waiting"
    assert not Allocation.objects.exists()


def test_offers_are_made_and_changed_with_errors_at_their_field(house, ines):
    form = {
        "name": "AX-64",
        "processor": "8 cores",
        "memory": "64 GB",
        "price": "cheap",
        "setup_fee": "0",
        "currency": "EUR",
        "server_group_id": "",
    }
    refused = ines.post("/admin/setup/offers/new/", form)
    assert refused.status_code == 422
    assert 'href="#f-price"' in refused.content.decode()
    assert 'value="64 GB"' in refused.content.decode()
    ines.post("/admin/setup/offers/new/", {**form, "price": "71"})
    offer = Offer.objects.get()
    group = fleet.create_server_group(house.cast.ines, "Entry")
    path = f"/admin/setup/offers/{offer.pk}/"
    ines.post(path, {**form, "price": "79,50", "server_group_id": group.pk, "hidden": "1"})
    offer.refresh_from_db()
    assert (str(offer.price), offer.server_group, offer.hidden) == ("79.50", group, True)
    assert "hidden" in ines.get("/admin/setup/offers/").content.decode()
    foreign = fleet.create_server_group(house.cast.rosa, "Theirs")
    assert ines.post(path, {**form, "price": "1", "server_group_id": foreign.pk}).status_code == 422


def test_the_outbox_says_who_got_what_and_who_did_not(house, rosa, ines):
    row = ordered(house)
    run_jobs()
    mail = Mail.objects.get(organisation=house.cast.provider)
    text = ines.get("/admin/setup/mail/").content.decode()
    assert mail.subject.replace("'", "&#x27;") in text
    assert "nobody got" in text
    one = ines.get(f"/admin/setup/mail/{mail.pk}/").content.decode()
    assert f"{row}" in one
    assert "Debian 12" in one
    assert "No mail matches." in ines.get("/admin/setup/mail/", {"state": "sent"}).content.decode()
    assert "No mail yet." in rosa.get("/admin/setup/mail/").content.decode()
    assert rosa.get(f"/admin/setup/mail/{mail.pk}/").status_code == 404


def test_a_mail_that_failed_says_why_and_html_stays_text(house, rosa):
    mail = Mail.objects.create(
        organisation=house.cast.alder,
        to="m@example.org",
        subject="<b>Hello</b>",
        body="Line one\n<script>x</script>",
        about="welcome",
        key="k",
        state="failed",
        failure_text="550 no such user",
    )
    for path in ("/admin/setup/mail/", f"/admin/setup/mail/{mail.pk}/"):
        text = rosa.get(path).content.decode()
        assert "550 no such user" in text
        assert "<b>Hello</b>" not in text
        assert "<script>x" not in text
