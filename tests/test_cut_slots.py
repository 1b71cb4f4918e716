"""A machine that changes hands in the middle of a slot: every byte belongs to one side at most, and only the slots about the change to nobody."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
import time_machine

from doublehop.bandwidth.actions import pack_days, write_round
from doublehop.bandwidth.models import Block, Chunk
from doublehop.bandwidth.queries.sight import read_slots, see
from doublehop.bandwidth.slots import clear_from, clear_until, slot_of
from doublehop.driver_kit.contract import CounterReading, PortCounter
from doublehop.fleet.models import Port
from doublehop.organisations.models import Client
from doublehop.services import actions
from tests.cast import a_cast
from tests.stage import a_product, a_service, a_stage

pytestmark = pytest.mark.django_db
FIVE = timedelta(minutes=5)
T0 = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
"""Six hours before a midnight, so that what is packed ends within what is looked at."""
ROUNDS = 12 * 14
END = T0 + ROUNDS * FIVE
OVER = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)
"""When the first of both days is packed, and the second still lies in blocks."""
OCTETS = [10**9 + 7**3 * number**2 for number in range(ROUNDS)]
"""Each slot's are its own, so that no sum is right by chance."""


class Wire:
    """One port of a switch, read every five minutes while the clock goes on, so much later than the grid."""

    def __init__(self, server, late=timedelta(0), octets=OCTETS):
        self.port = Port.objects.get(server=server)
        Port.objects.exclude(pk=self.port.pk).delete()
        self.begin, self.octets, self.number = T0 + late, octets, 0
        self.read(self.begin)

    def read(self, at):
        total = sum(self.octets[: self.number])
        counter = PortCounter(self.port.if_name, in_octets=total, out_octets=3 * total, speed_bps=10**11)
        uptime = (self.number + 1) * 300 * 100
        write_round(self.port.upstream_id, CounterReading("sw1", at, uptime, (counter,)))

    def run(self, clock, until):
        """Up to the last round before that moment, which is left on the clock."""
        while self.begin + (self.number + 1) * FIVE <= until:
            self.number += 1
            self.read(self.begin + self.number * FIVE)
        clock.move_to(until)


def side(actor, server, held_at=END):
    """Octets out and what is measured, as the actor sees them who holds the server at that moment."""
    with time_machine.travel(held_at, tick=False):
        one = read_slots(see(actor, server.pk, END), slot_of(T0), slot_of(END))
    return one.octets_out * one.measured, one.measured


def judge(whole, parts, cut):
    """The parts and the slots that are cut out are the whole, slot by slot, and no slot is in two of them."""
    octets, measured = whole
    cuts = np.zeros(ROUNDS, dtype=bool)
    cuts[[slot - slot_of(T0) for slot in cut]] = True
    assert 0 < cuts.sum() < 10
    seen = np.sum([known for _, known in parts], axis=0)
    assert seen.max() == 1
    assert not seen[cuts].any()
    assert (seen.astype(bool) == (measured & ~cuts)).all()
    assert (np.sum([part for part, _ in parts], axis=0) == octets * ~cuts).all()
    assert sum(int(part.sum()) for part, _ in parts) == int(octets.sum()) - int(octets[cuts].sum())


@pytest.fixture
def house():
    with time_machine.travel(T0 - timedelta(hours=1)):
        cast = a_cast()
        web, spare = a_stage(cast.ines).machines("web", "spare")
    return cast, web, spare


def a_client(cast, number):
    """The client's id, and somebody who looks on its behalf."""
    row = Client.objects.create(
        organisation=cast.provider, number=number, name="Client", email=f"c{number}@example.org"
    )
    return row.pk, replace(cast.mara, organisation_id=cast.provider.pk, client_id=row.pk, user_id=None)


def test_between_two_services(house):
    cast, web, spare = house
    product = a_product(cast.ines)
    (one, her), (other, him) = a_client(cast, 2001), a_client(cast, 2002)
    moments = {
        "sold": T0 + timedelta(minutes=33),
        "moved": T0 + timedelta(hours=3, minutes=7, seconds=30),
        "back": T0 + timedelta(hours=9, minutes=58, seconds=1),
    }
    with time_machine.travel(T0, tick=False) as clock:
        wire = Wire(web)
        wire.run(clock, moments["sold"])
        first = a_service(cast.ines, one, product, web)
        wire.run(clock, moments["moved"])
        actions.swap(cast.ines, first.pk, spare.pk)
        second = a_service(cast.ines, other, product, web)
        wire.run(clock, moments["back"])
        actions.detach(cast.ines, second.pk)
        actions.swap(cast.ines, first.pk, web.pk)
        wire.run(clock, END)
    cut = {name: range(clear_until(moment), clear_from(moment)) for name, moment in moments.items()}

    def look():
        whole = side(cast.ines, web)
        parts = [side(her, web), side(him, web, held_at=moments["moved"] + FIVE)]
        judge(
            (whole[0] * _after(cut["sold"]), whole[1] & _after(cut["sold"])),
            parts,
            [*cut["moved"], *cut["back"]],
        )
        assert whole[0].tolist() == OCTETS
        return parts

    in_blocks = look()
    assert not Chunk.objects.exists()
    pack_days(OVER)
    assert Chunk.objects.count() == 1
    assert Block.objects.count() == ROUNDS - 6 * 12
    packed = look()
    for before, after in zip(in_blocks, packed, strict=True):
        assert (before[0] == after[0]).all()
    # Both have something, on both sides of midnight.
    for octets, _ in packed[:1]:
        assert octets[: 6 * 12].any()
        assert octets[6 * 12 :].any()


def _after(cut):
    """Of what was there before anybody had bought it, the provider alone knows."""
    return np.arange(ROUNDS) >= cut.stop - slot_of(T0)


@pytest.mark.parametrize("late", [timedelta(seconds=late) for late in (0, 2, 20, 200)], ids=str)
@pytest.mark.parametrize("moved_at", [0, 1, 30, 150, 299])
def test_nothing_of_the_other_side_is_seen_or_billed_however_late_the_switch_is_read(house, late, moved_at):
    """Her machine is quiet as long as it is hers, his is busy; rounds are read seconds after the grid."""
    cast, web, spare = house
    product = a_product(cast.ines)
    (one, her), (other, him) = a_client(cast, 2001), a_client(cast, 2002)
    moved = T0 + timedelta(hours=1, seconds=moved_at)
    end = T0 + timedelta(hours=2)
    reads = [T0 + number * FIVE + late for number in range(26)]
    busy = [max(timedelta(0), later - max(moved, before)) for before, later in pairwise(reads)]
    with time_machine.travel(T0, tick=False) as clock:
        first = a_service(cast.ines, one, product, web)
        wire = Wire(web, late, [time // timedelta(seconds=1) * 10**9 for time in busy])
        wire.run(clock, moved)
        actions.swap(cast.ines, first.pk, spare.pk)
        a_service(cast.ines, other, product, web)
        wire.run(clock, end)
    hers, _ = side(her, web, held_at=moved - timedelta(seconds=1))
    his, measured = side(him, web, held_at=end)
    assert hers.sum() == 0
    assert (his[measured] == 300 * 10**9).all()
    assert measured.sum() >= 8


@pytest.mark.parametrize("moved_at", [timedelta(hours=3, minutes=2), timedelta(hours=5, minutes=59)])
def test_between_two_machines_on_one_port(house, moved_at):
    cast, web, spare = house
    with time_machine.travel(T0, tick=False) as clock:
        wire = Wire(web)
        wire.run(clock, T0 + moved_at)
        wire.port.server = spare
        wire.port.save()
        wire.run(clock, END)
    for step in range(2):
        if step:
            pack_days(OVER)
        parts = [side(cast.ines, web), side(cast.ines, spare)]
        whole = np.array(OCTETS), np.ones(ROUNDS, dtype=bool)
        # Between the last round that saw the old machine and the one that saw the new lies nobody's slot, and the one of that round.
        seen = slot_of(T0 + moved_at)
        judge(whole, parts, [seen, seen + 1])
    assert Chunk.objects.count() == 1
