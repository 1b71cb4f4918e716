"""Fills an empty installation with the cast of the box. Plainly demo data: names, addresses and hosts are reserved ones.

Everything is made by the same actions that people's clicks call, and read through the same drivers that meet real
hardware; only dates are moved back, so that there is a history to look at.
"""

from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from doublehop.bandwidth import actions as bandwidth
from doublehop.bandwidth.contract import Method
from doublehop.box.charging import charge
from doublehop.box.emulators import Addresses, Machine
from doublehop.box.machines import MACHINES
from doublehop.box.people import SignIn, actor_of, password
from doublehop.box.work import run_jobs
from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Allocation, Permission, Server, Upstream
from doublehop.fleet.permissions import ALL_RIGHTS, CLIENTS_NEVER
from doublehop.organisations import actions as organisations
from doublehop.organisations.actor import Actor
from doublehop.organisations.models import Client, LeapAccount, Organisation, User
from doublehop.services import actions as services
from doublehop.services.actions import supply
from doublehop.services.actions.catalogue import ProductForm
from doublehop.services.actions.contracts import ContractForm
from doublehop.services.actions.supply import OfferForm
from doublehop.services.counting import count_all
from doublehop.services.models import Attachment, Product, Service

HISTORY_DAYS = 395
SERVICE_AGE_DAYS = 120


@dataclass(frozen=True)
class Owner:
    actor: Actor
    sign_in: SignIn


def is_seeded() -> bool:
    return Organisation.objects.exists()


def seed(addresses: Addresses) -> dict[str, Any]:
    """Makes the whole cast. Needs running emulators: machines are read before they are attached.

    Answers with "sign_ins" by the part they play (provider, reseller, other_reseller, client, other_client), the "leap"
    account of the reseller, and its "tandem" user that has permission.
    """
    provider = _provider()
    rack = _rack(provider.actor, addresses)
    alder = _reseller(provider.actor, "Alder Hosting", "alder", "Rosa Lind", ("#0b6b5d", "#5fd3bf"))
    birch = _reseller(provider.actor, "Birch Cloud", "birch", "Tam Okoye", ("#7a3ea8", "#cfa3f2"))
    mara = _alder_house(provider.actor, alder, rack)
    lena = _birch_house(provider.actor, birch, rack)
    leap, tandem = _alder_leap(alder)
    _offers(provider.actor, rack, birch.actor)
    run_jobs()
    bandwidth.write_sample_history(rack.pk, days=HISTORY_DAYS)
    _move_back()
    count_all({})
    run_jobs()
    sign_ins = {
        "provider": provider.sign_in,
        "reseller": alder.sign_in,
        "other_reseller": birch.sign_in,
        "client": mara,
        "other_client": lena,
    }
    return {
        "sign_ins": {part: asdict(one) for part, one in sign_ins.items()},
        "leap": leap,
        "tandem": asdict(tandem),
    }


@transaction.atomic
def readdress(addresses: Addresses) -> None:
    """The emulators moved to other ports: the rack's settings follow."""
    owner = User.objects.get(sign_in__endswith=":ines@northgate.example")
    actor = actor_of(owner)
    rack = Upstream.objects.get(driver="rack", organisation_id=actor.organisation_id)
    fleet.update_upstream(actor, rack.pk, name=rack.name, values=_rack_settings(addresses))
    for machine, server in zip(MACHINES, Server.objects.filter(upstream=rack).order_by("pk"), strict=True):
        fleet.update_server(actor, server.pk, _machine_settings(addresses, machine, _plan(machine)))


# ---------------------------------------------------------------- the provider


def _provider() -> Owner:
    word = password()
    root = organisations.create_root(
        "Northgate Metal",
        owner_name="Ines Holt",
        owner_email="ines@northgate.example",
        owner_password=word,
    )
    actor = actor_of(User.objects.get(staff__organisation=root))
    organisations.set_brand(
        actor,
        name="Northgate Metal",
        host="northgate.localhost",
        colour="#2f55d4",
        colour_dark="#8aa6ff",
        support_email="support@northgate.example",
    )
    return Owner(actor, SignIn("ines@northgate.example", word, "northgate.localhost"))


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
    _Plan("A1-U08", "shop.example.org", ("203.0.113.40", "203.0.113.41")),
    _Plan("A1-U09", "spare3.example.net", ("203.0.113.56",)),
    _Plan("A1-U10", "spare4.example.net", ("203.0.113.72",)),
)
PERMITTED = ("A1-U08", "A1-U09")
"""Allocated to Alder, and permitted to the Tandem user with which Alder's own installation works."""


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
    email, word = f"{owner.split()[0].lower()}@{short}.example", password()
    organisations.create_staff(
        ines, organisation_id=organisation.pk, name=owner, email=email, password=word, role="owner"
    )
    actor = actor_of(User.objects.get(staff__organisation=organisation))
    host = f"{short}.localhost"
    organisations.set_brand(
        actor,
        name=name,
        host=host,
        colour=colours[0],
        colour_dark=colours[1],
        support_email=f"support@{short}.example",
    )
    return Owner(actor, SignIn(email, word, host))


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
        password=password(),
        role="support",
    )
    products = _products(rosa)
    quillfeather, mara = _client(rosa, "Quillfeather Books", "Mara Quill", "mara@quillfeather.example", alder)
    for label in PERMITTED:
        _allocated(ines, rack, label, rosa)
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


def _alder_leap(alder: Owner) -> tuple[dict[str, str], SignIn]:
    """The machine identity with which Alder's own installation calls, and two Tandem users, one of them with servers."""
    rosa, word = alder.actor, password()
    shop = organisations.add_tandem_user(
        rosa, name="Alder at home", email="panel@alder.example", password=word
    )
    organisations.add_tandem_user(rosa, name="Night shift", email="noc@alder.example", password=password())
    permitted = Server.objects.filter(label__in=PERMITTED).values_list("pk", flat=True)
    fleet.permit_tandem(rosa, shop.pk, list(permitted), ALL_RIGHTS - CLIENTS_NEVER)
    account = LeapAccount.objects.get(organisation_id=rosa.organisation_id)
    leap = {
        "username": account.username,
        "client_id": account.client_id,
        **organisations.show_leap_secrets(rosa, alder.sign_in.password),
    }
    return leap, SignIn("panel@alder.example", word, alder.sign_in.host)


def _offers(ines: Actor, rack: Upstream, tam: Actor) -> None:
    """What the provider sells to resellers: one machine at once from a pool, others by hand. One such order waits."""
    pool = fleet.create_server_group(ines, "Ready for resellers")
    fleet.set_group_members(ines, pool.pk, [Server.objects.get(upstream=rack, label="A1-U07").pk])
    medium = OfferForm(
        name="Dedicated M",
        code="DED-M",
        processor="16 cores, 3.0 GHz",
        memory="64 GB",
        disks="2 × 960 GB NVMe",
        bandwidth="20 TB",
        price="79.00",
        setup_fee="0",
        currency="EUR",
        server_group_id=pool.pk,
    )
    supply.create_offer(ines, medium)
    storage = replace(
        medium,
        name="Storage S",
        code="STO-S",
        processor="8 cores, 2.8 GHz",
        memory="32 GB",
        disks="4 × 8 TB",
        price="59.00",
        server_group_id=None,
    )
    by_hand = supply.create_offer(ines, storage)
    supply.order_supply(tam, by_hand.pk, hostname="vault.example.net", note="For a backup client")


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
    made = services.create_product(actor, medium), services.create_product(actor, storage)
    charge(made[0], ContractForm(method=Method.P95_MAX, included="100", price="0.90"))
    charge(made[1], ContractForm(method=Method.VOLUME_SUM, included="20000", price="0.002"))
    return made


def _allocated(ines: Actor, rack: Upstream, label: str, receiver: Actor) -> Server:
    server = Server.objects.get(upstream=rack, label=label)
    fleet.allocate(ines, server.pk, receiver.organisation_id, currency="EUR")
    return server


def _client(actor: Actor, name: str, person: str, email: str, reseller: Owner) -> tuple[Client, SignIn]:
    client = organisations.create_client(actor, name=name, email=email)
    word = password()
    organisations.create_client_person(actor, client_id=client.pk, name=person, email=email, password=word)
    return client, SignIn(email, word, reseller.sign_in.host)


def _service(actor: Actor, client: Client, product: Product, server: Server) -> Service:
    service = services.create_service(actor, client_id=client.pk, product_id=product.pk)
    return services.attach(actor, service.pk, server.pk)


# ---------------------------------------------------------------- time


def _move_back() -> None:
    """As if it had been sold months ago; the order that waits, since two hours."""
    then = timezone.now() - timedelta(days=SERVICE_AGE_DAYS)
    Permission.objects.update(since=then)
    Attachment.objects.update(since=then)
    Allocation.objects.update(since=then)
    Client.objects.update(created_at=then)
    active = Service.objects.filter(server__isnull=False)
    active.update(created_at=then, activated_at=then)
    Service.objects.filter(server__isnull=True).update(created_at=timezone.now() - timedelta(hours=2))
