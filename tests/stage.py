"""A small installation on the memory driver: machines, services and a worker that runs when told to."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from django.utils import timezone

from doublehop.bandwidth import totals
from doublehop.driver_kit.conformance.world import PASSWORD, World, world
from doublehop.fleet import actions as fleet
from doublehop.fleet import work as fleet_work
from doublehop.fleet.models import Server, Upstream
from doublehop.jobs.engine import Engine
from doublehop.jobs.models import Job
from doublehop.notices import work as notices_work
from doublehop.organisations.actor import Actor
from doublehop.services import actions, upkeep, work
from doublehop.services.actions.catalogue import ProductForm
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import Operation, Product, Service


def _later(payload: object) -> None:
    """Figures of traffic are fetched where a test is about them (``totals.JOBS``): they would use up planned faults."""


JOBS = {
    **notices_work.JOBS,
    **fleet_work.JOBS,
    **work.JOBS,
    **upkeep.JOBS,
    **dict.fromkeys(totals.JOBS, _later),
}


def run_jobs() -> None:
    """Everything that is due now."""
    Engine(JOBS).drain()


def run_all_jobs(rounds: int = 40) -> None:
    """Everything, as if the waiting times had passed. Bounded."""
    for _ in range(rounds):
        run_jobs()
        if not Job.objects.exists():
            return
        Job.objects.update(run_at=timezone.now() - timedelta(seconds=1))
    raise AssertionError(f"jobs never end: {list(Job.objects.values_list('key', flat=True))}")


@dataclass
class Stage:
    """``place`` is the world behind the upstream; ``owner`` its staff."""

    place: World
    upstream: Upstream
    owner: Actor

    def server(self, external_id: str) -> Server:
        return Server.objects.select_related("upstream").get(upstream=self.upstream, external_id=external_id)

    def machines(self, *external_ids: str, parts: frozenset[str] | None = None) -> list[Server]:
        for number, external_id in enumerate(external_ids, len(self.place.machines) + 11):
            self.place.add(
                external_id,
                label=external_id.upper(),
                hostname=f"{external_id}.example.org",
                address=f"192.0.2.{number}",
                parts=parts,
            )
        fleet.ask_sync(self.owner, self.upstream.pk)
        run_jobs()
        return [self.server(external_id) for external_id in external_ids]


def a_stage(owner: Actor) -> Stage:
    """An armed memory upstream without machines."""
    place = world(f"stage-{uuid4()}")
    place.add("lab", label="LAB", hostname="lab.example.org", address="192.0.2.250")
    values = {"endpoint": place.endpoint, "account": "demo", "password": PASSWORD}
    upstream = fleet.create_upstream(owner, driver="memory", name="Rack A", values=values)
    run_jobs()
    fleet.arm(owner, upstream.pk)
    upstream.refresh_from_db()
    return Stage(place, upstream, owner)


def a_product(staff: Actor, name: str = "Dedicated M", ways: list[str] | None = None) -> Product:
    group = actions.create_product_group(staff, f"Servers for {name}")
    policy = actions.create_suspend_policy(staff, f"Policy of {name}", ways) if ways else None
    form = ProductForm(
        name=name, group_id=group.pk, price="129.00", suspend_policy_id=policy.pk if policy else None
    )
    return actions.create_product(staff, form)


def a_service(staff: Actor, client_id: int, product: Product, server: Server | None = None) -> Service:
    service = actions.create_service(staff, client_id=client_id, product_id=product.pk)
    return actions.attach(staff, service.pk, server.pk) if server is not None else service


def ask(actor: Actor, kind: OperationKind, service: Service, **more: object) -> Operation:
    """Like pressing the button."""
    values: dict[str, object] = {"idempotency_key": str(uuid4()), **more}
    if kind is OperationKind.SUSPEND:
        values = {"reason": "Invoice 1187 is overdue", "client_text": "Pay invoice 1187.", **values}
    return actions.request(actor, kind, service.pk, **values)  # type: ignore[arg-type]
