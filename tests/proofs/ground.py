"""The place where it is decided what truly happened: the memory world, watched call by call.

At every call that changes a machine the accepted operations are held against it, at the moment of the call and with
rows of its own choosing: who asked for this, is it still theirs, is the machine held, was it sent before. What the ledger
keeps is counted by operation. Nothing here asks the guards of the product.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from doublehop.driver_kit.conformance.world import Fault, Machine, World
from doublehop.driver_kit.errors import Busy, CredentialsRejected, NotFound, Refused, Unreachable
from doublehop.driver_kit.secret import Secret
from doublehop.fleet.models import Hold, Permission, Server
from doublehop.organisations.models import Staff
from doublehop.services.lifecycle import Nature, OperationKind, OperationState, StepKind, StepState
from doublehop.services.models import Operation, Service, Step
from tests.proofs.dying import Died, depth

K, S = OperationKind, StepKind
ACTS: dict[str, tuple[StepKind, ...]] = {
    "power.reset": (S.RESET,),
    "power.on": (S.POWER_ON,),
    "power.off": (S.POWER_OFF,),
    "port.set_enabled": (S.PORT_ON, S.PORT_OFF),
    "suspension.suspend": (S.UPSTREAM_SUSPEND,),
    "suspension.unsuspend": (S.UPSTREAM_UNSUSPEND,),
    "access.set_permitted": (S.PERMISSION_ON, S.PERMISSION_OFF),
    "rdns.set": (S.SET_RDNS,),
    "rescue.start": (S.RESCUE_START,),
    "rescue.stop": (S.RESCUE_STOP,),
}
"""Which step may cause which call."""
POWER = (K.REBOOT, K.POWER_ON, K.POWER_OFF, K.RESCUE_START, K.RESCUE_STOP)
NOTHING_DONE = (Unreachable, Busy, CredentialsRejected, Refused, NotFound)
READS: dict[str, Callable[[Machine], object]] = {
    "power.state": lambda machine: ("power", machine.power.value),
    "port.is_enabled": lambda machine: ("port", machine.port_enabled),
    "rescue.is_active": lambda machine: ("rescue", machine.rescue),
    "rescue.follow_up": lambda machine: ("rescue", machine.rescue),
    "health.read": lambda machine: ("health", machine.health),
}
SHOWN = {
    "power": ("power_state", "power_read_at"),
    "port": ("port_enabled", "port_read_at"),
    "rescue": ("rescue_active", "rescue_read_at"),
    "health": ("health", "health_read_at"),
}
"""What pages show of a server, and since when it is known."""


class Breach(AssertionError):
    """The ledger and what was accepted disagree."""


def hold(so: bool, sentence: str) -> None:
    if not so:
        raise Breach(sentence)


@dataclass
class Interlude:
    """What somebody else does at the moment of a call, once: after identity was asked, or as the call leaves."""

    on: str
    deed: Callable[[], None]


class Ground(World):
    def begin(self, shift: Callable[[float], None]) -> None:
        self.shift = shift
        self.interlude: Interlude | None = None
        self.dies_on: str | None = None
        """"identify", "leaving" or "acted": a worker dies there, once."""
        self.outside = depth()
        self.proven: dict[str, bool] = {}
        self.calling: tuple[Operation, Step] | None = None
        self.gone_out: set[int] = set()
        """Steps that must not be called again: a call of theirs may have acted."""
        self.did: Counter[int] = Counter()
        """Effects by operation."""
        self.asked_by: dict[int, str] = {}
        """Accepted operations, with who asked."""
        self.seen: dict[tuple[str, str], list[tuple[datetime, object]]] = {}
        self.calls_of: Counter[int] = Counter()
        self.faults_met = 0

    # ------------------------------------------------------------ what the driver meets

    def call(self, name: str, external_id: str, password: Secret) -> Fault | None:
        hold(depth() == self.outside, f"{name}: a machine is called while a transaction is open")
        sending = self._look(name, external_id) if name in ACTS else None
        if sending is not None:
            self._die("leaving")
            self._interlude("leaving")
        clean = False
        try:
            fault = super().call(name, external_id, password)
            clean = fault is None
        except NOTHING_DONE:
            if sending is not None:
                self.gone_out.discard(sending[1].pk)
            raise
        finally:
            self.faults_met += not clean
            if name == "identify":
                self._interlude("identify")
                self._die("identify")
                self.proven[external_id] = clean
        self.calling = sending
        if name in READS and external_id in self.machines:
            kind, value = READS[name](self.find(external_id))  # type: ignore[misc]
            self.seen.setdefault((external_id, kind), []).append((timezone.now(), value))
        return fault

    def act(self, external_id: str, what: str, change: Callable[[Machine], None]) -> None:
        super().act(external_id, what, change)
        hold(self.calling is not None, f"{what} happened to {external_id} without a call")
        operation, step = self.calling  # type: ignore[misc]
        self.did[operation.pk] += 1
        if step.nature == Nature.EDGE:
            hold(self.did[operation.pk] == 1, f"{what} happened twice for {describe(operation)}")
        self.shift(0.001)
        self._die("acted")

    def _interlude(self, on: str) -> None:
        planned = self.interlude
        if planned is not None and planned.on == on:
            self.interlude = None
            planned.deed()

    def _die(self, on: str) -> None:
        if self.dies_on == on:
            self.dies_on = None
            raise Died

    # ------------------------------------------------------------ may this call be?

    def _look(self, name: str, external_id: str) -> tuple[Operation, Step]:
        server = Server.objects.select_related("upstream").get(external_id=external_id)
        running = Operation.objects.filter(server=server, state=OperationState.RUNNING).first()
        hold(running is not None, f"{name} at {external_id}, and no operation is running there")
        operation: Any = running
        hold(operation.pk in self.asked_by, f"{name} for {describe(operation)}, which nobody asked for")
        steps = operation.steps.filter(kind__in=ACTS[name], state=StepState.SENT)
        step = steps.order_by("-sent_at").first()
        hold(step is not None, f"{name} for {describe(operation)}, of which no such step is marked as sent")
        self.calls_of[operation.pk] += 1
        hold(self.proven.get(external_id, False), f"{name} at a machine that has not said who it is")
        if step.nature == Nature.EDGE:
            hold(step.pk not in self.gone_out, f"{name} is sent again for {describe(operation)}")
            hold(timezone.now() <= operation.send_before, f"{name} comes too late for {describe(operation)}")
            self.gone_out.add(step.pk)
        self._still_theirs(operation, server)
        self._not_held(operation, step)
        return operation, step

    def _still_theirs(self, operation: Operation, server: Server) -> None:
        told = f"{describe(operation)} reaches a machine that is not theirs any more"
        if operation.service_id is not None:
            attached = Service.objects.filter(pk=operation.service_id, server=server).exists()
            hold(attached, told)
        if operation.organisation_id != server.upstream.organisation_id:
            held = Permission.objects.filter(
                server=server, organisation=operation.organisation_id, until__isnull=True
            )
            hold(held.exists(), told)
        if operation.kind in POWER:
            who = self.asked_by[operation.pk]
            rows = Permission.objects.filter(server=server, until__isnull=True)
            if who == "night":
                hold(rows.filter(tandem_user__isnull=False).exists(), f"{told}: the permission was revoked")
            if who in ("rosa", "ivo", "ines"):
                role = Staff.objects.get(user_id=operation.actor_user_id).role
                hold(role not in ("read_only", "billing"), f"{told}: the role was taken away")

    @staticmethod
    def _not_held(operation: Operation, step: Step) -> None:
        holds = Hold.objects.filter(server=operation.server_id, lifted_at__isnull=True)
        if operation.kind in POWER:
            hold(not holds.exists(), f"{describe(operation)} is sent to a machine that is held")
        elif operation.kind == K.SUSPEND:
            hold(holds.filter(pk=operation.hold_id).exists(), f"{describe(operation)} without its hold")
        elif operation.kind == K.UNSUSPEND and step.times_sent <= 1:
            others = holds.exclude(pk=operation.hold_id)
            hold(not others.exists(), f"{describe(operation)} undoes what another still holds")

    # ------------------------------------------------------------ what was read, and what is shown

    def was_read(self, external_id: str, kind: str, value: object, at: datetime) -> bool:
        """Whether the machine truly said so then, or within the second before."""
        return any(
            said == value and at - timedelta(seconds=1) <= moment <= at
            for moment, said in self.seen.get((external_id, kind), [])
        )


def describe(operation: Operation) -> str:
    return f"{operation.kind} #{operation.pk} of {operation.actor_label}"
