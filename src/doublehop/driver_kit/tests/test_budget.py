"""Turns with a clock of their own: the limit holds in every window, and what is allowed is used."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doublehop.driver_kit.budget import LONGEST_REST_SECONDS, OwnKeeper, Pace, bounded_rest
from doublehop.driver_kit.contract import Budget


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def budgets() -> st.SearchStrategy[Budget]:
    return st.integers(1, 60).flatmap(
        lambda calls: st.builds(
            Budget,
            calls=st.just(calls),
            per_seconds=st.sampled_from([0.5, 1.0, 10.0, 60.0, 3600.0]),
            burst=st.integers(1, calls),
        )
    )


def assert_never_above(budget: Budget, departures: list[float]) -> None:
    departures = sorted(departures)
    for first, one_too_many in zip(departures, departures[budget.calls :], strict=False):
        assert one_too_many - first >= budget.per_seconds * (1 - 1e-9)


@given(
    budgets(),
    st.lists(st.tuples(st.floats(0, 3), st.floats(0, 1), st.sampled_from([0.0, 0.5, 1e9])), max_size=200),
)
def test_no_window_ever_holds_more_than_the_budget(budget, steps):
    """Whoever comes whenever, waits or does not, and leaves a little late each time."""
    clock, pace, departures = Clock(), Pace.of(budget), []
    keeper = OwnKeeper(clock)
    for gap, late, patience in steps:
        clock.now += gap * pace.interval
        turn = keeper.book("a", pace, patience * pace.interval)
        if turn.booked:
            departures.append(clock.now + turn.seconds + late * pace.late)
        else:
            assert turn.seconds > patience * pace.interval
    assert_never_above(budget, departures)


@pytest.mark.parametrize(
    "budget", [Budget(50, 1, burst=1), Budget(240, 60, burst=1), Budget(3, 3600, burst=1)]
)
def test_who_always_wants_more_gets_almost_all_that_is_allowed(budget):
    clock, pace, taken = Clock(), Pace.of(budget), 0
    keeper = OwnKeeper(clock)
    end = clock.now + 40 * budget.per_seconds
    while clock.now < end:
        clock.now += keeper.book("a", pace, 1e9).seconds
        taken += 1
    assert 0.95 < taken / (40 * budget.calls) <= 1


def test_a_burst_is_had_once_and_then_the_pace_holds():
    keeper = OwnKeeper(Clock())
    pace = Pace.of(Budget(calls=10, per_seconds=60, burst=4))
    waits = [keeper.book("a", pace, 1e9).seconds for _ in range(6)]
    assert waits[:4] == [0, 0, 0, 0]
    assert waits[4] == pytest.approx(pace.interval)
    assert waits[5] == pytest.approx(2 * pace.interval)
    assert keeper.book("b", pace, 0).booked, "another account waits for nobody"


def test_a_rest_holds_for_the_account_alone_and_is_followed_by_no_burst():
    clock = Clock()
    keeper = OwnKeeper(clock)
    pace = Pace.of(Budget(calls=10, per_seconds=60, burst=4))
    keeper.rest("a", pace, 30)
    assert keeper.book("a", pace, 1e9) == (False, 30, True)
    assert keeper.resting_seconds("a") == 30
    assert keeper.book("b", pace, 0).booked
    clock.now += 30
    assert keeper.resting_seconds("a") == 0
    waits = [keeper.book("a", pace, 1e9).seconds for _ in range(3)]
    assert waits == [0, pytest.approx(pace.interval), pytest.approx(2 * pace.interval)]


def test_what_is_booked_is_only_what_somebody_waits_for():
    clock = Clock()
    keeper = OwnKeeper(clock)
    pace = Pace.of(Budget(calls=1, per_seconds=10, burst=1))
    assert keeper.book("a", pace, 0).booked
    for _ in range(5):
        assert not keeper.book("a", pace, 5).booked
    clock.now += pace.interval
    assert keeper.book("a", pace, 0).booked


@pytest.mark.parametrize(("told", "taken"), [(-5, 1), (0, 1), (7, 7), (366 * 86400, LONGEST_REST_SECONDS)])
def test_no_rest_is_absurd(told, taken):
    assert bounded_rest(told) == taken


@pytest.mark.parametrize(
    "values", [{"calls": 0}, {"calls": 2, "burst": 3}, {"per_seconds": 0}, {"at_once": 0}]
)
def test_a_budget_that_is_none(values):
    with pytest.raises(ValueError, match="no budget"):
        Budget(**{"burst": 1, **values})
