"""Statements of a month closed, and usage counted, of many services whose days are packed. Last line: figures as JSON.

``python -m tests.bench.closing SERVICES`` in an installation of its own.
"""

import json
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.utils import timezone  # noqa: E402

from doublehop.bandwidth import chunk, store  # noqa: E402
from doublehop.bandwidth.bulk import put  # noqa: E402
from doublehop.bandwidth.models import Chunk, Wiring  # noqa: E402
from doublehop.bandwidth.slots import SLOTS_PER_DAY, slot_of  # noqa: E402
from doublehop.fleet.models import Port  # noqa: E402
from doublehop.services import counting  # noqa: E402
from doublehop.services.actions.contracts import ContractForm, version_of  # noqa: E402
from doublehop.services.actions.statements import close_due  # noqa: E402
from doublehop.services.models import Attachment, PeriodUsage, Product, Service, Statement  # noqa: E402
from tests.bench import fill, ports  # noqa: E402


def months(now: datetime) -> tuple[datetime, datetime]:
    """The first moments of the month before and of this one, UTC; both have days that are over."""
    this = (now - timedelta(days=5)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (this - timedelta(days=1)).replace(day=1), this


def charge(since: datetime) -> None:
    version = version_of(
        Product.objects.get(), ContractForm(method="p95_max", price="2", in_force_from="2099-01-01")
    )
    version.in_force_from = since
    version.save()
    services = list(Service.objects.order_by("pk"))
    Attachment.objects.bulk_create(
        Attachment(service=one, server_id=one.server_id, since=since - timedelta(days=1)) for one in services
    )
    made = Port.objects.bulk_create(
        Port(upstream=one.server.upstream, server=one.server, if_name=f"p{one.number}")
        for one in Service.objects.select_related("server__upstream").order_by("pk")
    )
    first = slot_of(since) - SLOTS_PER_DAY
    Wiring.objects.bulk_create(
        Wiring(port_id=one.pk, upstream_id=one.upstream_id, server_id=one.server_id, since_slot=first)
        for one in made
    )


def measure_days(since: datetime, now: datetime) -> None:
    """Every day that is packed by now, of every port."""
    first = slot_of(since) // SLOTS_PER_DAY
    days = slot_of(now) // SLOTS_PER_DAY - 1 - first
    for port_id in Port.objects.values_list("pk", flat=True):
        octets, measured = ports.slots_of(port_id, days, first)
        by_day = zip(
            octets.reshape(days, SLOTS_PER_DAY, 2), measured.reshape(days, SLOTS_PER_DAY), strict=True
        )
        put(
            Chunk,
            ("id", "packed"),
            [
                (store.chunk_id(port_id, first + day), chunk.pack(*values.T, known))
                for day, (values, known) in enumerate(by_day)
            ],
        )


def per_service(work: Callable[[], object], services: int) -> tuple[float, float]:
    """Milliseconds: on the clock, and of this process's CPU."""
    begun, used = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - begun) / services * 1000, (time.process_time() - used) / services * 1000


def main(services: int) -> None:
    call_command("migrate", verbosity=0)
    fill.main(services, "http://127.0.0.1:9")
    now = timezone.now()
    before, this = months(now)
    charge(before)
    measure_days(before, now)
    organisation_id = Service.objects.values_list("organisation_id", flat=True)[0]

    def count() -> None:
        counting.count_usage({"organisation_id": organisation_id})

    told = {
        "closed": per_service(lambda: close_due(now), services),
        "counted_first": per_service(count, services),
        "counted": per_service(count, services),
    }
    # That what was timed was true work.
    closed = Statement.objects.filter(start=before, end=this)
    assert closed.count() == services
    assert closed.exclude(measured__lt=1000).count() > services * 0.9
    assert PeriodUsage.objects.filter(start=this).count() == services
    print(json.dumps(told))


if __name__ == "__main__":
    main(int(sys.argv[1]))
