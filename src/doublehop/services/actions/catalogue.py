"""Setup > Products/Services: product groups, products, suspend policies."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from django.db import IntegrityError, transaction

from doublehop.fleet.models import ServerGroup
from doublehop.fleet.permissions import CLIENT_RIGHTS, Right
from doublehop.organisations import record, texts
from doublehop.organisations.actor import Actor, Duty
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere
from doublehop.services.models import Product, ProductGroup, SuspendPolicy

WAYS = ("port", "upstream", "power", "permission", "notify")
"""How a service can be taken away: network port off, the provider's own suspension, power off, our permission at the
provider withdrawn (the machine stays online), or only told."""
CURRENCIES = ("EUR", "USD", "GBP", "CHF", "PLN", "CZK", "SEK", "DKK", "NOK", "CAD", "AUD")


@dataclass(frozen=True)
class ProductForm:
    """Raw texts of the product form; ``group_id``, ``server_group_id`` and ``suspend_policy_id`` are the actor's own."""

    name: str
    group_id: int
    type: str = "server"
    description: str = ""
    price: str = "0"
    currency: str = "EUR"
    cycle: str = "monthly"
    server_group_id: int | None = None
    suspend_policy_id: int | None = None
    client_rights: Sequence[str] = tuple(right.value for right in CLIENT_RIGHTS)
    hidden: bool = False


def _organisation(actor: Actor) -> int:
    if not actor.is_staff:
        raise NotHere
    if not actor.has(Duty.SET_UP):
        raise NotAllowed("Needs the role admin or owner.")
    return actor.organisation_id


@transaction.atomic
def create_product_group(actor: Actor, name: str) -> ProductGroup:
    organisation_id = _organisation(actor)
    try:
        with transaction.atomic():
            group = ProductGroup.objects.create(organisation_id=organisation_id, name=texts.name_of(name, 80))
    except IntegrityError as error:
        raise BadInput("A product group of this name is there already.", field="name") from error
    record.write(actor, "product_group.created", ("product_group", group.pk), target_label=group.name)
    return group


@transaction.atomic
def create_suspend_policy(actor: Actor, name: str, ways: Sequence[str]) -> SuspendPolicy:
    """``ways`` are tried in their order; the first that the machine offers is used."""
    organisation_id = _organisation(actor)
    if not ways or any(way not in WAYS for way in ways) or len(set(ways)) != len(ways):
        raise BadInput("Choose at least one way, each once.", field="ways")
    try:
        with transaction.atomic():
            policy = SuspendPolicy.objects.create(
                organisation_id=organisation_id, name=texts.name_of(name, 80), ways=list(ways)
            )
    except IntegrityError as error:
        raise BadInput("A suspend policy of this name is there already.", field="name") from error
    record.write(actor, "suspend_policy.created", ("suspend_policy", policy.pk), target_label=policy.name)
    return policy


@transaction.atomic
def create_product(actor: Actor, form: ProductForm) -> Product:
    product = Product(organisation_id=_organisation(actor))
    _fill(product, form)
    record.write(actor, "product.created", ("product", product.pk), target_label=product.name)
    return product


@transaction.atomic
def update_product(actor: Actor, product_id: int, form: ProductForm) -> Product:
    """Services that exist keep their own price; the rest of the product holds for them from now on."""
    product = (
        Product.objects.select_for_update()
        .filter(pk=product_id, organisation_id=_organisation(actor))
        .first()
    )
    if product is None:
        raise NotHere
    _fill(product, form)
    record.write(actor, "product.changed", ("product", product.pk), target_label=product.name)
    return product


def _fill(product: Product, form: ProductForm) -> None:
    own = {"organisation_id": product.organisation_id}
    group = ProductGroup.objects.filter(pk=form.group_id, **own).first()
    if group is None:
        raise BadInput("Choose a product group.", field="group_id")
    product.name, product.group = texts.name_of(form.name, 120), group
    product.type = one_of(form.type, ("server", "hosting", "other"), "type")
    product.cycle = one_of(form.cycle, ("monthly", "quarterly", "annually"), "cycle")
    product.currency = one_of(form.currency, CURRENCIES, "currency")
    product.price = money(form.price, "price")
    product.description = texts.remark(form.description, field="description")[:300]
    product.hidden = form.hidden
    product.server_group = None
    if form.server_group_id is not None:
        product.server_group = ServerGroup.objects.filter(pk=form.server_group_id, **own).first()
        if product.server_group is None:
            raise BadInput("Choose a server group, or None.", field="server_group_id")
    product.suspend_policy = None
    if form.suspend_policy_id is not None:
        product.suspend_policy = SuspendPolicy.objects.filter(pk=form.suspend_policy_id, **own).first()
        if product.suspend_policy is None:
            raise BadInput("Choose a suspend policy, or none.", field="suspend_policy_id")
    unknown = set(form.client_rights) - {right.value for right in Right}
    if unknown:
        raise BadInput("Choose rights from the list.", field="client_rights")
    product.client_rights = [
        right.value for right in Right if right is Right.VIEW or right.value in form.client_rights
    ]
    try:
        with transaction.atomic():
            product.save()
    except IntegrityError as error:
        raise BadInput("A product of this name is there already.", field="name") from error


def one_of(text: str, choices: Sequence[str], field: str) -> str:
    if text not in choices:
        raise BadInput("Choose one from the list.", field=field)
    return text


def money(text: str, field: str) -> Decimal:
    """A price of at most 9,999,999.99 with at most two decimals."""
    try:
        amount = Decimal(text.strip().replace(",", "."))
    except InvalidOperation as error:
        raise BadInput("Write an amount such as 129.00.", field=field) from error
    if (
        not amount.is_finite()
        or amount < 0
        or amount >= 10_000_000
        or amount != amount.quantize(Decimal("0.01"))
    ):
        raise BadInput("Write an amount from 0 to 9,999,999.99, with at most two decimals.", field=field)
    return amount
