"""The second installation: Alder Hosting at home, with the module *Singlehop* and the login that its provider gave it.

It knows nothing of the provider's database: every server in here was listed, read and permitted over HTTP.
"""

from dataclasses import asdict, dataclass
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from doublehop.bandwidth.contract import Method
from doublehop.box.charging import charge
from doublehop.box.people import SignIn, actor_of, password
from doublehop.box.work import run_jobs
from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Permission, Server, Upstream
from doublehop.organisations import actions as organisations
from doublehop.organisations.actor import Actor
from doublehop.organisations.models import Client, User
from doublehop.services import actions as services
from doublehop.services.actions.catalogue import ProductForm
from doublehop.services.actions.contracts import ContractForm
from doublehop.services.actions.modules import ModuleForm
from doublehop.services.actions.orders import order
from doublehop.services.models import Attachment, Product, Service
from doublehop.services.welcome import default_welcome

MODULE = "singlehop"
SERVICE_AGE_DAYS = 60


@dataclass(frozen=True)
class Given:
    """``endpoint`` is where the provider answers; the logins are those of its installation."""

    endpoint: str
    leap: dict[str, str]
    tandem: dict[str, str]
    staff: dict[str, str]

    @property
    def settings(self) -> dict[str, str]:
        """The credentials as Module Settings takes them."""
        return {
            "endpoint": self.endpoint,
            "leap_username": self.leap["username"],
            "leap_password": self.leap["password"],
            "tandem_username": self.tandem["email"],
            "tandem_password": self.tandem["password"],
            "api_key": self.leap["api_key"],
            "pin": self.leap["pin"],
        }


def seed(given: Given) -> dict[str, dict[str, str]]:
    """Answers with the sign-ins of staff and client."""
    rosa = _house(given)
    medium, storage = _products(rosa, given)
    run_jobs()
    lantern, pia, sign_in = _client(rosa)
    first = Server.objects.filter(withheld_since__isnull=True).order_by("label", "pk").first()
    if first is None:
        raise LookupError("the provider lists no server that the Tandem user may use")
    sold = services.create_service(rosa, client_id=lantern.pk, product_id=medium.pk)
    services.attach(rosa, sold.pk, first.pk)
    _move_back()
    run_jobs()
    order(pia, storage.pk, hostname="archive.example.org", custom_values={}, key="box")
    run_jobs()
    staff = SignIn(given.staff["email"], given.staff["password"], given.staff["host"])
    return {"staff": asdict(staff), "client": asdict(sign_in)}


def move(given: Given) -> None:
    """The provider answers at another address: the upstream follows."""
    rosa = actor_of(User.objects.get(email=given.staff["email"]))
    upstream = Upstream.objects.get(driver=MODULE)
    fleet.update_upstream(rosa, upstream.pk, name=upstream.name, values=given.settings)
    run_jobs()


@transaction.atomic
def _house(given: Given) -> Actor:
    root = organisations.create_root(
        "Alder Hosting",
        owner_name="Rosa Lind",
        owner_email=given.staff["email"],
        owner_password=given.staff["password"],
    )
    rosa = actor_of(User.objects.get(staff__organisation=root))
    organisations.set_brand(
        rosa,
        name="Alder Hosting",
        host=given.staff["host"],
        colour="#0b6b5d",
        colour_dark="#5fd3bf",
        support_email="support@alder.example",
    )
    return rosa


def _products(rosa: Actor, given: Given) -> tuple[Product, Product]:
    """One login, two products: the second finds the upstream that the first made."""
    group = services.create_product_group(rosa, "Dedicated servers")
    subject, body = default_welcome()
    made = []
    for name, description, price, allowance in (
        ("Dedicated M", "16 cores, 64 GB, 2 × 960 GB", "139.00", 20_000),
        ("Storage S", "8 cores, 32 GB, 4 × 8 TB", "99.00", 10_000),
    ):
        product = services.create_product(
            rosa,
            ProductForm(
                name=name,
                group_id=group.pk,
                description=description,
                price=price,
                welcome_subject=subject,
                welcome_body=body,
            ),
        )
        form = ModuleForm(module=MODULE, login="fields", values=given.settings, arm=True)
        made.append(services.save_module_settings(rosa, product.pk, form))
        charge(product, ContractForm(method=Method.VOLUME_SUM, included=str(allowance), price="0.002"))
    return made[0], made[1]


def _client(rosa: Actor) -> tuple[Client, Actor, SignIn]:
    client = organisations.create_client(rosa, name="Lantern Studio", email="pia@lantern.example")
    word = password()
    person = organisations.create_client_person(
        rosa, client_id=client.pk, name="Pia Lund", email="pia@lantern.example", password=word
    )
    return client, actor_of(person.user), SignIn("pia@lantern.example", word, "alder.localhost")


def _move_back() -> None:
    """As if it had been sold months ago, so that its bandwidth of these months is the client's to see."""
    then = timezone.now() - timedelta(days=SERVICE_AGE_DAYS)
    Permission.objects.update(since=then)
    Attachment.objects.update(since=then)
    Client.objects.update(created_at=then)
    Service.objects.filter(server__isnull=False).update(created_at=then, activated_at=then)
