"""What is in doubt waits for the staff who own the switch, is decided once, and counts only when it was accepted."""

from datetime import timedelta

import pytest
from django.db import models
from tests.cast import a_cast

from doublehop.bandwidth.actions import decide, pack_days
from doublehop.bandwidth.models import Daily, GapVolume, Quarantined
from doublehop.bandwidth.queries import doubtful, open_doubts
from doublehop.bandwidth.slots import SLOT_MS
from doublehop.bandwidth.tests.switch import MBIT, T0, Switch
from doublehop.journal.models import Entry
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, WrongState

pytestmark = pytest.mark.django_db
FIVE = timedelta(minutes=5)
JUMP = 10**12
"""In five minutes: 27 Gbit/s, on a port of one."""


@pytest.fixture
def cast():
    return a_cast()


@pytest.fixture
def switch(cast):
    switch = Switch(cast.provider)
    switch.run(T0, [10])
    switch.flow(out=JUMP)
    switch.read(T0 + 2 * FIVE)
    return switch


def volume(port):
    rows = GapVolume.objects.filter(port_id=port.pk)
    return rows.aggregate(sum=models.Sum("octets_out"))["sum"] or 0


def test_the_owner_sees_both_ends_of_it(cast, switch):
    (line,) = doubtful(cast.ines)
    assert (line.port, line.server_id, line.octets_out) == ("eth1", switch.server.pk, JUMP)
    assert (line.started_at, line.ended_at) == (T0 + FIVE, T0 + 2 * FIVE)
    assert line.why == "more than the port can carry"
    assert open_doubts(cast.ines) == [(switch.upstream.pk, "Rack A", 1, T0 + 2 * FIVE)]
    assert volume(switch.port) == 0


def test_nobody_else_sees_it_or_decides(cast, switch):
    (line,) = doubtful(cast.ines)
    for stranger in (cast.rosa, cast.tam, cast.mara):
        assert doubtful(stranger) == []
        assert open_doubts(stranger) == []
        with pytest.raises((NotHere, NotAllowed)):
            decide(stranger, [line.id], accept=True, reason="Mine")
    assert volume(switch.port) == 0


def test_accepted_it_counts_for_the_volume_once(cast, switch):
    (line,) = doubtful(cast.ines)
    decide(cast.ines, [line.id], accept=True, reason="The port is a 100G one", key="k")
    assert volume(switch.port) == JUMP
    decide(cast.ines, [line.id], accept=True, reason="The port is a 100G one", key="k")
    with pytest.raises(WrongState):
        decide(cast.ines, [line.id], accept=False, reason="No")
    assert volume(switch.port) == JUMP
    assert doubtful(cast.ines) == []
    (decided,) = doubtful(cast.ines, decided=True)
    assert (decided.state, decided.decision_reason) == ("accepted", "The port is a 100G one")
    assert Entry.objects.filter(verb="bandwidth.quarantine_accepted").count() == 1


@pytest.mark.parametrize("packed", [False, True])
def test_accepted_days_later_it_stands_in_its_day(cast, switch, time_machine, packed):
    later = T0 + timedelta(days=4)
    if packed:
        pack_days(later)
    time_machine.move_to(later, tick=False)
    (line,) = doubtful(cast.ines)
    decide(cast.ines, [line.id], accept=True, reason="The port is a 100G one")
    for _ in range(2):
        day = Daily.objects.get(port_id=switch.port.pk)
        assert (day.octets_out, day.slots, day.covered_ms) == (JUMP + 10 * MBIT, 1, 2 * SLOT_MS)
        pack_days(later + timedelta(days=1))


def test_accepted_at_once_its_day_is_written_when_it_is_over(cast, switch, time_machine):
    """A late reading may still clear the doubt up."""
    time_machine.move_to(T0 + timedelta(hours=1), tick=False)
    (line,) = doubtful(cast.ines)
    decide(cast.ines, [line.id], accept=True, reason="The port is a 100G one")
    assert not Daily.objects.exists()
    pack_days(T0 + timedelta(days=2))
    assert Daily.objects.get().octets_out == JUMP + 10 * MBIT


def test_rejected_it_counts_for_nobody(cast, switch):
    (line,) = doubtful(cast.ines)
    decide(cast.ines, [line.id], accept=False, reason="The switch was replaced")
    assert volume(switch.port) == 0
    assert open_doubts(cast.ines) == []
    assert Entry.objects.filter(verb="bandwidth.quarantine_rejected").count() == 1


@pytest.mark.parametrize(("ids", "reason"), [([], "Because"), (None, "  ")])
def test_what_is_missing_is_said(cast, switch, ids, reason):
    with pytest.raises(BadInput):
        decide(
            cast.ines,
            [Quarantined.objects.get().pk] if ids is None else ids,
            accept=True,
            reason=reason,
        )


def test_all_of_them_or_none(cast, switch):
    (line,) = doubtful(cast.ines)
    with pytest.raises(NotHere):
        decide(cast.ines, [line.id, line.id + 1], accept=True, reason="Both")
    assert volume(switch.port) == 0


def test_more_than_any_port_can_carry_is_not_accepted(cast, switch):
    Quarantined.objects.update(octets_out=str(2**63))
    with pytest.raises(BadInput, match="any port"):
        decide(cast.ines, [Quarantined.objects.get().pk], accept=True, reason="Really")
