"""A reseller orders a server above, and gives one back: filled at once, by hand, refused, or withdrawn; never twice."""

from decimal import Decimal

import pytest
from tests.cast import a_cast
from tests.stage import a_product, a_service, a_stage, ask, run_all_jobs

from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Allocation
from doublehop.fleet.queries import sellable_servers
from doublehop.journal.models import Entry
from doublehop.notices.models import Mail
from doublehop.organisations import actions as organisations
from doublehop.organisations.actor import Actor, ActorKind, Role
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, WrongState
from doublehop.services import actions
from doublehop.services.actions import supply
from doublehop.services.actions.supply import OfferForm
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import SupplyOrder
from doublehop.services.queries import needs_a_person
from doublehop.services.queries import supply as queries

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast():
    return a_cast()


@pytest.fixture
def stage(cast):
    return a_stage(cast.ines)


@pytest.fixture
def pool(cast, stage):
    """A group with two free machines."""
    group = fleet.create_server_group(cast.ines, "Free machines")
    fleet.set_group_members(cast.ines, group.pk, [s.pk for s in stage.machines("one", "two")])
    return group


def an_offer(cast, **more):
    values = {"name": "AX-64", "processor": "8 cores", "price": "71.00", "currency": "EUR", **more}
    return supply.create_offer(cast.ines, OfferForm(**values))


def test_an_order_is_filled_from_the_group_at_once_at_the_price_of_the_offer(cast, stage, pool):
    offer = an_offer(cast, server_group_id=pool.pk)
    (line,) = queries.offers_for(cast.rosa)
    assert (line.offer, line.stock, line.in_stock) == (offer, 2, True)
    order = supply.order_supply(cast.rosa, offer.pk, hostname="Web1.example.org.", note="for a shop")
    assert (str(order), order.state, order.hostname) == ("R-101", "waiting", "web1.example.org")
    order.refresh_from_db()
    assert (order.state, order.server, order.settled_by) == ("filled", stage.server("one"), "automatic")
    allocation = Allocation.objects.get(receiver=cast.alder)
    assert (allocation.server, allocation.price, allocation.giver) == (
        order.server,
        Decimal("71.00"),
        cast.provider,
    )
    assert list(sellable_servers(cast.rosa)) == [order.server]
    assert queries.offers_for(cast.rosa)[0].stock == 1
    assert [mail.to for mail in Mail.objects.all()] == ["rosa@alder.example"]


def test_without_a_free_machine_the_order_waits_and_the_givers_staff_are_told(cast, stage):
    offer = an_offer(cast)
    order = supply.order_supply(cast.rosa, offer.pk)
    assert queries.offers_for(cast.rosa)[0].stock is None
    assert order.state == "waiting"
    assert [(mail.to, mail.organisation) for mail in Mail.objects.all()] == [
        ("ines@northgate.example", cast.provider)
    ]
    assert "supply" in {need.kind for need in needs_a_person(cast.ines)}
    assert "supply" not in {need.kind for need in needs_a_person(cast.rosa)}
    (free,) = stage.machines("free")
    assert list(queries.servers_to_fill_with(cast.ines, "FR")) == [free]
    filled = supply.fill_supply(cast.ines, order.pk, free.pk)
    assert (filled.state, filled.server) == ("filled", free)
    assert sellable_servers(cast.rosa).get() == free
    told = Mail.objects.get(about="supply_settled")
    assert (told.to, told.organisation) == ("rosa@alder.example", cast.provider)
    with pytest.raises(WrongState):
        supply.fill_supply(cast.ines, order.pk, free.pk)


def test_two_orders_for_the_last_machine(cast, pool, stage):
    fleet.set_group_members(cast.ines, pool.pk, [stage.server("one").pk])
    offer = an_offer(cast, server_group_id=pool.pk)
    for staff in (cast.rosa, cast.tam):
        supply.order_supply(staff, offer.pk)
    assert list(SupplyOrder.objects.order_by("pk").values_list("state", flat=True)) == ["filled", "waiting"]
    assert queries.offers_for(cast.tam)[0].in_stock is False


def test_a_machine_that_is_attached_or_still_suspended_is_not_given(cast, pool, stage):
    one, two = stage.server("one"), stage.server("two")
    a_service(cast.ines, a_client(cast).pk, a_product(cast.ines), one)
    run_all_jobs()
    ask_suspend(cast, two)
    offer = an_offer(cast, server_group_id=pool.pk)
    assert queries.offers_for(cast.rosa)[0].stock == 0
    assert supply.order_supply(cast.rosa, offer.pk).state == "waiting"
    assert not Allocation.objects.exists()


def a_client(cast):
    return organisations.create_client(cast.ines, name="Own client")


def ask_suspend(cast, server):
    actions.request(
        cast.ines,
        OperationKind.SUSPEND,
        server_id=server.pk,
        idempotency_key="s",
        reason="spam",
        cause="abuse",
    )
    run_all_jobs()


def test_the_same_form_sent_twice_is_one_order(cast):
    offer, other = an_offer(cast), an_offer(cast, name="BX-128")
    first = supply.order_supply(cast.rosa, offer.pk, key="form-1")
    assert supply.order_supply(cast.rosa, offer.pk, key="form-1") == first
    with pytest.raises(WrongState) as refused:
        supply.order_supply(cast.rosa, other.pk, key="form-1")
    assert refused.value.code == "key_reused"
    assert supply.order_supply(cast.tam, other.pk, key="form-1").organisation == cast.birch
    assert SupplyOrder.objects.filter(organisation=cast.alder).count() == 1


def test_the_machine_identity_orders_too_and_support_does_not(cast):
    offer = an_offer(cast)
    leap = Actor(ActorKind.LEAP, "alder-leap", cast.alder.pk, cast.alder.name, role=Role.ADMIN)
    assert supply.order_supply(leap, offer.pk).asked_by == "alder-leap"
    with pytest.raises(NotAllowed):
        supply.order_supply(cast.ivo, offer.pk)
    for stranger in (cast.mara, cast.ines):
        with pytest.raises(NotHere):
            supply.order_supply(stranger, offer.pk)


def test_only_what_the_organisation_above_offers_can_be_ordered(cast):
    hidden, own = an_offer(cast, hidden=True), supply.create_offer(cast.rosa, OfferForm(name="Mine"))
    assert queries.offers_for(cast.rosa) == []
    assert queries.offers_for(cast.ines) == []
    assert queries.offers_for(cast.mara) == []
    for offer_id in (hidden.pk, own.pk, 2**70):
        with pytest.raises(NotHere):
            supply.order_supply(cast.rosa, offer_id)


def test_numbers_count_per_asker(cast):
    offer = an_offer(cast)
    orders = [supply.order_supply(staff, offer.pk) for staff in (cast.rosa, cast.tam, cast.rosa)]
    assert [str(order) for order in orders] == ["R-101", "R-101", "R-102"]


def test_refused_and_withdrawn(cast):
    offer = an_offer(cast)
    first, second = (supply.order_supply(cast.rosa, offer.pk) for _ in "ab")
    with pytest.raises(BadInput):
        supply.refuse_supply(cast.ines, first.pk, "  ")
    supply.refuse_supply(cast.ines, first.pk, "None of these until May.")
    first.refresh_from_db()
    assert (first.state, first.settled_why) == ("refused", "None of these until May.")
    assert "None of these until May." in Mail.objects.get(about="supply_settled").body
    with pytest.raises(NotHere):
        supply.withdraw_supply(cast.tam, second.pk)
    supply.withdraw_supply(cast.rosa, second.pk)
    with pytest.raises(WrongState) as refused:
        supply.fill_supply(cast.ines, second.pk, 1)
    assert refused.value.code == "already_settled"


def test_orders_are_seen_by_who_asked_and_who_was_asked(cast):
    order = supply.order_supply(cast.rosa, an_offer(cast).pk)
    assert queries.supply_order(cast.rosa, order.pk) == queries.supply_order(cast.ines, order.pk) == order
    assert list(queries.supply_orders_for(cast.ines)) == list(queries.supply_orders_of(cast.rosa)) == [order]
    for stranger in (cast.tam, cast.mara):
        with pytest.raises(NotHere):
            queries.supply_order(stranger, order.pk)
    with pytest.raises(NotHere):
        supply.refuse_supply(cast.tam, order.pk, "no")


def test_only_own_free_machines_fill_an_order(cast, stage):
    (free,) = stage.machines("free")
    order = supply.order_supply(cast.rosa, an_offer(cast).pk)
    with pytest.raises(NotHere):
        supply.fill_supply(cast.rosa, order.pk, free.pk)
    with pytest.raises(NotHere):
        supply.fill_supply(cast.ines, order.pk, 2**70)
    fleet.allocate(cast.ines, free.pk, cast.birch.pk)
    with pytest.raises(WrongState):
        supply.fill_supply(cast.ines, order.pk, free.pk)
    order.refresh_from_db()
    assert order.state == "waiting"


def test_a_server_is_given_back_once_it_is_free(cast, stage):
    (web,) = stage.machines("web")
    fleet.allocate(cast.ines, web.pk, cast.alder.pk, price=Decimal(71), currency="EUR")
    service = a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa), web)
    run_all_jobs()
    with pytest.raises(BadInput):
        supply.ask_cancellation(cast.rosa, web.pk, reason="")
    order = supply.ask_cancellation(cast.rosa, web.pk, reason="Not needed any more", note="end of May")
    assert (order.kind, order.note, order.price) == ("cancel", "Not needed any more\nend of May", Decimal(71))
    with pytest.raises(WrongState) as refused:
        supply.ask_cancellation(cast.rosa, web.pk, reason="again")
    assert refused.value.code == "already_asked"
    with pytest.raises(WrongState, match="in use"):
        supply.accept_cancellation(cast.ines, order.pk)
    ask(cast.rosa, OperationKind.REFRESH_ADDRESSES, service)
    run_all_jobs()
    actions.detach(cast.rosa, service.pk)
    supply.accept_cancellation(cast.ines, order.pk)
    assert not Allocation.objects.filter(until__isnull=True).exists()
    assert not sellable_servers(cast.rosa).exists()
    assert Entry.objects.filter(verb="supply.filled", target_label="R-101").exists()


@pytest.mark.parametrize("who", ["tam", "mara", "ines"])
def test_nobody_gives_back_what_was_not_given_to_them(cast, stage, who):
    (web,) = stage.machines("web")
    fleet.allocate(cast.ines, web.pk, cast.alder.pk)
    for server_id in (web.pk, 2**70):
        with pytest.raises(NotHere):
            supply.ask_cancellation(getattr(cast, who), server_id, reason="mine")


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("name", ""),
        ("price", "NaN"),
        ("price", "-1"),
        ("setup_fee", "1.005"),
        ("currency", "XXX"),
        ("processor", "x" * 121),
        ("memory", "\x00"),
        ("server_group_id", 99),
    ],
)
def test_an_offer_with_a_wrong_field_names_it(cast, field, text):
    with pytest.raises(BadInput) as refused:
        an_offer(cast, **{field: text})
    assert refused.value.field == field


def test_a_name_is_offered_once(cast):
    offer = an_offer(cast)
    with pytest.raises(BadInput):
        an_offer(cast)
    changed = supply.update_offer(cast.ines, offer.pk, OfferForm(name="AX-65", price="72"))
    assert (changed.name, changed.price) == ("AX-65", Decimal(72))
    with pytest.raises(NotHere):
        supply.update_offer(cast.rosa, offer.pk, OfferForm(name="Mine"))
