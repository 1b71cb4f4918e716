"""A provider's installation in a process of its own, on loopback: its two old APIs, its worker, and the world behind it.

One line of JSON in, one out: ``{"do": "effects"}``. What truly happened is read from that world, which nothing else writes.
It ends when its input does.
"""

import json
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import django
import httpx
from django.utils import timezone

django.setup()

from django.core.management import call_command  # noqa: E402
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler  # noqa: E402

from doublehop.bandwidth import actions as bandwidth  # noqa: E402
from doublehop.driver_kit.conformance.world import Fault  # noqa: E402
from doublehop.fleet import actions as fleet  # noqa: E402
from doublehop.fleet.models import Allocation, Hold, Permission, Port, Server  # noqa: E402
from doublehop.jobs.engine import Engine  # noqa: E402
from doublehop.organisations import actions as organisations  # noqa: E402
from doublehop.organisations.actions import TokenForm  # noqa: E402
from doublehop.organisations.models import ApiToken, Client, OtherInstallation  # noqa: E402
from doublehop.services import actions as services  # noqa: E402
from doublehop.services import counting, queries  # noqa: E402
from doublehop.services.actions import batches, brakes  # noqa: E402
from doublehop.services.actions.catalogue import ProductForm  # noqa: E402
from doublehop.services.lifecycle import OperationKind  # noqa: E402
from doublehop.services.models import Batch, PeriodUsage, Service, SupplyOrder  # noqa: E402
from doublehop.services.work import sending, steps  # noqa: E402
from doublehop.site.wsgi import application  # noqa: E402
from tests.cast import PASSWORD, a_cast  # noqa: E402
from tests.stage import JOBS, a_stage, run_jobs  # noqa: E402

TANDEM = ("panel@alder.example", "a-chosen-password")
MACHINES = ("web", "db", "files", "spare")
BOXES = ("alpha", "beta", "gamma", "delta")
POOL = ("pool1", "pool2")
ALL = (*MACHINES, *BOXES, *POOL)
"""The first four are for the module ``singlehop``, the rest for ``doublehop``."""


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """An address may hold what is no one's business."""


class Provider:
    """Machines, given to Alder; the Tandem user that Alder's WHMCS works with, which may use none at first; and Alder's own
    products with the token of its WHMCS."""

    def __init__(self) -> None:
        self.cast = a_cast()
        self.stage = a_stage(self.cast.ines)
        self.rows = dict(zip(ALL, self.stage.machines(*ALL), strict=True))
        for row in self.rows.values():
            fleet.allocate(self.cast.ines, row.pk, self.cast.alder.pk)
        account = organisations.open_leap_account(self.cast.rosa, self.cast.alder.pk)
        secrets = organisations.show_leap_secrets(self.cast.rosa, PASSWORD)
        self.tandem = organisations.add_tandem_user(
            self.cast.rosa, name="Panel", email=TANDEM[0], password=TANDEM[1]
        )
        for row in self.rows.values():
            fleet.ask_refresh(self.cast.ines, row.pk)
        run_jobs()
        # As if they had been given long ago: what went before is not Alder's to see.
        since = timezone.now() - timedelta(days=40)
        Allocation.objects.update(since=since)
        Permission.objects.update(since=since)
        for name, row in self.rows.items():
            Port.objects.get_or_create(upstream=self.stage.upstream, if_name=name, defaults={"server": row})
        bandwidth.write_sample_history(self.stage.upstream.pk, days=40, raw_days=12)
        self.products = self._products()
        self.token = self.new_token()
        self.login = {
            "leap_username": account.username,
            "leap_password": secrets["password"],
            "tandem_username": TANDEM[0],
            "tandem_password": TANDEM[1],
            "api_key": secrets["api_key"],
        }

    def _products(self) -> dict[str, str]:
        rosa = self.cast.rosa
        pool = fleet.create_server_group(rosa, "Pool")
        fleet.set_group_members(rosa, pool.pk, [self.rows[name].pk for name in POOL])
        group = services.create_product_group(rosa, "Dedicated servers")
        policy = services.create_suspend_policy(rosa, "Power off", ["power"])
        made = {}
        for name, pool_id in (("By hand", None), ("From the pool", pool.pk), ("Bigger", None)):
            form = ProductForm(
                name=name,
                group_id=group.pk,
                price="129.00",
                suspend_policy_id=policy.pk,
                server_group_id=pool_id,
            )
            made[name] = str(services.create_product(rosa, form).pk)
        return made

    # ------------------------------------------------------------ what a test may ask

    def about(self) -> dict[str, Any]:
        return {
            "login": self.login,
            "ids": {name: str(row.pk) for name, row in self.rows.items()},
            "products": self.products,
            "token": self.token,
        }

    def new_token(self, *scopes: str, billing_system: str = "WHMCS") -> str:
        form = TokenForm(
            name="WHMCS",
            scopes=scopes or ("read", "operate", "billing"),
            billing_system=billing_system,
            signed_only=bool(billing_system),
        )
        return organisations.create_token(self.cast.rosa, form).shown.reveal()

    def accept_installation(self, token: str) -> None:
        row = ApiToken.objects.get(handle=token.split("_")[1])
        other = OtherInstallation.objects.filter(token=row).latest("pk")
        organisations.accept_installation(self.cast.rosa, row.pk, other.pk)

    def service(self, reference: str) -> dict[str, Any]:
        row = self._of_whmcs(reference)
        return {
            "id": row.pk,
            "number": row.number,
            "status": row.status,
            "server": row.server_id and str(row.server_id),
            "product": str(row.product_id),
            "client": row.client_id,
        }

    def _of_whmcs(self, reference: str) -> Service:
        return Service.objects.get(
            organisation=self.cast.alder, billed_by="WHMCS", billing_reference=reference
        )

    def by_hand(self, machine: str, billed_by: str = "", reference: str = "") -> int:
        """An active service that this WHMCS knows nothing of, for the client who is 1 there."""
        client = Client.objects.get(organisation=self.cast.alder, billing_reference="1")
        made = services.create_service(
            self.cast.rosa, product_id=int(self.products["By hand"]), client_id=client.pk, key=""
        )
        services.attach(self.cast.rosa, made.pk, self.rows[machine].pk, key="")
        Service.objects.filter(pk=made.pk).update(billed_by=billed_by, billing_reference=reference)
        since = timezone.now() - timedelta(days=40)
        made.attachments.update(since=since)
        Permission.objects.filter(server_id=self.rows[machine].pk).update(since=since)
        return made.number

    def attach_in_the_panel(self, reference: str, machine: str) -> None:
        services.attach(self.cast.rosa, self._of_whmcs(reference).pk, self.rows[machine].pk, key="")

    def how_many(self) -> int:
        return Service.objects.filter(organisation=self.cast.alder).count()

    def attached_long_ago(self, reference: str) -> None:
        row = self._of_whmcs(reference)
        since = timezone.now() - timedelta(days=40)
        row.attachments.update(since=since)
        Permission.objects.filter(server_id=row.server_id).update(since=since)

    def count_usage(self) -> None:
        counting.count_usage({"organisation_id": self.cast.alder.pk})

    def octets(self, reference: str) -> int:
        row = PeriodUsage.objects.filter(service=self._of_whmcs(reference)).latest("start")
        return row.octets_in + row.octets_out

    def cancellations(self) -> list[str]:
        rows = SupplyOrder.objects.filter(kind=SupplyOrder.Kind.CANCEL, state=SupplyOrder.State.WAITING)
        return [row.server.external_id for row in rows]

    def number_of(self, machine: str) -> int:
        return Service.objects.filter(attachments__server=self.rows[machine]).latest("pk").number

    def clients(self) -> list[list[str]]:
        return [
            [row.billing_reference, row.name] for row in Client.objects.filter(organisation=self.cast.alder)
        ]

    def end_everything(self) -> None:
        """No service holds a server any more, as if all had been terminated long ago."""
        self.fine()
        for row in Service.objects.filter(organisation=self.cast.alder):
            if row.status in ("active", "suspended"):
                services.terminate(self.cast.rosa, row.pk, reason="The test is over", key="")
            elif row.status == "pending":
                services.cancel_service(self.cast.rosa, row.pk, reason="The test is over")
        Hold.objects.filter(lifted_at=None).update(lifted_at=timezone.now())

    def suspend_above(self, name: str) -> None:
        services.request(
            self.cast.ines,
            OperationKind.SUSPEND,
            server_id=self.rows[name].pk,
            idempotency_key=f"above-{name}",
            reason="Abuse",
        )

    def effects(self) -> dict[str, list[str]]:
        return {name: self.stage.place.effects(name) for name in ALL}

    def permit(self, *names: str) -> None:
        fleet.permit_tandem(self.cast.rosa, self.tandem.pk, [self.rows[name].pk for name in names])

    def revoke(self, *names: str) -> None:
        fleet.revoke_tandem(self.cast.rosa, self.tandem.pk, [self.rows[name].pk for name in names])

    def permitted(self) -> list[str]:
        now = timezone.now()
        rows = Permission.objects.filter(tandem_user=self.tandem).exclude(until__lte=now)
        return sorted(rows.values_list("server__external_id", flat=True))

    def operations(self, name: str) -> list[list[str]]:
        rows = queries.operations_visible_to(self.cast.rosa).filter(server_id=self.rows[name].pk)
        return [[row.kind, row.state, row.reason] for row in rows.order_by("id")]

    def suspend_in_the_panel(self, name: str) -> None:
        services.request(
            self.cast.rosa,
            OperationKind.SUSPEND,
            server_id=self.rows[name].pk,
            idempotency_key=f"panel-{name}",
            reason="Asked for on the telephone",
        )

    def slow(self, name: str, seconds: float) -> None:
        self.stage.place.fault(Fault.SLOW, machine=name, seconds=seconds, times=None)

    def fine(self) -> None:
        self.stage.place.clear_faults()

    def brake_after(self, free: int) -> None:
        """How many suspensions an hour pass; the next one waits for a person."""
        brakes.LEAST_FREE = free
        for batch in Batch.objects.filter(state=Batch.State.OPEN):
            batches.refuse(self.cast.rosa, batch.pk, why="The date was wrong")

    def readdress(self, name: str, address: str) -> None:
        """The number of the server now names a machine with another address."""
        Server.objects.filter(pk=self.rows[name].pk).update(primary_address=address)


def main() -> None:
    call_command("migrate", verbosity=0)
    # Nobody waits here for a machine to go down.
    steps.EARLIEST_ON = timedelta(0)
    steps.LOOK_AGAIN_SECONDS = sending.LOOK_AGAIN_SECONDS = 0.1
    brakes.LEAST_FREE = 1000
    provider = Provider()
    server = ThreadedWSGIServer(("127.0.0.1", 0), Quiet, ipv6=False)
    server.daemon_threads = True
    server.set_app(application)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # The first answer of a process loads all that answers: no page's five seconds are for that.
    httpx.get(f"http://127.0.0.1:{server.server_address[1]}/api/v1/me", trust_env=False, timeout=60)
    engine = Engine(JOBS)
    worker = threading.Thread(target=engine.run)
    worker.start()
    print(json.dumps({"port": server.server_address[1]} | provider.about()), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        deed: Callable[..., object] = getattr(provider, asked["do"])
        print(json.dumps(deed(*asked["with"])), flush=True)
    engine.stop()
    worker.join(20)


if __name__ == "__main__":
    main()
