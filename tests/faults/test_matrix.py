"""Every cell of the fault matrix, played through the worker's own code."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import OperationalError

from doublehop.driver_kit.conformance.fault_proxy import FaultProxy, Mode
from doublehop.fleet.actions import note_success
from doublehop.fleet.models import Server
from doublehop.organisations.refusals import Refusal, WrongState
from doublehop.services import actions
from doublehop.services.lifecycle import OPEN_STATES, OperationState
from doublehop.services.models import Operation
from tests.faults.__main__ import PAPER, drawn
from tests.faults.matrix import EDGES, LEVELS, ROWS, Cell, Column, Outcome, Row
from tests.faults.scene import move
from tests.faults.theatre import FAULTS, Killed, Theatre
from tests.faults.worker import take_over, work_for, work_until_quiet

A_MINUTE, LATE = timedelta(seconds=60), timedelta(hours=3)
ASKED = (*LEVELS, *EDGES)


def fresh(operation: Operation) -> Operation:
    return Operation.objects.get(pk=operation.pk)


# ---------------------------------------------------------------- faults that last for a while


def under_fault(theatre: Theatre, row: Row, column: Column, outcome: Outcome, *, stays: bool) -> None:
    theatre.make_ready(column)
    if outcome is Outcome.REFUSED:
        with FAULTS[row.fault](theatre), pytest.raises((Refusal, OperationalError)):
            theatre.ask(column)
        work_until_quiet(theatre.clock)
        assert theatre.effects == []
        return
    with FAULTS[row.fault](theatre):
        operation = theatre.ask(column)
        with suppress(Killed):
            work_for(theatre.clock, A_MINUTE)
        meanwhile, effects_meanwhile = fresh(operation), theatre.effects
        if stays:
            theatre.clock.shift(LATE)
        take_over()
        if stays:
            work_until_quiet(theatre.clock)
    if outcome is Outcome.RETRIED:
        assert meanwhile.state in OPEN_STATES, meanwhile.staff_text
        assert effects_meanwhile == []
    work_until_quiet(theatre.clock)
    ended(theatre, column, fresh(operation), outcome)
    if outcome is Outcome.UNKNOWN:
        assert theatre.effects == effects_meanwhile, "sent again"


def ended(theatre: Theatre, column: Column, operation: Operation, outcome: Outcome) -> None:
    """Holds the row of the operation and the ledger against the outcome that the matrix promises."""
    effects, wanted = theatre.effects, theatre.wanted(column)
    told = (operation.state, operation.failure_code, operation.staff_text, effects)
    match outcome:
        case Outcome.DONE | Outcome.RETRIED:
            assert operation.state == OperationState.DONE, told
            assert effects == wanted
        case Outcome.READ_BACK:
            assert operation.state == OperationState.DONE, told
            assert set(effects) == set(wanted)
            assert theatre.is_so(column)
        case Outcome.UNKNOWN:
            assert operation.state == OperationState.UNKNOWN, told
            assert theatre.changes_sent == 1
        case Outcome.FAILED:
            assert operation.state == OperationState.FAILED, told
            assert effects == []
        case Outcome.NOT_SEEN:
            assert operation.state == OperationState.DONE, told
            assert not operation.restart_seen
            assert theatre.changes_sent == 1
        case _:
            raise AssertionError(f"{outcome} is no end of an operation")


def attach_under_fault(theatre: Theatre, row: Row, cell: Cell) -> None:
    theatre.make_ready(Column.ATTACH)
    with FAULTS[row.fault](theatre):
        if cell.then is Outcome.REFUSED:
            with pytest.raises((Refusal, OperationalError)):
                theatre.attach()
        else:
            service = theatre.attach()
            assert service.status == "active"
            assert Server.objects.get(external_id="spare").recorded_identity["identifiers"]
    assert theatre.effects == []


def detach_under_fault(theatre: Theatre, row: Row, cell: Cell) -> None:
    with FAULTS[row.fault](theatre):
        if cell.then is Outcome.REFUSED:
            with pytest.raises((Refusal, OperationalError)):
                theatre.detach()
        else:
            assert theatre.detach().server_id is None
    assert theatre.effects == []


def reads(theatre: Theatre) -> bool:
    """Whether one of the next rounds brings figures: a busy machine may be late with one answer."""
    return any(theatre.poll() for _ in range(3))


def poll_under_fault(theatre: Theatre, row: Row, cell: Cell) -> None:
    assert reads(theatre)
    fault = FAULTS.get(f"{row.fault}_all", FAULTS[row.fault])
    with fault(theatre):
        assert theatre.poll() is (cell.then is Outcome.DONE)
    # A refused login is asked about by one question only, the list of servers: here it was fine.
    note_success(theatre.scene.upstream_id)
    assert reads(theatre)


# ---------------------------------------------------------------- what happens once


def clock_ahead(theatre: Theatre, column: Column, cell: Cell) -> None:
    if column is Column.POLL:
        assert theatre.poll()
        theatre.clock.shift(timedelta(days=1))
        assert theatre.poll()
        return
    operation = theatre.ask(column)
    theatre.clock.shift(timedelta(days=1))
    work_until_quiet(theatre.clock)
    ended(theatre, column, fresh(operation), cell.then)


def clock_back(theatre: Theatre, column: Column, cell: Cell) -> None:
    if column is Column.POLL:
        assert theatre.poll()
        assert theatre.poll()
        known = theatre.octets()
        assert known
        theatre.clock.shift(-timedelta(hours=1))
        theatre.poll()
        assert theatre.octets() == known, "a time that was lived before brings nothing"
        theatre.clock.shift(timedelta(hours=1))
        assert theatre.poll()
        return
    operation = theatre.ask(column)
    theatre.clock.shift(timedelta(seconds=1))
    work_for(theatre.clock, timedelta(seconds=0))
    theatre.clock.shift(-timedelta(hours=1))
    work_until_quiet(theatre.clock)
    ended(theatre, column, fresh(operation), cell.then)


def twice(theatre: Theatre, column: Column, cell: Cell, pause: timedelta = timedelta(0)) -> None:
    operation = theatre.ask(column, "key")
    if pause:
        work_until_quiet(theatre.clock)
        theatre.clock.shift(pause)
    assert theatre.ask(column, "key") == operation
    work_until_quiet(theatre.clock)
    ended(theatre, column, fresh(operation), Outcome.DONE)


def days_later(theatre: Theatre, column: Column, cell: Cell) -> None:
    twice(theatre, column, cell, timedelta(days=5))


def two_people(theatre: Theatre, column: Column, cell: Cell) -> None:
    if cell.then is Outcome.NEWEST:
        theatre.ask(column)
        second = theatre.ask(column, name="newer.example.org")
        work_until_quiet(theatre.clock)
        assert fresh(second).state == OperationState.DONE
        assert list(theatre.place.machine("web")["rdns"].values()) == ["newer.example.org"]
        return
    operation = theatre.ask(column)
    with pytest.raises(WrongState) as refused:
        theatre.ask(column)
    assert "Rosa Lind" in str(refused.value) or refused.value.code == "already_suspended"
    work_until_quiet(theatre.clock)
    ended(theatre, column, fresh(operation), Outcome.DONE)


def both_ways(theatre: Theatre, column: Column, cell: Cell) -> None:
    other = Column.UNSUSPEND if column is Column.SUSPEND else Column.SUSPEND
    if column is Column.SUSPEND:  # the suspension is the newer one
        theatre.make_ready(Column.UNSUSPEND)
        theatre.ask(other)
        with pytest.raises(WrongState):
            theatre.ask(column)  # held until the lifting has ended
        work_until_quiet(theatre.clock)
    else:
        theatre.ask(other)
    newest = theatre.ask(column)
    work_until_quiet(theatre.clock)
    assert fresh(newest).state == OperationState.DONE
    assert theatre.is_so(column)


EVENTS: dict[str, Callable[[Theatre, Column, Cell], None]] = {
    "clock_ahead": clock_ahead,
    "clock_back": clock_back,
    "twice": twice,
    "days_later": days_later,
    "two_people": two_people,
    "both_ways": both_ways,
}


def attach_event(theatre: Theatre, row: Row, cell: Cell) -> None:
    theatre.make_ready(Column.ATTACH)
    service = theatre.attach()
    if row.fault in {"clock_ahead", "clock_back"}:
        return
    again = actions.attach(theatre.scene.cast.rosa, service.pk, theatre.spare.pk)
    assert again.pk == service.pk
    with pytest.raises(Refusal):
        theatre.attach()  # for another service: one wins


def detach_event(theatre: Theatre, row: Row, cell: Cell) -> None:
    theatre.detach()
    if row.fault not in {"clock_ahead", "clock_back"}:
        with pytest.raises(WrongState):
            theatre.detach()


# ---------------------------------------------------------------- the table


def cells(*columns: Column) -> list:
    return [
        pytest.param(row, column, id=f"{row.fault}-{column.name.lower()}")
        for row in ROWS
        for column in columns
        if row.cells[column].then is not Outcome.ABSENT
    ]


@pytest.mark.long
@pytest.mark.parametrize(("row", "column"), cells(*ASKED))
def test_an_instruction(theatre, row, column):
    cell = row.cells[column]
    if row.fault in EVENTS:
        if column is Column.UNSUSPEND and row.fault != "both_ways":
            theatre.make_ready(column)
        EVENTS[row.fault](theatre, column, cell)
    else:
        under_fault(theatre, row, column, cell.then, stays=False)


@pytest.mark.long
@pytest.mark.parametrize(
    ("row", "column"), [case for case in cells(*ASKED) if case.values[0].cells[case.values[1]].stays]
)
def test_an_instruction_under_a_fault_that_stays(theatre, row, column):
    under_fault(theatre, row, column, row.cells[column].stays, stays=True)


@pytest.mark.long
@pytest.mark.parametrize(("row", "column"), cells(Column.ATTACH, Column.DETACH))
def test_what_asks_no_machine(theatre, row, column):
    windowed, event = {
        Column.ATTACH: (attach_under_fault, attach_event),
        Column.DETACH: (detach_under_fault, detach_event),
    }[column]
    (event if row.fault in EVENTS else windowed)(theatre, row, row.cells[column])


@pytest.mark.long
@pytest.mark.parametrize(("row", "column"), cells(Column.POLL))
def test_a_bandwidth_reading(theatre, row, column):
    if row.fault in EVENTS:
        EVENTS[row.fault](theatre, column, row.cells[column])
    else:
        poll_under_fault(theatre, row, row.cells[column])


QUICK = {"answer_lost", "refuse"}


@pytest.mark.parametrize(
    ("row", "column"),
    [case for case in cells(Column.SUSPEND, Column.REBOOT) if case.values[0].fault in QUICK],
)
def test_the_usual_bad_day(theatre, row, column):
    under_fault(theatre, row, column, row.cells[column].then, stays=False)


def test_a_certificate_that_is_right_is_spoken_to(theatre, certificates):
    """Else the rows about certificates would prove nothing."""
    with FaultProxy(theatre.place.address, tls=certificates.context("fine")) as secured:
        move(theatre.scene, f"https://localhost:{secured.port}")
        operation = theatre.ask(Column.REBOOT)
        work_until_quiet(theatre.clock)
    ended(theatre, Column.REBOOT, fresh(operation), Outcome.DONE)


def test_every_cell_is_played_or_says_why_not():
    assert {row.fault for row in ROWS if row.fault} <= FAULTS.keys() | EVENTS.keys()
    assert len({row.name for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert row.cells.keys() == set(Column), row.name
        for column, cell in row.cells.items():
            assert cell.then is not Outcome.ABSENT or cell.why, f"{row.name}, {column}"


def test_every_mode_of_the_proxy_stands_in_the_table():
    played = {row.fault.removesuffix("_all") for row in ROWS}
    # What only a driver's reading of an answer can get wrong is asked of each driver in its conformance test.
    elsewhere = {Mode.PASS, Mode.HUGE, Mode.BOMB, Mode.DEEP, Mode.REDIRECT}
    assert {mode.value for mode in Mode if mode not in elsewhere} <= played


def test_the_paper_is_drawn_from_the_table():
    assert Path(PAPER).read_text(encoding="utf-8") == drawn(), "run python -m tests.faults"
