"""One installation in a process of its own, on loopback: its pages and APIs, its worker, its database.

    python -m tests.peers.house PORT       one line of JSON in, one out: {"do": "effects", "with": ["web"]}

A provider's machines are those of the memory driver; everybody else buys from another house over its REST API. What truly
happened to a machine is read from the world behind the provider, which nothing else writes. It ends when its input does, and
goes on where it was when it is started again in the same folder.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import django
from django.conf import settings
from django.utils import timezone

django.setup()

from django.core.management import call_command  # noqa: E402
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler  # noqa: E402
from django.test import Client as Browser  # noqa: E402

from doublehop.bandwidth import actions as bandwidth  # noqa: E402
from doublehop.bandwidth import totals  # noqa: E402
from doublehop.bandwidth.models import Total  # noqa: E402
from doublehop.bandwidth.queries import daily_totals  # noqa: E402
from doublehop.cli.worker import JOBS, PERIODIC  # noqa: E402
from doublehop.fleet import actions as fleet  # noqa: E402
from doublehop.fleet import buying  # noqa: E402
from doublehop.fleet.models import Allocation, Permission, Server, Upstream  # noqa: E402
from doublehop.fleet.ordering import offers_of  # noqa: E402
from doublehop.jobs.engine import Engine  # noqa: E402
from doublehop.organisations import actions as organisations  # noqa: E402
from doublehop.organisations.actions.tokens import TokenForm  # noqa: E402
from doublehop.organisations.actor import Actor  # noqa: E402
from doublehop.organisations.models import ClientPerson, Organisation, User  # noqa: E402
from doublehop.organisations.queries import actor_for_user  # noqa: E402
from doublehop.services import actions as services  # noqa: E402
from doublehop.services import upkeep  # noqa: E402
from doublehop.services.actions import brakes, supply  # noqa: E402
from doublehop.services.actions.buying import buy  # noqa: E402
from doublehop.services.lifecycle import OPEN_STATES, OperationKind  # noqa: E402
from doublehop.services.models import Operation, Service, SupplyOrder  # noqa: E402
from doublehop.services.work import sending, settling, steps  # noqa: E402
from doublehop.site.wsgi import application  # noqa: E402
from tests.stage import Stage, a_product, a_service, a_stage, run_jobs  # noqa: E402

EVERYTHING = ("read", "operate", "billing")
BEFORE_WORK = {"begin", "machines"}
"""What does its own jobs at once: a worker beside it would take them away, and it would look before they are done."""
PATIENCE_SECONDS = 90.0
MOST_TESTS = 5


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


class House:
    """``owner`` is the staff of its root organisation, once there is one."""

    stage: Stage | None = None

    @property
    def owner(self) -> Actor:
        user = User.objects.filter(staff__organisation__parent=None).order_by("pk").first()
        actor = actor_for_user(user) if user else None
        assert actor is not None
        return actor

    # ------------------------------------------------------------ who is there

    def begin(self, name: str) -> None:
        organisations.create_root(
            name,
            owner_name="The owner",
            owner_email="owner@house.example",
            owner_password="correct-horse-battery",
        )

    def machines(self, *names: str) -> None:
        """Of its own, with days of traffic that were made up."""
        self.stage = a_stage(self.owner)
        for row in self.stage.machines(*names):
            fleet.ask_refresh(self.owner, row.pk)
        run_jobs()
        bandwidth.write_sample_history(self.stage.upstream.pk, days=40, raw_days=2)

    def reseller(self, name: str) -> str:
        """An organisation directly below; answers with the token that its own installation works with."""
        row = organisations.create_organisation(self.owner, name=name)
        staff = organisations.create_staff(
            self.owner,
            organisation_id=row.pk,
            name="Somebody",
            email=f"somebody@{name.split()[0].lower()}.example",
            password="correct-horse-battery",
            role="owner",
        )
        actor = actor_for_user(staff.user)
        assert actor is not None
        return self._token(actor)

    def _token(self, actor: Actor, **of: Any) -> str:
        row = organisations.create_token(actor, TokenForm("A program", EVERYTHING, **of))
        assert row.shown is not None
        return row.shown.reveal()

    def buy_from(self, endpoint: str, token: str) -> list[list[Any]]:
        """Adds the other house as an upstream, tests and arms it; answers with what the test said."""
        row = fleet.create_upstream(
            self.owner,
            driver="peer",
            name="The house above",
            values={"endpoint": endpoint, "token": token, "pin": "", "hostnames": "on"},
        )
        for _ in range(MOST_TESTS):
            self._wait(lambda: Upstream.objects.get(pk=row.pk).tested_at is not None)
            found = Upstream.objects.get(pk=row.pk)
            if all(fine for _, fine, _ in found.test_report):
                break
            # A busy machine may be late with its answer: a person would press the button once more.
            Upstream.objects.filter(pk=row.pk).update(tested_at=None)
            fleet.ask_test(self.owner, row.pk)
        else:
            raise AssertionError(found.test_report)
        fleet.ask_sync(self.owner, row.pk)
        self._wait(lambda: Server.objects.filter(upstream_id=row.pk, power_read_at__isnull=False).count() > 1)
        fleet.arm(self.owner, row.pk)
        return list(found.test_report)

    def sell(self, host: str, name: str) -> dict[str, Any]:
        """A client and its service with that server; answers with the client's own token and the ids."""
        email = f"ada@{name.split()[0].lower()}.example"
        client = organisations.create_client(self.owner, name=name, email=email)
        organisations.create_client_person(
            self.owner,
            client_id=client.pk,
            name="Ada",
            email=email,
            password="correct-horse-battery",
        )
        server = self._server(host)
        service = a_service(self.owner, client.pk, a_product(self.owner, f"Product for {name}"), server)
        return {
            "token": self._token(self.owner, client_id=client.pk),
            "service": service.pk,
            "server": server.pk,
        }

    # ------------------------------------------------------------ what passes from one to the other

    def give(self, host: str, receiver: str) -> None:
        fleet.allocate(self.owner, self._server(host).pk, Organisation.objects.get(name=receiver).pk)

    def offer(self, name: str, price: str) -> None:
        """To whoever is directly below; staff fill its orders by hand."""
        supply.create_offer(self.owner, supply.OfferForm(name=name, price=price, processor="8 cores"))

    def stock(self, host: str, offer: str, price: str) -> None:
        """Has one machine free, and an offer that is filled with it at once."""
        group = fleet.create_server_group(self.owner, offer)
        fleet.set_group_members(self.owner, group.pk, [self._server(host).pk])
        supply.create_offer(
            self.owner,
            supply.OfferForm(name=offer, price=price, processor="8 cores", server_group_id=group.pk),
        )

    def order(self, client: str) -> None:
        """What the house above offers, at its price: for a service of that client, or for the rack."""
        self.sync()
        upstream = Upstream.objects.get(driver="peer")
        (offer,) = offers_of(upstream)
        service = None
        if client:
            row = organisations.create_client(self.owner, name=client, email="desk@wren.example")
            service = a_service(self.owner, row.pk, a_product(self.owner, f"Product for {client}")).pk
        buy(self.owner, upstream.pk, offer.offer_id, price=offer.price, service_id=service)

    def orders(self) -> list[list[str]]:
        """[offer, price] of each that waits here for staff."""
        rows = SupplyOrder.objects.filter(giver=self.owner.organisation_id, state=SupplyOrder.State.WAITING)
        return [[row.offer_name, str(row.price)] for row in rows]

    def fill(self, host: str) -> None:
        row = SupplyOrder.objects.get(giver=self.owner.organisation_id, state=SupplyOrder.State.WAITING)
        supply.fill_supply(self.owner, row.pk, self._server(host).pk)

    def look_after_orders(self) -> None:
        """What its worker does every few minutes."""
        buying.follow_orders({})
        upkeep.attach_bought({})

    def take_back(self, host: str) -> None:
        given = Allocation.objects.get(server=self._server(host), until__isnull=True)
        fleet.end_allocation(self.owner, given.pk)

    def sync(self) -> None:
        """Reads the list of the house above, and waits for it."""
        row = Upstream.objects.get(driver="peer")
        fleet.ask_sync(self.owner, row.pk)
        self._wait(lambda: Upstream.objects.get(pk=row.pk).synced_at != row.synced_at)

    def long_ago(self) -> None:
        """As if everything had been given and sold months ago: what went before is nobody's to see."""
        then = timezone.now() - timedelta(days=30)
        Allocation.objects.update(since=then)
        Permission.objects.update(since=then)

    def fetch_figures(self, host: str) -> None:
        totals.fetch_server({"server_id": self._server(host).pk})

    def kept_figures(self, host: str) -> list[list[Any]]:
        """[day, in, out, source, unit] each, as they are kept here."""
        rows = Total.objects.filter(server_id=self._server(host).pk).order_by("start")
        return [
            [row.start.date().isoformat(), row.octets_in, row.octets_out, row.source, row.unit]
            for row in rows
        ]

    def figures(self, host: str, first: str, last: str) -> list[list[Any]]:
        """[day, in, out] each, by whatever it was counted."""
        start, end = (date.fromisoformat(text) for text in (first, last))
        days = daily_totals(self.owner, self._server(host).pk, start, end)
        return [[day.day.isoformat(), day.octets_in, day.octets_out] for day in days]

    # ------------------------------------------------------------ what can be seen

    def ids(self) -> dict[str, int]:
        return dict(Server.objects.values_list("hostname", "pk"))

    def server(self, host: str) -> dict[str, Any]:
        row = self._server(host)
        identifiers = sorted([kind, value] for kind, value, proof in row.identifiers if proof == "strong")
        return {
            "gone": row.missing_since is not None,
            "withheld": row.withheld_since is not None,
            "identifiers": identifiers,
            "capabilities": row.capabilities,
        }

    def effects(self, name: str) -> list[str]:
        assert self.stage is not None
        return self.stage.place.effects(name)

    def port_enabled(self, name: str) -> bool:
        assert self.stage is not None
        return self.stage.place.machines[name].port_enabled

    def operations(self) -> list[list[Any]]:
        rows = Operation.objects.order_by("pk").values_list(
            "kind", "state", "failure_code", "reason", "staff_text"
        )
        return [list(row) for row in rows]

    def service_status(self, host: str) -> str:
        return Service.objects.get(server__hostname=host).status

    def sold(self, host: str) -> bool:
        return Service.objects.filter(server__hostname=host, status="active").exists()

    def client_pages(self, host: str) -> str:
        """What the client's person reads of their service, in one text."""
        service = Service.objects.get(server__hostname=host)
        person = ClientPerson.objects.get(client_id=service.client_id)
        browser = Browser()
        browser.force_login(person.user, backend=settings.AUTHENTICATION_BACKENDS[0])
        paths = ("/", f"/servers/{service.pk}/", f"/servers/{service.pk}/bandwidth/", "/orders/")
        answers = [browser.get(path, follow=True) for path in paths]
        assert all(answer.status_code in {200, 404} for answer in answers)
        return "\n".join(answer.content.decode() for answer in answers)

    # ------------------------------------------------------------ what a person does

    def press(self, kind: str, host: str) -> str:
        service = Service.objects.get(server__hostname=host)
        row = services.request(
            self.owner,
            OperationKind(kind),
            service.pk,
            idempotency_key=f"{kind}-{time.monotonic()}",
            reason="Invoice 1187 of Heron Press is overdue" if kind == "suspend" else "",
        )
        return row.reference

    def state_of(self, reference: str) -> list[str]:
        row = Operation.objects.get(reference=reference)
        return [row.state, row.failure_code]

    def rest(self) -> None:
        """Waits until nothing is under way, and lets nothing that is unknown be in the way of what follows."""
        self._wait(lambda: not Operation.objects.filter(state__in=OPEN_STATES).exists())
        Operation.objects.filter(state="unknown").update(state="failed", settled_at=timezone.now())

    def _server(self, host: str) -> Server:
        return Server.objects.select_related("upstream").get(hostname=host)

    @staticmethod
    def _wait(is_so: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            assert time.monotonic() < until, "not so within the time"
            time.sleep(0.05)


def main(port: int) -> None:
    call_command("migrate", verbosity=0)
    # Nobody waits here for a machine to go down, nor for minutes between two looks.
    steps.EARLIEST_ON = timedelta(0)
    steps.LOOK_AGAIN_SECONDS = sending.LOOK_AGAIN_SECONDS = 0.1
    sending.BACK_OFF_SECONDS = (1,)
    settling.LOOK_AGAIN_EVERY = timedelta(seconds=1)
    brakes.LEAST_FREE = 1000
    house = House()
    server = ThreadedWSGIServer(("127.0.0.1", port), Quiet, ipv6=False)
    server.daemon_threads = True
    server.set_app(application)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    engine = Engine(JOBS, PERIODIC)
    worker = threading.Thread(target=engine.run)
    if Organisation.objects.exists():
        worker.start()
    print(json.dumps({"port": server.server_address[1]}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["do"] not in BEFORE_WORK and not worker.ident:
            worker.start()
        deed: Callable[..., object] = getattr(house, asked["do"])
        print(json.dumps(deed(*asked["with"])), flush=True)
    engine.stop()
    if worker.ident:
        worker.join(20)


if __name__ == "__main__":
    main(int(sys.argv[1]))
