"""The traffic oracle's switches through a database: rounds that come late and out of order, nightly packing, settling, statements.

What is kept must be what the same answers give in the order of their times, without a database (``bandwidth/tests/oracle.py``), and what
is billed no more than what a fault-free poller would have billed from.
"""

import os
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from doublehop import verify_statement
from doublehop.bandwidth import store
from doublehop.bandwidth.actions import pack_days, recounting, write_rounds
from doublehop.bandwidth.models import Block, Chunk, GapVolume
from doublehop.bandwidth.slots import SLOTS_PER_DAY, Gap, from_ms, start_of
from doublehop.bandwidth.tests import oracle
from doublehop.bandwidth.tests.oracle import Found, Tally
from doublehop.bandwidth.tests.traffic import LEAD, Device, Nature, Period, Trouble, a_device
from doublehop.fleet.models import Port
from doublehop.services.actions.statements import CLOSED_AFTER, close_due
from doublehop.services.models import Statement
from doublehop.services.queries import statements
from doublehop.services.tests.metering import attached, contract_from
from tests.cast import a_cast
from tests.postgresql import passing_postgresql
from tests.stage import a_product, a_stage

pytestmark = pytest.mark.long
PORTS = range(7001, 7009)
SERVICES = {"p95_max": False, "volume_sum": False, "p95_sum": True}
"""By method, whether pooled; one machine for each service, of the pool two."""
AT_ONCE = 12
"""Answers of one transaction: as when the database was away for an hour."""


class Kept:
    """A switch whose ports are machines of services, and what came of its answers."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.cast = a_cast()
        stage = a_stage(self.cast.rosa)
        self.upstream_id = stage.upstream.pk
        machines = stage.machines(*(f"m{port}" for port in PORTS))
        Port.objects.filter(upstream=stage.upstream).delete()
        for port, machine in zip(PORTS, machines, strict=True):
            Port.objects.create(pk=port, upstream=stage.upstream, server=machine, if_name=device.names[port])
        begin = start_of(device.period.first)
        days = device.period.slots // SLOTS_PER_DAY
        free = iter(machines)
        self.sold: dict[str, int] = {}
        """Port by service."""
        for method, pooled in SERVICES.items():
            product = a_product(self.cast.rosa, method)
            form = {
                "period": "rolling",
                "rolling_days": str(days),
                "anchor": f"{begin:%Y-%m-%d}",
                "pooled": pooled,
            }
            contract_from(self.cast, product, begin, method=method, price="1.37", **form)
            for _ in range(1 + pooled):
                machine = next(free)
                service = attached(self.cast, product, machine, begin - timedelta(minutes=5 * LEAD))
                self.sold[str(service)] = PORTS[machines.index(machine)]

    def take_in(self, seed: int) -> None:
        """As it comes, with what the night does."""
        came = self.device.arriving(seed)
        night = None
        for begin in range(0, len(came), AT_ONCE):
            some = came[begin : begin + AT_ONCE]
            write_rounds([(self.upstream_id, self.device.reading(one)) for one in some])
            now = from_ms(max(int(one.rows["taken"][0]) for one in some))
            if night != now.date():
                night = now.date()
                recounting.settle(self.upstream_id)
                pack_days(now)

    def found(self, port: int, like: Found) -> Found:
        end = like.first + like.measured.size
        ((_, series),) = store.read_many([(self.upstream_id, [port])], like.first, end)
        rows = GapVolume.objects.filter(port_id=port).order_by("first_slot", "pk")
        gaps = [Gap(row.first_slot, row.end_slot, row.octets_in, row.octets_out) for row in rows]
        octets = np.stack([series.octets_in, series.octets_out])
        return Found(like.first, octets, series.measured, gaps, like.still_open)


def alike(ours: Found, theirs: Found) -> bool:
    gaps = [Counter(gap for gap in one.gaps if gap.octets_in or gap.octets_out) for one in (ours, theirs)]
    return (
        gaps[0] == gaps[1]
        and bool((ours.measured == theirs.measured).all())
        and bool((ours.octets == theirs.octets).all())
    )


@pytest.mark.django_db
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("days", [3, 28])
@pytest.mark.parametrize("nature", [Nature.CONTINUOUS, Nature.TROUBLED])
def test_what_is_kept_and_billed_is_what_the_answers_say(days, nature, record_property):
    period = Period(20_000 * SLOTS_PER_DAY, days * SLOTS_PER_DAY)
    device = a_device(3, period, PORTS, nature=nature, often=24 / days, narrow=0.15)
    kept = Kept(device)
    kept.take_in(seed=5)
    expected = oracle.pipeline([device], [device.answers])
    found = {port: kept.found(port, expected[port]) for port in PORTS}
    assert {port for port in PORTS if not alike(found[port], expected[port])} == set()
    tally = Tally()
    oracle.judge([device], found, tally)
    assert tally.wrong == []
    assert tally.happened[Trouble.LATE] > 3
    assert Chunk.objects.exists()
    assert Block.objects.count() < 3 * SLOTS_PER_DAY, "the nights have packed"
    judge_statements(kept, found)
    record_property("port-months through a database", len(PORTS) if days > 27 else 0)


def judge_statements(kept: Kept, found: dict[int, Found]) -> None:
    period = kept.device.period
    assert close_due(start_of(period.end) + CLOSED_AFTER) == len(SERVICES)
    fair = dict(zip(PORTS, oracle.reference(kept.device), strict=True))
    left_out = period.slots * 5 // 100
    for row in Statement.objects.all():
        text = statements.download(kept.cast.rosa, row.pk, as_json=True).text
        lines = verify_statement.verify(verify_statement.read(text))
        assert [line for line in lines if line[1] != line[2]] == []
        ports = [port for service, port in kept.sold.items() if service in row.document["services"]]
        assert len(ports) == (1 if row.service_id else 2)
        true = sum(fair[port] for port in ports)
        figures = row.document["figures"]
        method = row.document["contract"]["method"]
        if method == "volume_sum":
            parts = [sum(found[port].outside(period)) for port in ports]
            ours = sum(int(found[port].part(period).octets_in.sum()) for port in ports)
            ours += sum(int(found[port].part(period).octets_out.sum()) for port in ports) + sum(parts)
            assert figures["volume_in"] + figures["volume_out"] == ours
            most = Fraction(int(true.sum()), 10**9)
        else:
            sides = [true[0], true[1]] if method == "p95_max" else [true[0] + true[1]]
            most = max(oracle.naive_ninety_fifth(side, left_out) for side in sides)
            most = Fraction(8 * most, 300 * 10**6)
        assert 0 < Fraction(row.amount) <= most * Fraction("1.37")


@pytest.mark.timeout(600)
def test_nor_on_postgresql():
    root = Path(__file__).resolve().parent.parent.parent
    with passing_postgresql() as url:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-m",
                "long",
                "-n",
                "0",
                "-p",
                "no:cacheprovider",
                __file__,
                "-k",
                "billed and 3",
            ],
            cwd=root,
            env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"},
            capture_output=True,
            text=True,
            timeout=540,
        )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert "2 passed" in done.stdout
