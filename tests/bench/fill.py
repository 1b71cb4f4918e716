"""``python -m tests.bench.fill N [BMC_URL]``: one reseller with N services on N servers. Rows only: nothing is sent."""

import json
import sys
from datetime import timedelta

import django

django.setup()

from django.contrib.auth.hashers import make_password  # noqa: E402
from django.utils import timezone  # noqa: E402

from doublehop.driver_kit.secret import Secret  # noqa: E402
from doublehop.fleet.models import Address, Permission, Server, Upstream  # noqa: E402
from doublehop.jobs.models import Beat  # noqa: E402
from doublehop.organisations import actions as organisations  # noqa: E402
from doublehop.organisations import vault  # noqa: E402
from doublehop.organisations.models import Client, ClientPerson, User  # noqa: E402
from doublehop.organisations.queries import actor_for_user  # noqa: E402
from doublehop.services import actions as services  # noqa: E402
from doublehop.services.actions.catalogue import ProductForm  # noqa: E402
from doublehop.services.models import Operation, Service, Step  # noqa: E402
from tests.bench.scratch import PASSWORD  # noqa: E402

PER_CLIENT = 20


def main(count: int, bmc_url: str) -> dict[str, object]:
    root = organisations.create_root(
        "Bench Hosting", owner_name="Bea Long", owner_email="bea@bench.example", owner_password=PASSWORD
    )
    owner = User.objects.get(staff__organisation=root)
    actor = actor_for_user(owner)
    assert actor is not None
    group = services.create_product_group(actor, "Servers")
    product = services.create_product(
        actor, ProductForm(name="Dedicated M", group_id=group.pk, price="129.00")
    )
    rack = Upstream.objects.create(
        organisation=root,
        driver="rack",
        name="Rack",
        armed=True,
        tested_at=timezone.now(),
        settings={"switch": ""},
    )
    now = timezone.now()
    sealed = vault.seal({"bmc_password": Secret("x")}, row="server")
    Server.objects.bulk_create(
        [
            Server(
                upstream=rack,
                external_id=f"m{n}",
                label=f"M-{n:06d}",
                hostname=f"host{n}.example.org",
                primary_address=f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}",
                power_state="on",
                power_read_at=now,
                username="root",
                username_read_at=now,
                listed_at=now,
                capabilities=["power", "power_switch", "addresses", "credentials"],
                recorded_identity={"external_id": f"m{n}", "primary_address": "", "identifiers": []},
                settings={
                    "label": f"M-{n:06d}",
                    "bmc_url": bmc_url,
                    "bmc_system": "",
                    "bmc_username": "x",
                    "addresses": [],
                },
                sealed_secrets=sealed,
            )
            for n in range(count)
        ],
        batch_size=2000,
    )
    server_ids = list(Server.objects.order_by("pk").values_list("pk", flat=True))
    Client.objects.bulk_create(
        [
            Client(organisation=root, number=1001 + n, name=f"Client {n:05d}", email=f"c{n}@bench.example")
            for n in range(max(1, count // PER_CLIENT))
        ],
        batch_size=2000,
    )
    client_ids = list(Client.objects.order_by("pk").values_list("pk", flat=True))
    of = [client_ids[n * len(client_ids) // count] for n in range(count)]
    Service.objects.bulk_create(
        [
            Service(
                organisation=root,
                client_id=of[n],
                product=product,
                number=3001 + n,
                status="active",
                server_id=server_ids[n],
                activated_at=now - timedelta(days=100),
                price=product.price,
            )
            for n in range(count)
        ],
        batch_size=2000,
    )
    rights = ["view", "power", "rdns", "credentials", "bandwidth"]
    Permission.objects.bulk_create(
        [
            Permission(server_id=server_ids[n], client_id=of[n], given_by=root, rights=rights)
            for n in range(count)
        ],
        batch_size=2000,
    )
    Address.objects.bulk_create(
        [
            Address(server_id=server_ids[n], address=f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", primary=True)
            for n in range(count)
        ],
        batch_size=2000,
    )
    service_ids = list(Service.objects.order_by("pk").values_list("pk", flat=True))
    Operation.objects.bulk_create(
        [
            Operation(
                reference=f"B{n:06d}",
                kind="reboot",
                state="done",
                organisation=root,
                server_id=server_ids[n],
                service_id=service_ids[n],
                client_id=of[n],
                actor_kind="staff",
                actor_label="Bea Long",
                actor_organisation_id=root.pk,
                caller="bench",
                idempotency_key=str(n),
                send_before=now,
                settle_before=now,
            )
            for n in range(count)
        ],
        batch_size=2000,
    )
    Step.objects.bulk_create(
        [
            Step(operation_id=pk, position=0, kind="reset", nature="edge", state="done")
            for pk in Operation.objects.values_list("pk", flat=True)
        ],
        batch_size=5000,
    )
    user = User.objects.create(
        brand_organisation=root,
        email="client@bench.example",
        name="Cleo Short",
        sign_in=f"{root.pk}:client@bench.example",
        password=make_password(PASSWORD),
    )
    ClientPerson.objects.create(user=user, client_id=of[count // 2])
    Beat.objects.create(worker="worker", at=now + timedelta(days=1))
    mine = Service.objects.filter(client_id=of[count // 2]).order_by("pk").values_list("pk", flat=True)
    return {"service": service_ids[count // 2], "client_services": list(mine)[:PER_CLIENT]}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:9")))
