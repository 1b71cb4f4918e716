"""What is billed: closed once, frozen, the same from the kept slots, and adjusted only beside it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import DatabaseError, transaction
from tests.cast import a_cast
from tests.stage import a_product, a_stage

from doublehop import verify_statement
from doublehop.bandwidth.models import Block, Daily, Fetching, GapVolume, Total
from doublehop.bandwidth.slots import slot_of
from doublehop.fleet.models import Server
from doublehop.journal.models import Entry
from doublehop.organisations.models import Brand
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, WrongState
from doublehop.services import upkeep
from doublehop.services.actions import change_service
from doublehop.services.actions import statements as actions
from doublehop.services.models import Adjustment, Attachment, Statement
from doublehop.services.queries import statements as queries
from doublehop.services.queries.usage import usage
from doublehop.services.tests.metering import attached, contract_from, days_of, flow, wire

pytestmark = pytest.mark.django_db
OCTOBER, NOVEMBER = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
CLOSED = NOVEMBER + actions.CLOSED_AFTER
LATE = CLOSED + actions.TOTALS_WITHIN
GB = 10**9


@pytest.fixture
def cast():
    return a_cast()


@pytest.fixture
def machines(cast):
    return a_stage(cast.rosa).machines("web", "spare")


@pytest.fixture
def product(cast):
    return a_product(cast.rosa)


@pytest.fixture
def sold(cast, product, machines):
    """A service by volume, 2 EUR for each GB out, with 3 GB in October."""
    contract_from(cast, product, OCTOBER, method="volume_out")
    service = attached(cast, product, machines[0], OCTOBER - timedelta(days=1))
    wire(machines[0])
    flow(machines[0], slot_of(OCTOBER), [(0, GB)] * 3)
    return service


def checked(row, **which):
    """The export, after the verifier found every figure equal."""
    for as_json in (True, False):
        text = queries.download(_staff_of(row), row.pk, as_json=as_json, **which).text
        lines = verify_statement.verify(verify_statement.read(text))
        assert [line for line in lines if line[1] != line[2]] == []
    return text


def of_days(server, days):
    """A GB out on each of these days of October, as an upstream counted them."""
    days_of(server, OCTOBER, days, octets_out=GB, read_at=CLOSED + timedelta(days=4))


def _staff_of(row):
    return actions.house_of(row.organisation_id, "Alder Hosting")


class TestClosing:
    def test_a_period_is_closed_once_when_late_readings_are_in(self, cast, sold):
        assert actions.close_due(CLOSED - timedelta(seconds=1)) == 0
        assert actions.close_due(CLOSED) == 1
        assert actions.close_due(CLOSED + timedelta(hours=1)) == 0
        row = Statement.objects.get()
        assert (row.service, row.label, row.amount, row.currency) == (sold, "October 2026", 6, "EUR")
        assert (row.expected, row.measured, row.is_thin) == (8928, 3, True)
        assert "T-" in str(row)
        checked(row)
        (line,) = Entry.objects.filter(verb="statement.closed")
        assert (line.service_id, line.client_id) == (sold.pk, sold.client_id)
        assert line.sentence == "October 2026: 6.00 EUR, less than 98 % of it measured"

    def test_the_statement_and_what_was_used_are_one_figure(self, cast, sold):
        seen = usage(cast.rosa, sold.pk, now=NOVEMBER - timedelta(seconds=1))
        actions.close_due(CLOSED)
        assert Statement.objects.get().document["figures"]["quantity"] == str(seen.reckoned.quantity)

    def test_it_carries_the_brand_and_not_what_a_house_above_calls_the_seller(self, cast, sold):
        Brand.objects.filter(organisation=cast.alder).update(name="Alder")
        actions.close_due(CLOSED)
        assert Statement.objects.get().document["organisation"] == "Alder"

    def test_it_is_never_changed(self, sold):
        actions.close_due(CLOSED)
        for deed in (
            lambda: Statement.objects.update(amount=1),
            lambda: Statement.objects.all().delete(),
        ):
            with pytest.raises(DatabaseError), transaction.atomic():
                deed()

    def test_it_stays_as_it_is_when_the_slots_are_gone(self, cast, sold):
        actions.close_due(CLOSED)
        before = checked(Statement.objects.get())
        Block.objects.all().delete()
        assert checked(Statement.objects.get()) == before

    def test_what_was_missed_is_made_up_for_and_nothing_is_charged_twice(self, sold):
        assert actions.close_due(CLOSED + timedelta(days=62)) == 3
        labels = list(Statement.objects.order_by("end").values_list("label", "amount"))
        assert labels == [("October 2026", 6), ("November 2026", 0), ("December 2026", 0)]

    def test_the_slots_of_another_client_are_not_on_it(self, cast, product, machines, sold):
        change = OCTOBER + timedelta(minutes=22)
        Attachment.objects.filter(service=sold).update(until=change)
        other = attached(cast, product, machines[1], change)
        Attachment.objects.filter(service=other).update(server=machines[0])
        flow(machines[0], slot_of(OCTOBER) + 3, [(0, GB)] * 6)
        actions.close_due(CLOSED)
        amounts = dict(Statement.objects.values_list("service_id", "amount"))
        # 2 GB and 3 GB; the slots about the change of hands are nobody's.
        assert amounts == {sold.pk: 4, other.pk: 6}

    def test_octets_of_a_gap_count_where_they_lie_wholly_within(self, sold, machines):
        first = slot_of(OCTOBER)
        for since, until in ((100, 110), (-4, 3), (8900, 8929)):
            GapVolume.objects.create(
                port_id=1,
                upstream_id=machines[0].upstream_id,
                first_slot=first + since,
                end_slot=first + until,
                octets_in=0,
                octets_out=GB,
            )
        actions.close_due(CLOSED)
        row = Statement.objects.get()
        assert (row.amount, len(row.document["outside_slots"])) == (8, 1)
        checked(row)

    def test_a_pool_is_one_statement(self, cast, product, machines):
        contract_from(cast, product, OCTOBER, method="p95_out", pooled=True)
        for number, server in enumerate(machines, 1):
            attached(cast, product, server, OCTOBER - timedelta(days=1))
            wire(server, number)
        # Busy at different times: together never more than one of them.
        flow(machines[0], slot_of(OCTOBER), [(0, 37_500_000)] * 250, 1)
        flow(machines[1], slot_of(OCTOBER) + 250, [(0, 37_500_000)] * 250, 2)
        assert actions.close_due(CLOSED) == 1
        row = Statement.objects.get()
        assert (row.service, row.document["services"], row.amount) == (None, ["S-3001", "S-3002"], 2)
        checked(row)
        assert queries.statements_of_service(cast.mara, row.client.services.first().pk).get() == row

    def test_made_up_days_are_never_billed(self, sold):
        Daily.objects.create(port_id=1, day=OCTOBER.date(), sample_history=True)
        actions.close_due(CLOSED)
        row = Statement.objects.get()
        assert (row.sample_history, row.amount) == (True, 0)
        checked(row)

    def test_totals_are_said_to_be_totals_and_their_source_stays_with_staff(self, cast, product, machines):
        contract_from(cast, product, OCTOBER, method="volume_sum")
        attached(cast, product, machines[1], OCTOBER - timedelta(days=1))
        of_days(machines[1], (-1, 0, 1, 31))
        actions.close_due(LATE)
        row = Statement.objects.get()
        assert (row.source, row.source_names, row.amount) == ("totals", "tower (GiB)", 4)
        assert "tower" not in checked(row)
        hours = {name: row.document["figures"][name] for name in ("hours_expected", "hours_counted")}
        assert (hours, row.is_thin) == ({"hours_expected": 744, "hours_counted": 48}, True)

    def test_hours_that_the_upstream_says_it_did_not_count_are_missing(self, cast, product, machines):
        contract_from(cast, product, OCTOBER, method="volume_sum")
        attached(cast, product, machines[1], OCTOBER - timedelta(days=1))
        of_days(machines[1], range(31))
        Total.objects.filter(start__lt=OCTOBER + timedelta(days=2)).update(counted_seconds=43200)
        actions.close_due(LATE)
        row = Statement.objects.get()
        assert row.document["figures"]["hours_counted"] == 744 - 24
        assert row.is_thin
        checked(row)

    def test_a_month_of_totals_is_whole_whatever_the_edges_leave_out(self, cast, product, machines):
        contract_from(cast, product, OCTOBER, method="volume_sum", zone="America/New_York")
        attached(cast, product, machines[1], OCTOBER - timedelta(days=1))
        of_days(machines[1], range(-1, 33))
        actions.close_due(LATE + timedelta(days=1))
        row = Statement.objects.order_by("end").last()
        assert (row.label, len(row.document["totals"]), row.is_thin) == ("October 2026", 30, False)
        assert queries.figures_of(row).coverage == 1
        checked(row)

    def test_slots_and_totals_of_one_pool_are_added_up(self, cast, machines):
        product = a_product(cast.rosa, "Pooled")
        contract_from(cast, product, OCTOBER, method="volume_sum", pooled=True)
        for server in machines:
            attached(cast, product, server, OCTOBER - timedelta(days=1))
        wire(machines[0])
        flow(machines[0], slot_of(OCTOBER), [(0, GB)] * 8928)
        of_days(machines[1], range(31))
        actions.close_due(LATE)
        row = Statement.objects.get()
        assert (row.source, row.source_names) == ("slots", "tower (GiB)")
        assert (row.amount, row.is_thin) == (2 * (8928 + 31), False)
        checked(row)

    def test_what_a_machine_was_before_says_nothing_of_the_one_that_came(self, cast, product, machines):
        """A machine with a port in September, one of an upstream with totals since."""
        contract_from(cast, product, OCTOBER, method="volume_sum")
        service = attached(cast, product, machines[0], OCTOBER - timedelta(days=30))
        wire(machines[0])
        Attachment.objects.filter(service=service).update(until=OCTOBER - timedelta(days=3))
        Attachment.objects.create(service=service, server=machines[1], since=OCTOBER - timedelta(days=3))
        of_days(machines[1], range(31))
        actions.close_due(LATE)
        row = Statement.objects.get()
        assert (row.source, row.amount, row.is_thin) == ("totals", 62, False)

    def test_it_waits_for_totals_to_be_read_once_more_and_not_for_ever(self, cast, product, machines):
        contract_from(cast, product, OCTOBER, method="volume_sum")
        attached(cast, product, machines[1], OCTOBER - timedelta(days=1))
        Server.objects.filter(pk=machines[1].pk).update(capabilities=["power", "traffic"])
        of_days(machines[1], range(30))
        assert actions.close_due(CLOSED) == 0
        Fetching.objects.create(server_id=machines[1].pk, read_at=CLOSED - timedelta(hours=2))
        assert actions.close_due(CLOSED + timedelta(days=2)) == 0
        Fetching.objects.update(read_at=CLOSED + timedelta(hours=2))
        assert actions.close_due(CLOSED + timedelta(days=2)) == 1

    def test_an_upstream_that_is_never_read_does_not_keep_a_bill_from_being_written(
        self, cast, product, machines
    ):
        contract_from(cast, product, OCTOBER, method="volume_sum")
        attached(cast, product, machines[1], OCTOBER - timedelta(days=1))
        Server.objects.filter(pk=machines[1].pk).update(capabilities=["power", "traffic"])
        of_days(machines[1], range(10))
        assert actions.close_due(CLOSED + timedelta(days=4)) == 1
        assert Statement.objects.get().is_thin

    def test_one_that_cannot_be_closed_keeps_nobody_else_from_it(self, cast, sold, machines, monkeypatch):
        product = a_product(cast.rosa, "Another")
        contract_from(cast, product, OCTOBER)
        broken = attached(cast, product, machines[1], OCTOBER - timedelta(days=1))
        real = actions.count

        def count(subject, span):
            if subject.service == broken:
                raise ValueError("a damaged block")
            return real(subject, span)

        monkeypatch.setattr(actions, "count", count)
        assert actions.close_due(CLOSED) == 1
        assert Statement.objects.get().service == sold

    def test_the_clock_closes_them(self, sold, time_machine):
        time_machine.move_to(CLOSED, tick=False)
        upkeep.JOBS["services.close_statements"]({})
        assert Statement.objects.count() == 1


class TestAnotherProduct:
    @pytest.fixture
    def free(self, cast):
        return a_product(cast.rosa, "Free")

    @pytest.fixture
    def large(self, cast):
        large = a_product(cast.rosa, "Dedicated L")
        contract_from(cast, large, OCTOBER, method="volume_out", price="5")
        return large

    @pytest.fixture
    def becomes(self, cast, sold, time_machine):
        def become(product, moment):
            time_machine.move_to(moment, tick=False)
            change_service(cast.rosa, sold.pk, product_id=product.pk)

        return become

    def test_without_a_contract_the_period_that_runs_is_charged_to_its_end(
        self, cast, product, free, sold, becomes
    ):
        changed = OCTOBER + timedelta(days=10)
        becomes(free, changed)
        assert usage(cast.rosa, sold.pk, now=changed).reckoned.amount == 6
        assert usage(cast.rosa, sold.pk, now=NOVEMBER) is None
        assert actions.close_due(CLOSED + timedelta(days=62)) == 1
        row = Statement.objects.get()
        assert (row.label, row.amount, row.product) == ("October 2026", 6, product)
        checked(row)

    def test_without_a_contract_the_last_one_is_charged_too_where_it_was_not_closed_yet(self, free, becomes):
        becomes(free, NOVEMBER + timedelta(hours=1))
        assert actions.close_due(CLOSED + timedelta(days=62)) == 2
        labels = list(Statement.objects.order_by("end").values_list("label", "amount"))
        assert labels == [("October 2026", 6), ("November 2026", 0)]

    def test_what_was_closed_before_is_not_counted_again(self, large, becomes, monkeypatch):
        actions.close_due(CLOSED + timedelta(days=31))
        becomes(large, CLOSED + timedelta(days=32))
        counted = []
        real = actions.count
        monkeypatch.setattr(actions, "count", lambda *given: counted.append(given[1]) or real(*given))
        assert actions.close_due(CLOSED + timedelta(days=61)) == 1
        assert [span.period.label for span in counted] == ["December 2026"]
        assert actions.close_due(CLOSED + timedelta(days=61)) == 0
        assert len(counted) == 1


class TestAdjusting:
    @pytest.fixture
    def late(self, cast, sold, machines):
        """Closed, and then two more readings are decided to be good."""
        actions.close_due(CLOSED)
        flow(machines[0], slot_of(OCTOBER) + 100, [(0, GB)] * 2)
        return Statement.objects.get()

    def adjust(self, actor, row, difference="4.00", **more):
        return actions.adjust(actor, row.pk, reason="Readings kept back", seen_difference=difference, **more)

    def test_a_line_of_its_own_beside_the_statement(self, cast, late):
        preview = queries.preview_adjustment(cast.rosa, late.pk)
        assert (preview.owed, preview.difference) == (6, 4)
        assert ("volume_out", str(3 * GB), str(5 * GB)) in preview.differs
        line = self.adjust(cast.rosa, late)
        assert (line.amount, line.made_by) == (4, "Rosa Lind")
        row = queries.statement(cast.mara, late.pk)
        assert (row.amount, queries.owed(row)) == (6, Decimal("10.00"))
        assert "T-" in checked(row, adjustment_id=line.pk)
        (entry,) = Entry.objects.filter(verb="statement.adjusted")
        assert entry.sentence == "+4.00 EUR: Readings kept back"

    @pytest.mark.parametrize("is_charged", [True, False])
    def test_of_a_service_that_is_another_product_by_now(self, cast, sold, late, is_charged):
        other = a_product(cast.rosa, "Another")
        if is_charged:
            contract_from(cast, other, OCTOBER, price="5")
        change_service(cast.rosa, sold.pk, product_id=other.pk)
        preview = queries.preview_adjustment(cast.rosa, late.pk)
        assert (preview.difference, preview.document["product"]) == (4, late.document["product"])
        assert self.adjust(cast.rosa, late).amount == 4

    def test_of_a_pool(self, cast, product, machines):
        contract_from(cast, product, OCTOBER, method="volume_out", pooled=True)
        for number, server in enumerate(machines, 1):
            attached(cast, product, server, OCTOBER - timedelta(days=1))
            wire(server, number)
        flow(machines[0], slot_of(OCTOBER), [(0, GB)], 1)
        actions.close_due(CLOSED)
        flow(machines[1], slot_of(OCTOBER) + 1, [(0, GB)], 2)
        preview = queries.preview_adjustment(cast.rosa, Statement.objects.get().pk)
        assert (preview.difference, preview.document["services"]) == (2, ["S-3001", "S-3002"])

    def test_it_is_made_once(self, cast, late):
        first = self.adjust(cast.rosa, late, key="one")
        assert self.adjust(cast.rosa, late, key="one") == first
        with pytest.raises(WrongState) as refused:
            self.adjust(cast.rosa, late)
        assert refused.value.code == "nothing_to_adjust"
        assert Adjustment.objects.count() == 1

    def test_a_credit_when_something_is_taken_back(self, cast, late, machines):
        self.adjust(cast.rosa, late)
        Block.objects.update(records=b"")
        flow(machines[0], slot_of(OCTOBER), [(0, 1)] * 5)
        assert self.adjust(cast.rosa, late, "-10.00").amount == -10

    def test_what_is_no_longer_kept_is_never_credited(self, cast, late):
        Block.objects.all().delete()
        assert "Fewer readings" in queries.preview_adjustment(cast.rosa, late.pk).why_not
        with pytest.raises(WrongState):
            self.adjust(cast.rosa, late, "-6.00")

    def test_only_what_was_seen(self, cast, late, machines):
        flow(machines[0], slot_of(OCTOBER) + 200, [(0, GB)])
        with pytest.raises(WrongState) as refused:
            self.adjust(cast.rosa, late)
        assert refused.value.code == "preview_changed"

    def test_with_a_reason_and_by_those_who_bill(self, cast, late):
        with pytest.raises(BadInput):
            actions.adjust(cast.rosa, late.pk, reason=" ", seen_difference="4.00")
        with pytest.raises(NotAllowed):
            self.adjust(cast.ivo, late)
        for stranger in (cast.tam, cast.mara, cast.ines):
            with pytest.raises(NotHere):
                self.adjust(stranger, late)


def test_nobody_reads_those_of_others(cast, sold):
    actions.close_due(CLOSED)
    row = Statement.objects.get()
    for reader in (cast.rosa, cast.ivo, cast.mara):
        assert queries.statement(reader, row.pk) == row
    for stranger in (cast.ines, cast.tam, cast.lena):
        assert not queries.statements_visible_to(stranger).exists()
        with pytest.raises(NotHere):
            queries.download(stranger, row.pk, as_json=True)
    with pytest.raises(NotHere):
        queries.preview_adjustment(cast.mara, row.pk)


def test_a_list_can_be_narrowed(cast, sold):
    actions.close_due(CLOSED + timedelta(days=31))
    rows = queries.statements_visible_to(cast.rosa)
    found = {only: queries.narrowed(rows, only).count() for only in ("", *queries.FILTERS)}
    assert found == {"": 2, "owed": 1, "thin": 2, "adjusted": 0, "made_up": 0}
