"""An installation whose octets are known beforehand for every slot, and the processes that a test kills: ``python -m tests.octets_killed WHAT``.

``prepare`` makes a switch and some days of blocks. ``write`` goes on from the last round that was taken in, round after round, and says each one
that is; ``pack`` packs what is over, again and again. ``check`` compares everything that can be read with what must be there.
"""

import json
import sys
from datetime import timedelta

import django

django.setup()

import numpy as np  # noqa: E402
from django.core.management import call_command  # noqa: E402

from doublehop.bandwidth import slots, store  # noqa: E402
from doublehop.bandwidth.actions import dailies, pack_days, write_round  # noqa: E402
from doublehop.bandwidth.models import Block, Chunk, Daily  # noqa: E402
from doublehop.bandwidth.queries.health import last_rounds  # noqa: E402
from doublehop.driver_kit.contract import CounterReading, PortCounter  # noqa: E402
from doublehop.fleet.models import Port, Upstream  # noqa: E402
from doublehop.organisations.models import Organisation  # noqa: E402

PORTS = 150
DAYS = 16
START = 20_600 * slots.SLOTS_PER_DAY - 12
"""The first slot that is written round by round: the day ends soon."""
FIRST = START - START % slots.SLOTS_PER_DAY - DAYS * slots.SLOTS_PER_DAY
MILLION = 1_000_000


def octets(port: int, slot: int) -> int:
    """Out; in is one more."""
    return MILLION + 1000 * port + slot % 7


def counted(port: int, until: int) -> int:
    """The sum from START on."""
    count = until - START
    return (MILLION + 1000 * port) * count + sum(slot % 7 for slot in range(START, until))


def prepare() -> None:
    call_command("migrate", verbosity=0)
    root = Organisation.objects.create(name="Northgate Metal", path="/1/")
    upstream = Upstream.objects.create(organisation=root, name="Rack A", driver="memory", endpoint="a")
    Port.objects.bulk_create(Port(upstream=upstream, if_name=f"eth{number}") for number in range(PORTS))
    ports = list(Port.objects.order_by("pk").values_list("pk", flat=True))
    Block.objects.bulk_create(
        [
            Block(
                pk=store.block_id(upstream.pk, slot),
                records=store.pack([(port, octets(port, slot) + 1, octets(port, slot)) for port in ports]),
            )
            for slot in range(FIRST, START)
        ],
        batch_size=500,
    )


def write() -> None:
    """Each line: the slot that a round completed."""
    upstream_id = Upstream.objects.get().pk
    ports = list(Port.objects.order_by("pk").values_list("pk", "if_name"))
    last = last_rounds().get(upstream_id)
    slot = slots.slot_of(last) + 1 if last else START
    while True:
        counters = tuple(
            PortCounter(
                name,
                in_octets=counted(port, slot),
                out_octets=counted(port, slot) + slot - START,
                speed_bps=10**10,
            )
            for port, name in ports
        )
        uptime = (slot - START + 1) * slots.SLOT_SECONDS * 100
        write_round(upstream_id, CounterReading("sw1", slots.start_of(slot), uptime, counters))
        print(slot - 1, flush=True)
        slot += 1


def pack() -> None:
    while True:
        print("begins", flush=True)
        newest = Block.objects.order_by("-pk").values_list("pk", flat=True)[0] & 0xFFFFFFFF
        done = pack_days(slots.start_of(newest) + dailies.OVER_AFTER)
        print(json.dumps({"device_days": done.device_days}), flush=True)
        if not done.device_days:
            return


def check() -> None:
    upstream_id = Upstream.objects.get().pk
    ports = list(Port.objects.order_by("pk").values_list("pk", flat=True))
    end = START + 10_000
    numbers, records = store.read(upstream_id, ports, FIRST - 1000, end)
    newest = int(numbers.max())
    out = MILLION + 1000 * records["port"].astype(np.int64) + numbers % 7
    right = (records["octets_out"] == out) & (records["octets_in"] == out + 1)
    places = (numbers - FIRST) * PORTS + np.searchsorted(ports, records["port"])
    whole = np.array_equal(np.sort(places), np.arange((newest + 1 - FIRST) * PORTS))
    packed = {pk & 0xFFFF for pk in Chunk.objects.values_list("pk", flat=True)}
    told = {
        "newest": newest,
        "each_once": bool(whole),
        "right": bool(right.all()),
        "packed_days": len(packed),
        "blocks": Block.objects.count(),
        "days_right": all(_day_is_right(day, ports) for day in packed),
    }
    print(json.dumps(told))


def _day_is_right(day: int, ports: list[int]) -> bool:
    """The daily rows of a day of which all chunks are there."""
    if Chunk.objects.filter(pk__in=[store.chunk_id(port, day) for port in ports]).count() < len(ports):
        return True
    span = range(day * slots.SLOTS_PER_DAY, (day + 1) * slots.SLOTS_PER_DAY)
    date = (slots.EPOCH + timedelta(days=day)).date()
    there = dict(Daily.objects.filter(day=date).values_list("port_id", "octets_out"))
    return there == {port: sum(octets(port, slot) for slot in span) for port in ports}


if __name__ == "__main__":
    {"prepare": prepare, "write": write, "pack": pack, "check": check}[sys.argv[1]]()
