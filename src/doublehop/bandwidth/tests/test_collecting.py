"""From a reading of a switch to rows: complete slots, days, baselines, whose octets they are, and what staff read."""

import random
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from tests.cast import a_cast

from doublehop.bandwidth import packed, store, upkeep
from doublehop.bandwidth.actions import write_round, write_rounds
from doublehop.bandwidth.models import (
    Block,
    Collection,
    DeviceState,
    GapVolume,
    Quarantined,
    RawReading,
    Wiring,
)
from doublehop.bandwidth.queries import collections_visible_to
from doublehop.bandwidth.slots import slot_of, to_ms
from doublehop.bandwidth.tests.switch import MBIT, T0, Switch
from doublehop.driver_kit.contract import PortCounter

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


def measured(switch):
    """(slot, octets out) of the first port, oldest first."""
    found, rows = store.read(switch.upstream.pk, [switch.port.pk], slot_of(T0) - 900, slot_of(T0) + 900)
    return list(zip(found.tolist(), rows["octets_out"].tolist(), strict=True))


def gaps(switch):
    """(first slot, slots, octets out) of the first port, oldest first."""
    rows = GapVolume.objects.filter(port_id=switch.port.pk).order_by("first_slot")
    return [(row.first_slot, row.end_slot - row.first_slot, row.octets_out) for row in rows]


def out(switch):
    """All octets that count."""
    return sum(octets for *_, octets in (*measured(switch), *gaps(switch)))


def standing():
    return np.frombuffer(DeviceState.objects.get(is_base=False).ports, dtype=packed.STANDING)


def everything():
    return [
        list(model.objects.order_by("pk").values()) for model in (Block, GapVolume, DeviceState, RawReading)
    ]


def test_two_rounds_give_one_slot_from_the_servers_side(switch):
    switch.run(T0, [80])
    assert records(switch, T0) == [(switch.port.pk, 16 * MBIT, 80 * MBIT)]
    assert records(switch, T0 + FIVE) is None
    assert gaps(switch) == []


def test_rounds_off_the_grid_give_one_record_a_slot(switch):
    switch.run(T0 + timedelta(seconds=4), [60, 60, 60])
    assert [len(records(switch, T0 + FIVE * n)) for n in range(3)] == [1, 1, 1]
    assert records(switch, T0 + FIVE)[0][2] == 60 * MBIT
    assert out(switch) + standing()["open_out"].sum() == 180 * MBIT


def test_the_same_round_again_changes_nothing(switch):
    end = switch.run(T0, [80, 90])
    before = everything()
    switch.read(end)
    assert everything() == before
    assert Collection.objects.get().discarded == 0


def test_an_idle_port_is_measured_as_zero(switch):
    switch.run(T0, [0, 0])
    assert records(switch, T0 + FIVE) == [(switch.port.pk, 0, 0)]
    assert len(measured(switch)) == 2


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
    assert gaps(switch) == [(slot_of(T0) + 1, 4, 50 * MBIT)]
    assert out(switch) == 70 * MBIT


def test_a_long_gap_is_spread_over_its_days(switch):
    switch.read(T0)
    switch.flow(out=30_000)
    switch.read(T0 + timedelta(days=1, hours=6))
    noon = slot_of(T0)
    assert gaps(switch) == [(noon, 144, 12_000), (noon + 144, 216, 18_000)]


def test_a_reboot_of_the_switch_never_counts_what_was_counted(switch):
    switch.flow(out=10**12)
    end = switch.run(T0, [80])
    switch.booted = end + timedelta(seconds=100)
    switch.sent["eth1"], switch.received["eth1"] = 20 * MBIT, 2 * MBIT
    switch.read(end + FIVE)
    assert records(switch, end) is None
    assert out(switch) == 100 * MBIT
    end = switch.run(end + FIVE, [40])
    assert out(switch) == 140 * MBIT


def test_counters_up_to_their_last_value(switch):
    switch.flow(out=2**64 - 1 - 10 * MBIT, inward=2**64 - 1)
    end = switch.run(T0, [0])
    switch.flow(out=10 * MBIT)
    switch.read(end + FIVE)
    assert records(switch, end) == [(switch.port.pk, 0, 10 * MBIT)]
    assert standing()["octets_out"].tolist() == [2**64 - 1]
    switch.sent["eth1"] = 5
    switch.read(end + 2 * FIVE)
    assert records(switch, end + FIVE) is None
    row = Collection.objects.get()
    assert row.discarded == 1
    assert row.last_discard == "23 Nov 2026, 12:15 UTC, eth1 not counted: the counters went backwards."


def test_our_clock_that_went_back_counts_nothing_twice(switch):
    switch.run(T0, [80, 80])
    switch.booted -= timedelta(minutes=15)
    for at in (T0, T0 + FIVE, T0 + 2 * FIVE, T0 + 3 * FIVE):  # our clock was set back by ten minutes
        switch.flow(out=30 * MBIT)
        switch.read(at + timedelta(seconds=1))
    assert out(switch) <= (160 + 120) * MBIT
    assert all(octets <= 80 * MBIT for _, octets in measured(switch))


@pytest.mark.parametrize(
    "order", [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [0, 3, 1, 1, 5, 2, 4, 3], [2, 0, 5, 1, 4, 3]]
)
def test_the_order_of_arrival_is_without_effect(switch, order):
    readings = []
    for number in range(6):
        switch.flow(out=(number + 1) * MBIT)
        readings.append(switch.reading(T0 + FIVE * number))
    write_rounds([(switch.upstream.pk, readings[number]) for number in order[:2]])
    for number in order[2:]:
        write_round(switch.upstream.pk, readings[number])
    assert [octets for _, octets in measured(switch)] == [number * MBIT for number in range(2, 7)]
    assert gaps(switch) == []
    assert RawReading.objects.count() == 6


def test_a_slow_switch_lifts_no_slot_above_the_truth(switch):
    """Its port carries 30 Mbit/s all the time and is read at once, or up to a minute later."""
    flowed = 0
    for number, seconds in enumerate([0, 50, 0, 60, 60, 7, 0]):
        switch.after["eth1"] = 100 * seconds
        switch.flow(out=(300 * number + seconds) * MBIT // 10 - flowed)
        flowed = switch.sent["eth1"]
        switch.read(T0 + FIVE * number)
    found = measured(switch)
    assert [slot - slot_of(T0) for slot, _ in found] == list(range(6))
    assert {octets for _, octets in found} == {30 * MBIT}


SLOW_BASE = 33
"""The number of the reading that is the base when those of a day and 455 s or more after it have come."""


def slow_readings(switch, silent, last_seconds):
    """(number, reading) of 27 hours; some ports are read in the slot after the one in which the reading began."""
    chance = random.Random(7)  # noqa: S311
    begin = T0 + timedelta(minutes=4, seconds=40)
    times = [begin + number * FIVE for number in range(27 * 12)]
    times[-1] = times[SLOW_BASE] + timedelta(days=1, seconds=last_seconds)
    for number, at in enumerate(times):
        for name in switch.sent:
            switch.flow(out=chance.randrange(200) * MBIT, name=name)
        switch.after = {"eth1": 0, "eth2": chance.randrange(6000), "eth3": chance.randrange(6000)}
        if number == SLOW_BASE:
            switch.flow(out=10**13, name="eth3")
            switch.after = {"eth1": 0, "eth2": 3000, "eth3": 4000}
        if number not in silent:
            yield number, switch.reading(at)


def certain(switch):
    """Slots, gaps and doubts, by name of the port."""
    names = {port.pk: port.if_name for port in switch.ports}
    found, rows = store.read(switch.upstream.pk, list(names), slot_of(T0) - 9, slot_of(T0) + 900)
    volumes = GapVolume.objects.filter(upstream_id=switch.upstream.pk)
    doubts = Quarantined.objects.filter(upstream_id=switch.upstream.pk)
    return (
        [
            (slot, names[port], *both)
            for slot, (port, *both) in zip(found.tolist(), rows.tolist(), strict=True)
        ],
        sorted((names[one.port_id], one.first_slot, one.end_slot, one.octets_out) for one in volumes),
        sorted((names[one.port_id], one.started_at, one.ended_at) for one in doubts),
    )


@pytest.mark.parametrize(("silent", "last_seconds"), [({30, 31, 32, 200, 201}, 600), ({200, 201}, 455)])
def test_nor_does_a_late_reading_of_it_change_what_was_certain(cast, silent, last_seconds):
    names = ("eth1", "eth2", "eth3")
    punctual, late = (Switch(cast.provider, names=names, name=name) for name in ("Rack B", "Rack C"))
    for _, reading in slow_readings(punctual, silent, last_seconds):
        write_round(punctual.upstream.pk, reading)
    readings = dict(slow_readings(late, silent, last_seconds))
    held_back = [readings.pop(number) for number in (300, 202, 60, 36, 35)]
    write_rounds([(late.upstream.pk, reading) for reading in readings.values()])
    upkeep.settle({})
    base = DeviceState.objects.get(upstream_id=late.upstream.pk, is_base=True)
    assert base.until_ms == to_ms(readings[SLOW_BASE].taken_at)
    for reading in held_back:
        write_round(late.upstream.pk, reading)
    assert certain(late) == certain(punctual)
    assert all(certain(late))


def test_readings_are_kept_as_long_as_one_may_still_come_between_them(switch):
    readings = []
    for number in range(27 * 12):
        switch.flow(out=(number % 7 + 1) * MBIT)
        readings.append(switch.reading(T0 + FIVE * number))
    late = readings.pop(20 * 12)
    write_rounds([(switch.upstream.pk, reading) for reading in readings])
    before = measured(switch)
    for _ in range(2):
        upkeep.settle({})
        assert measured(switch) == before
        assert 24 * 12 <= RawReading.objects.count() <= 24 * 12 + 2
    write_round(switch.upstream.pk, late)
    assert [octets for _, octets in measured(switch)] == [
        (number % 7 + 1) * MBIT for number in range(1, 27 * 12)
    ]
    assert gaps(switch) == []
    switch.flow(out=5 * MBIT)
    switch.read(T0 + FIVE * 27 * 12)
    assert measured(switch)[-1][1] == 5 * MBIT


def test_what_comes_more_than_a_day_late_is_left_out_and_said(switch):
    old = switch.reading(T0)
    switch.run(T0 + timedelta(days=1, minutes=5), [10])
    before = everything()
    write_round(switch.upstream.pk, old)
    assert everything() == before
    assert "arrived more than a day after" in Collection.objects.get().last_discard


def test_what_is_doubtful_waits_for_a_person_and_is_there_once(switch):
    switch.run(T0, [10])
    switch.flow(out=10**13)
    jumped = switch.reading(T0 + 2 * FIVE)
    write_round(switch.upstream.pk, jumped)
    write_round(switch.upstream.pk, jumped)
    row = Quarantined.objects.get()
    assert (row.why, row.octets_out, row.state) == ("implausible", str(10**13), "open")
    assert out(switch) == 10 * MBIT


def test_a_port_that_the_switch_does_not_know_is_said(switch):
    switch.sent = {"eth7": 0}
    switch.received = {"eth7": 0}
    switch.read(T0)
    row = Collection.objects.get()
    assert (row.ports_read, row.remark) == (0, "The switch has no port eth1.")


def test_a_name_that_comes_twice_is_not_used(switch):
    reading = switch.reading(T0)
    write_round(switch.upstream.pk, replace(reading, ports=(*reading.ports, PortCounter("eth1", 5, 5))))
    assert standing().size == 0


def test_a_port_that_moves_takes_no_octets_along(switch):
    other = Switch(switch.upstream.organisation, names=("eth9",), name="Rack B").server
    end = switch.run(T0, [10, 10])
    switch.port.server = other
    switch.port.save()
    switch.run(end + FIVE, [10, 10])
    old, new = Wiring.objects.filter(port_id=switch.port.pk).order_by("since_slot")
    assert (old.server_id, old.since_slot, old.until_slot) == (switch.server.pk, slot_of(T0), slot_of(end))
    assert (new.server_id, new.since_slot, new.until_slot) == (other.pk, slot_of(end + FIVE) + 1, None)


def test_nor_does_one_that_is_read_in_the_next_slot(switch):
    other = Switch(switch.upstream.organisation, names=("eth9",), name="Rack B").server
    end = switch.run(T0, [10, 10])
    switch.port.server = other
    switch.port.save()
    switch.after["eth1"] = 3000
    switch.read(end + FIVE - timedelta(seconds=10))
    new = Wiring.objects.get(port_id=switch.port.pk, until_slot=None)
    assert (new.server_id, new.since_slot) == (other.pk, slot_of(end + FIVE) + 1)


# ---------------------------------------------------------------- what staff read


def test_before_the_first_round_the_line_is_there_and_says_nothing(cast, switch):
    (line,) = collections_visible_to(cast.ines)
    assert (line.upstream_name, line.last_round_at, line.is_old) == ("Rack A", None, False)


def test_a_silent_collector_is_seen_as_old(cast, switch):
    switch.read(T0)
    assert not collections_visible_to(cast.ines, now=T0 + 3 * FIVE)[0].is_old
    assert collections_visible_to(cast.ines, now=T0 + 4 * FIVE)[0].is_old
