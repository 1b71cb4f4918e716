"""An installation of the release before this one, with work in every state, upgraded and worked by this release.

``main`` prints one JSON object, what became of it; it needs a process of its own with the settings of an empty installation.
The rows are written through the models as they were then, so that this stays true when later migrations are added.
"""

import json
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from doublehop.cli.high_water import HighWater
from doublehop.cli.worker import JOBS, PERIODIC
from doublehop.driver_kit.conformance.world import PASSWORD, Machine, world
from doublehop.driver_kit.secret import Secret
from doublehop.fleet.models import Hold
from doublehop.jobs.engine import Engine
from doublehop.organisations import vault
from doublehop.organisations.installation import in_quarantine
from doublehop.organisations.models import User
from doublehop.organisations.queries import actor_for_user
from doublehop.services import actions
from doublehop.services.lifecycle import OperationKind, OperationState
from doublehop.services.models import Operation

THEN = {
    "organisations": "0002",
    "fleet": "0002",
    "services": "0002",
    "jobs": "0001",
    "journal": "0002",
    "bandwidth": "0002",
    "notices": "0001",
}
"""The newest migration of each room in the previous release."""
WITHIN_SECONDS = 40.0
PLACE = "previous-release"


class Then:
    """Writes rows of the previous release. ``apps`` are its models."""

    def __init__(self, apps: Any) -> None:
        self._apps = apps
        self._now = timezone.now()
        self.place = world(PLACE)
        self._number = 0

    def make(self, model: str, **values: Any) -> Any:
        return self._apps.get_model(model).objects.create(**values)

    def house(self) -> None:
        self._root = self.make("organisations.Organisation", name="Northgate Metal", path="/1/")
        self.make("organisations.Brand", organisation=self._root, name="Northgate Metal")
        self._owner = self.make(
            "organisations.User",
            brand_organisation=self._root,
            email="ines@northgate.example",
            name="Ines Holt",
            sign_in="1:ines@northgate.example",
        )
        self.make("organisations.Staff", user=self._owner, organisation=self._root, role="owner")
        self._client = self.make(
            "organisations.Client", organisation=self._root, number=1001, name="Quillfeather Books"
        )
        shelf = self.make("services.ProductGroup", organisation=self._root, name="Servers")
        self._product = self.make(
            "services.Product", organisation=self._root, group=shelf, name="Dedicated M", price="129.00"
        )
        self._upstream = self.make(
            "fleet.Upstream",
            organisation=self._root,
            name="Rack A",
            driver="memory",
            endpoint=PLACE,
            account="demo",
            settings={"endpoint": PLACE, "account": "demo"},
            sealed_secrets=vault.seal({"password": Secret(PASSWORD)}, row="upstream"),
            armed=True,
        )

    def server(self, name: str, *, status: str = "active") -> tuple[Any, Any]:
        """A machine in its rack, attached to a service of the client."""
        self._number += 1
        machine = self.place.add(name, label=name, address=f"192.0.2.{self._number}")
        server = self.make(
            "fleet.Server",
            upstream=self._upstream,
            external_id=name,
            label=name,
            primary_address=machine.address,
            identifiers=_identifiers(machine),
            recorded_identity={
                "external_id": name,
                "primary_address": machine.address,
                "identifiers": _identifiers(machine),
            },
            capabilities=["port", "power", "power_switch"],
            listed_at=self._now,
            power_state="on",
        )
        service = self.make(
            "services.Service",
            organisation=self._root,
            client=self._client,
            product=self._product,
            number=3000 + self._number,
            status=status,
            server=server,
            activated_at=self._now - timedelta(days=90),
            welcomed_at=self._now - timedelta(days=90),
        )
        return server, service

    def operation(self, kind: str, server: Any, service: Any, **values: Any) -> Any:
        return self.make(
            "services.Operation",
            **{
                "reference": f"AAA-AA{self._number}",
                "kind": kind,
                "organisation": self._root,
                "server": server,
                "service": service,
                "client": self._client,
                "actor_kind": "staff",
                "actor_user_id": self._owner.pk,
                "actor_label": self._owner.name,
                "actor_organisation_id": self._root.pk,
                "caller": f"user:{self._owner.pk}",
                "idempotency_key": f"{kind}-{self._number}",
                "request_hash": "0" * 64,
                "asked_at": self._now - timedelta(minutes=1),
                "send_before": self._now + timedelta(minutes=1),
                "settle_before": self._now + timedelta(minutes=9),
                **values,
            },
        )

    def step(self, operation: Any, position: int, kind: str, nature: str, **values: Any) -> None:
        self.make("services.Step", operation=operation, position=position, kind=kind, nature=nature, **values)

    def hold(self, server: Any, **values: Any) -> Any:
        return self.make(
            "fleet.Hold",
            **{
                "server": server,
                "organisation": self._root,
                "reason": "Invoice 1187 is overdue",
                "client_text": "Pay invoice 1187.",
                "set_by": self._owner.name,
                **values,
            },
        )

    def job(self, server: Any, **values: Any) -> None:
        self.make(
            "jobs.Job",
            name="services.work",
            key=f"work:{server.pk}",
            payload={"server_id": server.pk},
            lane=f"upstream:{self._upstream.pk}:work",
            **values,
        )

    def queued_suspend(self) -> None:
        server, service = self.server("suspend", status="suspended")
        hold = self.hold(server)
        operation = self.operation("suspend", server, service, hold_id=hold.pk, reason=hold.reason)
        self.step(operation, 0, "port_off", "level")
        self.job(server, urgent=True)

    def reboot_without_an_answer(self) -> None:
        server, service = self.server("interrupted")
        sent_at = self._now - timedelta(seconds=50)
        operation = self.operation("reboot", server, service, state="running", claimed_at=sent_at)
        sent = {"state": "sent", "sent_at": sent_at, "identity_checked_at": sent_at, "times_sent": 1}
        self.step(operation, 0, "reset", "edge", **sent)
        self.step(operation, 1, "await_on", "read")
        self.job(server, claimed_at=sent_at)

    def unknown_reboot(self) -> None:
        server, service = self.server("unknown")
        operation = self.operation("reboot", server, service, state="unknown", staff_text="No answer.")
        self.step(operation, 0, "reset", "edge", state="unknown", times_sent=1, sent_at=self._now)
        self.step(operation, 1, "await_on", "read")

    def held(self) -> None:
        """Suspended by its port a month ago."""
        server, _ = self.server("held", status="suspended")
        self.place.machines["held"].port_enabled = False
        self.hold(server, effects=[{"way": "port", "was": True}], since=self._now - timedelta(days=30))

    def waiting_mail(self) -> None:
        self.make(
            "notices.Mail",
            organisation=self._root,
            to="mara@quillfeather.example",
            subject="Your server is ready",
            body="Password: [password: only in the mail itself]",
            sealed_secrets=vault.seal({"password": Secret("sealed-before-4711")}, row="mail"),
            about="welcome",
            key="welcome:1",
            created_at=self._now - timedelta(hours=1),
        )


def _identifiers(machine: Machine) -> list[list[str]]:
    return [["mac", machine.mac, "strong"], ["serial", machine.serial, "strong"]]


def build() -> Then:
    """The database at the previous release, with its rows."""
    executor = MigrationExecutor(connection)
    targets = [key for key in executor.loader.graph.leaf_nodes() if key[0] not in THEN]
    for room, number in THEN.items():
        (name,) = (n for app, n in executor.loader.disk_migrations if app == room and n.startswith(number))
        targets.append((room, name))
    executor.migrate(targets)
    then = Then(executor.loader.project_state(targets).apps)
    then.house()
    then.queued_suspend()
    then.reboot_without_an_answer()
    then.unknown_reboot()
    then.held()
    then.waiting_mail()
    return then


def upgrade() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def work_until_settled() -> None:
    """As ``doublehop worker`` does it, until nothing is open any more."""
    HighWater(settings.DOUBLEHOP_DATA_DIR).look()
    engine = Engine(JOBS, PERIODIC)
    thread = threading.Thread(target=engine.run)
    thread.start()
    until = time.monotonic() + WITHIN_SECONDS
    try:
        while _is_open() and time.monotonic() < until:
            time.sleep(0.1)
    finally:
        engine.stop()
        thread.join()


def _is_open() -> bool:
    open_ones = Operation.objects.filter(state__in=(OperationState.QUEUED, OperationState.RUNNING))
    return open_ones.exists() or not any(_mails())


def _mails() -> list[str]:
    """The password that was sealed before must be readable in what went out."""
    folder = Path(settings.EMAIL_FILE_PATH)
    return [path.read_text() for path in folder.iterdir()] if folder.exists() else []


def main() -> None:
    then = build()
    upgrade()
    actor = actor_for_user(User.objects.get())
    assert actor is not None
    held = Hold.objects.get(server__external_id="held")
    actions.request(actor, OperationKind.UNSUSPEND, server_id=held.server_id, idempotency_key="unsuspend")
    work_until_settled()
    told = {
        "states": {
            f"{row.kind} {row.server.external_id}": row.state
            for row in Operation.objects.select_related("server")
        },
        "effects": {name: then.place.effects(name) for name in then.place.machines},
        "holds": sorted(Hold.objects.filter(lifted_at=None).values_list("server__external_id", flat=True)),
        "quarantine": in_quarantine(),
        "mails": len(_mails()),
        "secret_in_mail": all("sealed-before-4711" in text for text in _mails()),
    }
    print(json.dumps(told))
