"""``python -m tests.workers.collecting worker`` is ``doublehop worker`` on a clock that runs FASTER times as quick, so that a slot takes seconds.

Its switch is a socket of the test (COLLECTING_SWITCH): each connection is a question, a line of JSON the answer. A file ``die-writing`` in
the data folder has the worker end itself with kill -9 in the midst of the next transaction that writes a round. ``prepare`` makes
the switch's rows, ``check`` prints what is kept.
"""

import json
import os
import signal
import socket
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import django

django.setup()

from django.core.management import call_command  # noqa: E402

from doublehop.bandwidth import collector, store  # noqa: E402
from doublehop.bandwidth.actions import rounds  # noqa: E402
from doublehop.bandwidth.models import Collection, DeviceState, GapVolume, RawReading  # noqa: E402
from doublehop.bandwidth.slots import SLOT_MS  # noqa: E402
from doublehop.cli import worker  # noqa: E402
from doublehop.cli.main import main  # noqa: E402
from doublehop.driver_kit.contract import CounterReading, PortCounter  # noqa: E402
from doublehop.drivers.rack.driver import RackCounters  # noqa: E402
from doublehop.fleet import actions as fleet  # noqa: E402
from doublehop.fleet.models import Port, Upstream  # noqa: E402
from tests.cast import a_cast  # noqa: E402

FASTER = 20
PORTS = ("e1", "e2")
FOLDER = Path(os.environ["DOUBLEHOP_DATA_DIR"])


def fast_clock() -> None:
    true, begin = time.time, float(os.environ["COLLECTING_BEGAN"])
    time.time = lambda: begin + (true() - begin) * FASTER


def read(counters: RackCounters) -> CounterReading:
    host, port = os.environ["COLLECTING_SWITCH"].split(":")
    with socket.create_connection((host, int(port)), timeout=60) as asked, asked.makefile() as answer:
        told = json.loads(answer.readline())
    now = time.time()
    ports = tuple(PortCounter(name, told["in"], told["out"], speed_bps=10**9) for name in PORTS)
    return CounterReading("sw1", datetime.fromtimestamp(now, UTC), int(now * 100) % 2**31, ports)


def die_writing() -> None:
    true, flag = rounds.save_states, FOLDER / "die-writing"

    def save(known) -> None:
        true(known)
        if flag.exists():
            flag.rename(FOLDER / "died-writing")
            os.kill(os.getpid(), signal.SIGKILL)

    rounds.save_states = save


def work() -> int:
    fast_clock()
    die_writing()
    RackCounters.read = read
    worker.PERIODIC = collector.PERIODIC
    return main(["worker"])


def prepare() -> None:
    call_command("migrate", verbosity=0)
    values = {"switch": os.environ["COLLECTING_SWITCH"], "read_community": "public"}
    upstream = fleet.create_upstream(a_cast().ines, driver="rack", name="Rack A", values=values)
    Port.objects.bulk_create(Port(upstream=upstream, if_name=name) for name in PORTS)


def check() -> None:
    upstream_id = Upstream.objects.get().pk
    ports = list(Port.objects.order_by("pk").values_list("pk", flat=True))
    claimed = Collection.objects.get(pk=upstream_id).claimed_slot
    numbers, records = store.read(upstream_id, ports, claimed - 2000, claimed + 10)
    state = DeviceState.objects.filter(upstream_id=upstream_id, is_base=False).first()
    standing = rounds.np.frombuffer(state.ports, dtype=rounds.STANDING)
    gaps = GapVolume.objects.filter(port_id=ports[0])
    mine = records["port"] == ports[0]
    told = {
        "claimed": claimed,
        "until_slot": state.until_ms // SLOT_MS,
        "readings": RawReading.objects.count(),
        "slots": sorted(set(numbers.tolist())),
        "whole": len(numbers) == len(ports) * len(set(numbers.tolist())),
        "out": int(records["octets_out"][mine].sum())
        + sum(gap.octets_out for gap in gaps)
        + int(standing["open_out"][0]),
        "shown": int(standing["octets_out"][0]),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    sys.exit({"worker": work, "prepare": prepare, "check": check}[sys.argv[1]]())
