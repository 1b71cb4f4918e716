"""What is counted by the hour for lists, its forecast, and alerts that are told once."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from django.utils import timezone
from tests.cast import a_cast
from tests.stage import a_product, a_service, a_stage

from doublehop.bandwidth import store
from doublehop.bandwidth.models import Block, Daily, Wiring
from doublehop.bandwidth.slots import SLOTS_PER_DAY, slot_of
from doublehop.jobs.engine import Engine
from doublehop.journal.models import Entry
from doublehop.notices.models import Mail
from doublehop.organisations.refusals import BadInput, NotHere
from doublehop.services import actions, counting
from doublehop.services.actions.contracts import ContractForm
from doublehop.services.actions.counting import choose_alerts
from doublehop.services.models import Attachment, Operation, PeriodUsage, Service, UsageAlert
from doublehop.services.queries.octets import current_usage, usage_now
from doublehop.services.queries.outlook import outlook
from doublehop.services.queries.report import ReportFilter, usage_report

pytestmark = pytest.mark.django_db
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 11, 0, 1, tzinfo=UTC)
MBIT = 1_000_000 // 8 * 300


@pytest.fixture
def cast(monkeypatch):
    cast = a_cast()
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    return cast


@pytest.fixture
def machines(cast):
    return a_stage(cast.rosa).machines("web", "spare")


def product_of(cast, name="Dedicated M", **form):
    product = a_product(cast.rosa, name)
    version = actions.contracts.version_of(
        product, ContractForm(**{"price": "2", "in_force_from": "2099-01-01", **form})
    )
    version.in_force_from, version.made_by = NOVEMBER, cast.rosa.label
    version.save()
    return product


def service_of(cast, product, server, since=NOVEMBER):
    service = a_service(cast.rosa, cast.quillfeather.pk, product, server)
    Attachment.objects.filter(service=service).update(since=since - timedelta(minutes=10))
    Service.objects.filter(pk=service.pk).update(activated_at=since, created_at=since)
    Wiring.objects.create(
        port_id=server.pk, upstream_id=server.upstream_id, server_id=server.pk, since_slot=0
    )
    return Service.objects.get(pk=service.pk)


def flow(server, rates, first=NOVEMBER):
    """Mbit/s out by slot, a tenth of it in."""
    out = np.array(rates) * MBIT
    Block.objects.bulk_create(
        Block(
            pk=store.block_id(server.upstream_id, slot_of(first) + place),
            records=store.pack([(server.pk, int(octets) // 10, int(octets))]),
        )
        for place, octets in enumerate(out)
    )


def days(*rates):
    return np.repeat(rates, SLOTS_PER_DAY)


def count():
    counting.count_all({})
    Engine(counting.JOBS).drain()


def mails(to):
    return list(Mail.objects.filter(about="usage_alert", to=to).order_by("pk"))


def test_a_service_is_counted_with_its_forecast_and_burst_time(cast, machines):
    service = service_of(cast, product_of(cast, included="20"), machines[0])
    flow(machines[0], days(*([10] * 9), 30))
    count()
    row = PeriodUsage.objects.get()
    assert (row.subject, row.label, row.unit_name) == (f"service:{service.pk}", "November 2026", "Mbit/s")
    assert (row.quantity, row.included, row.amount, row.currency) == (10, 20, 0, "EUR")
    assert (row.measured, row.coverage_percent) == (2880, 100)
    # 432 slots of November are left out, 288 were used on the day of 30 Mbit/s.
    assert row.burst_minutes == (432 - 288) * 5
    assert 10 <= row.forecast_low < row.forecast_likely < row.forecast_high < 40
    over = max(Decimal(0), row.forecast_likely - 20)
    assert row.forecast_amount == pytest.approx(2 * over, abs=Decimal("0.02"))
    seen = outlook(cast.mara, service.pk, now=NOW)
    assert seen.forecast.days == 10
    assert seen.will_be_above is None, "it may be, or not"


def test_counting_again_makes_the_same_row_newer(cast, machines):
    service_of(cast, product_of(cast, included="20"), machines[0])
    flow(machines[0], days(10, 10, 10))
    count()
    PeriodUsage.objects.update(quantity=99, forecast_likely=7)
    count()
    assert PeriodUsage.objects.get().quantity == 10
    assert PeriodUsage.objects.get().forecast_likely == 7, "a forecast stands for some hours"


def test_there_is_no_forecast_before_enough_is_known(cast, machines):
    service = service_of(cast, product_of(cast), machines[0], since=NOW - timedelta(days=2))
    flow(machines[0], days(10, 10), first=NOW - timedelta(days=2, minutes=1))
    count()
    assert PeriodUsage.objects.get().forecast_likely is None
    assert "after 3 days" in outlook(cast.mara, service.pk, now=NOW).why_none


def test_each_alert_is_told_once_a_period(cast, machines):
    product = product_of(cast, method="volume_out", included="300")
    type(product).objects.filter(pk=product.pk).update(alert_client=True)
    service = service_of(cast, product, machines[0])
    flow(machines[0], days(5, 5, 5, 5, 5))
    count()
    assert PeriodUsage.objects.get().share_percent == pytest.approx(90)
    assert list(UsageAlert.objects.order_by("pk").values_list("kind", "percent")) == [
        ("reached", 80),
        ("reached", 90),
        ("forecast", 100),
    ]
    for _ in range(2):
        count()
    (mail,) = mails("mara@quillfeather.example")
    assert mail.organisation_id == cast.alder.pk
    assert mail.subject == f"Bandwidth: 90 % used, {service} (web.example.org)"
    assert "270 of 300 GB" in mail.body
    (told,) = mails("rosa@alder.example")
    assert "90 % reached: 270 of 300 GB" in told.body
    assert mails("ivo@alder.example") == [], "support sells nothing"
    lines = Entry.objects.filter(verb="bandwidth.alert").order_by("pk")
    assert [line.details["percent"] for line in lines] == [80, 90, 100]
    assert not Operation.objects.filter(kind="suspend").exists()
    flow(machines[0], days(5), first=NOVEMBER + timedelta(days=5))
    count()
    assert [mail.subject.partition(",")[0] for mail in mails("mara@quillfeather.example")] == [
        "Bandwidth: 90 % used",
        "Bandwidth: 100 % used",
    ]


def test_a_share_reached_in_the_last_hour_is_told_when_the_period_is_over(cast, machines, monkeypatch):
    product = product_of(cast, method="volume_out", included="300")
    type(product).objects.filter(pk=product.pk).update(alert_client=True)
    service_of(cast, product, machines[0])
    flow(machines[0], days(1, 1, 1))
    count()
    assert PeriodUsage.objects.get().forecast_likely
    assert not UsageAlert.objects.exists()
    december = datetime(2026, 12, 1, tzinfo=UTC)
    flow(machines[0], [750] * 8, first=december - timedelta(minutes=45))
    monkeypatch.setattr(timezone, "now", lambda: december + timedelta(minutes=30))
    for _ in range(2):
        count()
    assert list(UsageAlert.objects.values_list("kind", "percent")) == [("reached", 80)]
    (told,) = mails("rosa@alder.example")
    assert "80 % reached: 257.4 of 300 GB, November 2026" in told.body
    (mail,) = mails("mara@quillfeather.example")
    assert "Period: November 2026 (UTC), which is over" in mail.body
    assert "Used in it: " in mail.body
    assert "Forecast" not in mail.body


def test_a_share_is_not_told_once_the_period_is_settled(cast, machines, monkeypatch):
    service_of(cast, product_of(cast, method="volume_out", included="1"), machines[0])
    flow(machines[0], days(5))
    monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 12, 1, 4, tzinfo=UTC))
    count()
    assert PeriodUsage.objects.filter(label="November 2026", share_percent__gt=100).exists()
    assert not UsageAlert.objects.exists()


def test_nobody_is_told_where_no_alert_is_chosen_or_the_octets_are_made_up(cast, machines):
    quiet = product_of(cast, "Quiet", method="volume_out", included="1")
    type(quiet).objects.filter(pk=quiet.pk).update(alert_percents=[])
    service_of(cast, quiet, machines[0])
    flow(machines[0], days(5))
    sample = product_of(cast, "Sample", method="volume_out", included="1")
    service_of(cast, sample, machines[1])
    flow(machines[1], days(5), first=NOVEMBER + timedelta(days=3))
    Daily.objects.create(
        port_id=machines[1].pk, day=(NOVEMBER + timedelta(days=3)).date(), sample_history=True, slots=288
    )
    count()
    assert {row.product_id: row.share_percent > 100 for row in PeriodUsage.objects.all()} == {
        quiet.pk: True,
        sample.pk: True,
    }
    assert not UsageAlert.objects.exists()
    assert not Mail.objects.filter(about="usage_alert").exists()


def test_a_service_without_a_contract_is_shown_and_never_priced(cast, machines):
    service_of(cast, a_product(cast.rosa), machines[0])
    flow(machines[0], days(5))
    count()
    row = PeriodUsage.objects.get()
    assert (row.method, row.amount, row.currency) == ("", 0, "")
    assert row.octets_out == 5 * 288 * MBIT
    assert not UsageAlert.objects.exists()


def test_a_service_is_shown_as_charged_until_its_earlier_product_charges_no_more(cast, machines, monkeypatch):
    service = service_of(cast, product_of(cast, method="volume_out", included="300"), machines[0])
    flow(machines[0], days(5))
    actions.change_service(cast.rosa, service.pk, product_id=a_product(cast.rosa, "Free").pk)
    count()
    assert PeriodUsage.objects.get().method == "volume_out"
    monkeypatch.setattr(timezone, "now", lambda: NOW + timedelta(days=25))
    count()
    assert list(PeriodUsage.objects.order_by("start").values_list("label", "method")) == [
        ("November 2026", "volume_out"),
        ("December 2026", ""),
    ]


def test_a_pool_is_one_line(cast, machines):
    product = product_of(cast, included="20", pooled=True)
    for server in machines:
        service_of(cast, product, server)
    count()
    row = PeriodUsage.objects.get()
    assert (row.service, row.services, row.subject) == (
        None,
        2,
        f"pool:{cast.quillfeather.pk}:{product.pk}",
    )


@pytest.mark.parametrize(
    ("form", "label"),
    [
        ({"zone": "Europe/Berlin"}, "November 2026"),
        ({"zone": "America/New_York"}, "November 2026"),
        ({"period": "anniversary", "anchor": "2026-10-05"}, "5 Nov 2026 to 4 Dec 2026"),
        ({"pooled": True}, "November 2026"),
        ({"pooled": True, "zone": "Europe/Berlin"}, "November 2026"),
    ],
)
def test_a_first_contract_takes_over_what_was_shown_without_one(cast, machines, form, label, monkeypatch):
    product = a_product(cast.rosa)
    service = service_of(cast, product, machines[0])
    flow(machines[0], days(5))
    count()
    (before,) = PeriodUsage.objects.all()
    actions.save_contract(
        cast.rosa, product.pk, ContractForm(method="volume_out", included="1", price="2", **form)
    )
    monkeypatch.setattr(timezone, "now", lambda: NOW + timedelta(hours=2))
    for _ in range(2):
        count()
    shown = usage_now(cast.rosa, service.pk)
    assert (shown.label, shown.method, shown.counted_at) == (label, "volume_out", timezone.now())
    assert list(current_usage(cast.rosa)) == [shown]
    assert list(usage_report(cast.rosa, ReportFilter())) == [shown]
    is_other_month = label != before.label
    assert list(usage_report(cast.rosa, ReportFilter("last"))) == [before] * is_other_month


def test_what_was_shown_before_a_first_contract_is_the_last_period_if_it_began_before_it(
    cast, machines, monkeypatch
):
    product = a_product(cast.rosa)
    service_of(cast, product, machines[0])
    flow(machines[0], days(5))
    count()
    (before,) = PeriodUsage.objects.all()
    anniversary = {"period": "anniversary", "anchor": "2026-10-11"}
    actions.save_contract(cast.rosa, product.pk, ContractForm(price="2", **anniversary))
    monkeypatch.setattr(timezone, "now", lambda: NOW + timedelta(hours=2))
    count()
    (last,) = usage_report(cast.rosa, ReportFilter("last"))
    assert (last, last.octets_out) == (before, 5 * 288 * MBIT)
    assert last.end == current_usage(cast.rosa).get().start == datetime(2026, 11, 11, tzinfo=UTC)


def test_a_service_is_shown_until_its_first_contract_is_in_force(cast, machines, monkeypatch):
    product = a_product(cast.rosa)
    service_of(cast, product, machines[0])
    actions.save_contract(cast.rosa, product.pk, ContractForm(price="2", in_force_from="2026-11-20"))
    for hours, method in ((1, ""), (24 * 10, "p95_max")):
        monkeypatch.setattr(timezone, "now", lambda hours=hours: NOW + timedelta(hours=hours))
        count()
        (row,) = PeriodUsage.objects.all()
        assert (row.method, row.counted_at) == (method, timezone.now())


def test_one_that_cannot_be_counted_hides_no_other(cast, machines, monkeypatch):
    broken = service_of(cast, product_of(cast, "One"), machines[0])
    fine = service_of(cast, product_of(cast, "Two"), machines[1])
    real = counting.outlook_of

    def fails(subject, *rest, **more):
        if subject.service == broken:
            raise ValueError("cannot be counted")
        return real(subject, *rest, **more)

    monkeypatch.setattr(counting, "outlook_of", fails)
    count()
    assert [row.service for row in PeriodUsage.objects.all()] == [fine]


def test_a_client_chooses_its_own_shares(cast, machines):
    service = service_of(cast, product_of(cast, method="volume_out", included="300"), machines[0])
    flow(machines[0], days(5, 5, 5))
    choose_alerts(cast.mara, service.pk, "50 %, 95")
    for actor in (cast.lena, cast.tam, cast.rosa):
        with pytest.raises(NotHere):
            choose_alerts(actor, service.pk, "1")
    with pytest.raises(BadInput):
        choose_alerts(cast.mara, service.pk, "half of it")
    count()
    assert [mail.subject.partition(",")[0] for mail in mails("mara@quillfeather.example")] == [
        "Bandwidth: 50 % used"
    ]
    assert mails("rosa@alder.example")[0].body.count("*") == 1, "staff read what staff chose: the forecast"
    choose_alerts(cast.mara, service.pk, "")
    flow(machines[0], days(5, 5, 5), first=NOVEMBER + timedelta(days=3))
    count()
    assert len(mails("mara@quillfeather.example")) == 1
