"""A server ordered at an upstream: bought once at the price agreed to, followed, and attached to what waits for it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from tests.cast import a_cast
from tests.stage import a_product, a_service, a_stage, run_all_jobs, run_jobs

from doublehop.driver_kit.conformance.world import Fault
from doublehop.driver_kit.contract import Price, SupplyOffer, SupplyState
from doublehop.fleet import actions as fleet
from doublehop.fleet import buying as fleet_buying
from doublehop.fleet.models import Upstream, UpstreamOrder
from doublehop.fleet.ordering import offers_of
from doublehop.journal.models import Entry
from doublehop.notices.models import Mail
from doublehop.organisations.models import Installation
from doublehop.organisations.refusals import (
    BadInput,
    KeyReused,
    NotAllowed,
    NotHere,
    NotOffered,
    WrongState,
)
from doublehop.services import actions, upkeep
from doublehop.services.actions.buying import buy
from doublehop.services.queries.attention import needs_a_person

PRICE = Price(Decimal("71.00"), Decimal("5.00"), "EUR")


class Shop:
    """Alder buys at the place behind its own upstream; ``service`` is what Quillfeather waits for."""

    def __init__(self):
        self.cast = a_cast()
        self.rosa = self.cast.rosa
        self.stage = a_stage(self.rosa)
        self.place = self.stage.place
        self.place.offers = {"7": SupplyOffer("7", "AX-64", "8 cores", PRICE)}
        self.product = a_product(self.rosa)
        self.service = a_service(self.rosa, self.cast.quillfeather.pk, self.product)
        self.read()

    def read(self):
        fleet.ask_sync(self.rosa, self.stage.upstream.pk)
        run_jobs()

    def buy(self, actor=None, **more):
        values = {"price": PRICE, "service_id": self.service.pk, "key": "form", **more}
        return buy(actor or self.rosa, self.stage.upstream.pk, "7", **values)

    def later(self):
        """A minute on: what is open is looked after, and what has come is attached."""
        fleet_buying.follow_orders({})
        run_jobs()
        upkeep.attach_bought({})
        run_jobs()
        self.service.refresh_from_db()

    def fill(self, external_id="m7", **machine):
        (order,) = self.place.orders.values()
        self.place.add(external_id, label="M7", hostname="m7.example.org", address="192.0.2.77", **machine)
        self.place.answer(order.order_id, SupplyState.FILLED, external_id=external_id)


@pytest.fixture
def shop(db):
    return Shop()


def only(**more):
    return UpstreamOrder.objects.get(**more)


def test_what_is_sold_there_is_read_with_the_list(shop):
    upstream = Upstream.objects.get()
    assert offers_of(upstream) == [shop.place.offers["7"]]
    shop.place.fault(Fault.UNREACHABLE, on="ordering.offers")
    shop.read()
    assert offers_of(Upstream.objects.get()) == [shop.place.offers["7"]]


def test_filled_later_and_attached_by_the_ordinary_way(shop):
    shop.buy(hostname="shop.example.org")
    run_jobs()
    row = only()
    assert (row.state, row.their_number, row.price, row.setup_fee) == ("waiting", "R-101", 71, 5)
    shop.later()
    assert shop.service.server is None
    shop.fill()
    shop.later()
    row.refresh_from_db()
    assert (row.state, row.external_id) == ("filled", "m7")
    assert (shop.service.status, shop.service.server.external_id) == ("active", "m7")
    assert shop.service.upstream_order is None
    assert shop.service.server.recorded_identity is not None
    verbs = list(Entry.objects.filter(verb__startswith="upstream_order").values_list("verb", flat=True))
    assert verbs == ["upstream_order.asked", "upstream_order.taken", "upstream_order.filled"]
    assert not Entry.objects.filter(verb__contains="bought", client_id__isnull=False).exists()


@pytest.mark.parametrize("fault", [Fault.UNKNOWN_AFTER_ACTING, Fault.UNKNOWN_BEFORE_ACTING, Fault.BAD_ANSWER])
def test_a_lost_answer_comes_to_one_order(shop, fault):
    shop.place.fault(fault, on="ordering.order")
    shop.buy()
    run_jobs()
    row = only()
    assert row.state == "sent"
    assert "asked again" in row.trouble
    shop.later()
    row.refresh_from_db()
    assert row.state == "waiting"
    assert list(shop.place.orders) == [row.key]


def test_two_presses_are_one_order_and_one_service_has_one(shop):
    first, second = shop.buy(), shop.buy()
    assert first.pk == second.pk
    with pytest.raises(KeyReused):
        shop.buy(note="Debian")
    with pytest.raises(WrongState, match="open for S-") as caught:
        shop.buy(key="other tab")
    assert caught.value.code == "already_ordered"
    run_all_jobs()
    assert len(shop.place.orders) == 1


def test_at_another_price_nothing_is_stored_or_nothing_is_bought(shop):
    with pytest.raises(WrongState, match=r"71\.00 EUR a month and 5\.00 EUR once now") as caught:
        shop.buy(price=Price(Decimal("70.00"), Decimal("5.00"), "EUR"))
    assert caught.value.code == "price_changed"
    assert not UpstreamOrder.objects.exists()
    # It changes over there after it was read here: the place itself refuses.
    dear = Price(Decimal("99.00"), Decimal("5.00"), "EUR")
    shop.place.offers["7"] = SupplyOffer("7", "AX-64", "8 cores", dear)
    shop.buy()
    run_all_jobs()
    assert only().state == "refused"
    assert "99.00" in only().why
    assert shop.place.orders == {}
    assert offers_of(Upstream.objects.get())[0].price == dear
    shop.service.refresh_from_db()
    shop.buy(price=dear, key="agreed anew")
    run_jobs()
    assert len(shop.place.orders) == 1


def test_refused_over_there_is_told_with_the_reason(shop):
    shop.buy()
    run_jobs()
    (order,) = shop.place.orders.values()
    shop.place.answer(order.order_id, SupplyState.REFUSED, why="Out of racks")
    shop.later()
    assert (only().state, only().why) == ("refused", "Out of racks")
    assert Mail.objects.filter(body__contains="Out of racks").exists()
    assert shop.service.server is None


def test_withdrawn_before_it_is_sent_and_while_it_waits(shop):
    row = shop.buy()
    fleet.withdraw_upstream_order(shop.rosa, row.pk)
    run_all_jobs()
    assert only().state == "withdrawn"
    assert shop.place.orders == {}
    row = shop.buy(key="again")
    run_jobs()
    shop.place.fault(Fault.UNKNOWN_BEFORE_ACTING, on="ordering.withdraw")
    fleet.withdraw_upstream_order(shop.rosa, row.pk)
    run_jobs()
    row.refresh_from_db()
    assert row.state == "waiting"
    shop.later()
    row.refresh_from_db()
    assert row.state == "withdrawn"
    with pytest.raises(WrongState):
        fleet.withdraw_upstream_order(shop.rosa, row.pk)


def test_staff_read_of_what_is_on_order_for_a_client_who_cancelled(shop):
    def told():
        return [need.heading for need in needs_a_person(shop.rosa) if "was cancelled" in need.heading]

    row = shop.buy()
    run_jobs()
    assert told() == []
    actions.cancel_service(shop.rosa, shop.service.pk, reason="Not wanted any more")
    assert told() == [f"{row} at {row.upstream.name} is open for {shop.service}, which was cancelled"]
    fleet.withdraw_upstream_order(shop.rosa, row.pk)
    run_jobs()
    shop.later()
    assert only().state == "withdrawn"
    assert told() == []


def test_a_withdrawal_that_comes_too_late_finds_it_filled(shop):
    row = shop.buy()
    run_jobs()
    shop.fill()
    fleet.withdraw_upstream_order(shop.rosa, row.pk)
    run_jobs()
    assert only().state == "filled"


def test_nothing_is_sent_unarmed_refused_restored_or_resting(shop):
    upstream = shop.stage.upstream
    fleet.disarm(shop.rosa, upstream.pk)
    with pytest.raises(WrongState, match="observe only"):
        shop.buy()
    Upstream.objects.update(armed=True, failure_code="credentials_rejected", failed_at=timezone.now())
    with pytest.raises(WrongState, match="refuses our login"):
        shop.buy()
    Upstream.objects.update(failure_code="")
    row = shop.buy()
    stops = [
        {"armed": False},
        {"failure_code": "credentials_rejected", "failed_at": timezone.now()},
        {"rests_until": timezone.now() + timedelta(minutes=5)},
    ]
    free = {"armed": True, "failure_code": "", "failed_at": None, "rests_until": None}
    for stop in stops:
        Upstream.objects.update(**{**free, **stop})
        fleet_buying.order({"order_id": row.pk})
        assert only().state == "asked"
        assert only().trouble
    Upstream.objects.update(**free)
    Installation.objects.update_or_create(
        pk=1, defaults={"restored_at": timezone.now(), "confirmed_at": None}
    )
    fleet_buying.order({"order_id": row.pk})
    assert shop.place.orders == {}
    Installation.objects.all().delete()
    fleet_buying.order({"order_id": row.pk})
    assert only().state == "waiting"


@pytest.mark.parametrize("state", ["asked", "sent"])
def test_a_restored_copy_buys_nothing_that_was_asked_before(shop, state):
    row = shop.buy()
    UpstreamOrder.objects.update(state=state)
    Installation.objects.update_or_create(
        pk=1, defaults={"restored_at": timezone.now(), "confirmed_at": timezone.now()}
    )
    run_all_jobs()
    row.refresh_from_db()
    assert row.state == "unknown"
    assert shop.place.orders == {}
    headings = [need.heading for need in needs_a_person(shop.rosa)]
    assert f"{row} at Rack A: nobody knows whether it was ordered" in headings


def test_what_cannot_be_sent_for_a_day_is_not_bought_any_more(shop):
    row = shop.buy()
    UpstreamOrder.objects.update(asked_at=timezone.now() - timedelta(hours=25))
    run_all_jobs()
    row.refresh_from_db()
    assert row.state == "refused"
    assert shop.place.orders == {}


def test_the_key_is_not_trusted_with_another_login_or_after_a_week(shop):
    shop.place.fault(Fault.UNKNOWN_AFTER_ACTING, on="ordering.order", times=None)
    row = shop.buy()
    run_jobs()
    UpstreamOrder.objects.update(sent_with="of another login")
    shop.later()
    row.refresh_from_db()
    assert row.state == "unknown"
    with pytest.raises(WrongState, match="open for S-"):
        shop.buy(key="too soon")
    with pytest.raises(BadInput):
        fleet.close_upstream_order(shop.rosa, row.pk, why=" ")
    fleet.close_upstream_order(shop.rosa, row.pk, why="Nothing of ours stands there")
    shop.service.refresh_from_db()
    late = shop.buy(key="after a look")
    run_jobs()
    UpstreamOrder.objects.filter(pk=late.pk).update(asked_at=timezone.now() - timedelta(days=8))
    shop.later()
    late.refresh_from_db()
    assert late.state == "unknown"


def test_a_refusal_of_the_second_asking_says_nothing_about_the_first(shop):
    shop.place.fault(Fault.UNKNOWN_AFTER_ACTING, on="ordering.order")
    row = shop.buy()
    run_jobs()
    shop.place.fault(Fault.REFUSED, on="ordering.order")
    shop.later()
    row.refresh_from_db()
    assert row.state == "sent"
    shop.later()
    row.refresh_from_db()
    assert row.state == "waiting"


def test_staff_are_told_once_why_a_guard_refuses_it(shop):
    lab = shop.place.machines["lab"]
    shop.buy()
    run_jobs()
    shop.fill(serial=lab.serial, mac=lab.mac)
    for _ in range(3):
        shop.later()
    assert shop.service.server is None
    assert "nobody could tell them apart" in shop.service.waits_because
    told = Mail.objects.filter(subject__contains="although its server has come")
    assert sorted(told.values_list("to", flat=True)) == ["ivo@alder.example", "rosa@alder.example"]


def test_a_service_that_got_another_server_is_left_alone(shop):
    (spare,) = shop.stage.machines("spare")
    shop.buy()
    run_jobs()
    actions.attach(shop.rosa, shop.service.pk, spare.pk)
    shop.fill()
    shop.later()
    assert shop.service.server == spare
    actions.detach(shop.rosa, shop.service.pk)
    shop.later()
    assert shop.service.server is None


def test_only_who_sets_up_spends_and_only_at_their_own(shop):
    with pytest.raises(NotAllowed):
        shop.buy(shop.cast.ivo)
    with pytest.raises(NotHere):
        shop.buy(shop.cast.tam)
    with pytest.raises(NotHere):
        shop.buy(shop.cast.mara, service_id=None)
    row = shop.buy()
    for stranger in (shop.cast.tam, shop.cast.ines, shop.cast.mara):
        with pytest.raises(NotHere):
            fleet.withdraw_upstream_order(stranger, row.pk)
    shop.place.offers = {}
    shop.read()
    with pytest.raises(NotOffered):
        shop.buy(key="nothing there")
    with pytest.raises(WrongState, match="known through it"):
        fleet.delete_upstream(shop.rosa, shop.stage.upstream.pk)
