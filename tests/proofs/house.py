"""A small house in which everything is asked by everybody, and whatever can go wrong does.

Each deed takes plain numbers and words, so that a run is a list that can be written down and played again
(:data:`Recipe`). A refusal is a good answer. After each deed ``check`` compares what was accepted with what happened.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from doublehop.driver_kit.conformance.world import PASSWORD, Fault
from doublehop.driver_kit.contract import PowerState
from doublehop.fleet import actions as fleet
from doublehop.fleet import work as fleet_work
from doublehop.fleet.models import Allocation, Hold, Server
from doublehop.jobs.models import Job
from doublehop.organisations import actions as organisations
from doublehop.organisations.actor import Actor, ActorKind, Role
from doublehop.organisations.models import Staff
from doublehop.organisations.queries import tandem_actor
from doublehop.organisations.refusals import BadInput, Refusal
from doublehop.services import actions
from doublehop.services.actions.batches import work_batch
from doublehop.services.lifecycle import OperationKind, OperationState, StepKind
from doublehop.services.models import Batch, Operation, Service
from doublehop.services.work import sweep, work
from tests.cast import Cast, a_cast
from tests.proofs.dying import Died, Mortal
from tests.proofs.ground import SHOWN, Breach, Ground, Interlude, describe, hold
from tests.stage import a_product, a_service, a_stage

K, S, OS = OperationKind, StepKind, OperationState
Recipe = list[tuple[str, dict[str, Any]]]
KINDS = tuple(kind for kind in K if kind is not K.TERMINATE)
MACHINES = ("web", "spare")
WAYS = ("port", "upstream", "power", "permission", "notify")
CALLERS = ("rosa", "ivo", "ines", "mara", "night", "programs", "tam", "lena")
STRANGERS = ("tam", "lena")
ENDED = (OS.DONE, OS.FAILED, OS.CANCELLED)
LOOKS_UNTIL_SETTLED = (1, 25, 50, 25, 50, 60, 600, 3600, 3600, 3600, 3600)
"""Seconds between the sweeps after which everything must have come to an end. The longest deadline is an hour."""


@dataclass
class Scene:
    """What all runs begin with, written once."""

    cast: Cast
    upstream_id: int
    endpoint: str
    servers: dict[str, Server]
    products: dict[str, int]
    services: tuple[int, int]
    actors: dict[str, Actor]
    tandem_id: int


def set_scene() -> Scene:
    cast = a_cast()
    stage = a_stage(cast.ines)
    servers = dict(zip(MACHINES, stage.machines(*MACHINES), strict=True))
    products = {way: a_product(cast.rosa, f"By {way}", [way]) for way in WAYS}
    for server in servers.values():
        fleet.allocate(cast.ines, server.pk, cast.alder.pk)
    row = organisations.add_tandem_user(
        cast.rosa, name="Night shift", email="noc@alder.example", password="a-chosen-password"
    )
    fleet.permit_tandem(cast.rosa, row.pk, [server.pk for server in servers.values()])
    first = a_service(cast.rosa, cast.quillfeather.pk, products["port"], servers["web"])
    second = a_service(cast.rosa, cast.quillfeather.pk, products["port"])
    programs = Actor(
        kind=ActorKind.LEAP,
        label="LEAP account alder",
        organisation_id=cast.alder.pk,
        organisation_label=cast.alder.name,
        role=Role.ADMIN,
    )
    actors = {name: getattr(cast, name) for name in CALLERS if hasattr(cast, name)}
    actors |= {"night": tandem_actor(row, row.user), "programs": programs}
    return Scene(
        cast,
        stage.upstream.pk,
        stage.place.endpoint,
        servers,
        {way: product.pk for way, product in products.items()},
        (first.pk, second.pk),
        actors,
        row.pk,
    )


@dataclass
class House:
    """One run on the scene. ``shift`` moves the clock by so many seconds."""

    scene: Scene
    shift: Callable[[float], None]
    ground: Ground = field(init=False)
    mortal: Mortal = field(default_factory=Mortal)
    keys: dict[tuple[str, str], tuple[object, int]] = field(default_factory=dict)
    ended: dict[int, tuple[str, object]] = field(default_factory=dict)
    decided: set[int] = field(default_factory=set)
    """Operations that a person settled."""
    proven: set[int] = field(default_factory=set)
    """Operations that were called done, and were looked at then."""
    count: int = 0
    met: Counter[str] = field(default_factory=Counter)
    """How often what was tried, for whoever wonders what a proof has seen."""

    def __post_init__(self) -> None:
        self.ground = Ground(self.scene.endpoint, PASSWORD)
        for number, name in enumerate(MACHINES, 11):
            machine = self.ground.add(
                name, label=name.upper(), hostname=f"{name}.example.org", address=f"192.0.2.{number}"
            )
            shown = self.scene.servers[name]
            machine.serial = next(value for kind, value, _ in shown.identifiers if kind == "serial")
            machine.mac = next(value for kind, value, _ in shown.identifiers if kind == "mac")
            machine.address = shown.primary_address
        self.ground.begin(self.shift)

    # ------------------------------------------------------------ people

    def ask(
        self,
        who: str,
        kind: str,
        machine: str,
        *,
        graceful: bool = True,
        by_service: bool = False,
        key: int = 0,
        why: bool = True,
        dies: int = 0,
        after: bool = False,
    ) -> None:
        """``key`` 0 is a new one; the others are used again and again. With ``dies`` the web process dies at a commit."""
        self.count += 1
        name = f"k{key}" if key else f"new{self.count}"
        body = self._body(who, kind, machine, graceful=graceful, by_service=by_service, why=why)
        if body is None:
            return
        before = set(Operation.objects.values_list("pk", flat=True))
        try:
            with self.mortal.life(dies, after=after):
                operation = actions.request(self.scene.actors[who], idempotency_key=name, **body)
        except Refusal as refusal:
            self.met["requests refused"] += 1
            hold(self._all() == before, f"{refusal.code} to {who}, and an operation was stored")
            self._same_key(who, name, body, None, refusal)
            return
        except Died:
            # It is not known to the caller whether it was stored. It is known to the key.
            self.met["deaths of a web process"] += 1
            self._adopt(who, name, body, before)
            return
        hold(who not in STRANGERS, f"a stranger’s {kind} was accepted")
        self._same_key(who, name, body, operation, None)
        self.ground.asked_by.setdefault(operation.pk, who)

    def _body(self, who: str, kind: str, machine: str, *, graceful: bool, by_service: bool, why: bool) -> Any:
        server = self.scene.servers[machine]
        body: dict[str, Any] = {
            "kind": K(kind),
            "graceful": graceful,
            "reason": "looked at it" if why else "",
        }
        if who in ("mara", "lena") or (by_service and who in ("rosa", "ivo")):
            body["service_id"] = next(
                (pk for pk in self.scene.services if Service.objects.filter(pk=pk, server=server).exists()),
                self.scene.services[0],
            )
        else:
            body["server_id"] = server.pk
        if body["kind"] is K.SET_RDNS:
            name = "one.example.org" if graceful else ""
            body["parameters"] = {"address": server.primary_address, "name": name}
        return body

    def _adopt(self, who: str, name: str, body: Any, before: set[int]) -> None:
        new = Operation.objects.exclude(pk__in=before)
        hold(new.count() <= 1, "one press stored two operations")
        operation = new.first()
        if operation is not None:
            hold(operation.idempotency_key == name, "what was stored has another key")
            self.keys[who, name] = (body, operation.pk)
            self.ground.asked_by[operation.pk] = who

    def _same_key(
        self, who: str, name: str, body: Any, operation: Operation | None, refusal: Refusal | None
    ) -> None:
        earlier = self.keys.get((who, name))
        if earlier is None:
            if operation is not None:
                self.keys[who, name] = (body, operation.pk)
            return
        if earlier[0] == body:
            hold(
                operation is not None and operation.pk == earlier[1],
                "the same key and body answered otherwise",
            )
        else:
            # A body that is no request at all is refused before anybody looks at keys.
            told = isinstance(refusal, BadInput) or (refusal is not None and refusal.code == "key_reused")
            hold(told, "another body under the same key passed")

    def cancel(self, who: str, which: int) -> None:
        operation = self._some(which)
        if operation is not None:
            with suppress(Refusal):
                actions.cancel(self.scene.actors[who], operation.reference)

    def settle(self, who: str, which: int, *, happened: bool) -> None:
        operation = self._some(which, OS.UNKNOWN)
        if operation is None:
            return
        with suppress(Refusal):
            actions.settle(
                self.scene.actors[who], operation.reference, happened=happened, why="it is on my desk"
            )
            self.decided.add(operation.pk)
            # At once: a worker that is on its way may not undo what was decided meanwhile.
            self._ended_is_ended(Operation.objects.get(pk=operation.pk))

    def decide_batch(self, *, yes: bool) -> None:
        batch = Batch.objects.filter(state=Batch.State.OPEN).first()
        if batch is None:
            return
        staff = (
            self.scene.cast.rosa
            if batch.organisation_id == self.scene.cast.alder.pk
            else self.scene.cast.ines
        )
        waiting = batch.operations.filter(state=OS.HELD).count()
        with suppress(Refusal):
            if yes:
                actions.approve(staff, batch.pk, count=waiting)
            else:
                actions.refuse(staff, batch.pk, why="not today")
            work_batch({"batch_id": batch.pk})

    # ------------------------------------------------------------ who has what

    def attach(self, service: int, machine: str) -> None:
        with suppress(Refusal):
            actions.attach(self.scene.cast.rosa, self.scene.services[service], self.scene.servers[machine].pk)

    def swap(self, service: int, machine: str) -> None:
        with suppress(Refusal):
            actions.swap(self.scene.cast.rosa, self.scene.services[service], self.scene.servers[machine].pk)

    def detach(self, service: int) -> None:
        with suppress(Refusal):
            actions.detach(self.scene.cast.rosa, self.scene.services[service])

    def sell_as(self, service: int, way: str) -> None:
        """The service becomes one of a product that is suspended another way."""
        row = Service.objects.filter(pk=self.scene.services[service])
        row.update(product_id=self.scene.products[way])

    def protect(self, machine: str, *, on: bool) -> None:
        (fleet.protect if on else fleet.unprotect)(self.scene.cast.ines, self.scene.servers[machine].pk)

    def take_back(self, machine: str) -> None:
        for allocation in Allocation.objects.filter(server=self.scene.servers[machine], until__isnull=True):
            with suppress(Refusal):
                fleet.end_allocation(self.scene.cast.ines, allocation.pk)

    def allocate(self, machine: str) -> None:
        with suppress(Refusal):
            fleet.allocate(self.scene.cast.ines, self.scene.servers[machine].pk, self.scene.cast.alder.pk)

    def permit_night(self, machine: str, *, on: bool) -> None:
        deed = fleet.permit_tandem if on else fleet.revoke_tandem
        with suppress(Refusal):
            deed(self.scene.cast.rosa, self.scene.tandem_id, [self.scene.servers[machine].pk])

    def give_role(self, *, works: bool) -> None:
        """Ivo’s duties are taken away, or given back."""
        role = Role.SUPPORT if works else Role.READ_ONLY
        Staff.objects.filter(user_id=self.scene.cast.ivo.user_id).update(role=role)

    # ------------------------------------------------------------ what goes wrong

    def fault(self, fault: str, on: str, machine: str, times: int) -> None:
        self.ground.fault(Fault(fault), on=on, machine=machine, times=times, seconds=30)

    def mend(self) -> None:
        self.ground.clear_faults()

    def slow_power(self, seconds: int) -> None:
        self.ground.settle_seconds = float(seconds)

    def wait(self, seconds: int) -> None:
        self.shift(seconds)

    # ------------------------------------------------------------ the worker

    def worker(
        self,
        machine: str,
        *,
        dies: int = 0,
        after: bool = False,
        dies_on: str = "",
        meanwhile: str = "",
        moment: str = "identify",
        who: str = "rosa",
        kind: str = "suspend",
    ) -> None:
        """One turn of a worker, in whatever order and however often. It may die at a commit or at the machine, and
        ``meanwhile`` something else may happen at the ``moment`` at which it speaks with the machine."""
        self.ground.dies_on = dies_on or None
        if meanwhile:
            self.ground.interlude = Interlude(moment, lambda: self._meanwhile(meanwhile, machine, who, kind))
        try:
            with self.mortal.life(dies, after=after):
                work({"server_id": self.scene.servers[machine].pk})
        except Died:
            self.met["deaths of a worker"] += 1
        finally:
            self.met["turns of a worker"] += 1
            self.ground.dies_on = self.ground.interlude = None
        self._nothing_is_called_done_that_is_not()

    def _meanwhile(self, what: str, machine: str, who: str, kind: str) -> None:
        if what in ("worker", "worker and settle"):
            work({"server_id": self.scene.servers[machine].pk})
            if "settle" in what:
                self.settle("rosa", 0, happened=False)
                self.settle("ines", 0, happened=False)
                work({"server_id": self.scene.servers[machine].pk})
        elif what == "ask":
            self.ask(who, kind, machine)
        elif what == "take away":
            for service in (0, 1):
                self.detach(service)
            self.take_back(machine)
        elif what == "late":
            self.wait(200)
        else:
            self.give_role(works=False)
            self.permit_night(machine, on=False)

    def sweeper(self) -> None:
        sweep({})

    def look(self, machine: str) -> None:
        """A page is open: the machine is read."""
        fleet_work.refresh({"server_id": self.scene.servers[machine].pk, "full": True})

    # ------------------------------------------------------------ what must hold

    def _all(self) -> set[int]:
        return set(Operation.objects.values_list("pk", flat=True))

    def _some(self, which: int, *states: OS) -> Operation | None:
        rows = Operation.objects.filter(**({"state__in": states} if states else {})).order_by("-pk")
        count = rows.count()
        return rows[which % count] if count else None

    def check(self) -> None:
        """After each deed."""
        rows = list(Operation.objects.select_related("server"))
        hold({row.pk for row in rows} <= self.ground.asked_by.keys(), "an operation that nobody asked for")
        for row in rows:
            self._ended_is_ended(row)
            if row.kind in (K.REBOOT, K.RESCUE_START, K.RESCUE_STOP) and row.pk not in self.decided:
                hold(
                    row.state != OS.FAILED or not self.ground.did[row.pk],
                    f"{describe(row)} failed, and it happened",
                )
            if row.state in (OS.CANCELLED, OS.QUEUED, OS.HELD):
                hold(not self.ground.did[row.pk], f"{describe(row)} is {row.state}, and it happened")
        self._what_is_shown_was_read()
        self._suspended_while_held()

    def _ended_is_ended(self, row: Operation) -> None:
        if row.state in ENDED:
            hold(row.settled_at is not None, f"{describe(row)} is {row.state} since nobody knows when")
            now = (row.state, row.settled_at)
            was = self.ended.setdefault(row.pk, now)
            hold(was == now, f"{describe(row)} had ended as {was[0]} and is {row.state}")
        else:
            hold(row.pk not in self.ended, f"{describe(row)} had ended and is {row.state} again")

    def _what_is_shown_was_read(self) -> None:
        known = {server.pk: server for server in self.scene.servers.values()}
        for row in Server.objects.filter(pk__in=known):
            for kind, (value_field, at_field) in SHOWN.items():
                value, at = getattr(row, value_field), getattr(row, at_field)
                if value in (None, "") or at == getattr(known[row.pk], at_field):
                    continue
                told = f"{kind} of {row.external_id} shows {value}"
                hold(at is not None, f"{told} without its age")
                hold(
                    self.ground.was_read(row.external_id, kind, value, at),
                    f"{told}, which it did not say then",
                )

    def _suspended_while_held(self) -> None:
        held = set(Hold.objects.filter(lifted_at__isnull=True).values_list("server_id", flat=True))
        for service in Service.objects.filter(pk__in=self.scene.services, server__isnull=False):
            is_held = service.server_id in held
            hold(
                (service.status == "suspended") == is_held, f"{service} is {service.status}; held: {is_held}"
            )

    def _nothing_is_called_done_that_is_not(self) -> None:
        """At the end of a worker’s turn the machine is as what it just called done says."""
        for row in Operation.objects.filter(state=OS.DONE).exclude(pk__in=self.decided):
            if row.pk in self.proven:
                continue
            self.proven.add(row.pk)
            for step in row.steps.all():
                told = f"{describe(row)} is done, and its step {step.kind} is not so"
                hold(step.state == "done", told)
                if step.kind == S.RESET:
                    hold(self.ground.did[row.pk] == 1, told)
                elif row.kind != K.UNSUSPEND or step.times_sent:
                    hold(self._is_so(row, step.kind), told)

    def _is_so(self, row: Operation, kind: str) -> bool:
        machine = self.ground.find(row.server.external_id)
        match kind:
            case S.POWER_ON:
                return machine.power is PowerState.ON
            case S.POWER_OFF:
                return machine.power is PowerState.OFF
            case S.PORT_ON | S.PORT_OFF:
                return machine.port_enabled is (kind == S.PORT_ON)
            case S.UPSTREAM_SUSPEND | S.UPSTREAM_UNSUSPEND:
                return (machine.suspended_reason is not None) is (kind == S.UPSTREAM_SUSPEND)
            case S.PERMISSION_ON | S.PERMISSION_OFF:
                return machine.permitted is (kind == S.PERMISSION_ON)
            case S.RESCUE_START | S.RESCUE_STOP:
                return machine.rescue is (kind == S.RESCUE_START)
            case S.SET_RDNS:
                return machine.rdns.get(row.parameters["address"], "") == row.parameters["name"]
            case _:
                return True

    # ------------------------------------------------------------ the end

    def finish(self) -> None:
        """Faults stop. Everything settles or is parked, what is held is away, and what is given back is there."""
        self.mend()
        self.slow_power(0)
        self._come_to_an_end()
        self._held_is_away()
        self._count()
        self._give_everything_back()
        self._still_works()

    def _count(self) -> None:
        self.met["runs"] += 1
        for state in Operation.objects.values_list("state", flat=True):
            self.met[f"operations that ended as {state}"] += 1
        self.met["unknown operations that a person settled meanwhile"] += len(self.decided)
        self.met["effects at machines"] += self.ground.did.total()
        self.met["calls that a fault met"] += self.ground.faults_met

    def _come_to_an_end(self) -> None:
        # What a crash left behind is found by its rows alone: nobody rings any more.
        Job.objects.all().delete()
        fleet_work.try_connection({"upstream_id": self.scene.upstream_id})
        for seconds in LOOKS_UNTIL_SETTLED:
            sweep({})
            for _ in range(4):
                for machine in self._busy():
                    self.worker(machine)
            self.check()
            if not self._busy():
                return
            hold(Job.objects.filter(name="services.work").exists(), "the sweep rings for nobody")
            self.wait(seconds)
        left = Operation.objects.filter(state__in=(OS.QUEUED, OS.RUNNING)).first()
        raise Breach(
            f"{describe(left)} never ends: {left.state}, {list(left.steps.values('kind', 'state', 'note'))}"
        )

    def _busy(self) -> list[str]:
        rows = Operation.objects.filter(state__in=(OS.QUEUED, OS.RUNNING))
        return list(rows.order_by("server").values_list("server__external_id", flat=True).distinct())

    def _held_is_away(self) -> None:
        """The machine is as the last suspension that is still wanted says."""
        for row in Hold.objects.filter(lifted_at__isnull=True):
            suspend = Operation.objects.filter(kind=K.SUSPEND, hold_id=row.pk, state=OS.DONE).first()
            if suspend is None or suspend.pk in self.decided:
                continue
            for step in suspend.steps.all():
                hold(
                    self._is_so(suspend, step.kind),
                    f"{describe(suspend)} is done and wanted, and {step.kind} is not so",
                )

    def _give_everything_back(self) -> None:
        for batch in Batch.objects.filter(state=Batch.State.OPEN):
            staff = (
                self.scene.cast.rosa
                if batch.organisation_id == self.scene.cast.alder.pk
                else self.scene.cast.ines
            )
            actions.refuse(staff, batch.pk, why="the end")
            work_batch({"batch_id": batch.pk})
        for row in Operation.objects.filter(state=OS.UNKNOWN):
            staff = "rosa" if row.organisation_id == self.scene.cast.alder.pk else "ines"
            actions.settle(self.scene.actors[staff], row.reference, happened=False, why="the end")
            self.decided.add(row.pk)
        for _ in range(2):  # two organisations may hold one machine
            for row in Hold.objects.filter(lifted_at__isnull=True).order_by("pk"):
                who = "rosa" if row.organisation_id == self.scene.cast.alder.pk else "ines"
                self.ask(who, K.UNSUSPEND, row.server.external_id)
            self._come_to_an_end()
        hold(not Hold.objects.filter(lifted_at__isnull=True).exists(), "a hold stays, though it was lifted")
        for name in MACHINES:
            machine = self.ground.find(name)
            now = (machine.port_enabled, machine.suspended_reason, machine.permitted)
            hold(now == (True, None, True), f"{name} did not come back: {now}")

    def _still_works(self) -> None:
        """Nothing is stuck: a reboot of each machine is one restart."""
        before = {name: self.ground.effects(name).count("power.reset:hard") for name in MACHINES}
        for name in MACHINES:
            self.ask("ines", K.REBOOT, name, graceful=False)
        self._come_to_an_end()
        for name in MACHINES:
            restarts = self.ground.effects(name).count("power.reset:hard") - before[name]
            hold(restarts == 1, f"{name} cannot be restarted any more")
