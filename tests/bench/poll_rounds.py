"""Runs inside of the switches' network: whole rounds of the collector over many agents. Last line: figures as JSON.

``python -m tests.bench.poll_rounds COMMUNITY PORTS ADDRESS...``
"""

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import django

django.setup()

from django.core.management import call_command  # noqa: E402

from doublehop.bandwidth import actions, collector, store  # noqa: E402
from doublehop.bandwidth.models import Collection  # noqa: E402
from doublehop.driver_kit.contract import CounterReading  # noqa: E402
from doublehop.driver_kit.secret import Secret  # noqa: E402
from doublehop.fleet.models import Port, Server, Upstream  # noqa: E402
from doublehop.organisations import vault  # noqa: E402
from doublehop.organisations.models import Organisation  # noqa: E402

ROUNDS = 5

Rounds = Sequence[tuple[int, CounterReading]]


def fill(community: str, ports: int, addresses: Sequence[str]) -> list[int]:
    organisation = Organisation.objects.create(name="Bench")
    sealed = vault.seal({"read_community": Secret(community)}, row="upstream")
    upstreams = Upstream.objects.bulk_create(
        Upstream(
            organisation=organisation,
            name=address,
            driver="rack",
            endpoint=address,
            settings={"switch": address},
            sealed_secrets=sealed,
        )
        for address in addresses
    )
    numbers = range(1, ports + 1)
    Server.objects.bulk_create(
        Server(upstream=one, external_id=f"m{n}", label=f"m{n}") for one in upstreams for n in numbers
    )
    Port.objects.bulk_create(
        Port(upstream=row.upstream, server=row, if_name=f"p{row.external_id[1:]}")
        for row in Server.objects.select_related("upstream")
    )
    return [one.pk for one in upstreams]


class Clock:
    """Moves the readings of each round on by a slot, since nobody waits five minutes: so every round fills one."""

    def __init__(self, store: Callable[[Rounds], None]) -> None:
        self._store = store
        self.number = 0
        self.stored_seconds = 0.0

    def __call__(self, rounds: Rounds) -> None:
        passed = 300 * self.number
        moved = [
            (
                upstream_id,
                replace(
                    reading,
                    taken_at=reading.taken_at + timedelta(seconds=passed),
                    uptime_centiseconds=reading.uptime_centiseconds + 100 * passed,
                    engine_seconds=reading.engine_seconds + passed,
                ),
            )
            for upstream_id, reading in rounds
        ]
        begun = time.perf_counter()
        self._store(moved)
        self.stored_seconds += time.perf_counter() - begun


def measure(
    upstreams: list[int], ports: int, first: int, store: Callable[[Rounds], None]
) -> dict[str, float]:
    """The median of some rounds, after one to get warm: ports a second, and CPU of this process a port."""
    clock = Clock(store)
    actions.write_rounds = clock
    took, used, stored = [], [], []
    for number in range(ROUNDS + 1):
        clock.number, clock.stored_seconds = number, 0.0
        before, begun = _cpu(), time.perf_counter()
        collector.collect_slot(upstreams, first + number)
        took.append(time.perf_counter() - begun)
        used.append(_cpu() - before)
        stored.append(clock.stored_seconds)
    whole = len(upstreams) * ports
    return {
        "ports_per_second": whole / statistics.median(took[1:]),
        "cpu_us_per_port": statistics.median(used[1:]) / whole * 1e6,
        "stored_seconds": statistics.median(stored[1:]),
        "rounds": ROUNDS + 1,
    }


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _measured(upstream_id: int, first: int) -> int:
    """How many slots of ports have a figure: that what was timed was true work."""
    ports = list(Port.objects.filter(upstream_id=upstream_id).values_list("pk", flat=True))
    return len(store.read(upstream_id, ports, first - 1, first + ROUNDS + 1)[0])


def main(community: str, ports: int, addresses: list[str]) -> None:
    call_command("migrate", verbosity=0)
    upstreams = fill(community, ports, addresses)
    slot = collector.current_slot()
    write = actions.write_rounds
    whole = measure(upstreams, ports, slot, write)
    failed = Collection.objects.exclude(failing_since=None).count()
    measured = sum(_measured(upstream_id, slot) for upstream_id in upstreams)
    polled = measure(upstreams, ports, slot + 1_000_000, lambda rounds: None)
    print(json.dumps({"whole": whole, "polled": polled, "failed": failed, "measured": measured}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
