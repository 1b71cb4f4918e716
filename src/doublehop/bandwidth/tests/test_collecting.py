"""From a reading of a switch to rows: complete slots, days, baselines, whose octets they are, and what staff read."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone
from tests.cast import a_cast
from tests.stage import a_stage

from doublehop.bandwidth import collector, store
from doublehop.bandwidth.actions import write_round
from doublehop.bandwidth.models import Baseline, Block, Collection, Daily, Wiring
from doublehop.bandwidth.queries import chart, collections_visible_to
from doublehop.bandwidth.slots import slot_of
from doublehop.bandwidth.tests.switch import MBIT, T0, Switch
from doublehop.driver_kit import errors
from doublehop.driver_kit.conformance.world import Fault
from doublehop.driver_kit.contract import PortCounter
from doublehop.jobs.engine import Engine
from doublehop.jobs.models import Job

pytestmark = pytest.mark.django_db
FIVE = timedelta(minutes=5)


@pytest.fixture
def cast():
    return a_cast()


@pytest.fixture
def switch(cast):
    return Switch(cast.provider)


def records(switch, moment):
    row = Block.objects.filter(pk=store.block_id(switch.upstream.pk, slot_of(moment))).first()
    return store.unpack(row.records).tolist() if row else None


def test_two_rounds_give_one_slot_from_the_servers_side(switch):
    switch.run(T0, [80])
    assert records(switch, T0) == [(switch.port.pk, 16 * MBIT, 80 * MBIT)]
    assert records(switch, T0 + FIVE) is None
    day = Daily.objects.get()
    assert (day.octets_in, day.octets_out, day.slots) == (16 * MBIT, 80 * MBIT, 1)
    assert (day.max_in, day.max_out, day.covered_ms) == (16 * MBIT, 80 * MBIT, 300_000)
    assert not day.sample_history


def test_rounds_off_the_grid_give_one_record_a_slot(switch):
    switch.run(T0 + timedelta(seconds=4), [60, 60, 60])
    assert [len(records(switch, T0 + FIVE * n)) for n in range(3)] == [1, 1, 1]
    assert records(switch, T0 + FIVE)[0][2] == 60 * MBIT
    assert Daily.objects.get().octets_out + Baseline.objects.get().open_out == 180 * MBIT


def test_the_same_round_again_changes_nothing(switch):
    end = switch.run(T0, [80, 90])
    before = list(Daily.objects.values()), list(Block.objects.values()), list(Baseline.objects.values())
    switch.read(end)
    assert before == (
        list(Daily.objects.values()),
        list(Block.objects.values()),
        list(Baseline.objects.values()),
    )
    assert Collection.objects.get().discarded == 0


def test_an_idle_port_is_measured_as_zero(switch):
    switch.run(T0, [0, 0])
    assert records(switch, T0 + FIVE) == [(switch.port.pk, 0, 0)]
    assert Daily.objects.get().slots == 2


def test_a_gap_stays_a_gap_and_keeps_its_octets_for_the_day(switch):
    switch.run(T0, [10, None, None, None, 50, 10])
    assert [records(switch, T0 + FIVE * n) is not None for n in range(6)] == [
        True,
        False,
        False,
        False,
        False,
        True,
    ]
    day = Daily.objects.get()
    assert day.octets_out == 70 * MBIT
    assert (day.slots, day.max_out) == (2, 10 * MBIT)
    assert day.covered_ms == 6 * 300_000


def test_a_long_gap_is_spread_over_its_days(switch):
    switch.read(T0)
    switch.flow(out=30_000)
    switch.read(T0 + timedelta(days=1, hours=12))
    # Counted when it is complete: half of the first day, the whole second one.
    assert list(Daily.objects.order_by("day").values_list("octets_out", "slots")) == [
        (10_000, 0),
        (20_000, 0),
    ]


def test_a_reboot_of_the_switch_never_counts_what_was_counted(switch):
    switch.flow(out=10**12)
    end = switch.run(T0, [80])
    switch.booted = end + timedelta(seconds=100)
    switch.sent["eth1"], switch.received["eth1"] = 20 * MBIT, 2 * MBIT
    switch.read(end + FIVE)
    assert records(switch, end) is None
    assert Daily.objects.get().octets_out == 100 * MBIT
    end = switch.run(end + FIVE, [40])
    assert Daily.objects.get().octets_out == 140 * MBIT


def test_counters_up_to_their_last_value(switch):
    switch.flow(out=2**64 - 1 - 10 * MBIT, inward=2**64 - 1)
    end = switch.run(T0, [0])
    switch.flow(out=10 * MBIT)
    switch.read(end + FIVE)
    assert records(switch, end) == [(switch.port.pk, 0, 10 * MBIT)]
    assert Baseline.objects.get().octets_out == str(2**64 - 1)
    switch.sent["eth1"] = 5
    switch.read(end + 2 * FIVE)
    assert records(switch, end + FIVE) is None
    row = Collection.objects.get()
    assert row.discarded == 1
    assert row.last_discard == "23 Nov 2026, 12:15 UTC, eth1 not counted: the counters went backwards."


def test_a_slot_lived_twice_keeps_what_stood_there(switch):
    switch.run(T0, [80, 80])
    switch.booted -= timedelta(minutes=15)
    for at in (T0, T0 + FIVE):  # our clock was set back by ten minutes
        switch.flow(out=30 * MBIT)
        switch.read(at)
    assert records(switch, T0) == [(switch.port.pk, 16 * MBIT, 80 * MBIT)]
    assert Daily.objects.get().slots == 2
    assert Daily.objects.get().octets_out == 190 * MBIT


def test_a_port_that_the_switch_does_not_know_is_said(switch):
    switch.sent = {"eth7": 0}
    switch.received = {"eth7": 0}
    switch.read(T0)
    row = Collection.objects.get()
    assert (row.ports_read, row.remark) == (0, "The switch has no port eth1.")


def test_a_name_that_comes_twice_is_not_used(switch):
    reading = switch.reading(T0)
    write_round(switch.upstream.pk, replace(reading, ports=(*reading.ports, PortCounter("eth1", 5, 5))))
    assert not Baseline.objects.exists()


def test_a_port_that_moves_takes_no_octets_along(switch):
    other = Switch(switch.upstream.organisation, names=("eth9",), name="Rack B").server
    end = switch.run(T0, [10, 10])
    switch.port.server = other
    switch.port.save()
    switch.run(end + FIVE, [10, 10])
    old, new = Wiring.objects.filter(port_id=switch.port.pk).order_by("since_slot")
    assert (old.server_id, old.since_slot, old.until_slot) == (switch.server.pk, slot_of(T0), slot_of(end))
    assert (new.server_id, new.since_slot, new.until_slot) == (other.pk, slot_of(end + FIVE) + 1, None)


# ---------------------------------------------------------------- the jobs


def test_through_the_door_from_a_real_driver(cast):
    stage = a_stage(cast.ines)
    (server,) = stage.machines("m1")
    for number in range(3):
        stage.place.clock = lambda minutes=5 * number: T0 + timedelta(minutes=minutes)
        collector.collect_all({})
        Engine(collector.JOBS).drain()
    seen = chart(cast.ines, server.pk, "day", points=288, now=T0 + 2 * FIVE)
    # What the machine sent into the switch, 125,000 octets a second, is its out.
    assert (seen.outward[-2:], seen.inward[-2:]) == ((1.0, 1.0), (10.0, 10.0))
    stage.place.fault(Fault.UNREACHABLE, on="counters.read")
    collector.collect({"upstream_id": stage.upstream.pk})
    assert Collection.objects.get().failure_text


class Counters:
    def __init__(self, reading=None, error=None):
        self.reading, self.error = reading, error

    def read(self):
        if self.error is not None:
            raise self.error
        return self.reading


@pytest.fixture
def door(monkeypatch):
    """The upstream behind the door answers with what the test puts here."""
    behind = {}

    class Opened:
        @property
        def counters(self):
            return behind["counters"]

    @contextmanager
    def reading(upstream_id):
        yield Opened()

    monkeypatch.setattr(collector.door, "reading", reading)
    return behind


def test_a_round_that_fails_leaves_a_gap_and_a_line_and_recovers(cast, switch, door):
    for at, error in (
        (T0, None),
        (T0 + FIVE, errors.Unreachable("no answer from 192.0.2.9")),
        (T0 + 3 * FIVE, None),
    ):
        door["counters"] = Counters(switch.reading(at), error)
        collector.collect({"upstream_id": switch.upstream.pk})
        (line,) = collections_visible_to(cast.ines, now=at)
        assert line.failure_text == ("no answer from 192.0.2.9" if error else "")
        assert (line.failing_since is not None) == (error is not None)
    assert not Block.objects.exists()
    assert collections_visible_to(cast.rosa) == []
    assert collections_visible_to(cast.mara) == []


def test_an_upstream_without_counters_or_gone_is_left_alone(switch, door):
    door["counters"] = None
    collector.collect({"upstream_id": switch.upstream.pk})
    collector.collect({"upstream_id": 999})
    assert not Collection.objects.exists()


def test_one_job_rings_for_each_upstream_with_ports(cast, switch):
    quiet = Switch(cast.alder, names=(), name="No ports").upstream
    locked = Switch(cast.alder, names=("eth2",), name="Locked out").upstream
    locked.failure_code, locked.failed_at = "credentials_rejected", timezone.now()
    locked.save()
    collector.collect_all({})
    job = Job.objects.get()
    assert (job.payload, job.lane) == (
        {"upstream_id": switch.upstream.pk},
        f"upstream:{switch.upstream.pk}:counters",
    )
    assert quiet.pk != switch.upstream.pk


def test_before_the_first_round_the_line_is_there_and_says_nothing(cast, switch):
    (line,) = collections_visible_to(cast.ines)
    assert (line.upstream_name, line.last_round_at, line.is_old) == ("Rack A", None, False)


def test_a_silent_collector_is_seen_as_old(cast, switch):
    switch.read(T0)
    assert not collections_visible_to(cast.ines, now=T0 + 3 * FIVE)[0].is_old
    assert collections_visible_to(cast.ines, now=T0 + 4 * FIVE)[0].is_old
