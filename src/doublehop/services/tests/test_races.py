"""Truly at the same moment. SQLite lets one writer in at a time, so only PostgreSQL has anything to show here."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from tests.cast import a_cast
from tests.stage import a_product, a_service, a_stage, ask

from doublehop.fleet import actions as fleet
from doublehop.fleet import models as fleet_models
from doublehop.organisations.refusals import Refusal, WrongState
from doublehop.services import actions
from doublehop.services.actions import supply
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import Operation, SupplyOrder

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
