"""Bandwidth of all services: sorted, filtered, exported, and only one's own."""

import csv
import io
from datetime import timedelta

import pytest
from django.utils import timezone
from tests.stage import a_product

from doublehop.panels.admin.tests.conftest import browser
from doublehop.services.models import PeriodUsage

REPORT = "/admin/bandwidth/"


@pytest.fixture
def add(house):
    cast = house.cast

    def add(name, days_ago=10, days=30, **values):
        start = timezone.now() - timedelta(days=days_ago)
        return PeriodUsage.objects.create(
            **{
                "subject": name,
                "organisation": cast.alder,
                "client": cast.quillfeather,
                "product": house.product,
                "service": house.service,
                "label": name,
                "start": start,
                "end": start + timedelta(days=days),
                "method": "p95_max",
                "unit_name": "Mbit/s",
                "included": 100,
                "currency": "EUR",
                "expected": 2880,
                "measured": 2880,
                "coverage_percent": 100,
                **values,
            }
        )

    return add


@pytest.fixture
def rows(house, add):
    cast = house.cast
    add("calm", quantity=20, share_percent=20, octets_out=5)
    add("above", quantity=150, share_percent=150, amount=45, octets_out=9)
    add(
        "thin",
        quantity=85,
        share_percent=85,
        measured=2800,
        coverage_percent=97.2,
        forecast_likely=120,
        forecast_low=90,
        forecast_high=130,
    )
    add("empty", measured=0, coverage_percent=0)
    add("gone", days_ago=45, quantity=70, share_percent=70)
    add("long gone", days_ago=75, subject="gone")
    add("theirs", organisation=cast.birch, client=cast.juniper, service=None, product=a_product(cast.tam))


def labels(client, **query):
    return [row.label for row in client.get(REPORT, query).context["page"].rows]


def test_the_fullest_first_and_every_filter(rows, rosa):
    assert labels(rosa) == ["above", "thin", "calm", "empty"]
    assert labels(rosa, sort="octets_out")[-1] == "above"
    assert labels(rosa, state="over") == ["above"]
    assert labels(rosa, state="near") == ["above", "thin"]
    assert labels(rosa, state="forecast") == ["thin"]
    assert labels(rosa, state="thin") == ["thin", "empty"]
    assert labels(rosa, state="empty") == ["empty"]
    assert labels(rosa, q="quill", state="over") == ["above"]
    assert labels(rosa, q="nobody at all") == []
    assert labels(rosa, product="999999") == []


def test_the_last_period_is_the_newest_that_is_over(rows, rosa):
    assert labels(rosa, period="last") == ["gone"]


def test_what_ended_before_the_last_period_is_not_in_it(add, rosa):
    add("ended a year ago", days_ago=370)
    add("ended before the last one", days_ago=61)
    add("not counted yet", days_ago=30.01)
    add("back this month", subject="back")
    add("back, in spring", days_ago=200, subject="back")
    assert labels(rosa, period="last") == ["not counted yet"]


def test_february_is_the_last_period_until_the_end_of_march(add, rosa):
    add("March", days_ago=30, days=31, subject="month")
    add("February", days_ago=58, days=28, subject="month")
    assert labels(rosa, period="last") == ["February"]


def test_the_file_holds_what_the_page_shows(rows, rosa, house):
    answer = rosa.get(f"{REPORT}services.csv", {"state": "near"})
    lines = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [(line["Used"], line["Used, %"], line["Amount above"]) for line in lines] == [
        ("150.000", "150.0", "45.0000"),
        ("85.000", "85.0", "0.0000"),
    ]
    assert lines[0]["Client"] == "Quillfeather Books"


def test_names_do_not_become_formulas(rows, rosa, house):
    type(house.cast.quillfeather).objects.update(name="=HYPERLINK(1)")
    text = b"".join(rosa.get(f"{REPORT}services.csv").streaming_content).decode()
    assert "'=HYPERLINK(1)" in text


def test_others_see_their_own(rows, house):
    tam = browser(house.cast.tam)
    assert labels(tam) == ["theirs"]
    assert browser(house.cast.mara).get(REPORT).status_code == 404
    assert browser(house.cast.mara).get(f"{REPORT}services.csv").status_code == 404


def test_figures_that_are_old_are_told(rows, rosa):
    assert "These figures are old" not in rosa.get(REPORT).content.decode()
    PeriodUsage.objects.update(counted_at=timezone.now() - timedelta(hours=3))
    assert "These figures are old" in rosa.get(REPORT).content.decode()


def test_as_many_questions_for_a_page_however_long_the_list(rows, rosa, django_assert_max_num_queries):
    with django_assert_max_num_queries(25):
        rosa.get(REPORT)


@pytest.mark.parametrize("over", ["hour", "day", "week", "century"])
def test_the_servers_with_most_traffic(house, rosa, over):
    assert rosa.get(f"{REPORT}most-traffic/", {"over": over}).status_code == 200


def test_alerts_are_chosen_in_the_product(house, rosa):
    address = f"/admin/setup/products/{house.product.pk}/pricing/"
    form = {"price": "1", "currency": "EUR", "cycle": "monthly", "overdue_grace_days": ""}
    rosa.post(address, {**form, "alert_percents": "50 %, 100", "alert_client": "1"})
    house.product.refresh_from_db()
    assert (house.product.alert_percents, house.product.alert_client) == ([50, 100], True)
    for wrong in ("0", "10 20 30 40 50 60", "half", "2000"):
        answer = rosa.post(address, {**form, "alert_percents": wrong})
        assert (answer.status_code, "whole per cents" in answer.content.decode()) == (422, True), wrong
    rosa.post(address, {**form, "alert_percents": ""})
    house.product.refresh_from_db()
    assert (house.product.alert_percents, house.product.alert_client) == ([], False)
