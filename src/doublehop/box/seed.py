"""Fills an empty installation with the cast of the box. Plainly demo data: names, addresses and hosts are reserved ones.

Everything is made by the same actions that people's clicks call, and read through the same drivers that meet real
hardware; only dates are moved back, so that there is a history to look at.
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from doublehop.bandwidth import actions as bandwidth
from doublehop.bandwidth.collector import JOBS as BANDWIDTH_JOBS
from doublehop.box.emulators import Addresses, Machine
from doublehop.box.machines import MACHINES
from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Allocation, Permission, Server, Upstream
from doublehop.fleet.work import JOBS as FLEET_JOBS
from doublehop.jobs.engine import Engine
from doublehop.organisations import actions as organisations
from doublehop.organisations.actor import Actor
from doublehop.organisations.models import Client, Organisation, User
from doublehop.organisations.queries import actor_for_user
from doublehop.services import actions as services
from doublehop.services.actions.catalogue import ProductForm
from doublehop.services.models import Product, Service
from doublehop.services.work import JOBS as SERVICE_JOBS

HISTORY_DAYS = 395
SERVICE_AGE_DAYS = 120


@dataclass(frozen=True)
class SignIn:
    email: str
    password: str
    host: str
    """The brand's own host name, which browsers find on this machine by itself."""


@dataclass(frozen=True)
class Owner:
    actor: Actor
    sign_in: SignIn


def is_seeded() -> bool:
    return Organisation.objects.exists()


def seed(addresses: Addresses) -> dict[str, SignIn]:
    """Makes the whole cast. Needs running emulators: machines are read before they are attached.

    Answers with the sign-ins by the part they play: provider, reseller, other_reseller, client, other_client.
    """
    provider = _provider()
    rack = _rack(provider.actor, addresses)
    alder = _reseller(provider.actor, "Alder Hosting", "alder", "Rosa Lind", ("#0b6b5d", "#5fd3bf"))
    birch = _reseller(provider.actor, "Birch Cloud", "birch", "Tam Okoye", ("#7a3ea8", "#cfa3f2"))
    mara = _alder_house(provider.actor, alder, rack)
    lena = _birch_house(provider.actor, birch, rack)
    bandwidth.write_sample_history(rack.pk, days=HISTORY_DAYS)
    _move_back()
    return {
        "provider": provider.sign_in,
        "reseller": alder.sign_in,
        "other_reseller": birch.sign_in,
        "client": mara,
        "other_client": lena,
    }


@transaction.atomic
def readdress(addresses: Addresses) -> None:
    """The emulators moved to other ports: the rack's settings follow."""
    owner = User.objects.get(sign_in__endswith=":ines@northgate.example")
    actor = _actor(owner)
    rack = Upstream.objects.get(driver="rack", organisation_id=actor.organisation_id)
    fleet.update_upstream(actor, rack.pk, name=rack.name, values=_rack_settings(addresses))
    for machine, server in zip(MACHINES, Server.objects.filter(upstream=rack).order_by("pk"), strict=True):
        fleet.update_server(actor, server.pk, _machine_settings(addresses, machine, _plan(machine)))


# ---------------------------------------------------------------- the provider


def _provider() -> Owner:
    password = _password()
    root = organisations.create_root(
        "Northgate Metal",
        owner_name="Ines Holt",
        owner_email="ines@northgate.example",
        owner_password=password,
    )
    actor = _actor(User.objects.get(staff__organisation=root))
    organisations.set_brand(
        actor,
        name="Northgate Metal",
        host="northgate.localhost",
        colour="#2f55d4",
        colour_dark="#8aa6ff",
        support_email="support@northgate.example",
    )
    return Owner(actor, SignIn("ines@northgate.example", password, "northgate.localhost"))


@dataclass(frozen=True)
class _Plan:
    """What a machine is called and used for."""

    label: str
    hostname: str
    addresses: tuple[str, ...]
    username: str = "root"


_PLANS = (
    _Plan("A1-U01", "web1.example.org", ("192.0.2.24", "192.0.2.25", "2001:db8:24::/64")),
    _Plan("A1-U02", "db1.example.org", ("192.0.2.40", "2001:db8:40::/64")),
    _Plan("A1-U03", "files.example.net", ("192.0.2.56",)),
    _Plan("A1-U04", "app1.example.com", ("198.51.100.8", "198.51.100.9")),
    _Plan("A1-U05", "win1.example.com", ("198.51.100.24",), "Administrator"),
    _Plan("A1-U06", "spare1.example.net", ("203.0.113.6",)),
    _Plan("A1-U07", "spare2.example.net", ("203.0.113.7",)),
)


def _plan(machine: Machine) -> _Plan:
    return _PLANS[MACHINES.index(machine)]


def _rack(ines: Actor, addresses: Addresses) -> Upstream:
    rack = fleet.create_upstream(ines, driver="rack", name="Rack A1", values=_rack_settings(addresses))
    for machine in MACHINES:
        fleet.add_server(ines, rack.pk, _machine_settings(addresses, machine, _plan(machine)))
    fleet.ask_test(ines, rack.pk)
    run_jobs()
    fleet.arm(ines, rack.pk)
    return rack


def _rack_settings(addresses: Addresses) -> dict[str, str]:
    return {
        "switch": addresses.switch,
        "read_community": addresses.read_community,
        "write_community": addresses.write_community,
    }


def _machine_settings(addresses: Addresses, machine: Machine, plan: _Plan) -> dict[str, str]:
    return {
        "label": plan.label,
        "hostname": plan.hostname,
        "bmc_url": addresses.bmc_url,
        "bmc_system": machine.uuid,
        "bmc_username": addresses.bmc_username,
        "bmc_password": addresses.bmc_password,
        "switch_port": machine.if_name,
        "addresses": "\n".join(plan.addresses),
        "login_username": plan.username,
        "login_password": "demo-only",
    }


# ---------------------------------------------------------------- the resellers


def _reseller(ines: Actor, name: str, short: str, owner: str, colours: tuple[str, str]) -> Owner:
    organisation = organisations.create_organisation(ines, name=name)
    email, password = f"{owner.split()[0].lower()}@{short}.example", _password()
    organisations.create_staff(
        ines, organisation_id=organisation.pk, name=owner, email=email, password=password, role="owner"
    )
    actor = _actor(User.objects.get(staff__organisation=organisation))
    host = f"{short}.localhost"
    organisations.set_brand(
        actor,
        name=name,
        host=host,
        colour=colours[0],
        colour_dark=colours[1],
        support_email=f"support@{short}.example",
    )
    return Owner(actor, SignIn(email, password, host))


def _alder_house(ines: Actor, alder: Owner, rack: Upstream) -> SignIn:
    rosa = alder.actor
    # The fourth is free: the order that waits can be filled with it.
    labels = ("A1-U01", "A1-U02", "A1-U03", "A1-U06")
    web, db, files, _ = (_allocated(ines, rack, label, rosa) for label in labels)
    organisations.create_staff(
        rosa,
        organisation_id=rosa.organisation_id,
        name="Ivo Park",
        email="ivo@alder.example",
        password=_password(),
        role="support",
    )
    products = _products(rosa)
    quillfeather, mara = _client(rosa, "Quillfeather Books", "Mara Quill", "mara@quillfeather.example", alder)
    for server, product in ((web, products[0]), (db, products[0]), (files, products[1])):
        _service(rosa, quillfeather, product, server)
    services.create_service(
        rosa, client_id=quillfeather.pk, product_id=products[1].pk, hostname="new.example.org"
    )
    organisations.create_client(rosa, name="Harbour Lane Bakery", email="till@harbourlane.example")
    return mara


def _birch_house(ines: Actor, birch: Owner, rack: Upstream) -> SignIn:
    tam = birch.actor
    app, windows = (_allocated(ines, rack, label, tam) for label in ("A1-U04", "A1-U05"))
    products = _products(tam)
    juniper, lena = _client(tam, "Juniper Analytics", "Lena Brook", "lena@juniper.example", birch)
    for server, product in ((app, products[0]), (windows, products[1])):
        _service(tam, juniper, product, server)
    return lena


def _products(actor: Actor) -> tuple[Product, Product]:
    group = services.create_product_group(actor, "Dedicated servers")
    policy = services.create_suspend_policy(
        actor, "Network off, else power off", ["port", "upstream", "power"]
    )
    fleet.create_server_group(actor, "Ready to use")
    medium = ProductForm(
        name="Dedicated M",
        group_id=group.pk,
        description="16 cores, 64 GB, 2 × 960 GB",
        price="129.00",
        suspend_policy_id=policy.pk,
    )
    storage = ProductForm(
        name="Storage S",
        group_id=group.pk,
        description="8 cores, 32 GB, 4 × 8 TB",
        price="89.00",
        suspend_policy_id=policy.pk,
    )
    return services.create_product(actor, medium), services.create_product(actor, storage)


def _allocated(ines: Actor, rack: Upstream, label: str, receiver: Actor) -> Server:
    server = Server.objects.get(upstream=rack, label=label)
    fleet.allocate(ines, server.pk, receiver.organisation_id, currency="EUR")
    return server


def _client(actor: Actor, name: str, person: str, email: str, reseller: Owner) -> tuple[Client, SignIn]:
    client = organisations.create_client(actor, name=name, email=email)
    password = _password()
    organisations.create_client_person(
        actor, client_id=client.pk, name=person, email=email, password=password
    )
    return client, SignIn(email, password, reseller.sign_in.host)


def _service(actor: Actor, client: Client, product: Product, server: Server) -> Service:
    service = services.create_service(actor, client_id=client.pk, product_id=product.pk)
    return services.attach(actor, service.pk, server.pk)


# ---------------------------------------------------------------- time


def _move_back() -> None:
    """As if it had been sold months ago; the order that waits, since two hours."""
    then = timezone.now() - timedelta(days=SERVICE_AGE_DAYS)
    Permission.objects.update(since=then)
    Allocation.objects.update(since=then)
    Client.objects.update(created_at=then)
    active = Service.objects.filter(server__isnull=False)
    active.update(created_at=then, activated_at=then)
    Service.objects.filter(server__isnull=True).update(created_at=timezone.now() - timedelta(hours=2))


def run_jobs() -> None:
    """What the worker would do, at once and here."""
    Engine({**FLEET_JOBS, **BANDWIDTH_JOBS, **SERVICE_JOBS}).drain(timeout_seconds=60)


def _actor(user: User) -> Actor:
    actor = actor_for_user(user)
    if actor is None:
        raise LookupError(f"{user} belongs nowhere")
    return actor


def _password() -> str:
    """Easy to type, hard to guess: four groups of four."""
    signs = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(signs) for _ in range(4)) for _ in range(4))
