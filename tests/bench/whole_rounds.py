"""Whole rounds of many switches through ``write_rounds``: everything between decoded readings and the disk. Last line: figures as JSON.

``python -m tests.bench.whole_rounds SWITCHES PORTS ROUNDS`` in an installation of its own.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import django

django.setup()

from django.core.management import call_command  # noqa: E402

from doublehop.bandwidth import store  # noqa: E402
from doublehop.bandwidth.actions import write_rounds  # noqa: E402
from doublehop.bandwidth.collector import WRITE_AT_ONCE  # noqa: E402
from doublehop.bandwidth.models import Block, Quarantined, Wiring  # noqa: E402
from doublehop.driver_kit.contract import CounterReading, PortCounter  # noqa: E402
from doublehop.fleet.models import Port, Server, Upstream  # noqa: E402
from doublehop.organisations.models import Organisation  # noqa: E402

BEGIN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FIRST_SLOT = int(BEGIN.timestamp()) // 300
SPEED_BPS = 10_000_000_000

Rounds = list[tuple[int, CounterReading]]


def fill(switches: int, ports: int) -> list[int]:
    organisation = Organisation.objects.create(name="Bench")
    upstreams = Upstream.objects.bulk_create(
        Upstream(organisation=organisation, name=f"s{n}", driver="memory", endpoint=f"s{n}")
        for n in range(switches)
    )
    servers = Server.objects.bulk_create(
        Server(upstream=one, external_id=f"m{n}", label=f"m{n}") for one in upstreams for n in range(ports)
    )
    Port.objects.bulk_create(
        Port(upstream=row.upstream, server=row, if_name=f"p{row.external_id[1:]}") for row in servers
    )
    return [one.pk for one in upstreams]


def octets(port: int, number: int) -> int:
    """What a port's counter shows at a round: another rate for each, in and out alike."""
    return (1 << 40) + port * 1_000_003 + number * (port % 997 + 1) * 250_007


def reading(number: int, upstream_id: int, ports: int) -> CounterReading:
    """A few seconds after the beginning of a slot, each switch at its own time."""
    late = upstream_id % 200 * 0.02
    passed = number * 300 + late
    return CounterReading(
        f"engine {upstream_id}",
        BEGIN + timedelta(seconds=passed),
        100_000_000 + int(passed * 100),
        tuple(
            PortCounter(
                f"p{port}",
                in_octets=octets(upstream_id * ports + port, number) * 2,
                out_octets=octets(upstream_id * ports + port, number),
                speed_bps=SPEED_BPS,
                discontinuity=7,
                fingerprint=f"02:00:00:00:{upstream_id % 256:02x}:{port:02x}",
                after_centiseconds=port // 7 * 2,
            )
            for port in range(ports)
        ),
        boots=3,
        engine_seconds=1_000_000 + int(passed),
    )


def timed(work: Callable[[Rounds], None], rounds: Sequence[Rounds]) -> dict[str, float]:
    """Milliseconds of a round on the clock, and the least that it took of this process's CPU."""
    clock, used = [], []
    for one in rounds:
        begun, before = time.perf_counter(), time.process_time()
        work(one)
        clock.append((time.perf_counter() - begun) * 1000)
        used.append((time.process_time() - before) * 1000)
    return {
        "least_ms": min(clock),
        "median_ms": statistics.median(clock),
        "most_ms": max(clock),
        "cpu_ms": min(used),
    }


def in_pieces(rounds: Rounds) -> None:
    """As the collector writes while answers still come in."""
    for begin in range(0, len(rounds), WRITE_AT_ONCE):
        write_rounds(rounds[begin : begin + WRITE_AT_ONCE])


def check(upstreams: Sequence[int], ports: int, rounds: int) -> None:
    """That what was timed was true work: every slot of every port but the first, which no reading began."""
    assert Wiring.objects.count() == len(upstreams) * ports
    assert not Quarantined.objects.exists()
    assert Block.objects.count() == len(upstreams) * (rounds - 1)
    some = upstreams[len(upstreams) // 2]
    mine = list(Port.objects.filter(upstream_id=some).order_by("pk").values_list("pk", flat=True))
    numbers, records = store.read(some, mine, FIRST_SLOT, FIRST_SLOT + rounds)
    assert numbers.size == ports * (rounds - 1)
    last = records[records["port"] == mine[-1]]["octets_in"][1:]
    grown = octets(some * ports + ports - 1, 1) - octets(some * ports + ports - 1, 0)
    # Two readings a slot apart share an interval pro rata with the next slot, so rounding moves an octet.
    assert all(abs(int(one) - grown) <= 1 for one in last), (last, grown)


def main(switches: int, ports: int, rounds: int) -> None:
    call_command("migrate", verbosity=0)
    upstreams = fill(switches, ports)
    made = [[(one, reading(number, one, ports)) for one in upstreams] for number in range(2 + 2 * rounds)]
    timed(write_rounds, made[:2])
    whole = timed(write_rounds, made[2 : 2 + rounds])
    pieces = timed(in_pieces, made[2 + rounds :])
    check(upstreams, ports, len(made))
    print(json.dumps({"whole": whole, "pieces": pieces}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
