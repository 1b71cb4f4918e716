"""Truly at the same moment. SQLite lets one writer in at a time, so only PostgreSQL has anything to show here."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from tests.cast import a_cast
from tests.stage import a_product, a_service, a_stage, ask

from doublehop.fleet import actions as fleet
from doublehop.organisations.refusals import Refusal, WrongState
from doublehop.services import actions
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import Operation

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
