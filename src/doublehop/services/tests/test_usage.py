"""Whose octets are a service's, by which contract, and how much of it is used."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from importlib import import_module

import pytest
from django.apps import apps
from django.db import DatabaseError, transaction
from django.utils import timezone
from tests.cast import a_cast
from tests.stage import a_product, a_service, a_stage

from doublehop.bandwidth.models import Daily, GapVolume, Total
from doublehop.bandwidth.queries.metered import Window, metered
from doublehop.bandwidth.slots import SLOTS_PER_DAY, slot_of
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere
from doublehop.services import actions
from doublehop.services.actions.contracts import ContractForm
from doublehop.services.charging import spans, subject_of
from doublehop.services.models import Attachment, ContractVersion, Service
from doublehop.services.queries.contracts import contract_versions, preview_contract
from doublehop.services.queries.outlook import TOO_EARLY, outlook
from doublehop.services.queries.usage import usage
from doublehop.services.tests.metering import attached, contract_from, days_of, flow, wire

pytestmark = pytest.mark.django_db
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
MBIT = 1_000_000 // 8 * 300
"""Octets of one slot at 1 Mbit/s."""


@pytest.fixture
def cast():
    return a_cast()


@pytest.fixture
def machines(cast):
    return a_stage(cast.rosa).machines("web", "spare")


@pytest.fixture
def product(cast):
    return a_product(cast.rosa)


def windows_of(service):
    return [(one.server_id, one.until is None) for one in service.attachments.order_by("pk")]


class TestAttachments:
    def test_every_change_of_the_server_is_one(self, cast, product, machines):
        web, spare = machines
        service = a_service(cast.rosa, cast.quillfeather.pk, product, web)
        actions.swap(cast.rosa, service.pk, spare.pk)
        assert windows_of(service) == [(web.pk, False), (spare.pk, True)]
        actions.detach(cast.rosa, service.pk)
        actions.save_service(cast.rosa, service.pk, server_id=web.pk, hostname="", username="")
        actions.terminate(cast.rosa, service.pk, reason="Left")
        assert windows_of(service) == [(web.pk, False), (spare.pk, False), (web.pk, False)]
        actions.restore(cast.rosa, service.pk)
        assert windows_of(service)[3:] == [(web.pk, True)]

    def test_those_of_before_are_found_in_the_journal(self, cast, product, machines):
        web, spare = machines
        service = a_service(cast.rosa, cast.quillfeather.pk, product, web)
        actions.swap(cast.rosa, service.pk, spare.pk)
        other = a_service(cast.rosa, cast.quillfeather.pk, product, web)
        actions.detach(cast.rosa, other.pk)
        before = {(one.service_id, one.server_id): (one.since, one.until) for one in Attachment.objects.all()}
        Attachment.objects.all().delete()

        import_module("doublehop.services.migrations.0005_statements_from_before").find_attachments(
            apps, None
        )

        after = {(one.service_id, one.server_id): (one.since, one.until) for one in Attachment.objects.all()}
        assert after.keys() == before.keys()
        for which, (since, until) in after.items():
            assert abs(since - before[which][0]) < timedelta(seconds=5)
            assert (until is None) == (before[which][1] is None)

    def test_a_journal_that_does_not_know_is_not_believed(self, cast, product, machines):
        service = attached(cast, product, machines[0], NOVEMBER)
        Service.objects.filter(pk=service.pk).update(server=machines[1])
        Attachment.objects.all().delete()

        import_module("doublehop.services.migrations.0005_statements_from_before").find_attachments(
            apps, None
        )

        assert windows_of(service) == [(machines[1].pk, True)]


class TestMetered:
    def test_the_slots_of_the_change_are_nobodys(self, machines):
        web, spare = machines
        first = slot_of(NOVEMBER)
        wire(web, 1)
        wire(spare, 2)
        flow(web, first, [(10, 1)] * 12, 1)
        flow(spare, first, [(200, 2)] * 12, 2)
        change = NOVEMBER + timedelta(minutes=28)
        windows = [Window(web.pk, NOVEMBER - HOUR, change), Window(spare.pk, change)]

        found = metered(windows, first, first + 12)

        assert found.slots.octets_in.tolist() == [10] * 4 + [0] * 4 + [200] * 4
        assert found.slots.expected.tolist() == [True] * 4 + [False] * 4 + [True] * 4
        assert found.slots.measured.tolist() == found.slots.expected.tolist()

    def test_a_machine_whose_port_is_not_known_was_not_measured(self, machines):
        first = slot_of(NOVEMBER)
        found = metered([Window(machines[0].pk, NOVEMBER - HOUR)], first, first + 3)
        assert (found.is_wired, found.slots.expected.sum(), found.slots.measured.sum()) == (False, 3, 0)

    def test_of_several_ports_what_is_known_counts_and_is_not_measured_whole(self, machines):
        first = slot_of(NOVEMBER)
        wire(machines[0], 1)
        wire(machines[0], 2)
        flow(machines[0], first, [(10, 1), (10, 1)], 1)
        flow(machines[0], first, [(5, 1)], 2)
        found = metered([Window(machines[0].pk, NOVEMBER - HOUR)], first, first + 2)
        assert found.slots.octets_in.tolist() == [15, 10]
        assert found.slots.measured.tolist() == [True, False]


class TestContracts:
    def test_the_database_refuses_to_change_one(self, cast, product):
        version = actions.save_contract(cast.rosa, product.pk, ContractForm())
        for deed in (
            lambda: ContractVersion.objects.update(values={}),
            lambda: ContractVersion.objects.filter(pk=version.pk).delete(),
        ):
            with pytest.raises(DatabaseError), transaction.atomic():
                deed()

    def test_the_first_may_hold_from_now_on_and_later_ones_never_from_before(self, cast, product):
        actions.save_contract(cast.rosa, product.pk, ContractForm())
        today = timezone.now().date()
        for text in ("", today.isoformat(), "2026-02-30", "1970-01-01"):
            with pytest.raises(BadInput) as caught:
                actions.save_contract(cast.rosa, product.pk, ContractForm(in_force_from=text))
            assert caught.value.field == "in_force_from"
        ahead = (today + timedelta(days=40)).isoformat()
        actions.save_contract(cast.rosa, product.pk, ContractForm(price="3", in_force_from=ahead))
        assert [one.state for one in contract_versions(cast.rosa, product.pk)] == ["to come", "in force"]

    def test_the_preview_says_what_differs(self, cast, product):
        actions.save_contract(cast.rosa, product.pk, ContractForm(included="100", price="2"))
        ahead = (timezone.now().date() + timedelta(days=40)).isoformat()
        form = ContractForm(method="volume_out", included="5000", price="2", in_force_from=ahead)
        change = preview_contract(cast.rosa, product.pk, form)
        differs = {what: (before, after) for what, before, after in change.differs}
        assert differs["Included"] == ("100 Mbit/s included", "5 TB a month included")
        assert "Period" not in differs
        assert ContractVersion.objects.count() == 1

    @pytest.mark.parametrize(
        ("form", "field"),
        [
            ({"method": "p99"}, "method"),
            ({"unit": "nibbles"}, "unit"),
            ({"period": "moon"}, "period"),
            ({"zone": "Middle/Earth"}, "zone"),
            ({"zone": "/etc/passwd"}, "zone"),
            ({"period": "rolling", "rolling_days": "0"}, "rolling_days"),
            ({"period": "anniversary", "anchor": "31"}, "anchor"),
            ({"period": "rolling", "pooled": True}, "anchor"),
            ({"included": "much"}, "included"),
            ({"included": "1e99999"}, "included"),
            ({"price": "-1"}, "price"),
            ({"price": "0.0000001"}, "price"),
            ({"currency": "XXX"}, "currency"),
            ({"cut": "round"}, "cut"),
        ],
    )
    def test_what_a_contract_cannot_be(self, cast, product, form, field):
        with pytest.raises(BadInput) as caught:
            actions.save_contract(cast.rosa, product.pk, ContractForm(**form))
        assert caught.value.field == field

    def test_only_those_who_set_up_products_write_one(self, cast, product):
        with pytest.raises(NotAllowed):
            actions.save_contract(cast.ivo, product.pk, ContractForm())
        for stranger in (cast.tam, cast.mara):
            with pytest.raises(NotHere):
                actions.save_contract(stranger, product.pk, ContractForm())
            with pytest.raises(NotHere):
                contract_versions(stranger, product.pk)

    def test_added_up_or_not_stays_as_it_is(self, cast, product):
        actions.save_contract(cast.rosa, product.pk, ContractForm())
        ahead = (timezone.now().date() + timedelta(days=40)).isoformat()
        with pytest.raises(BadInput) as caught:
            actions.save_contract(cast.rosa, product.pk, ContractForm(pooled=True, in_force_from=ahead))
        assert caught.value.field == "pooled"


class TestPeriods:
    def test_each_is_charged_by_the_contract_in_force_when_it_begins(self, cast, product, machines):
        contract_from(cast, product, NOVEMBER - timedelta(days=100))
        service = attached(cast, product, machines[0], NOVEMBER + timedelta(days=4))
        contract_from(
            cast, product, NOVEMBER + timedelta(days=20), period="rolling", anchor="2026-11-21", price="3"
        )

        found = list(spans(subject_of(service), NOVEMBER + timedelta(days=79)))

        november, first_rolling, second_rolling = found
        assert (november.period.label, november.contract.price) == ("November 2026", 2)
        assert november.counted_from == NOVEMBER
        # The days of November that the new period holds too are charged once.
        assert first_rolling.period.start == datetime(2026, 11, 21, tzinfo=UTC)
        assert first_rolling.counted_from == november.period.end
        assert first_rolling.period.slots == 8640
        assert second_rolling.counted_from == second_rolling.period.start == first_rolling.period.end

    def test_a_service_with_a_day_of_its_own(self, cast, product, machines):
        contract_from(cast, product, NOVEMBER - timedelta(days=100), period="anniversary")
        service = attached(cast, product, machines[0], NOVEMBER + timedelta(days=4))
        (span, *_) = spans(subject_of(service), NOW)
        assert span.period.label == "5 Nov 2026 to 4 Dec 2026"


class TestUsage:
    def test_so_far_with_its_share(self, cast, product, machines):
        contract_from(cast, product, NOVEMBER, method="volume_out", included="4", price="0.5")
        service = attached(cast, product, machines[0], NOVEMBER - HOUR)
        wire(machines[0])
        flow(machines[0], slot_of(NOVEMBER) - 1, [(1, 10**9)] * 5)

        seen = usage(cast.rosa, service.pk, now=NOW)

        assert (seen.reckoned.quantity, seen.share, seen.reckoned.amount) == (4, Fraction(1), 0)
        assert (seen.period.label, seen.until, seen.reckoned.measured) == ("November 2026", NOW, 4)
        assert usage(cast.mara, service.pk, now=NOW) == seen
        for stranger in (cast.tam, cast.lena):
            with pytest.raises(NotHere):
                usage(stranger, service.pk, now=NOW)

    def test_none_without_contract_or_machine(self, cast, product, machines):
        service = attached(cast, product, machines[0], NOVEMBER)
        assert usage(cast.rosa, service.pk, now=NOW) is None
        contract_from(cast, product, NOVEMBER)
        pending = a_service(cast.rosa, cast.quillfeather.pk, product)
        assert usage(cast.rosa, pending.pk, now=NOW) is None
        assert usage(cast.rosa, service.pk, now=NOVEMBER - HOUR) is None

    def test_services_of_a_pool_are_added_up_and_share_one_figure(self, cast, product, machines):
        contract_from(cast, product, NOVEMBER, method="volume_in", pooled=True)
        services = [attached(cast, product, one, NOVEMBER - HOUR) for one in machines]
        for number, server in enumerate(machines, 1):
            wire(server, number)
            flow(server, slot_of(NOVEMBER), [(10**9, 0)], number)

        seen = [usage(cast.mara, one.pk, now=NOW) for one in services]

        assert seen[0] == seen[1]
        assert seen[0].reckoned.quantity == 2
        assert seen[0].services == tuple(map(str, services))

    def test_made_up_days_are_shown_and_never_owed(self, cast, product, machines):
        contract_from(cast, product, NOVEMBER, method="volume_in")
        service = attached(cast, product, machines[0], NOVEMBER - HOUR)
        wire(machines[0])
        flow(machines[0], slot_of(NOVEMBER), [(10**9, 0)])
        Daily.objects.create(port_id=1, day=NOVEMBER.date(), sample_history=True)
        seen = usage(cast.rosa, service.pk, now=NOW)
        assert (seen.sample_history, seen.reckoned.over, seen.reckoned.amount) == (True, 1, 0)

    def test_totals_of_an_upstream_are_a_volume(self, cast, product, machines):
        contract_from(cast, product, NOVEMBER, method="volume_sum")
        service = attached(cast, product, machines[0], NOVEMBER + HOUR)
        days_of(machines[0], NOVEMBER, range(3), octets_in=10**9, octets_out=10**9, read_at=NOW)
        seen = usage(cast.rosa, service.pk, now=NOW)
        # The day in which it was attached is nobody's.
        assert (seen.from_totals, seen.reckoned.quantity, seen.reckoned.amount) == (True, 4, Decimal("8.00"))

    def test_a_forecast_is_made_of_them_too(self, cast, product, machines):
        contract_from(cast, product, NOVEMBER, method="volume_sum")
        service = attached(cast, product, machines[0], NOVEMBER - HOUR)
        days_of(machines[0], NOVEMBER, range(9), octets_in=10**9, octets_out=10**9, read_at=NOW)
        made = outlook(cast.rosa, service.pk, now=NOW).forecast
        assert made.days == 9
        assert made.low < 60 < made.high
        assert abs(made.likely - 60) < 3
        Total.objects.filter(start__gte=NOVEMBER + timedelta(days=2)).delete()
        assert outlook(cast.rosa, service.pk, now=NOW).why_none == TOO_EARLY

    def test_what_the_bill_counts_of_a_pool_is_looked_ahead_from_too(self, cast, product, machines):
        """One of its machines has no port: no slot was measured whole, and the 95th is above the commit all the same."""
        contract_from(cast, product, NOVEMBER, method="p95_out", included="100", pooled=True)
        service, _ = [attached(cast, product, one, NOVEMBER - HOUR) for one in machines]
        wire(machines[0])
        flow(machines[0], slot_of(NOVEMBER), [(0, 140 * MBIT)] * 4 * SLOTS_PER_DAY)

        seen = outlook(cast.rosa, service.pk, now=NOVEMBER + timedelta(days=4))

        assert (seen.usage.reckoned.measured, seen.usage.reckoned.quantity) == (0, 140)
        assert (seen.burst.slots, seen.burst.used) == (0, 4 * SLOTS_PER_DAY)
        assert (seen.forecast.days, seen.forecast.low) == (4, 140)

    def test_of_a_pool_both_kinds_of_figures_go_on(self, cast, product, machines):
        """One machine with a port, a GB an hour; one that its upstream counts, 24 GB a day: 48 GB a day together."""
        contract_from(cast, product, NOVEMBER, method="volume_out", pooled=True)
        service, _ = [attached(cast, product, one, NOVEMBER - HOUR) for one in machines]
        wire(machines[0])
        flow(machines[0], slot_of(NOVEMBER), [(0, 10**9 // 12)] * 9 * SLOTS_PER_DAY)
        days_of(machines[1], NOVEMBER, range(9), octets_in=0, octets_out=24 * 10**9, read_at=NOW)
        made = outlook(cast.rosa, service.pk, now=NOVEMBER + timedelta(days=9)).forecast
        assert made.days == 9
        assert abs(made.likely - 30 * 48) < 30

    def test_octets_of_a_gap_are_used_before_anything_is_forecast(self, cast, product, machines):
        contract_from(cast, product, NOVEMBER, method="volume_out", included="5000")
        service = attached(cast, product, machines[0], NOVEMBER - HOUR)
        wire(machines[0])
        first = slot_of(NOVEMBER)
        flow(machines[0], first, [(0, MBIT)] * 4 * SLOTS_PER_DAY)
        GapVolume.objects.create(
            port_id=1,
            upstream_id=machines[0].upstream_id,
            first_slot=first + 4 * SLOTS_PER_DAY,
            end_slot=first + 5 * SLOTS_PER_DAY,
            octets_in=10**9,
            octets_out=6 * 10**12,
        )

        seen = outlook(cast.rosa, service.pk, now=NOVEMBER + timedelta(days=5))

        used = seen.usage.reckoned.quantity
        assert used > 6000
        assert used < seen.forecast.low < seen.forecast.high < used + 1000
        assert seen.will_be_above
