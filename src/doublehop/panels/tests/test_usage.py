"""The period that runs, on the pages of both panels, and the chart with what the contract includes."""

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.test import Client
from django.utils import timezone
from tests.cast import a_cast
from tests.stage import a_product, a_service, a_stage

from doublehop.bandwidth import store
from doublehop.bandwidth.models import Block, Total, Wiring
from doublehop.bandwidth.slots import slot_of
from doublehop.fleet.models import Permission
from doublehop.organisations.models import User
from doublehop.services import actions
from doublehop.services.actions.contracts import ContractForm
from doublehop.services.models import Attachment, Service

pytestmark = pytest.mark.django_db
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 11, 0, 1, tzinfo=UTC)
MBIT = 1_000_000 // 8 * 300


@pytest.fixture
def sold(monkeypatch):
    """(cast, service, contract of) a machine with ten days of 10 Mbit/s, the last of them 30."""
    cast = a_cast()
    (web,) = a_stage(cast.rosa).machines("web")
    service = a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa), web)
    Attachment.objects.update(since=NOVEMBER - timedelta(minutes=10))
    Permission.objects.update(since=NOVEMBER - timedelta(minutes=10))
    Service.objects.update(activated_at=NOVEMBER, created_at=NOVEMBER)
    Wiring.objects.create(port_id=1, upstream_id=web.upstream_id, server_id=web.pk, since_slot=0)
    Block.objects.bulk_create(
        Block(
            pk=store.block_id(web.upstream_id, slot_of(NOVEMBER) + place),
            records=store.pack([(1, 0, int(rate) * MBIT)]),
        )
        for place, rate in enumerate(np.repeat([10] * 9 + [30], 288))
    )
    monkeypatch.setattr(timezone, "now", lambda: NOW)

    def contract(**form):
        row = actions.contracts.version_of(
            service.product, ContractForm(**{"price": "2", "in_force_from": "2099-01-01", **form})
        )
        row.in_force_from = NOVEMBER
        row.save()

    return cast, service, contract


def browser(actor):
    client = Client()
    client.force_login(User.objects.get(pk=actor.user_id))
    return client


def words(client, address):
    answer = client.get(address)
    assert answer.status_code == 200, address
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_staff_and_client_read_the_same(sold):
    cast, service, contract = sold
    contract(included="20")
    pages = {
        cast.mara: (f"/servers/{service.pk}/", f"/servers/{service.pk}/bandwidth/"),
        cast.rosa: (
            f"/admin/clients/{service.client_id}/services/{service.pk}/",
            f"/admin/servers/{service.server_id}/bandwidth/",
        ),
    }
    for actor, addresses in pages.items():
        for address in addresses:
            text = words(browser(actor), address)
            assert "Bandwidth of this period November 2026, UTC" in text
            assert "50 % of 20 Mbit/s that are included" in text
            assert "12 h of 36 h burst time left" in text
            assert re.search(
                r"Forecast: [\d.]+ Mbit/s to [\d.]+ Mbit/s in nine of ten draws from 10 measured days", text
            )
            assert "above what is included (€" in text


def test_the_chart_carries_what_is_included(sold):
    cast, service, contract = sold
    mara, address = browser(cast.mara), f"/servers/{service.pk}/bandwidth.json"
    assert mara.get(address).json()["marks"] == []
    contract(included="20", zone="Europe/Berlin")
    data = mara.get(address).json()
    assert [(mark["value"], mark["label"]) for mark in data["marks"]] == [(20.0, "Included: 20 Mbit/s")]
    assert data["zone"] == "Europe/Berlin"
    assert mara.get(address, {"zone": "UTC", "span": "week"}).json()["zone"] == "UTC"


def test_an_allowance_is_a_rate_only_when_it_says_so(sold):
    cast, service, contract = sold
    contract(method="volume_out", included="3240")
    (mark,) = browser(cast.mara).get(f"/servers/{service.pk}/bandwidth.json").json()["marks"]
    assert mark["value"] == pytest.approx(10)
    assert mark["label"] == "3.24 TB, spread evenly: 10.0 Mbit/s"
    text = words(browser(cast.mara), f"/servers/{service.pk}/")
    assert "burst time" not in text
    assert "40 % of 3.24 TB that are included" in text


def test_a_span_that_cannot_be_is_told_at_its_form(sold):
    cast, service, _ = sold
    mara, query = browser(cast.mara), {"span": "any", "from": "2026-11-05", "to": "2026-11-04"}
    answer = mara.get(f"/servers/{service.pk}/bandwidth/", query)
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "The end must be later than the beginning." in text
    assert 'value="2026-11-05T00:00"' in text
    assert mara.get(f"/servers/{service.pk}/bandwidth.json", query).status_code == 422
    assert mara.get(f"/servers/{service.pk}/bandwidth.csv", query).status_code == 422


def test_page_and_file_of_any_span_say_the_same(sold):
    cast, service, _ = sold
    mara = browser(cast.mara)
    query = {"span": "any", "from": "2026-11-03T06:00", "to": "2026-11-05T06:00", "zone": "Europe/Berlin"}
    page = mara.get(f"/servers/{service.pk}/bandwidth/", query)
    card = page.context["card"]
    lines = mara.get(f"/servers/{service.pk}/bandwidth.csv", query).content.decode().splitlines()
    assert lines[0].startswith("Period (Europe/Berlin),")
    assert lines[1].startswith("2026-11-03 06:00 +0100,")
    assert sum(int(line.split(",")[7]) for line in lines[1:]) == card.chart.octets_out == 576 * 10 * MBIT
    data = mara.get(f"/servers/{service.pk}/bandwidth.json", query).json()
    assert data["octets_out"] == card.chart.octets_out
    for address in (card.earlier, card.closer, card.wider):
        assert mara.get(f"/servers/{service.pk}/bandwidth/{address}").status_code == 200


def test_without_a_contract_there_is_no_card_of_a_period(sold):
    cast, service, _ = sold
    assert "Bandwidth of this period" not in words(browser(cast.mara), f"/servers/{service.pk}/")


def test_a_rate_is_not_made_of_daily_figures(sold):
    cast, service, contract = sold
    contract(included="20")
    Wiring.objects.all().delete()
    for day in range(1, 4):
        start = NOVEMBER + timedelta(days=day)
        Total.objects.create(
            server_id=service.server_id,
            start=start,
            end=start + timedelta(days=1),
            octets_in=10**9,
            octets_out=2 * 10**9,
            source="Their Figures",
            unit="GB",
            read_at=NOW,
        )
    text = words(browser(cast.mara), f"/servers/{service.pk}/")
    assert "no rate can be made of them, and none is charged" in text
    assert "6.0 GB out so far" in text
    assert "Their Figures" not in text
    contract(method="volume_sum", included="18")
    text = words(browser(cast.mara), f"/servers/{service.pk}/")
    assert "50 % of 18 GB that are included" in text
    # 9 GB in three days, and 26 days to come.
    assert "forecast for 30 Nov, above" in text
    assert "in nine of ten draws from 3 measured days" in text


def test_a_client_chooses_when_it_gets_a_mail(sold):
    cast, service, contract = sold
    mara, page = browser(cast.mara), f"/servers/{service.pk}/"
    contract(included="20")
    assert "No mail at any share" in words(mara, page)
    assert mara.post(f"{page}alerts/", {"percents": "75, 100"}).status_code == 302
    assert "A mail at 75, 100 %" in words(mara, page)
    answer = mara.post(f"{page}alerts/", {"percents": "many"}, follow=True)
    assert "whole per cents" in answer.content.decode()
    assert (
        "usage-percents"
        not in browser(cast.rosa).get(f"/admin/servers/{service.server_id}/bandwidth/").content.decode()
    )
