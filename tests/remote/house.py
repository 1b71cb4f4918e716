"""A reseller's installation in a process of its own, on loopback: its API, its worker, and the world behind it.

One line of JSON in, one out: ``{"do": "effects", "with": ["web"]}``. What truly happened is read from that world, which nothing
else writes. It ends when its input does.
"""

import json
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler  # noqa: E402

from doublehop.bandwidth import actions as bandwidth  # noqa: E402
from doublehop.driver_kit.conformance.world import Fault  # noqa: E402
from doublehop.fleet import actions as fleet  # noqa: E402
from doublehop.fleet.models import Port  # noqa: E402
from doublehop.jobs.engine import Engine  # noqa: E402
from doublehop.organisations import actions as organisations  # noqa: E402
from doublehop.organisations.actions import TokenForm  # noqa: E402
from doublehop.services.models import Operation  # noqa: E402
from doublehop.services.work import sending, steps  # noqa: E402
from doublehop.site.wsgi import application  # noqa: E402
from tests.cast import a_cast  # noqa: E402
from tests.stage import JOBS, a_product, a_service, a_stage, run_jobs  # noqa: E402

MACHINES = ("web", "db", "lost", "spare")


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """An address may hold what is no one's business."""


class House:
    """Alder's own rack: web, db and lost are in services of Quillfeather, spare is free; one more service waits for a server."""

    def __init__(self) -> None:
        self.cast = a_cast()
        rosa = self.cast.rosa
        self.stage = a_stage(rosa)
        self.rows = dict(zip(MACHINES, self.stage.machines(*MACHINES), strict=True))
        for row in self.rows.values():
            fleet.ask_refresh(rosa, row.pk)
        run_jobs()
        product = a_product(rosa, ways=["port"])
        client = self.cast.quillfeather.pk
        self.services = {
            name: a_service(rosa, client, product, self.rows[name]) for name in ("web", "db", "lost")
        }
        self.services["waiting"] = a_service(rosa, client, product)
        for name, row in self.rows.items():
            Port.objects.get_or_create(upstream=self.stage.upstream, if_name=name, defaults={"server": row})
        bandwidth.write_sample_history(self.stage.upstream.pk, days=40, raw_days=2)

    # ------------------------------------------------------------ what a test may ask

    def about(self) -> dict[str, Any]:
        return {
            "services": {name: f"S-{row.number}" for name, row in self.services.items()},
            "servers": {name: row.label for name, row in self.rows.items()},
        }

    def token(self, *scopes: str, client: bool = False) -> str:
        client_id = self.cast.quillfeather.pk if client else None
        row = organisations.create_token(
            self.cast.rosa, TokenForm("Remote", scopes or ("read", "operate", "billing"), client_id=client_id)
        )
        assert row.shown is not None
        return row.shown.reveal()

    def of_client(self) -> str:
        return self.token("read", "operate", client=True)

    def effects(self, name: str) -> list[str]:
        return self.stage.place.effects(name)

    def operations(self, name: str) -> list[list[str]]:
        rows = Operation.objects.filter(server_id=self.rows[name].pk).order_by("pk")
        return [[row.reference, row.kind, row.state] for row in rows]

    def fine(self) -> None:
        self.stage.place.clear_faults()

    def next_is_unknown(self, name: str) -> None:
        self.stage.place.fault(Fault.UNKNOWN_AFTER_ACTING, on="power.reset", machine=name)


def main() -> None:
    call_command("migrate", verbosity=0)
    # Nobody waits here for a machine to go down.
    steps.EARLIEST_ON = timedelta(0)
    steps.LOOK_AGAIN_SECONDS = sending.LOOK_AGAIN_SECONDS = 0.1
    house = House()
    server = ThreadedWSGIServer(("127.0.0.1", 0), Quiet, ipv6=False)
    server.daemon_threads = True
    server.set_app(application)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    engine = Engine(JOBS)
    worker = threading.Thread(target=engine.run)
    worker.start()
    print(json.dumps({"port": server.server_address[1]} | house.about()), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        deed: Callable[..., object] = getattr(house, asked["do"])
        print(json.dumps(deed(*asked["with"])), flush=True)
    engine.stop()
    worker.join(20)


if __name__ == "__main__":
    main()
