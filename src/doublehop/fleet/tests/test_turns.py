"""Turns kept in the database. Needs PostgreSQL: tests/test_postgresql.py runs this room on one."""

import pytest
from django.db import connection

from doublehop.driver_kit.budget import Meter, Pace
from doublehop.driver_kit.contract import Budget
from doublehop.driver_kit.errors import Busy
from doublehop.fleet.models import AccountTurns
from doublehop.fleet.turns import SharedKeeper

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="one worker keeps its turns itself"),
]
PACE = Pace.of(Budget(calls=10, per_seconds=60, burst=3))


def test_it_books_like_the_keeper_of_one_process():
    keeper = SharedKeeper()
    waits = [keeper.book("a", PACE, 1e6).seconds for _ in range(5)]
    assert waits == pytest.approx([0, 0, 0, PACE.interval, 2 * PACE.interval], abs=0.2)
    assert keeper.book("b", PACE, 0).booked, "another account waits for nobody"


def test_what_nobody_waits_for_is_not_booked():
    keeper = SharedKeeper()
    for _ in range(3):
        assert keeper.book("a", PACE, 0).booked
    for _ in range(3):
        turn = keeper.book("a", PACE, 1)
        assert not turn.booked
        assert not turn.resting
        assert turn.seconds == pytest.approx(PACE.interval, abs=0.2)


@pytest.mark.parametrize("known", [True, False])
def test_a_rest_is_everybodys_and_is_followed_by_no_burst(known):
    keeper = SharedKeeper()
    if known:
        keeper.book("a", PACE, 0)
    keeper.rest("a", PACE, 30)
    turn = SharedKeeper().book("a", PACE, 1e6)
    assert (turn.booked, turn.resting) == (False, True)
    assert turn.seconds == pytest.approx(30, abs=0.5)
    assert SharedKeeper().resting_seconds("a") == pytest.approx(30, abs=0.5)
    assert keeper.resting_seconds("b") == 0
    AccountTurns.objects.update(rests_until=None)
    waits = [keeper.book("a", PACE, 1e6).seconds for _ in range(2)]
    assert waits == pytest.approx([30, 30 + PACE.interval], abs=0.5)


def test_without_the_database_nothing_goes_out(monkeypatch):
    monkeypatch.setattr("doublehop.fleet.turns._BOOK", "SELECT no_such_thing")
    with pytest.raises(Busy), Meter(Budget(), "a", SharedKeeper()).turn(0.1):
        pytest.fail("nobody knew whose turn it was")
