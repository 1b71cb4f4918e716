"""Where the cells of the matrix are played: the worker's own code, a real driver, and the place behind the fault proxy."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pkgutil import resolve_name
from typing import Any
from unittest import mock
from uuid import uuid4

from django.db import OperationalError, connection
from django.utils import timezone

from doublehop.bandwidth import collector, store
from doublehop.bandwidth.models import Block, Collection, GapVolume
from doublehop.bandwidth.queries.health import last_rounds
from doublehop.driver_kit.conformance.fault_proxy import FaultProxy, Mode
from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Server
from doublehop.services import actions
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import Operation, Product, Service
from tests.faults.deeds import ADDRESS, DEEDS, NAME, Deed
from tests.faults.matrix import Column
from tests.faults.place import Place
from tests.faults.scene import Scene, move
from tests.faults.tls import Certificates
from tests.faults.worker import work_for, work_until_quiet

NAMES = {
    Column.SUSPEND: "suspend-port",
    Column.UNSUSPEND: "unsuspend-port",
    Column.REBOOT: "reboot",
    Column.RESCUE: "rescue_start",
    Column.RDNS: "set_rdns",
}

A_SHORT_SLOT = 5.0
"""Seconds after which a round gives up here: a database that takes nothing is waited for until its slot is nearly over."""


class Killed(BaseException):
    """As ``kill -9``: nothing of ours catches it."""


@dataclass
class Theatre:
    place: Place
    proxy: FaultProxy
    scene: Scene
    clock: Any
    certificates: Certificates

    def deed(self, column: Column) -> Deed:
        return next(deed for deed in DEEDS if deed.name == NAMES[column])

    def make_ready(self, column: Column) -> None:
        if column is Column.UNSUSPEND:
            self.ask(Column.SUSPEND)
            work_until_quiet(self.clock)
            self.place.restore(self.place.remember())
        elif column is Column.ATTACH:
            fleet.allocate(self.scene.cast.ines, self.spare.pk, self.scene.cast.alder.pk)

    def ask(self, column: Column, key: str = "", *, name: str = NAME) -> Operation:
        kind = self.deed(column).kind
        more: dict[str, Any] = {}
        if kind is OperationKind.SET_RDNS:
            more["parameters"] = {"address": ADDRESS, "name": name}
        return actions.request(
            self.scene.cast.rosa,
            kind,
            self.scene.service_id,
            idempotency_key=key or str(uuid4()),
            reason="Invoice 1187 is overdue",
            **more,
        )

    @property
    def spare(self) -> Server:
        return Server.objects.get(upstream_id=self.scene.upstream_id, external_id="spare")

    @property
    def effects(self) -> list[str]:
        self.place.quiet()
        return [f"{entry['machine']} {entry['what']}" for entry in self.place.ledger()]

    def wanted(self, column: Column) -> list[str]:
        return [f"web {what}" for what in self.deed(column).effects]

    def is_so(self, column: Column) -> bool:
        machine = self.place.machine("web")
        return all(machine[name] == value for name, value in self.deed(column).then.items())

    @property
    def changes_sent(self) -> int:
        return sum(line.startswith(b"POST") for line in self.proxy.requests)

    # ------------------------------------------------------------ what asks no machine, and what only asks

    def attach(self) -> Service:
        rosa = self.scene.cast.rosa
        service = actions.create_service(
            rosa, client_id=self.scene.cast.quillfeather.pk, product_id=Product.objects.get().pk
        )
        return actions.attach(rosa, service.pk, self.spare.pk)

    def detach(self) -> Service:
        return actions.detach(self.scene.cast.rosa, self.scene.service_id)

    def poll(self) -> bool:
        """Whether the next round brought figures that are used."""
        self.clock.shift(timedelta(seconds=300))
        began = timezone.now()
        unused = self._collection().discarded
        with mock.patch.object(collector, "END_AFTER_SECONDS", A_SHORT_SLOT):
            collector.collect({"upstream_id": self.scene.upstream_id})
        now = self._collection()
        read = last_rounds().get(self.scene.upstream_id)
        return read is not None and read >= began and not now.failing_since and now.discarded == unused

    def octets(self) -> int:
        """All that is counted by now, in and out."""
        slots = [store.unpack(row.records) for row in Block.objects.all()]
        gaps = GapVolume.objects.values_list("octets_in", "octets_out")
        return sum(int(one["octets_in"].sum()) + int(one["octets_out"].sum()) for one in slots) + sum(
            inward + out for inward, out in gaps
        )

    def _collection(self) -> Collection:
        found = Collection.objects.filter(upstream_id=self.scene.upstream_id).first()
        return found or Collection(upstream_id=self.scene.upstream_id)


# ---------------------------------------------------------------- faults that last for a while


Fault = Callable[[Theatre], Any]


def _spoiled(mode: Mode, *, everything: bool) -> Fault:
    @contextmanager
    def play(theatre: Theatre) -> Iterator[None]:
        proxy = theatre.proxy
        proxy.only = b"" if everything else b"POST "
        proxy.other = (b"/servers/web", b"/servers/spare")
        proxy.lie = b'{"id": "web", "ticket": ""}'
        proxy.mode = mode
        yield
        proxy.mode = Mode.PASS

    return play


def _secured(show: str) -> Fault:
    """A proxy with a certificate stands in front, first the wrong one, then the right one."""

    @contextmanager
    def play(theatre: Theatre) -> Iterator[None]:
        wrong = theatre.certificates
        with FaultProxy(theatre.place.address, tls=wrong.context(show)) as bad:
            move(theatre.scene, f"https://localhost:{bad.port}", pin=wrong.pin if show == "pin" else "")
            yield
            assert bad.requests == [], "bytes of a request left us"
        move(theatre.scene, theatre.proxy.url)

    return play


def _named(answer: Callable[..., Any]) -> Fault:
    @contextmanager
    def play(theatre: Theatre) -> Iterator[None]:
        real = socket.getaddrinfo

        def look_up(host: str, *more: Any, **others: Any) -> Any:
            return answer() if host == "machines.example" else real(host, *more, **others)

        move(theatre.scene, f"http://machines.example:{theatre.proxy.port}")
        with mock.patch("socket.getaddrinfo", look_up):
            yield
        move(theatre.scene, theatre.proxy.url)

    return play


def _unknown_name() -> Any:
    raise socket.gaierror(socket.EAI_NONAME, "no such name")


def _elsewhere() -> Any:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.80", 80))]


def _killed(place: str, *, after: bool) -> Fault:
    """The first time that the worker comes by there it dies. Who plays it lets another one take over."""

    @contextmanager
    def play(theatre: Theatre) -> Iterator[None]:
        module, _, name = place.rpartition(".")
        original = resolve_name(f"{module}:{name}")

        died: list[bool] = []

        def dying(*args: Any, **kwargs: Any) -> Any:
            if not died and not after:
                died.append(True)
                raise Killed
            answer = original(*args, **kwargs)
            if not died:
                died.append(True)
                raise Killed
            return answer

        with mock.patch(place, dying):
            yield

    return play


def _refusing(is_refused: Callable[[str], bool], text: str) -> Fault:
    @contextmanager
    def play(theatre: Theatre) -> Iterator[None]:
        def refuse(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            if is_refused(sql):
                raise OperationalError(text)
            return execute(sql, params, many, context)

        with connection.execute_wrapper(refuse):
            yield

    return play


def _marks_sent(sql: str) -> bool:
    return sql.startswith('UPDATE "services_step"') and "identity_checked_at" in sql.partition("WHERE")[0]


def _writes(sql: str) -> bool:
    return sql.startswith(("INSERT", "UPDATE", "DELETE"))


def _listed(names: list[str]) -> Fault:
    """The list of servers comes back with these only, and is read; then they are all there again."""

    @contextmanager
    def play(theatre: Theatre) -> Iterator[None]:
        everything = theatre.place.remember()
        kept = {name: machine for name, machine in everything["machines"].items() if name in names}
        theatre.place.restore({**everything, "machines": kept})
        fleet.ask_sync(theatre.scene.cast.ines, theatre.scene.upstream_id)
        work_for(theatre.clock, timedelta(seconds=1))
        theatre.place.restore(everything)
        yield

    return play


FAULTS: dict[str, Fault] = {
    **{mode.value: _spoiled(mode, everything=False) for mode in Mode},
    **{f"{mode.value}_all": _spoiled(mode, everything=True) for mode in Mode},
    "refuse": _spoiled(Mode.REFUSE, everything=True),
    "latency": _spoiled(Mode.LATENCY, everything=True),
    "tls_expired": _secured("expired"),
    "tls_name": _secured("name"),
    "tls_pin": _secured("pin"),
    "dns_failure": _named(_unknown_name),
    "dns_elsewhere": _named(_elsewhere),
    "killed_before": _killed("doublehop.services.work.sending._guard_again", after=False),
    "killed_after": _killed("doublehop.fleet.door._send", after=True),
    "database_locked": _refusing(_marks_sent, "database is locked"),
    "database_full": _refusing(_writes, "database or disk is full"),
    "list_empty": _listed([]),
    "list_without": _listed(["third"]),
}
