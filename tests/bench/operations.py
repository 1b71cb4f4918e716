"""``python -m tests.bench.operations`` for one installation:

``fill URL ...``: the machines of the providers at these addresses, each an armed upstream.
``one_by_one N``: asks for N suspensions, one after the other.
``ask KIND``: asks for that for every machine at once.   ``wait KIND``: until all of these are done; how many a second.
"""

import json
import sys
import time
from uuid import uuid4

import django

django.setup()

from django.utils import timezone  # noqa: E402

from doublehop.driver_kit.secret import Secret  # noqa: E402
from doublehop.drivers.singlehop.fake.bench import settings_for  # noqa: E402
from doublehop.drivers.singlehop.fake.place import Place  # noqa: E402
from doublehop.fleet import actions as fleet  # noqa: E402
from doublehop.fleet import work  # noqa: E402
from doublehop.fleet.models import Server, Upstream  # noqa: E402
from doublehop.jobs.engine import Engine  # noqa: E402
from doublehop.organisations import actions as organisations  # noqa: E402
from doublehop.organisations.actor import Actor  # noqa: E402
from doublehop.organisations.models import User  # noqa: E402
from doublehop.organisations.queries import actor_for_user  # noqa: E402
from doublehop.services import actions as services  # noqa: E402
from doublehop.services.actions import brakes  # noqa: E402
from doublehop.services.lifecycle import OperationKind, OperationState  # noqa: E402
from doublehop.services.models import Operation  # noqa: E402
from tests.bench.scratch import PASSWORD  # noqa: E402

brakes.LEAST_FREE = 10**6
"""What a brake held would be waited for in vain."""
PACE_SECONDS = 0.05
WITHIN_SECONDS = 60.0
LOOK_EVERY_SECONDS = 0.05
"""Seldom, since it costs what is measured; when something happened stands in the rows."""


def owner() -> Actor:
    actor = actor_for_user(User.objects.get(staff__isnull=False))
    assert actor is not None
    return actor


def fill(*addresses: str) -> int:
    organisations.create_root(
        "Bench Hosting", owner_name="Bea Long", owner_email="bea@bench.example", owner_password=PASSWORD
    )
    for address in addresses:
        given = settings_for(Place(), address, api="leap")
        values = {name: one.reveal() if isinstance(one, Secret) else str(one) for name, one in given.items()}
        fleet.create_upstream(owner(), driver="singlehop", name=address, values=values)
    # A full look at each machine is not needed here.
    Engine({**work.JOBS, "fleet.refresh": lambda payload: None}).drain()
    for upstream in Upstream.objects.all():
        fleet.arm(owner(), upstream.pk)
    return Server.objects.count()


def one_by_one(count: str) -> list[tuple[float, float]]:
    """From asking until it is stored, and from then until it is sent, in milliseconds."""
    took = []
    for server_id in _servers()[: int(count)]:
        asked = timezone.now()
        operation = _request("suspend", server_id)
        stored = timezone.now()
        of_it = Operation.objects.filter(pk=operation.pk, state=OperationState.DONE)
        _until(of_it.exists)
        sent_at = operation.steps.get(sent_at__isnull=False).sent_at
        took.append(((stored - asked).total_seconds() * 1000, (sent_at - stored).total_seconds() * 1000))
        time.sleep(PACE_SECONDS)
    for server_id in _servers()[: int(count)]:
        _request("unsuspend", server_id)
    _until(lambda: not Operation.objects.filter(state__in=("queued", "running")).exists())
    return took


def _servers() -> list[int]:
    return list(Server.objects.order_by("external_id", "pk").values_list("pk", flat=True))


def _request(kind: str, server_id: int) -> Operation:
    given = (
        {"reason": "Invoice 1187 is overdue", "client_text": "Pay invoice 1187."} if kind == "suspend" else {}
    )
    return services.request(
        owner(), OperationKind(kind), server_id=server_id, idempotency_key=str(uuid4()), **given
    )


def ask(kind: str) -> int:
    return len([_request(kind, server_id) for server_id in _servers()])


def wait(kind: str) -> dict[str, float]:
    newest = Operation.objects.filter(kind=kind).order_by("-pk")[: Server.objects.count()]
    rows = Operation.objects.filter(pk__in=list(newest.values_list("pk", flat=True)))
    _until(lambda: not rows.filter(state__in=("queued", "running")).exists())
    first = rows.order_by("claimed_at").values_list("claimed_at", flat=True)[0]
    last = rows.order_by("-settled_at").values_list("settled_at", flat=True)[0]
    done = rows.filter(state=OperationState.DONE).count()
    return {"done": done, "asked": rows.count(), "per_second": done / (last - first).total_seconds()}


def _until(is_so) -> None:
    until = time.monotonic() + WITHIN_SECONDS
    while not is_so():
        if time.monotonic() > until:
            states = list(Operation.objects.values_list("kind", "state", "failure_code", "staff_text")[:5])
            raise TimeoutError(f"nothing happens: {states}")
        time.sleep(LOOK_EVERY_SECONDS)


if __name__ == "__main__":
    print(
        json.dumps(
            {"fill": fill, "one_by_one": one_by_one, "ask": ask, "wait": wait}[sys.argv[1]](*sys.argv[2:])
        )
    )
