"""From blocks into chunks: the same figures before, during and after, whoever dies on the way, and never twice."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.db import transaction
from tests.cast import a_cast

from doublehop.bandwidth import chunk, slots, store
from doublehop.bandwidth.actions import clear_old, dailies, pack_days, packing, write_sample_history
from doublehop.bandwidth.actions.clearing import Cleared
from doublehop.bandwidth.models import Block, Chunk, Daily, GapVolume, Quarantined
from doublehop.bandwidth.queries import chart, chart_data, csv_rows, daily_totals
from doublehop.bandwidth.tests.switch import MBIT, T0, Switch

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
PORTS = (7, 8, 2**32 - 1)
UPSTREAM = 3
FIRST = slots.slot_of(datetime(2026, 11, 20, tzinfo=UTC))
OVER = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
"""The first moment at which the 20th may be packed."""


def write(first, count, *, upstream=UPSTREAM, ports=PORTS, seed=1, share=0.98):
    """Blocks of ``count`` slots; not every port is in every one."""
    chance = np.random.default_rng(seed)
    for slot in range(first, first + count):
        octets = chance.integers(0, 10**11, (len(ports), 2)).tolist()
        there = chance.random(len(ports)) < share
        records = [(port, *both) for port, both, known in zip(ports, octets, there, strict=True) if known]
        Block.objects.create(pk=store.block_id(upstream, slot), records=store.pack(records))


def all_of(first=FIRST - 10, end=FIRST + 1000, upstream=UPSTREAM, ports=PORTS):
    numbers, records = store.read(upstream, ports, first, end)
    return sorted((slot, *record) for slot, record in zip(numbers.tolist(), records.tolist(), strict=True))


def test_what_was_packed_reads_as_before():
    write(FIRST, 400)
    before, one = all_of(), all_of(FIRST + 100, FIRST + 300, ports=PORTS[1:2])
    done = pack_days(OVER)
    assert (done.device_days, done.chunks) == (1, 3)
    assert Block.objects.count() == 400 - 288
    assert Chunk.objects.count() == 3
    assert all_of() == before
    assert all_of(FIRST + 100, FIRST + 300, ports=PORTS[1:2]) == one
    again = pack_days(OVER)
    assert (again.device_days, again.chunks) == (0, 0)


def test_a_bulk_reader_gives_each_port_of_each_upstream_once(monkeypatch):
    monkeypatch.setattr(store, "PORTS_AT_ONCE", 2)
    write(FIRST, 300)
    write(FIRST, 300, upstream=4, ports=(5,), seed=2)
    pack_days(OVER)
    found = dict(store.read_many([(UPSTREAM, PORTS), (4, [5])], FIRST + 3, FIRST + 299))
    assert list(found) == [*PORTS, 5]
    for port_id, series in found.items():
        numbers, records = store.read(4 if port_id == 5 else UPSTREAM, [port_id], FIRST + 3, FIRST + 299)
        assert (np.flatnonzero(series.measured) + FIRST + 3).tolist() == numbers.tolist()
        assert series.octets_in.sum() == records["octets_in"].sum()
        assert series.octets_out[series.measured].tolist() == records["octets_out"].tolist()
    assert list(store.read_many([(UPSTREAM, PORTS)], FIRST, FIRST)) == []


def test_a_day_is_packed_when_no_reading_of_it_can_come_any_more():
    write(FIRST, 288)
    assert pack_days(OVER - timedelta(seconds=1)).chunks == 0
    assert pack_days(OVER).chunks == 3


def test_an_unmeasured_slot_stays_unknown_and_a_measured_zero_stays_zero():
    Block.objects.create(pk=store.block_id(UPSTREAM, FIRST + 5), records=store.pack([(7, 0, 0), (8, 1, 2)]))
    pack_days(OVER)
    assert all_of() == [(FIRST + 5, 7, 0, 0), (FIRST + 5, 8, 1, 2)]
    day = Daily.objects.get(port_id=7)
    assert (day.slots, day.covered_ms, day.octets_in) == (1, slots.SLOT_MS, 0)


def test_the_octets_of_a_gap_are_the_days_too():
    write(FIRST, 288)
    GapVolume.objects.create(
        port_id=7, upstream_id=UPSTREAM, first_slot=FIRST + 3, end_slot=FIRST + 5, octets_in=70, octets_out=80
    )
    inside = [row for row in all_of() if row[1] == 7]
    pack_days(OVER)
    day = Daily.objects.get(port_id=7)
    assert day.octets_in == sum(row[2] for row in inside) + 70
    assert day.octets_out == sum(row[3] for row in inside) + 80
    assert day.slots == len(inside)


def test_a_slot_in_both_counts_once_and_what_was_packed_stands():
    write(FIRST, 288)
    before = all_of()
    pack_days(OVER)
    # Again, as a restored piece or a clock that went back would bring it, and with something new for a gap.
    gap = next(slot for slot in range(FIRST, FIRST + 288) if (slot, 7) not in {row[:2] for row in before})
    Block.objects.create(pk=store.block_id(UPSTREAM, gap), records=store.pack([(7, 11, 12)]))
    other = next(row for row in before if row[0] != gap and row[1] == 8)
    Block.objects.create(
        pk=store.block_id(UPSTREAM, other[0]), records=store.pack([(8, other[2] + 1, other[3] + 1)])
    )
    expected = sorted([*before, (gap, 7, 11, 12)])
    assert all_of() == expected
    assert pack_days(OVER).chunks == 2
    assert not Block.objects.exists()
    assert all_of() == expected
    assert Daily.objects.get(port_id=8).octets_in == sum(row[2] for row in expected if row[1] == 8)


def test_a_round_that_comes_in_while_its_day_is_packed_keeps_its_block(monkeypatch):
    write(FIRST, 287)
    by_port = packing._by_port

    def and_a_late_round(first, blocks):
        Block.objects.create(pk=store.block_id(UPSTREAM, FIRST + 287), records=store.pack([(7, 1, 2)]))
        return by_port(first, blocks)

    monkeypatch.setattr(packing, "_by_port", and_a_late_round)
    before = all_of()
    pack_days(OVER)
    monkeypatch.undo()
    expected = [*before, (FIRST + 287, 7, 1, 2)]
    assert all_of() == expected
    pack_days(OVER)
    assert not Block.objects.exists()
    assert all_of() == expected


class Died(BaseException):
    """Not an Exception: nobody handles it."""


def test_it_may_end_at_any_commit_and_goes_on_from_there(monkeypatch):
    monkeypatch.setattr(packing, "PORTS_AT_ONCE", 2)
    write(FIRST, 300)
    write(FIRST, 300, upstream=4, ports=(5,), seed=2)
    before, other = all_of(), all_of(upstream=4, ports=[5])
    keep = packing._keep
    for at in range(4):
        seen = 0

        def dies(*some, at=at):
            nonlocal seen
            keep(*some)
            seen += 1
            if seen > at:
                raise Died

        monkeypatch.setattr(packing, "_keep", dies)
        with pytest.raises(Died) if at < 3 else transaction.atomic():
            pack_days(OVER)
        assert (all_of(), all_of(upstream=4, ports=[5])) == (before, other)
    monkeypatch.undo()
    pack_days(OVER)
    assert Block.objects.count() == 2 * 12
    assert (all_of(), all_of(upstream=4, ports=[5])) == (before, other)
    for port_id in PORTS:
        day = Daily.objects.get(port_id=port_id, day=slots.start_of(FIRST).date())
        of_it = [row for row in before if row[1] == port_id and row[0] < FIRST + 288]
        assert (day.slots, day.octets_out) == (len(of_it), sum(row[3] for row in of_it))
        assert (day.max_in, day.max_out) == (max(row[2] for row in of_it), max(row[3] for row in of_it))


def test_what_flowed_in_a_gap_stays_in_its_day():
    write(FIRST, 288, share=0.5)
    before = all_of(ports=[7])
    exact = sum(row[2] for row in before) + 10**12
    Daily.objects.create(
        port_id=7, day=slots.start_of(FIRST).date(), octets_in=exact, covered_ms=slots.DAY_MS
    )
    pack_days(OVER)
    day = Daily.objects.get(port_id=7)
    assert (day.octets_in, day.covered_ms, day.slots) == (exact, slots.DAY_MS, len(before))


def by_day(cast, switch, now):
    found = daily_totals(cast.ines, switch.server.pk, (T0 - 9 * DAY).date(), now.date(), now=now)
    return [(one.day.day, one.octets_out, one.complete) for one in found]


@pytest.mark.parametrize("packed_too_early", [False, True])
def test_a_day_in_which_nothing_was_polled_keeps_its_octets_for_good(packed_too_early):
    """The worker stood still from Friday evening to Sunday evening."""
    cast = a_cast()
    switch = Switch(cast.provider)
    friday = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
    switch.read(friday - DAY)
    switch.run(friday - timedelta(hours=2), [1] * 24)
    if packed_too_early:
        pack_days(friday + 2 * DAY)
    switch.flow(out=48 * 10**9)
    switch.run(friday + 2 * DAY, [1] * 24)
    seen = [(20, 24 * MBIT + 6 * 10**9, False), (21, 24 * 10**9, False), (22, 24 * MBIT + 18 * 10**9, False)]
    assert by_day(cast, switch, friday + 2 * DAY + timedelta(hours=2))[-2:] == seen[-2:]
    for days in (3, 4, 4, 9):
        pack_days(friday + days * DAY)
    assert by_day(cast, switch, friday + 9 * DAY) == seen
    saturday = Daily.objects.get(port_id=switch.port.pk, day=(friday + DAY).date())
    assert (saturday.slots, saturday.max_out, saturday.covered_ms) == (0, 0, slots.DAY_MS)


def test_many_gaps_of_many_ports_are_each_written_once(monkeypatch):
    monkeypatch.setattr(dailies, "PORTS_AT_ONCE", 2)
    for upstream, port in ((3, 7), (3, 8), (3, 9), (4, 5)):
        for number in range(3):
            begin = FIRST + 10 * number
            GapVolume.objects.create(
                port_id=port,
                upstream_id=upstream,
                first_slot=begin,
                end_slot=begin + 4,
                octets_in=port,
                octets_out=2 * port,
            )
    for _ in range(2):
        pack_days(OVER)
        rows = Daily.objects.order_by("port_id").values_list(
            "port_id", "octets_in", "octets_out", "covered_ms"
        )
        assert list(rows) == [(port, 3 * port, 6 * port, 12 * slots.SLOT_MS) for port in (5, 7, 8, 9)]


# ---------------------------------------------------------------- people and the box


def seen(cast, switch, span, now):
    drawn = chart(cast.ines, switch.server.pk, span, points=9000, now=now)
    return (
        chart_data(drawn),
        drawn.rows,
        csv_rows(cast.ines, switch.server.pk, span, every_value=True, now=now),
    )


def test_sample_history_looks_the_same_when_it_is_packed_and_stays_marked():
    cast = a_cast()
    switch = Switch(cast.provider)
    write_sample_history(switch.upstream.pk, seed=3, end=T0, days=60)
    marked = Daily.objects.filter(sample_history=True).count()
    before = [seen(cast, switch, span, T0) for span in ("day", "month", "year")]
    pack_days(T0)
    assert Chunk.objects.count() == 35 - 1
    assert [seen(cast, switch, span, T0) for span in ("day", "month", "year")] == before
    assert Daily.objects.filter(sample_history=True).count() == marked == Daily.objects.count()
    # Written once more, it changes nothing.
    write_sample_history(switch.upstream.pk, seed=4, end=T0, days=60)
    pack_days(T0)
    assert [seen(cast, switch, span, T0) for span in ("day", "month", "year")] == before


# ---------------------------------------------------------------- how long it is kept


def a_chunk(port_id, day):
    nothing = np.zeros(288, dtype=np.int64)
    made = chunk.pack(nothing, nothing, nothing == 0)
    Chunk.objects.create(pk=store.chunk_id(port_id, slots.slot_of(day) // 288), packed=made)


def test_what_is_older_than_it_is_kept_goes_and_nothing_else():
    ages = {7: (0, 399, 400, 401, 402), 8: (30,), 2**32 - 1: (401,)}
    for port_id, days in ages.items():
        for age in days:
            a_chunk(port_id, T0 - age * DAY)
    for port_id, age in ((7, 3660), (7, 3661), (9, 4000)):
        Daily.objects.create(port_id=port_id, day=(T0 - age * DAY).date())
    assert clear_old(T0, 400) == Cleared(chunks=3, daily=2, gaps=0, doubts=0)
    assert not clear_old(T0, 400)
    assert [pk & 0xFFFF for pk in Chunk.objects.order_by("pk").values_list("pk", flat=True)] == [
        slots.slot_of(T0 - age * DAY) // 288 for age in (400, 399, 0, 30)
    ]
    assert Daily.objects.get().day == (T0 - 3660 * DAY).date()


def test_a_clock_that_is_years_ahead_for_a_night_costs_a_week():
    for age in range(30):
        a_chunk(7, T0 - age * DAY)
        a_gap(7, T0 - age * DAY)
        a_doubt(7, T0 - age * DAY, "rejected")
    assert clear_old(T0 + 3000 * DAY, 400) == Cleared(chunks=7, daily=0, gaps=7, doubts=7)
    assert (Chunk.objects.count(), GapVolume.objects.count(), Quarantined.objects.count()) == (23, 23, 23)


def a_gap(port_id, day, slot_count=2, doubt=None):
    first = slots.slot_of(day) // 288 * 288
    GapVolume.objects.create(
        port_id=port_id,
        upstream_id=UPSTREAM,
        first_slot=first,
        end_slot=first + slot_count,
        octets_in=1,
        octets_out=1,
        quarantined=doubt,
    )


def a_doubt(port_id, day, state, lasted=timedelta(minutes=5)):
    return Quarantined.objects.create(
        port_id=port_id,
        upstream_id=UPSTREAM,
        started_at=day - lasted,
        ended_at=day,
        why="too_fast",
        octets_in="1",
        octets_out="1",
        before={},
        after={},
        state=state,
    )


def test_gaps_and_decided_doubts_go_with_the_slots_and_open_doubts_stay():
    for age in (0, 399, 400, 401, 402, 500):
        a_gap(7, T0 - age * DAY)
        a_gap(9, T0 - age * DAY, doubt=a_doubt(9, T0 - age * DAY, "accepted", lasted=20 * DAY))
        a_doubt(7, T0 - age * DAY, "open")
        a_doubt(8, T0 - age * DAY, "rejected")
    for _ in range(3):
        clear_old(T0, 400)
    assert Counter(GapVolume.objects.values_list("port_id", flat=True)) == {7: 3, 9: 3}
    assert Counter(Quarantined.objects.values_list("port_id", flat=True)) == {7: 6, 8: 3, 9: 3}
    assert not clear_old(T0, 400)


def test_of_a_gap_over_midnight_no_piece_goes_before_the_day_after_it_is_old():
    """Alone, the later piece would look as if all of it had flowed after midnight."""
    a_gap(7, T0 - 401 * DAY, 288)
    a_gap(7, T0 - 400 * DAY, 3)
    assert clear_old(T0, 400).gaps == 0
    assert [clear_old(T0 + days * DAY, 400).gaps for days in (1, 2)] == [2, 0]
