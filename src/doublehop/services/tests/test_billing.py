"""Due dates: a payment moves them, the grace suspends, a payment brings back, and nothing is ever terminated."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from tests.stage import ask, run_all_jobs

from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Hold
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, WrongState
from doublehop.services import actions, cycles, upkeep
from doublehop.services.actions.billing import record_payment, set_due_date
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import Operation, Product, Service
from doublehop.services.queries import needs_a_person
from doublehop.services.queries.billing import is_overdue, payments_of


def today():
    return timezone.now().date()


def pay(house, actor=None, **more):
    values = {"amount": "129.00", "received_on": today(), "note": "Bank, 25 Nov", **more}
    return record_payment(actor or house.cast.rosa, house.service.pk, **values)


@pytest.fixture
def late(house):
    """Ten days overdue, and the product grants seven."""
    Product.objects.filter(pk=house.product.pk).update(overdue_grace_days=7)
    Service.objects.filter(pk=house.service.pk).update(next_due_on=today() - timedelta(days=10))
    return house


def run_rule():
    upkeep.overdue({})
    run_all_jobs()


def test_the_first_due_date_is_one_cycle_after_the_server(house):
    assert Service.objects.get().next_due_on == cycles.after(today(), "monthly")


def test_a_payment_moves_the_due_date_by_one_cycle_from_the_old_one(house):
    due = Service.objects.get().next_due_on
    payment = pay(house)
    anchor = house.service.activated_at.day
    assert (
        payment.pays_until == Service.objects.get().next_due_on == cycles.after(due, "monthly", anchor=anchor)
    )
    assert [str(row.amount) for row in payments_of(house.cast.rosa, house.service.pk)] == ["129.00"]


def test_who_may_record_what(house):
    for actor, refusal in (
        (house.cast.ivo, NotAllowed),
        (house.cast.tam, NotHere),
        (house.cast.mara, NotHere),
    ):
        with pytest.raises(refusal):
            pay(house, actor)
    for wrong in ("0", "-1", "much", "1.001"):
        with pytest.raises(BadInput):
            pay(house, amount=wrong)
    with pytest.raises(BadInput):
        pay(house, received_on=today() + timedelta(days=3))
    with pytest.raises(BadInput):
        set_due_date(house.cast.rosa, house.service.pk, today() + timedelta(days=3000))
    Service.objects.update(billed_by="whmcs")
    with pytest.raises(WrongState) as caught:
        pay(house)
    assert caught.value.code == "billed_elsewhere"


def test_after_the_grace_it_is_suspended_once_and_comes_back_with_the_money(late):
    run_rule()
    run_rule()
    assert Operation.objects.filter(kind="suspend").count() == 1
    assert Service.objects.get().status == "suspended"
    hold = Hold.objects.get()
    assert hold.cause == "billing"
    assert "129.00 EUR were due on" in hold.client_text
    assert late.stage.place.effects("web")[0].startswith("port.set_enabled:off")
    pay(late)
    run_all_jobs()
    assert Service.objects.get().status == "active"
    assert late.stage.place.effects("web")[-1].startswith("port.set_enabled:on")


def test_what_a_person_lifted_is_not_suspended_again_for_the_same_date(late):
    run_rule()
    ask(late.cast.rosa, OperationKind.UNSUSPEND, late.service)
    run_all_jobs()
    Product.objects.update(overdue_grace_days=8)
    Service.objects.update(price="150.00")
    run_rule()
    service = Service.objects.get()
    assert (service.status, service.waits_because) == ("active", "")
    assert Operation.objects.filter(kind="suspend").count() == 1
    set_due_date(late.cast.rosa, late.service.pk, today() - timedelta(days=9))
    run_rule()
    assert Service.objects.get().status == "suspended"


def test_a_payment_sent_twice_is_one_and_another_is_another(house):
    first = pay(house, key="form-1")
    assert pay(house, key="form-1") == first
    assert pay(house, key="form-2") != first
    assert payments_of(house.cast.rosa, house.service.pk).count() == 2


def test_a_date_that_staff_moved_stays_on_its_day(house):
    Service.objects.update(activated_at=datetime(2026, 1, 31, 12, tzinfo=UTC))
    moved = today().replace(day=15)
    set_due_date(house.cast.rosa, house.service.pk, moved)
    assert pay(house).pays_until == cycles.after(moved, "monthly")
    assert Service.objects.get().next_due_on.day == 15


def test_a_payment_that_is_not_enough_brings_nothing_back(late):
    Service.objects.update(next_due_on=today() - timedelta(days=100))
    run_rule()
    pay(late)
    run_all_jobs()
    assert Service.objects.get().status == "suspended"


def test_money_lifts_no_abuse_block_and_nothing_that_staff_set(late):
    ask(late.cast.rosa, OperationKind.SUSPEND, late.service, cause="abuse")
    run_all_jobs()
    pay(late)
    run_all_jobs()
    assert Service.objects.get().status == "suspended"


@pytest.mark.parametrize(
    "changed",
    [{"billed_by": "whmcs"}, {"next_due_on": None}],
    ids=["owned by a billing system", "without a due date"],
)
def test_what_the_rule_leaves_alone(late, changed):
    Service.objects.update(**changed)
    run_rule()
    assert not Operation.objects.exists()


def test_without_a_grace_nothing_happens_by_itself(late):
    Product.objects.update(overdue_grace_days=None)
    assert is_overdue(Service.objects.get())
    run_rule()
    assert not Operation.objects.exists()


def test_within_the_grace_nothing_happens_yet(late):
    Service.objects.update(next_due_on=today() - timedelta(days=7))
    run_rule()
    assert not Operation.objects.exists()


def test_a_protected_machine_is_told_to_a_person_and_not_touched(late):
    fleet.protect(late.cast.ines, late.web.pk)
    run_rule()
    run_rule()
    assert not Operation.objects.exists()
    headings = [need.heading for need in needs_a_person(late.cast.rosa)]
    assert f"{late.service} is overdue and could not be suspended" in headings
    fleet.unprotect(late.cast.ines, late.web.pk)
    run_rule()
    assert Service.objects.get().status == "suspended"


def test_it_never_terminates(late):
    Service.objects.update(next_due_on=today() - timedelta(days=2000))
    for _ in range(3):
        run_rule()
    assert Service.objects.get().status == "suspended"
    assert Service.objects.get().server_id == late.web.pk
    actions.terminate(late.cast.rosa, late.service.pk, reason="Asked by the client")
    with pytest.raises(WrongState):
        pay(late)
