"""Order from the upstream, as staff meet it on the page of an order that waits and on the upstream's own."""

from decimal import Decimal

import pytest
from tests.stage import a_service, run_all_jobs, run_jobs

from doublehop.driver_kit.contract import Price, SupplyOffer
from doublehop.fleet import actions as fleet
from doublehop.fleet.models import UpstreamOrder
from doublehop.panels.admin.tests.conftest import browser
from doublehop.services.models import Service

AGREED = "71.00 5.00 EUR"


def offers(house, monthly="71.00"):
    price = Price(Decimal(monthly), Decimal("5.00"), "EUR")
    house.stage.place.offers = {"a/7": SupplyOffer("a/7", "AX-64", "8 cores, 64 GB", price)}
    fleet.ask_sync(house.cast.rosa, house.stage.upstream.pk)
    run_jobs()


@pytest.fixture
def pending(house):
    row = a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product)
    Service.objects.filter(pk=row.pk).update(ordered_hostname="shop.example.org")
    return row


def page_of(service):
    return f"/admin/clients/{service.client_id}/services/{service.pk}/"


def test_from_the_waiting_order_to_an_order_over_there(house, rosa, pending):
    assert "None of the upstreams that fit sells servers" in rosa.get(page_of(pending)).content.decode()
    offers(house)
    shop = f"/admin/setup/upstreams/{house.stage.upstream.pk}/order/"
    assert f'href="{shop}?service={pending.pk}"' in rosa.get(page_of(pending)).content.decode()
    listed = rosa.get(shop, {"service": pending.pk}).content.decode()
    assert "8 cores, 64 GB" in listed
    assert f"?offer=a%2F7&amp;service={pending.pk}" in listed
    form = rosa.get(shop, {"offer": "a/7", "service": pending.pk}).content.decode()
    assert 'value="shop.example.org"' in form
    assert f'value="{AGREED}"' in form
    press = {"offer": "a/7", "service": pending.pk, "hostname": "shop.example.org", "note": "", "key": "one"}
    assert rosa.post(shop, press).status_code == 422
    assert rosa.post(shop, {**press, "agreed": AGREED}).headers["Location"] == page_of(pending)
    run_jobs()
    row = UpstreamOrder.objects.get()
    text = rosa.get(page_of(pending)).content.decode()
    assert f"{row}" in text
    assert "there R-101" in text
    assert "Withdraw" in text
    assert f'href="{shop}?service=' not in text
    assert f"{row}" in rosa.get(f"/admin/setup/upstreams/{house.stage.upstream.pk}/").content.decode()
    rosa.post(f"/admin/setup/upstream-orders/{row.pk}/withdraw/", {"key": "two"})
    run_all_jobs()
    assert "Withdrawn" in rosa.get(page_of(pending)).content.decode()
    assert f'href="{shop}?service=' in rosa.get(page_of(pending)).content.decode()


def test_a_price_that_moved_is_shown_and_not_paid(house, rosa, pending):
    offers(house)
    shop = f"/admin/setup/upstreams/{house.stage.upstream.pk}/order/"
    offers(house, "79.00")
    answer = rosa.post(shop, {"offer": "a/7", "agreed": AGREED, "key": "one"})
    assert answer.status_code == 422
    assert "79.00" in answer.content.decode()
    assert "The price has changed" in answer.content.decode()
    assert not UpstreamOrder.objects.exists()


def test_an_unknown_outcome_is_closed_with_a_reason(house, rosa):
    offers(house)
    row = UpstreamOrder.objects.create(
        organisation=house.cast.alder, upstream=house.stage.upstream, number=101, key="k", offer_id="a/7",
        offer_name="AX-64", price=71, setup_fee=0, currency="EUR", asked_by="Rosa Lind", state="unknown",
    )  # fmt: skip
    page = f"/admin/setup/upstreams/{house.stage.upstream.pk}/"
    assert "Close…" in rosa.get(page).content.decode()
    close = f"/admin/setup/upstream-orders/{row.pk}/close/"
    assert "A reason is needed" in rosa.post(close, {"key": "one"}, follow=True).content.decode()
    rosa.post(close, {"reason": "Nothing stands there", "key": "two"})
    row.refresh_from_db()
    assert (row.state, row.why) == ("withdrawn", "Nothing stands there")


def test_where_nothing_is_sold_the_page_says_what_to_do(house, rosa):
    shop = f"/admin/setup/upstreams/{house.stage.upstream.pk}/order/"
    assert "Nothing can be ordered through" in rosa.get(shop).content.decode()
    assert "Order from the upstream" not in rosa.get(shop.removesuffix("order/")).content.decode()


def test_support_sees_and_does_not_spend_and_a_client_sees_nothing(house, pending):
    offers(house)
    shop = f"/admin/setup/upstreams/{house.stage.upstream.pk}/order/"
    ivo = browser(house.cast.ivo)
    assert "Ordering needs the role admin or owner." in ivo.get(page_of(pending)).content.decode()
    ivo.post(shop, {"offer": "a/7", "agreed": AGREED, "key": "one"})
    assert not UpstreamOrder.objects.exists()
    rosa = browser(house.cast.rosa)
    rosa.post(shop, {"offer": "a/7", "agreed": AGREED, "service": pending.pk, "key": "one"})
    run_jobs()
    mara = browser(house.cast.mara)
    for path in ("/", "/orders/", f"/servers/{pending.pk}/"):
        text = mara.get(path, follow=True).content.decode()
        assert "AX-64" not in text
        assert "R-101" not in text
        assert house.stage.upstream.name not in text
