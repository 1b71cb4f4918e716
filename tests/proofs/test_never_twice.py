"""Everything is asked by everybody, and whatever can go wrong does: no effect twice, none at another's machine, no lie.

A run is a list of deeds (tests/proofs/house.py): operations of every kind by staff of two organisations, a client, a Tandem
user and programs; the same key again, with the same and with another body; cancelling, settling, attaching, swapping,
protecting, allocating, taking back; every fault of the memory world at any call; workers that run in any order, twice
at once, and die at any commit or at the machine; jumps of the clock, and sweeps. After each deed what was accepted is held
against the ledger of the world (tests/proofs/ground.py, House.check). At the end the faults stop, and everything must have
settled, be parked, and come back when it is given back.

How many runs: RUNS in the quick tests, LONG_RUNS of them as a long test; DOUBLEHOP_RUNS and DOUBLEHOP_DEEDS set other numbers
for the long one (``make proof`` asks for 2,000 of 40 deeds).

A run that fails is shortened, deed by deed, and written to ``kept/``, one JSON file each: the list of deeds in plain words,
which no later version of Hypothesis can forget. Files there are played again first, in every run of the tests. Commit them
together with what mends them.
"""

import json
import logging
import os
from collections import Counter
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from time import perf_counter

import pytest
import time_machine
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from doublehop.driver_kit.conformance.world import Fault
from doublehop.drivers.memory import driver as memory
from tests.proofs.dying import taken_back
from tests.proofs.house import CALLERS, KINDS, MACHINES, WAYS, House, Recipe, Scene, set_scene

KEPT = Path(__file__).parent / "kept"
RUNS = 10
LONG_RUNS = 200
STEPS = 12
ASKED_RUNS = int(os.environ.get("DOUBLEHOP_RUNS", LONG_RUNS))
ASKED_DEEDS = int(os.environ.get("DOUBLEHOP_DEEDS", STEPS))
RUNS_OF_A_PART = 500
"""Parts can go on beside each other."""
LONG_SECONDS_OF_A_RUN = 8
SHORTEN_SECONDS = 40
BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)

FAULTS = tuple(fault for fault in Fault if fault is not Fault.SLOW)
PLACES = (
    "*",
    "identify",
    "power.*",
    "power.state",
    "power.reset",
    "power.follow_up",
    "power.on",
    "power.off",
    "port.*",
    "port.is_enabled",
    "port.set_enabled",
    "suspension.*",
    "access.*",
    "rdns.*",
    "rescue.*",
    "rescue.follow_up",
    "addresses.list",
)
machines = st.sampled_from(MACHINES)
OFTEN = ("reboot", "reboot", "suspend", "unsuspend", "unsuspend")
kinds = st.sampled_from([*OFTEN, *(kind.value for kind in KINDS)])
people = st.sampled_from([*CALLERS, *("rosa", "ines", "rosa", "ines", "mara")])
services = st.integers(0, 1)
turns = st.lists(st.sampled_from((0, 1, 25, 50)), min_size=0, max_size=4)
"""Turns of a worker, and the pause in seconds after each."""
CALLS_OF = {
    "reboot": ("power.reset", "power.state"),
    "power_on": ("power.on", "power.state"),
    "power_off": ("power.off", "power.state"),
    "set_rdns": ("rdns.set", "rdns.read"),
    "rescue_start": ("rescue.start", "rescue.follow_up"),
    "rescue_stop": ("rescue.stop", "rescue.follow_up"),
    "refresh_addresses": ("addresses.list", "addresses.list"),
}


class Play:
    """The scene is set once; each run begins and ends on it, and leaves nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._clock = time_machine.travel(BEGIN, tick=False)
        self.now = self._clock.start()
        self.scene: Scene = set_scene()
        self.house: House | None = None
        self.met: Counter[str] = Counter()
        monkeypatch.setattr(memory, "world", lambda endpoint: self.house.ground)  # type: ignore[union-attr]

    def open(self) -> House:
        self._rows = taken_back()
        self._rows.__enter__()
        self.now.move_to(BEGIN)
        self.house = House(self.scene, self.now.shift)
        return self.house

    def close(self) -> None:
        if self.house is not None:
            self.met += self.house.met
        self._rows.__exit__(None, None, None)

    def end(self) -> None:
        self._clock.stop()

    def again(self, recipe: Recipe) -> None:
        house = self.open()
        try:
            for name, values in recipe:
                perform(house, name, values)
            house.finish()
        finally:
            self.close()


def perform(house: House, name: str, values: dict[str, object]) -> None:
    house.met["deeds"] += 1
    house.shift(0.01)
    getattr(house, name)(**values)
    house.check()


@pytest.fixture
def play(db, monkeypatch):
    logging.disable(logging.CRITICAL)
    found = Play(monkeypatch)
    yield found
    found.end()
    logging.disable(logging.NOTSET)


class Deeds(RuleBasedStateMachine):
    play: Play
    failed: Recipe | None = None

    def __init__(self) -> None:
        super().__init__()
        self.recipe: Recipe = []
        self.house = self.play.open()
        self.broken = False

    def do(self, name: str, **values: object) -> None:
        self.recipe.append((name, values))
        try:
            perform(self.house, name, values)
        except Exception:
            self._broke()
            raise

    def _broke(self) -> None:
        self.broken = True
        type(self).failed = self.recipe

    def teardown(self) -> None:
        try:
            if not self.broken:
                self.house.finish()
        except Exception:
            self._broke()
            raise
        finally:
            self.play.close()

    @initialize(way=st.sampled_from(WAYS), second=st.booleans())
    def sell(self, way, second):
        self.do("sell_as", service=0, way=way)
        if second:
            self.do("attach", service=1, machine="spare")

    @rule(
        who=people,
        kind=kinds,
        machine=machines,
        graceful=st.booleans(),
        by_service=st.booleans(),
        turns=turns,
    )
    def ask(self, who, kind, machine, graceful, by_service, turns):
        self.do("ask", who=who, kind=kind, machine=machine, graceful=graceful, by_service=by_service)
        self._turns(machine, turns)

    @rule(who=people, kind=kinds, machine=machines, key=st.integers(1, 2), why=st.booleans(), turns=turns)
    def ask_by_key(self, who, kind, machine, key, why, turns):
        self.do("ask", who=who, kind=kind, machine=machine, key=key, why=why)
        self._turns(machine, turns)

    @rule(who=people, kind=kinds, machine=machines, key=st.integers(1, 2), after=st.booleans(), turns=turns)
    def ask_while_the_web_process_dies(self, who, kind, machine, key, after, turns):
        self.do("ask", who=who, kind=kind, machine=machine, key=key, dies=1, after=after)
        self._turns(machine, turns)
        self.do("ask", who=who, kind=kind, machine=machine, key=key)

    @rule(
        fault=st.sampled_from(FAULTS),
        on=st.sampled_from(("identify", "act", "read", "*")),
        times=st.integers(1, 3),
        who=people,
        kind=kinds,
        machine=machines,
        turns=turns,
    )
    def ask_in_trouble(self, fault, on, times, who, kind, machine, turns):
        self.do("fault", fault=fault.value, on=_place(on, kind), machine=machine, times=times)
        self.do("ask", who=who, kind=kind, machine=machine)
        self._turns(machine, turns)

    @rule(who=people, kind=kinds, machine=machines, dies=st.integers(1, 9), after=st.booleans(), turns=turns)
    def worker_dies_at_a_commit(self, who, kind, machine, dies, after, turns):
        self.do("ask", who=who, kind=kind, machine=machine)
        self.do("worker", machine=machine, dies=dies, after=after)
        self._turns(machine, turns)

    @rule(
        who=people,
        kind=kinds,
        machine=machines,
        dies_on=st.sampled_from(("identify", "leaving", "acted")),
        turns=turns,
    )
    def worker_dies_at_the_machine(self, who, kind, machine, dies_on, turns):
        self.do("ask", who=who, kind=kind, machine=machine)
        self.do("worker", machine=machine, dies_on=dies_on)
        self._turns(machine, turns)

    @rule(
        who=people,
        kind=kinds,
        machine=machines,
        meanwhile=st.sampled_from(("worker", "worker and settle", "ask", "take away", "late", "rights")),
        moment=st.sampled_from(("identify", "leaving")),
        other=people,
        what=st.sampled_from(("suspend", "unsuspend", "reboot", "power_off")),
        turns=turns,
    )
    def worker_and_meanwhile(self, who, kind, machine, meanwhile, moment, other, what, turns):
        self.do("ask", who=who, kind=kind, machine=machine)
        self.do("worker", machine=machine, meanwhile=meanwhile, moment=moment, who=other, kind=what)
        self._turns(machine, turns)

    def _turns(self, machine, pauses):
        for seconds in pauses:
            self.do("worker", machine=machine)
            if seconds:
                self.do("wait", seconds=seconds)

    @rule(
        fault=st.sampled_from(FAULTS), on=st.sampled_from(PLACES), machine=machines, times=st.integers(1, 3)
    )
    def fault(self, fault, on, machine, times):
        self.do("fault", fault=fault.value, on=on, machine=machine, times=times)

    @rule(seconds=st.sampled_from((3, 21, 50, 130, 700, 4000, 90000)), turns=turns, machine=machines)
    def wait(self, seconds, turns, machine):
        self.do("wait", seconds=seconds)
        self._turns(machine, turns)

    @rule(
        who=people,
        which=st.integers(0, 3),
        happened=st.booleans(),
        deed=st.sampled_from(("cancel", "settle", "settle", "settle")),
    )
    def take_back_or_settle(self, who, which, happened, deed):
        self.do(deed, who=who, which=which, **({"happened": happened} if deed == "settle" else {}))

    @rule(
        deed=st.sampled_from(
            (
                "attach",
                "attach",
                "swap",
                "detach",
                "sell_as",
                "protect",
                "take_back",
                "allocate",
                "permit_night",
            )
        ),
        service=services,
        machine=machines,
        way=st.sampled_from(WAYS),
        on=st.booleans(),
    )
    def rearrange(self, deed, service, machine, way, on):
        values = {
            "attach": {"service": service, "machine": machine},
            "swap": {"service": service, "machine": machine},
            "detach": {"service": service},
            "sell_as": {"service": service, "way": way},
            "protect": {"machine": machine, "on": on},
            "take_back": {"machine": machine},
            "allocate": {"machine": machine},
            "permit_night": {"machine": machine, "on": on},
        }
        self.do(deed, **values[deed])

    @rule(
        what=st.sampled_from(("mend", "sweeper", "look", "roles", "batch", "slow")),
        machine=machines,
        yes=st.booleans(),
    )
    def other(self, what, machine, yes):
        match what:
            case "look":
                self.do("look", machine=machine)
            case "roles":
                self.do("give_role", works=yes)
            case "batch":
                self.do("decide_batch", yes=yes)
            case "slow":
                self.do("slow_power", seconds=5 if yes else 0)
            case _:
                self.do(what)


def _place(on, kind):
    """The call of the machine that an operation of this kind will make."""
    if on in ("act", "read"):
        act, read = CALLS_OF.get(kind, ("port.set_enabled", "port.is_enabled"))
        return act if on == "act" else read
    return on


def run(play: Play, runs: int, steps: int, named: str | None = None) -> None:
    """``named``: the same name draws the same runs."""

    class Found(Deeds):
        pass

    Found.play = play
    if named is not None:
        seed(named)(Found)
    try:
        run_state_machine_as_test(
            Found,
            settings=settings(
                max_examples=runs,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                phases=(Phase.generate,),
                report_multiple_bugs=False,
                print_blob=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
    except Exception as error:
        if Found.failed is None:
            raise  # not broken by a step: out of time
        path = keep(shorten(play, Found.failed))
        error.add_note(f"Written to {path.relative_to(KEPT.parent)}; it is played again until it passes.")
        raise


def shorten(play: Play, recipe: Recipe) -> Recipe:
    """Leaves out, in ever smaller pieces, what it also goes wrong without; as far as SHORTEN_SECONDS reach."""
    deadline = perf_counter() + SHORTEN_SECONDS
    size = len(recipe) // 2
    while size:
        place = len(recipe)
        while (place := place - size) > -size and perf_counter() < deadline:
            shorter = recipe[: max(place, 0)] + recipe[place + size :]
            try:
                play.again(shorter)
            except Exception:  # noqa: BLE001 (whatever goes wrong, it goes wrong)
                recipe = shorter
        size //= 2
    return recipe


def keep(recipe: Recipe) -> Path:
    text = json.dumps(recipe, indent=1) + "\n"
    KEPT.mkdir(exist_ok=True)
    path = KEPT / f"{sha256(text.encode()).hexdigest()[:10]}.json"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", sorted(KEPT.glob("*.json")), ids=lambda path: path.stem)
def test_what_once_went_wrong(play, path):
    play.again([(name, values) for name, values in json.loads(path.read_text(encoding="utf-8"))])


def test_some_runs(play):
    run(play, RUNS, STEPS)


@pytest.mark.long
@pytest.mark.timeout(LONG_SECONDS_OF_A_RUN * min(RUNS_OF_A_PART, ASKED_RUNS))
@pytest.mark.parametrize("part", range(-(-ASKED_RUNS // RUNS_OF_A_PART)))
def test_many_runs(play, request, record_property, part):
    runs = min(RUNS_OF_A_PART, ASKED_RUNS - part * RUNS_OF_A_PART)
    asked = request.config.getoption("hypothesis_seed")
    run(play, runs, ASKED_DEEDS, None if asked is None else f"{asked} {part}")
    for name, value in play.met.items():
        record_property(name, value)
    assert play.met["runs"] >= runs
