"""One instruction after the other through a network in which every third connection goes wrong, by seed."""

import json
import random
import time
from datetime import timedelta

import pytest
from django.db.models import F

from doublehop.driver_kit.conformance.fault_proxy import Mode
from doublehop.fleet.models import Hold
from doublehop.services import actions
from doublehop.services.lifecycle import OperationState
from doublehop.services.models import Operation
from tests.faults.matrix import EDGES, Column
from tests.faults.theatre import Theatre
from tests.faults.worker import work_until_quiet

SHARE = 0.3
MODES = (
    Mode.LATENCY,
    Mode.HANG,
    Mode.ANSWER_LOST,
    Mode.RESET,
    Mode.CUT,
    Mode.HALF_OPEN,
    Mode.DRIP,
    Mode.DRIP_BODY,
    Mode.NONSENSE,
    Mode.HTML,
    Mode.ERROR_500,
    Mode.MAINTENANCE_503,
)
INSTRUCTIONS = 30


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_rows_and_ledger_agree_whatever_the_weather(theatre, seed):
    chance = random.Random(seed)  # noqa: S311 (it is to be the same again)
    began, ends = time.monotonic(), []
    for number in range(INSTRUCTIONS):
        column = chance.choice(_possible())
        # What is so already needs no instruction, and what was so before proves nothing.
        theatre.place.change("web", rdns={}, rescue=False)
        theatre.place.restore(theatre.place.remember())
        operation = theatre.ask(column)
        theatre.proxy.storm(SHARE, MODES, seed=seed * 1000 + number)
        work_until_quiet(theatre.clock)
        theatre.proxy.calm()
        operation.refresh_from_db()
        _agrees(theatre, column, operation)
        ends.append(operation.state)
        # One a day: a brake would hold so many of one person.
        Operation.objects.update(asked_at=F("asked_at") - timedelta(days=1))
        if operation.state == OperationState.UNKNOWN:
            _settle(theatre, column, operation)
    figures = {end: ends.count(end) for end in sorted(set(ends))}
    seconds = round(time.monotonic() - began, 1)
    print(
        json.dumps({"metric": "storm", "n": INSTRUCTIONS, "seed": seed, "ends": figures, "seconds": seconds})
    )
    assert len(set(theatre.proxy.drawn)) > len(MODES) / 2, "hardly any weather"
    assert OperationState.DONE in ends


def _possible() -> list[Column]:
    held = Hold.objects.filter(lifted_at__isnull=True).exists()
    return [Column.UNSUSPEND, Column.RDNS] if held else [Column.SUSPEND, Column.RDNS, *EDGES]


def _agrees(theatre: Theatre, column: Column, operation: Operation) -> None:
    effects, wanted = theatre.effects, theatre.wanted(column)
    told = (operation.state, operation.staff_text, effects)
    assert set(effects) <= set(wanted), told
    if column in EDGES:
        assert len(effects) <= 1, told
    if operation.state == OperationState.DONE:
        assert effects == wanted if column in EDGES else theatre.is_so(column), told
    elif operation.state == OperationState.FAILED:
        assert effects == [] if column in EDGES else not theatre.is_so(column), told
    else:
        assert operation.state == OperationState.UNKNOWN, told


def _settle(theatre: Theatre, column: Column, operation: Operation) -> None:
    """A person looks, and decides by what is so."""
    happened = bool(theatre.effects) if column in EDGES else theatre.is_so(column)
    rosa = theatre.scene.cast.rosa
    actions.settle(rosa, operation.reference, happened=happened, why="Seen at the machine itself")
