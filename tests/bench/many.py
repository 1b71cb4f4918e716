"""``python -m tests.bench.many COUNT PER_SECOND LATENCY_SECONDS``: approved suspensions of COUNT services at one upstream, which
allows PER_SECOND calls, driven through the engine. Prints what the other side counted, as JSON."""

import json
import sys
import threading
import time
from collections import Counter
from datetime import timedelta

import django

django.setup()

from django.utils import timezone  # noqa: E402

from doublehop.driver_kit.conformance.world import PASSWORD as WORLD_PASSWORD  # noqa: E402
from doublehop.driver_kit.conformance.world import Fault, World, world  # noqa: E402
from doublehop.driver_kit.contract import SERVER_PARTS, Budget  # noqa: E402
from doublehop.driver_kit.secret import Secret  # noqa: E402
from doublehop.fleet.models import Hold, Server, Upstream  # noqa: E402
from doublehop.fleet.turns import share_turns  # noqa: E402
from doublehop.jobs.engine import Engine  # noqa: E402
from doublehop.jobs.models import Job  # noqa: E402
from doublehop.organisations import actions as organisations  # noqa: E402
from doublehop.organisations import vault  # noqa: E402
from doublehop.organisations.models import Client, Organisation  # noqa: E402
from doublehop.services import work  # noqa: E402
from doublehop.services.lifecycle import OperationState  # noqa: E402
from doublehop.services.models import Operation, Product, ProductGroup, Service, Step  # noqa: E402
from tests.bench.scratch import PASSWORD  # noqa: E402


def fill(place: World, count: int) -> None:
    """Rows as they stand once a person approved: each service suspended, its hold placed, its operation rung for."""
    now = timezone.now()
    root = organisations.create_root(
        "Bench Hosting", owner_name="Bea Long", owner_email="bea@bench.example", owner_password=PASSWORD
    )
    client = Client.objects.create(organisation=root, number=1001, name="Client", email="c@bench.example")
    group = ProductGroup.objects.create(organisation=root, name="Servers")
    product = Product.objects.create(organisation=root, group=group, name="Dedicated M", price="129.00")
    upstream = Upstream.objects.create(
        organisation=root,
        driver="memory",
        name="Provider",
        endpoint=place.endpoint,
        account="demo",
        settings={"endpoint": place.endpoint, "account": "demo"},
        sealed_secrets=vault.seal({"password": Secret(WORLD_PASSWORD)}, row="upstream"),
        armed=True,
        synced_at=now,
    )
    servers = []
    for n in range(count):
        machine = place.add(f"m{n}", address=f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}")
        identifiers = [["mac", machine.mac, "strong"], ["serial", machine.serial, "strong"]]
        recorded = {"external_id": f"m{n}", "primary_address": machine.address, "identifiers": identifiers}
        servers.append(_server(upstream, n, recorded))
    Server.objects.bulk_create(servers, batch_size=2000)
    server_ids = list(Server.objects.order_by("pk").values_list("pk", flat=True))
    Service.objects.bulk_create(
        [
            Service(
                organisation=root,
                client=client,
                product=product,
                number=3001 + n,
                status="suspended",
                server_id=server_id,
                activated_at=now,
                price=product.price,
            )
            for n, server_id in enumerate(server_ids)
        ],
        batch_size=2000,
    )
    _suspensions(root, client, upstream, server_ids)


def _server(upstream: Upstream, number: int, recorded: dict[str, object]) -> Server:
    return Server(
        upstream=upstream,
        external_id=f"m{number}",
        label=f"M-{number:06d}",
        primary_address=str(recorded["primary_address"]),
        listed_at=timezone.now(),
        capabilities=list(SERVER_PARTS),
        identifiers=recorded["identifiers"],
        recorded_identity=recorded,
    )


def _suspensions(root: Organisation, client: Client, upstream: Upstream, server_ids: list[int]) -> None:
    now = timezone.now()
    Hold.objects.bulk_create(
        [
            Hold(server_id=pk, organisation=root, reason="bench", client_text="bench", set_by="Bea Long")
            for pk in server_ids
        ],
        batch_size=2000,
    )
    holds = dict(Hold.objects.values_list("server_id", "pk"))
    Operation.objects.bulk_create(
        [
            Operation(
                reference=f"B{service.pk:06d}",
                kind="suspend",
                organisation=root,
                server_id=service.server_id,
                service=service,
                client=client,
                hold_id=holds[service.server_id],
                actor_kind="staff",
                actor_label="Bea Long",
                actor_organisation_id=root.pk,
                caller="bench",
                idempotency_key=str(service.pk),
                reason="bench",
                send_before=now + timedelta(hours=1),
                settle_before=now + timedelta(hours=1),
            )
            for service in Service.objects.order_by("pk")
        ],
        batch_size=2000,
    )
    Step.objects.bulk_create(
        [
            Step(operation_id=pk, position=0, kind="upstream_suspend", nature="level")
            for pk in Operation.objects.values_list("pk", flat=True)
        ],
        batch_size=5000,
    )
    lane = f"upstream:{upstream.pk}:work"
    Job.objects.bulk_create(
        [
            Job(
                name="services.work",
                key=f"work:{pk}",
                payload={"server_id": pk},
                lane=lane,
                urgent=True,
                run_at=now,
            )
            for pk in server_ids
        ],
        batch_size=5000,
    )


def busiest(arrivals: list[float], seconds: float) -> int:
    """The most calls in any half-open window of that length."""
    first, most = 0, 0
    for last, at in enumerate(arrivals):
        while at - arrivals[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def main(count: int, per_second: int, latency_seconds: float) -> dict[str, float]:
    place = world(f"many-{time.monotonic()}")
    place.budget = Budget(calls=per_second, per_seconds=1.0, burst=1, at_once=8)
    share_turns()
    fill(place, count)
    if latency_seconds:
        place.fault(Fault.SLOW, times=None, seconds=latency_seconds)
    engine = Engine(work.JOBS, work.PERIODIC)
    thread = threading.Thread(target=engine.run)
    thread.start()
    open_ones = Operation.objects.filter(state__in=(OperationState.QUEUED, OperationState.RUNNING))
    until = time.monotonic() + 60 + 8 * count / per_second
    while open_ones.exists() and time.monotonic() < until:
        time.sleep(1)
    engine.stop()
    thread.join()
    arrivals = place.arrivals()
    length = arrivals[-1] - arrivals[0]
    times = Counter(effect.external_id for effect in place.ledger())
    return {
        "done": Operation.objects.filter(state=OperationState.DONE).count(),
        "once": sum(number == 1 for number in times.values()),
        "calls": len(arrivals),
        "seconds": length,
        "used": len(arrivals) / length / per_second,
        "busiest_second": busiest(arrivals, 1.0),
    }


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
