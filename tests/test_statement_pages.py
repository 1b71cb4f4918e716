"""Statements on pages: staff adjust them, a client reads and checks its own, under its brand only."""

import pytest
from django.test import Client

from doublehop import verify_statement
from doublehop.bandwidth.models import Total
from doublehop.organisations.models import User
from doublehop.services.actions import change_service
from doublehop.services.models import Adjustment, ContractVersion
from doublehop.services.tests.metering import a_statement
from tests.cast import a_cast
from tests.stage import a_product, a_service, a_stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast():
    return a_cast()


@pytest.fixture
def sold(cast):
    web = a_stage(cast.rosa).machines("web")[0]
    return a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa), web)


def browser(actor):
    client = Client()
    client.force_login(User.objects.get(pk=actor.user_id))
    return client


def test_staff_count_again_and_write_an_adjustment(cast, sold):
    row = a_statement(cast.rosa, sold)
    # What the service is by now does not matter.
    change_service(cast.rosa, sold.pk, product_id=a_product(cast.rosa, "Another").pk)
    rosa, page = browser(cast.rosa), f"/admin/statements/{row.pk}/"
    assert f'Owed: <span class="dh-num">€ {row.amount:.2f}</span>' in rosa.get(page).content.decode()
    seen = rosa.get(f"{page}?look=1").content.decode()
    assert "€ 4.00" in seen
    rosa.post(f"{page}adjust/", {"reason": "Kept back", "seen_difference": "4.00", "key": "one"})
    assert Adjustment.objects.get().amount == 4
    told = browser(cast.mara).get(f"/statements/{row.pk}/").content.decode()
    assert "Kept back" in told
    assert f"€ {row.amount + 4:.2f}" in told


def test_the_list_is_narrowed_by_what_stands_in_the_address(cast, sold):
    row = a_statement(cast.rosa, sold)
    rosa = browser(cast.rosa)
    for query, shown in (
        ("", True),
        (f"?service={sold.pk}", True),
        ("?state=thin", True),
        ("?state=adjusted", False),
        (f"?month={row.start:%Y-%m}", True),
        ("?month=1999-01&state=nonsense", True),
    ):
        text = rosa.get(f"/admin/statements/{query}").content.decode()
        assert (f">{row}</b>" in text) == shown, query


def test_a_client_checks_its_own_and_reads_nothing_of_beyond(cast, sold):
    Total.objects.update(source="tower")
    row = a_statement(cast.rosa, sold)
    mara = browser(cast.mara)
    assert row.label in mara.get(f"/servers/{sold.pk}/statements/").content.decode()
    page = mara.get(f"/statements/{row.pk}/").content.decode()
    assert "How it was counted" in page
    for kind in ("csv", "json"):
        file = mara.get(f"/statements/{row.pk}/values.{kind}")
        assert f'filename="{row}.{kind}"' in file["Content-Disposition"]
        lines = verify_statement.verify(verify_statement.read(file.content.decode()))
        assert [line for line in lines if line[1] != line[2]] == []
    program = mara.get("/statements/verify_statement.py").content
    for content in (page.encode(), file.content, program):
        assert b"doublehop" not in content.lower()
        assert b"upstream" not in content.lower()
    assert browser(cast.lena).get(f"/statements/{row.pk}/values.csv").status_code == 404


def test_a_contract_is_previewed_before_it_is_saved(cast, sold):
    rosa, page = browser(cast.rosa), f"/admin/setup/products/{sold.product_id}/bandwidth/"
    assert "No contract yet" in rosa.get(page).content.decode()
    form = {
        "method": "p95_max",
        "unit": "decimal",
        "period": "month",
        "zone": "Europe/Berlin",
        "included": "100",
    }
    form |= {"price": "0.9", "currency": "EUR", "cut": "floor", "in_force_from": ""}
    seen = rosa.post(page, {**form, "preview": "1"}).content.decode()
    assert "What would change" in seen
    assert "1 service runs on this product" in seen
    assert not ContractVersion.objects.exists()
    refused = rosa.post(page, {**form, "price": "much", "key": "one"})
    assert (refused.status_code, 'href="#f-price"' in refused.content.decode()) == (422, True)
    rosa.post(page, {**form, "key": "two"})
    assert ContractVersion.objects.get().values["commit"] == "100"
    assert "100 Mbit/s included" in rosa.get(page).content.decode()
