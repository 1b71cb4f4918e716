"""Octets over the API: exact in every step, a gap is never a zero, nobody else's, and all services at once."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone
from tests.cast import a_cast
from tests.stage import a_product, a_service, a_stage

from doublehop.api.tests.calling import Program
from doublehop.bandwidth.slots import slot_of, start_of
from doublehop.services import actions
from doublehop.services.actions.catalogue import ProductForm
from doublehop.services.actions.statements import close_due
from doublehop.services.counting import count_usage
from doublehop.services.models import EarlierProduct, PeriodUsage, Service, Statement
from doublehop.services.tests.metering import a_statement, attached, contract_from, flow, wire

pytestmark = pytest.mark.django_db
GB = 10**9


@pytest.fixture
def house():
    cache.clear()
    cast = a_cast()
    stage = a_stage(cast.rosa)
    return cast, stage, a_product(cast.rosa)


@pytest.fixture
def metered(house):
    """One service with a machine for three days. Two hours of yesterday, from noon on, carried traffic but for one gap."""
    cast, stage, product = house
    (web,) = stage.machines("web")
    service = attached(cast, product, web, timezone.now() - timedelta(days=3))
    wire(web)
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
    first = slot_of(noon)
    flow(web, first, [(300, 3000)] * 10)
    flow(web, first + 12, [(300, 6000)] * 12)
    return cast, service, noon


def seen(program, service, noon, hours, step):
    window = f"start={noon:%Y-%m-%dT%H:%M:%SZ}&end={noon + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"
    return program.get(f"/services/{service.pk}/bandwidth?{window}&step={step}").json()


def test_points_add_up_in_every_step_and_a_gap_is_no_zero(metered):
    cast, service, noon = metered
    shop = Program(cast.rosa)
    fine = seen(shop, service, noon, 3, "5m")
    assert len(fine["points"]) == 36
    assert fine["points"][9] == {
        "at": f"{noon + timedelta(minutes=45):%Y-%m-%dT%H:%M:%SZ}",
        "in": 300,
        "out": 3000,
        "gap": False,
    }
    assert fine["points"][10]["out"] is None
    assert fine["points"][10]["gap"] is True
    hours = seen(shop, service, noon, 3, "1h")
    assert [(one["in"], one["out"], one["gap"]) for one in hours["points"]] == [
        (3000, 30_000, True),
        (3600, 72_000, False),
        (None, None, True),
    ]
    for told in (fine, hours):
        assert (told["octets_in"], told["octets_out"], told["source"]) == (6600, 102_000, "slots")
        # 36 values, of which one is left out: the next is 6000 octets in 300 s.
        assert (told["percentile_95"], told["percentile_95_out"], told["percentile_95_in"]) == (160, 160, 8)
        assert told["coverage_percent"] == pytest.approx(100 * 22 / 36, abs=0.01)


def test_the_window_is_bounded(metered):
    cast, service, noon = metered
    shop = Program(cast.rosa)
    long = f"/services/{service.pk}/bandwidth?start=2001-01-01T00:00:00&step="
    refused = shop.get(f"{long}5m")
    assert (refused.status_code, refused.json()["field"]) == (422, "step")
    refused = shop.get(f"{long}1d")
    assert (refused.status_code, refused.json()["field"]) == (422, "start")
    year = f"{timezone.now() - timedelta(days=399):%Y-%m-%d}"
    assert shop.get(f"/services/{service.pk}/bandwidth?start={year}&step=1d").status_code == 200
    backwards = shop.get(f"/services/{service.pk}/bandwidth?start=2026-03-01&end=2026-02-01").json()
    assert (backwards["points"], backwards["octets_in"], backwards["coverage_percent"]) == ([], 0, None)
    assert Program(cast.tam).get(f"/services/{service.pk}/bandwidth").status_code == 404
    client = Program(cast.rosa, "read", client_id=cast.quillfeather.pk)
    assert seen(client, service, noon, 3, "1h")["octets_in"] == 6600
    form = ProductForm(name="Dedicated M", group_id=service.product.group_id, client_rights=["view", "power"])
    actions.update_product(cast.rosa, service.product_id, form)
    actions.detach(cast.rosa, service.pk)
    for what in ("bandwidth", "usage"):
        refused = client.get(f"/services/{service.pk}/{what}")
        assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")


def test_usage_is_what_was_counted_and_says_when(metered):
    cast, service, _ = metered
    shop = Program(cast.rosa)
    assert shop.get(f"/services/{service.pk}/usage").json()["counted_at"] is None
    contract_from(
        cast,
        service.product,
        timezone.now() - timedelta(days=2),
        method="volume_out",
        included="1",
        price="2",
    )
    count_usage({"organisation_id": cast.alder.pk})
    told = shop.get(f"/services/{service.pk}/usage").json()
    assert (told["octets_in"], told["octets_out"], told["unit"], told["included"]) == (
        6600,
        102_000,
        "GB",
        "1.000",
    )
    assert told["counted_at"] is not None
    (line,) = shop.get("/usage").json()["items"]
    assert (line["service_id"], line["octets_total"], line["included_octets"]) == (service.pk, 108_600, GB)
    assert line["percentile_95_bps"] == told["percentile_95_bps"]
    client = Program(cast.rosa, "read", client_id=cast.quillfeather.pk)
    assert client.get("/usage").json()["items"] == [line]
    assert Program(cast.tam).get("/usage").json()["items"] == []


def test_all_usage_is_paged_by_service_and_pools_come_last(house):
    cast, _, product = house
    now = timezone.now()
    services = [a_service(cast.rosa, cast.quillfeather.pk, product) for _ in range(3)]
    for number, service in enumerate([*services, None]):
        PeriodUsage.objects.create(
            subject=f"service:{service.pk}" if service else "pool:1:1",
            organisation=cast.alder,
            client=cast.quillfeather,
            product=product,
            service=service,
            label="now",
            start=now - timedelta(days=1),
            end=now + timedelta(days=1),
            unit_name="GB",
            octets_in=number,
        )
    shop = Program(cast.rosa)
    first = shop.get("/usage?limit=2").json()
    rest = shop.get(f"/usage?limit=2&after={first['next']}").json()
    assert [one["service_id"] for one in first["items"]] == [services[0].pk, services[1].pk]
    assert [(one["service_id"], one["octets_in"]) for one in rest["items"]] == [
        (services[2].pk, 2),
        (None, 3),
    ]
    assert rest["next"] is None


def test_two_billing_systems_with_the_same_number_read_each_its_own(house):
    cast, _, product = house
    now = timezone.now()
    for name, octets in (("WHMCS", 1), ("Blesta", 2)):
        service = a_service(cast.rosa, cast.quillfeather.pk, product)
        Service.objects.filter(pk=service.pk).update(billed_by=name, billing_reference="7")
        PeriodUsage.objects.create(
            subject=f"service:{service.pk}",
            organisation=cast.alder,
            client=cast.quillfeather,
            product=product,
            service=service,
            label="now",
            start=now - timedelta(days=1),
            end=now + timedelta(days=1),
            unit_name="GB",
            octets_in=octets,
        )

    def numbered(program):
        return [
            one["octets_in"]
            for one in program.get("/usage").json()["items"]
            if one["billing_reference"] == "7"
        ]

    assert numbered(Program(cast.rosa, "read", billing_system="WHMCS")) == [1]
    assert numbered(Program(cast.rosa, "read", billing_system="Blesta")) == [2]
    assert numbered(Program(cast.rosa, "read")) == [1, 2]


def test_statements_are_read_and_exported(house):
    cast, stage, product = house
    (web,) = stage.machines("web")
    service = a_service(cast.rosa, cast.quillfeather.pk, product, web)
    statement = a_statement(cast.rosa, service)
    shop = Program(cast.rosa)
    told = shop.get(f"/statements/{statement.pk}").json()
    assert (told["number"], told["quantity"], told["amount"]) == (f"T-{statement.pk}", "1.000000", "2.0000")
    assert told in shop.get(f"/services/{service.pk}/statements").json()["items"]
    assert told in shop.get(f"/statements?service_id={service.pk}").json()["items"]
    as_json = shop.get(f"/statements/{statement.pk}.json")
    assert as_json.json()["statement"] == f"T-{statement.pk}"
    as_csv = shop.get(f"/statements/{statement.pk}.csv")
    assert as_csv["Content-Type"].startswith("text/csv")
    assert as_csv.content.startswith(b"statement,T-")
    for path in ("", ".json", ".csv"):
        assert Program(cast.tam).get(f"/statements/{statement.pk}{path}").status_code == 404


def test_an_adjustment_is_what_was_seen_written_once_and_not_by_another_billing_system(house):
    cast, stage, product = house
    (web,) = stage.machines("web")
    service = a_service(cast.rosa, cast.quillfeather.pk, product, web)
    path = f"/statements/{a_statement(cast.rosa, service).pk}"
    Service.objects.filter(pk=service.pk).update(billed_by="WHMCS", billing_reference="41")
    whmcs = Program(cast.rosa, "read", "billing", billing_system="WHMCS")
    found = whmcs.get(f"{path}/recount").json()
    assert found == {"owed": "2.00", "difference": "4.00", "currency": "EUR", "why_not": ""}
    asked = {"difference": found["difference"], "reason": "Two readings came late"}
    tried = whmcs.post(f"{path}/adjustments?dry_run=true", asked)
    assert (tried.status_code, tried.json()["amount"]) == (200, "4.00")
    assert (tried.json()["dry_run"], tried.json()["id"]) == (True, None)
    assert whmcs.get(f"{path}/adjustments").json()["items"] == []
    blesta = Program(cast.rosa, "read", "billing", billing_system="Blesta")
    assert blesta.post(f"{path}/adjustments", asked).json()["code"] == "other_billing_system"
    changed = whmcs.post(f"{path}/adjustments", {**asked, "difference": "5.00"})
    assert (changed.status_code, changed.json()["code"]) == (409, "preview_changed")

    made = [whmcs.post(f"{path}/adjustments", asked, key="late readings") for _ in range(2)]
    assert [one.status_code for one in made] == [201, 201]
    assert made[0].json() == made[1].json()
    assert whmcs.get(path).json()["owed"] == "6.00"
    again = whmcs.post(f"{path}/adjustments", asked)
    assert (again.status_code, again.json()["code"]) == (409, "nothing_to_adjust")
    mara = Program(cast.rosa, "read", client_id=cast.quillfeather.pk)
    (read,) = mara.get(f"{path}/adjustments").json()["items"]
    assert (read["amount"], read["reason"], read["made_by"]) == ("4.00", "Two readings came late", "")
    assert mara.get(f"{path}/recount").status_code == 404


def test_the_period_in_which_a_product_changes_is_charged_by_the_contract_it_began_with(house):
    cast, stage, small = house
    large = a_product(cast.rosa, "Dedicated L")
    (web,) = stage.machines("web")
    now = timezone.now()
    service = attached(cast, small, web, now - timedelta(days=20))
    wire(web)
    daily = {"method": "volume_out", "period": "rolling", "rolling_days": "10", "included": "0"}
    contract_from(cast, small, now - timedelta(days=20), price="2", **daily)
    contract_from(cast, large, now - timedelta(days=400), price="5", **daily)
    # As if it had changed in the middle of its first ten days.
    actions.change_service(cast.rosa, service.pk, product_id=large.pk)
    ends = start_of(slot_of(now - timedelta(days=20))).replace(hour=0, minute=0) + timedelta(days=10)
    EarlierProduct.objects.update(charged_until=ends)
    for days in (15, 7):
        flow(web, slot_of(now - timedelta(days=days)), [(0, GB)])
    close_due(now + timedelta(days=3))
    closed = list(Statement.objects.order_by("end").values_list("amount", "product_id"))
    assert closed == [(2, small.pk), (5, large.pk)]
    assert Service.objects.get(pk=service.pk).price == large.price


def test_a_product_without_a_contract_ends_the_charging_and_nothing_is_charged_twice(house):
    cast, stage, charged = house
    free = a_product(cast.rosa, "Free")
    (web,) = stage.machines("web")
    now = timezone.now()
    service = attached(cast, charged, web, now - timedelta(days=70))
    wire(web)
    contract_from(cast, charged, now - timedelta(days=70), method="volume_out", price="2")
    flow(web, slot_of(now - timedelta(days=65)), [(0, GB)])
    close_due(now)
    before = list(Statement.objects.values_list("pk", flat=True))
    assert before
    actions.change_service(cast.rosa, service.pk, product_id=free.pk)
    EarlierProduct.objects.update(charged_until=now - timedelta(days=35))
    actions.change_service(cast.rosa, service.pk, product_id=charged.pk)
    EarlierProduct.objects.filter(product=free).update(charged_until=now - timedelta(days=1))
    flow(web, slot_of(now - timedelta(days=20)), [(0, GB)])
    close_due(now + timedelta(days=60))
    after = Statement.objects.exclude(pk__in=before)
    assert [one.amount for one in after if one.start < now] == [0] * after.filter(start__lt=now).count()
