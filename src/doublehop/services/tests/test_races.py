"""Truly at the same moment. SQLite lets one writer in at a time, so only PostgreSQL has anything to show here."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.utils import timezone
from tests.cast import a_cast
from tests.stage import a_product, a_service, a_stage, ask

from doublehop.fleet import actions as fleet
from doublehop.fleet import models as fleet_models
from doublehop.organisations.refusals import Refusal, WrongState
from doublehop.services import actions, cycles
from doublehop.services.actions import billing, orders, supply
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import Operation, Product, Service, SupplyOrder

REBOOT, SUSPEND = OperationKind.REBOOT, OperationKind.SUSPEND
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor == 'sqlite'", reason="one writer at a time"),
]


def together(*deeds):
    """What each of them answered, or the exception with which it ended."""
    start = threading.Barrier(len(deeds))

    def go(deed):
        start.wait()
        try:
            return deed()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(deeds)) as pool:
        asked = [pool.submit(go, deed) for deed in deeds]
    return [one.exception() or one.result() for one in asked]


def test_requests_of_one_moment():
    cast = a_cast()
    stage = a_stage(cast.ines)
    web, spare = stage.machines("web", "spare")
    for server in (web, spare):
        fleet.allocate(cast.ines, server.pk, cast.alder.pk)
    service = a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa), web)

    same = together(*[lambda: ask(cast.rosa, REBOOT, service, idempotency_key="k")] * 6)
    assert len({operation.pk for operation in same}) == 1
    Operation.objects.update(state="done")

    mixed = together(
        lambda: actions.swap(cast.rosa, service.pk, spare.pk),
        lambda: actions.request(
            cast.ines, SUSPEND, server_id=web.pk, idempotency_key="p", reason="spam", cause="abuse"
        ),
        lambda: actions.request(cast.rosa, SUSPEND, server_id=web.pk, idempotency_key="q", reason="late"),
        lambda: ask(cast.mara, REBOOT, service),
    )
    assert [one for one in mixed if isinstance(one, Exception) and not isinstance(one, Refusal)] == []

    twice = together(*[lambda n=n: ask(cast.rosa, SUSPEND, service, idempotency_key=f"s{n}") for n in "ab"])
    assert sum(isinstance(one, WrongState) for one in twice) >= 1


def test_orders_of_one_moment_for_the_last_machine():
    cast = a_cast()
    stage = a_stage(cast.ines)
    group = fleet.create_server_group(cast.ines, "Free machines")
    fleet.set_group_members(cast.ines, group.pk, [server.pk for server in stage.machines("one", "two")])
    offer = supply.create_offer(cast.ines, supply.OfferForm(name="AX-64", server_group_id=group.pk))
    asked = together(
        *[lambda: supply.order_supply(cast.rosa, offer.pk)] * 2,
        *[lambda: supply.order_supply(cast.tam, offer.pk)] * 2,
    )
    assert [one for one in asked if isinstance(one, Exception)] == []
    states = SupplyOrder.objects.values_list("state", flat=True)
    assert sorted(states) == ["filled", "filled", "waiting", "waiting"]
    assert fleet_models.Allocation.objects.filter(until__isnull=True).count() == 2
    same = together(*[lambda: supply.order_supply(cast.rosa, offer.pk, key="form")] * 4)
    assert len({order.pk for order in same}) == 1


def test_orders_of_clients_of_one_moment():
    cast = a_cast()
    stage = a_stage(cast.rosa)
    group = fleet.create_server_group(cast.rosa, "Ready")
    fleet.set_group_members(cast.rosa, group.pk, [server.pk for server in stage.machines("one", "two")])
    product = a_product(cast.rosa)
    Product.objects.filter(pk=product.pk).update(server_group=group)

    def order(key):
        return actions.order(cast.mara, product.pk, hostname="", custom_values={}, key=key)

    same = together(*[lambda: order("form")] * 4)
    assert len({service.pk for service in same}) == 1
    services = [same[0], *together(*[lambda n=n: order(f"k{n}") for n in range(3)])]
    filled = together(*[lambda s=s: orders.fill(s.pk) for s in services for _ in "ab"])
    assert [one for one in filled if isinstance(one, Exception)] == []
    attached = Service.objects.filter(server__isnull=False).values_list("server_id", flat=True)
    assert len(attached) == len(set(attached)) == 2


def test_payments_of_one_moment():
    cast = a_cast()
    stage = a_stage(cast.rosa)
    (web,) = stage.machines("web")
    service = a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa), web)
    service.refresh_from_db()
    due, today = service.next_due_on, timezone.now().date()

    def pay(key):
        return billing.record_payment(cast.rosa, service.pk, amount="129", received_on=today, key=key)

    assert len({payment.pk for payment in together(*[lambda: pay("form")] * 4)}) == 1
    together(*[lambda n=n: pay(f"k{n}") for n in range(3)])
    service.refresh_from_db()
    expected = due
    for _ in range(4):
        expected = cycles.after(expected, "monthly", anchor=service.activated_at.day)
    assert service.next_due_on == expected
