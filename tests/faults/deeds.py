"""Every kind of operation as something that can be done, interrupted, recovered and judged. Each part runs in its own process."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import time_machine
from django.core.management import call_command
from django.db import connection

from doublehop.fleet.models import Hold
from doublehop.jobs.models import Job
from doublehop.journal.models import Entry
from doublehop.services import actions, work
from doublehop.services.guards import ADDRESS_KINDS
from doublehop.services.lifecycle import OPEN_STATES, OperationKind, OperationState, StepState
from doublehop.services.models import Operation, Service
from tests.faults.boundaries import Boundaries
from tests.faults.place import Place
from tests.faults.scene import Scene, a_scene, know_the_plain_driver
from tests.faults.worker import take_over, work_until_quiet

KEY = "pressed-once"
ADDRESS, NAME = "192.0.2.11", "mail.example.org"


@dataclass(frozen=True)
class Deed:
    """``effects`` is what happens at the machine when nothing goes wrong, ``then`` what holds of it afterwards."""

    kind: OperationKind
    effects: tuple[str, ...] = ()
    then: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    way: str = ""
    edge: bool = False
    """Once, or never."""
    late: bool = False
    """Also found hours later only, when its time is up."""

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.way}".strip("-")


_K = OperationKind
DEEDS = (
    Deed(_K.REBOOT, ("power.reset:graceful",), {"boots": 2}, edge=True, late=True),
    Deed(_K.RESCUE_START, ("rescue.start",), {"rescue": True}, edge=True, late=True),
    Deed(_K.RESCUE_STOP, ("rescue.stop",), {"rescue": False}, {"rescue": True}, edge=True, late=True),
    Deed(_K.POWER_ON, ("power.on",), {"power": "on"}, {"power": "off"}, late=True),
    Deed(_K.POWER_OFF, ("power.off:graceful",), {"power": "off"}),
    Deed(_K.REFRESH_ADDRESSES),
    Deed(_K.SET_RDNS, (f"rdns.set:{ADDRESS}={NAME}",), {"rdns": {ADDRESS: NAME}}),
    Deed(_K.NULL_ROUTE, (f"null_route:{ADDRESS} dropped",), {"dropped": [ADDRESS]}),
    Deed(_K.NULL_ROUTE_END, (f"null_route:{ADDRESS} let through",), {"dropped": []}, {"dropped": [ADDRESS]}),
    Deed(_K.SUSPEND, ("port:no",), {"port": False}, way="port", late=True),
    Deed(_K.SUSPEND, ("suspended:yes",), {"suspended": True}, way="upstream"),
    Deed(_K.SUSPEND, (f"null_route:{ADDRESS} dropped",), {"dropped": [ADDRESS]}, way="null_route"),
    Deed(_K.SUSPEND, ("power.off:graceful",), {"power": "off"}, way="power"),
    Deed(_K.SUSPEND, ("permitted:no",), {"permitted": False}, way="permission"),
    Deed(_K.SUSPEND, way="notify"),
    Deed(_K.UNSUSPEND, ("port:yes",), {"port": True}, way="port", late=True),
    Deed(_K.UNSUSPEND, ("suspended:no",), {"suspended": False}, way="upstream"),
    Deed(_K.UNSUSPEND, (f"null_route:{ADDRESS} let through",), {"dropped": []}, way="null_route"),
    Deed(_K.UNSUSPEND, ("power.on",), {"power": "on"}, way="power"),
    Deed(_K.UNSUSPEND, ("permitted:yes",), {"permitted": True}, way="permission"),
    Deed(_K.UNSUSPEND, way="notify"),
)


@dataclass(frozen=True)
class Found:
    """What the rows say."""

    state: str
    failure: str
    operations: int
    open_steps: int
    interrupted: bool
    """A step was sent, and its answer never stored."""
    asked_lines: int
    end_lines: int
    jobs: int
    holds: int
    service: str

    @property
    def settled(self) -> bool:
        return self.state not in (*OPEN_STATES, OperationState.HELD) and self.jobs == 0


# ---------------------------------------------------------------- one process each


def migrate() -> None:
    call_command("migrate", verbosity=0)


def warm_up(place: Place) -> None:
    """One deed in the very process that all others are forked from: what loads at its first use is loaded then."""
    know_the_plain_driver()
    deed = DEEDS[0]
    scene = prepare(deed, place)
    with time_machine.travel(datetime.now(UTC), tick=True) as clock:
        _ask(deed, scene, deed.kind, "warm")
        work_until_quiet(clock)
    connection.close()


def prepare(deed: Deed, place: Place) -> Scene:
    scene = a_scene(place.url, [deed.way] if deed.way else None)
    if deed.kind is OperationKind.UNSUSPEND:
        _ask(deed, scene, OperationKind.SUSPEND, "before")
        with time_machine.travel(datetime.now(UTC), tick=True) as clock:
            work_until_quiet(clock)
    if deed.before:
        place.change("web", **deed.before)
    return scene


def live(deed: Deed, scene: Scene, boundaries: Boundaries) -> tuple[list[str], int]:
    """Asked, and worked on to the end. Answers with the boundaries, and at which of them the caller had its answer."""
    boundaries.watch()
    with time_machine.travel(datetime.now(UTC), tick=True) as clock:
        _ask(deed, scene, deed.kind, KEY)
        asked_at = len(boundaries.passed)
        work_until_quiet(clock)
    return boundaries.passed, asked_at


def recover(
    deed: Deed, scene: Scene, at: datetime, *, ask_again: bool, was_asked: bool
) -> tuple[Found, datetime]:
    """A fresh worker, which takes over and looks after what was left. Who had no answer asks once more, with the same key.

    Answers with what it found, and with its time at the end.
    """
    with time_machine.travel(at, tick=True) as clock:
        if ask_again:
            stored = Operation.objects.filter(idempotency_key=KEY).exists()
            assert stored or not was_asked, "the caller was told, and nothing is stored"
            _ask(deed, scene, deed.kind, KEY)
        take_over()
        work.sweep({})
        work_until_quiet(clock)
        return look(deed, scene), datetime.now(UTC)


def look(deed: Deed, scene: Scene) -> Found:
    operations = list(Operation.objects.filter(idempotency_key=KEY))
    operation = operations[0]
    steps = operation.steps
    lines = Entry.objects.filter(details__reference=operation.reference)
    ends = [f"operation.{deed.kind}.{state}" for state in ("done", "failed", "unknown")]
    return Found(
        state=operation.state,
        failure=operation.failure_code,
        operations=len(operations),
        open_steps=steps.filter(state__in=(StepState.PENDING, StepState.SENT)).count(),
        interrupted=steps.filter(sent_at__isnull=False, answered_at__isnull=True).exists(),
        asked_lines=lines.filter(verb=f"operation.{deed.kind}.asked").count(),
        end_lines=lines.filter(verb__in=ends).count(),
        jobs=Job.objects.count(),
        holds=Hold.objects.filter(lifted_at__isnull=True).count(),
        service=Service.objects.get(pk=scene.service_id).status,
    )


def _ask(deed: Deed, scene: Scene, kind: OperationKind, key: str) -> None:
    more: dict[str, Any] = {"parameters": {"address": ADDRESS, "name": NAME}}
    actions.request(
        scene.cast.rosa,
        kind,
        scene.service_id,
        idempotency_key=key,
        reason="Invoice 1187 is overdue",
        **(more if kind in ADDRESS_KINDS else {}),
    )


# ---------------------------------------------------------------- the judge


def judge(deed: Deed, found: Found, place: Place, *, late: bool) -> None:
    """Holds the rows against the ledger. Raises AssertionError with the promise that was not kept."""
    effects = place.effects("web")
    assert found.operations == 1, f"{found.operations} operations of one key"
    assert found.settled, f"not settled within two sweeps: {found}"
    assert found.asked_lines == found.end_lines == 1, f"lines in the journal: {found}"
    assert set(effects) <= set(deed.effects), f"foreign effects: {effects}"
    others = [entry for entry in place.ledger() if entry["machine"] != "web"]
    assert not others, f"effects at other machines: {others}"
    if deed.edge:
        assert len(effects) <= 1, f"twice: {effects}"
    if found.state == OperationState.DONE:
        _judge_done(deed, found, effects, place.machine("web"))
    elif found.state == OperationState.UNKNOWN:
        assert deed.edge, f"a level step was left to a person: {found}"
        # Late, an upstream that still says "pending" is not waited for any longer.
        assert found.interrupted or late, f"unknown without having been interrupted: {found}"
    else:
        assert late, f"failed without need: {found}"
        assert found.state == OperationState.FAILED, found
        assert effects == [], f"told as failed, and it happened: {effects}"


def _judge_done(deed: Deed, found: Found, effects: list[str], machine: dict[str, Any]) -> None:
    assert found.open_steps == 0, found
    assert set(effects) == set(deed.effects), f"told as done: {effects}"
    now = {name: machine[name] for name in deed.then}
    assert now == deed.then, f"told as done, and the machine is {now}"
    if deed.kind is OperationKind.SUSPEND:
        assert (found.holds, found.service) == (1, "suspended"), found
    if deed.kind is OperationKind.UNSUSPEND:
        assert (found.holds, found.service) == (0, "active"), found
