"""The crash sweep: every kind of operation, killed at every boundary, one after the other.

For each deed it is first recorded which boundaries there are; then, for each of them, a fresh copy of the database is
worked on by a process that dies there, the request is repeated as its caller would, and at most two fresh workers look
after what was left. What the rows say is then held against the ledger of the other side.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from doublehop.services.lifecycle import OperationState
from tests.faults.boundaries import Boundaries
from tests.faults.databases import Databases
from tests.faults.deeds import DEEDS, Deed, judge, live, look, migrate, prepare, recover, warm_up
from tests.faults.forks import begin, in_a_process, stand_on
from tests.faults.place import Place
from tests.faults.scene import Scene

SWEEPS = 2
LIVES = 3
"""In how many pieces an answer comes is the network's affair: another life may have a boundary less, and end before it is reached."""
SHARE_SECONDS = 1200
NEXT_SWEEP = timedelta(seconds=15)
LATE = timedelta(hours=3)


@dataclass
class Result:
    """``parked`` counts the outcomes left to a person, ``broken`` holds a sentence for each promise that was not kept."""

    points: int = 0
    parked: int = 0
    second_sweeps: int = 0
    broken: list[str] = field(default_factory=list)
    boundaries: dict[str, int] = field(default_factory=dict)

    def add(self, other: "Result") -> None:
        self.points += other.points
        self.parked += other.parked
        self.second_sweeps += other.second_sweeps
        self.broken += other.broken
        self.boundaries |= other.boundaries


@dataclass(frozen=True)
class Choice:
    """Which points: ``every`` so many, beginning with number ``seed``, of deeds with ``wanted`` in their name.

    What ends one boundary and what begins the next is one point, as nothing leaves the process in between;
    ``each`` takes them for two.
    """

    every: int = 1
    seed: int = 0
    wanted: str = ""
    each: bool = False

    def of(self, passed: list[str]) -> list[int]:
        points = [
            number
            for number, following in enumerate([*passed[1:], ""])
            if self.each or not (passed[number].startswith("after") and following.startswith("before"))
        ]
        return points[self.seed % self.every :: self.every]


def sweep(databases: Databases, places: Sequence[Place], choice: Choice) -> Result:
    """Each place has a process of its own that takes its share of the deeds."""
    in_a_process(migrate, databases.first)
    stand_on(databases.copy(databases.first, "warm"))
    warm_up(places[0])
    gc.freeze()
    deeds = [deed for deed in DEEDS if choice.wanted in deed.name]
    processes = [
        begin(
            lambda number=number, place=place: _share(databases, place, deeds[number :: len(places)], choice),
            databases.first,
            seconds=SHARE_SECONDS,
        )
        for number, place in enumerate(places)
    ]
    result = Result()
    for process in processes:
        result.add(process.end().answer)
    return result


def _share(databases: Databases, place: Place, deeds: list[Deed], choice: Choice) -> Result:
    result = Result()
    for deed in deeds:
        place.restore()
        base = databases.copy(databases.first, f"base-{deed.name}")
        scene = in_a_process(lambda deed=deed: prepare(deed, place), base).answer
        one = _Swept(databases, place, deed, scene, base, place.remember(), result)
        passed, asked_at = one.record()
        result.boundaries[deed.name] = len(passed)
        for number in choice.of(passed):
            one.kill(number, passed[number], was_asked=number >= asked_at)
        databases.drop(base)
    return result


@dataclass
class _Swept:
    """One deed, and where it begins each time: ``base`` and ``machines``."""

    databases: Databases
    place: Place
    deed: Deed
    scene: Scene
    base: str
    machines: dict[str, Any]
    result: Result

    @contextmanager
    def _beginning(self) -> Iterator[str]:
        self.place.restore(self.machines)
        name = self.databases.copy(self.base, f"one-{self.deed.name}")
        try:
            yield name
        finally:
            self.databases.drop(name)

    def record(self) -> tuple[list[str], int]:
        """(boundaries in their order, at which of them the caller had its answer)."""
        with self._beginning() as database:
            passed, asked_at = in_a_process(
                lambda: live(self.deed, self.scene, Boundaries()), database
            ).answer
            found = in_a_process(lambda: look(self.deed, self.scene), database).answer
        assert found.state == OperationState.DONE, f"{self.deed.name} does not even work undisturbed: {found}"
        judge(self.deed, found, self.place, late=False)
        return passed, asked_at

    def kill(self, number: int, name: str, *, was_asked: bool) -> None:
        for late in (False, True) if self.deed.late else (False,):
            self.result.points += 1
            try:
                self._kill(number, was_asked, late=late)
            except AssertionError as error:
                when = f"{self.deed.name}, killed {name} ({number}){', found late' if late else ''}"
                self.result.broken.append(f"{when}: {error}")

    def _kill(self, number: int, was_asked: bool, *, late: bool) -> None:
        for _ in range(LIVES):
            with self._beginning() as database:
                end = in_a_process(lambda: live(self.deed, self.scene, Boundaries(number)), database)
                if end.killed:
                    return self._go_on(database, was_asked, late=late)
        raise AssertionError("it did not come by here again")

    def _go_on(self, database: str, was_asked: bool, *, late: bool) -> None:
        self.place.quiet()
        at = datetime.now(UTC) + (LATE if late else NEXT_SWEEP)
        for number_of_sweep in range(SWEEPS):
            found, at = in_a_process(self._recovery(at, number_of_sweep == 0, was_asked), database).answer
            if found.settled:
                break
            self.result.second_sweeps += 1
            at += NEXT_SWEEP
        self.result.parked += found.state == OperationState.UNKNOWN
        judge(self.deed, found, self.place, late=late)

    def _recovery(self, at: datetime, ask_again: bool, was_asked: bool) -> Any:
        return lambda: recover(self.deed, self.scene, at, ask_again=ask_again, was_asked=was_asked)
