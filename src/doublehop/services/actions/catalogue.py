"""Setup > Products/Services: product groups, products, suspend policies."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from doublehop.fleet.models import ServerGroup
from doublehop.fleet.permissions import CLIENT_RIGHTS, Right
from doublehop.organisations import record, texts
from doublehop.organisations.actor import Actor, Duty
from doublehop.organisations.once import once
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere
from doublehop.services import welcome
from doublehop.services.models import Product, ProductGroup, SuspendPolicy

WAYS = ("port", "upstream", "null_route", "power", "permission", "notify")
"""How a service can be taken away: network port off, the provider's own suspension, power off, our permission at the
provider withdrawn (the machine stays online), or only told."""
MOST_CUSTOM_FIELDS = 30
MOST_ALERTS = 5
MOST_PERCENT = 1000
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
    overdue_grace_days: str | None = None
    alert_percents: str | None = None
    """Whole per cents, such as "80, 90, 100"; empty: no alerts."""
    alert_client: bool | None = None
    welcome_subject: str | None = None
    welcome_body: str | None = None
    custom_fields: Sequence[Mapping[str, Any]] | None = None
    """Each {"key" (empty for a new one), "label", "required": bool, "asked": "client" | "staff"}. None of these six keeps
    what is stored; an empty text takes it away."""


def _organisation(actor: Actor) -> int:
    if not actor.is_staff:
        raise NotHere
    if not actor.has(Duty.SET_UP):
        raise NotAllowed("Needs the role admin or owner.")
    return actor.organisation_id


def _group_again(actor: Actor, group_id: int) -> ProductGroup:
    group = ProductGroup.objects.filter(pk=group_id, organisation_id=_organisation(actor)).first()
    if group is None:
        raise NotHere
    return group


@once("product_group.create", again=_group_again)
@transaction.atomic
def create_product_group(actor: Actor, name: str, *, key: str = "") -> ProductGroup:
    organisation_id = _organisation(actor)
    try:
        with transaction.atomic():
            group = ProductGroup.objects.create(organisation_id=organisation_id, name=texts.name_of(name, 80))
    except IntegrityError as error:
        raise BadInput("A product group of this name is there already.", field="name") from error
    record.write(actor, "product_group.created", ("product_group", group.pk), target_label=group.name)
    return group


def _policy_again(actor: Actor, policy_id: int) -> SuspendPolicy:
    policy = SuspendPolicy.objects.filter(pk=policy_id, organisation_id=_organisation(actor)).first()
    if policy is None:
        raise NotHere
    return policy


@once("suspend_policy.create", again=_policy_again)
@transaction.atomic
def create_suspend_policy(actor: Actor, name: str, ways: Sequence[str], *, key: str = "") -> SuspendPolicy:
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


def locked_product(actor: Actor, product_id: int) -> Product:
    rows = Product.objects.select_for_update().filter(organisation_id=_organisation(actor))
    product = rows.filter(pk=product_id).first()
    if product is None:
        raise NotHere
    return product


@once("product.create", again=locked_product)
@transaction.atomic
def create_product(actor: Actor, form: ProductForm, *, key: str = "") -> Product:
    product = Product(organisation_id=_organisation(actor))
    _fill(product, form)
    record.write(actor, "product.created", ("product", product.pk), target_label=product.name)
    return product


@transaction.atomic
def update_product(actor: Actor, product_id: int, form: ProductForm) -> Product:
    """Services that exist keep their own price; the rest of the product holds for them from now on."""
    product = locked_product(actor, product_id)
    _fill(product, form)
    record.write(actor, "product.changed", ("product", product.pk), target_label=product.name)
    return product


def _fill(product: Product, form: ProductForm) -> None:
    group = ProductGroup.objects.filter(pk=form.group_id, organisation_id=product.organisation_id).first()
    if group is None:
        raise BadInput("Choose a product group.", field="group_id")
    product.name, product.group = texts.name_of(form.name, 120), group
    product.type = one_of(form.type, ("server", "hosting", "other"), "type")
    product.cycle = one_of(form.cycle, ("monthly", "quarterly", "annually"), "cycle")
    product.currency = one_of(form.currency, CURRENCIES, "currency")
    product.price = money(form.price, "price")
    product.description = texts.remark(form.description, field="description")[:300]
    product.hidden = form.hidden
    fill_provisioning(product, form.server_group_id, form.suspend_policy_id, form.client_rights)
    _fill_more(product, form)
    save_product(product)


def save_product(product: Product) -> None:
    try:
        with transaction.atomic():
            product.save()
    except IntegrityError as error:
        raise BadInput("A product of this name is there already.", field="name") from error


def fill_provisioning(
    product: Product, server_group_id: int | None, suspend_policy_id: int | None, rights: Sequence[str]
) -> None:
    """The group, the policy and the rights, which must be the organisation's own. Raises BadInput."""
    own = {"organisation_id": product.organisation_id}
    product.server_group = None
    if server_group_id is not None:
        product.server_group = ServerGroup.objects.filter(pk=server_group_id, **own).first()
        if product.server_group is None:
            raise BadInput("Choose a server group, or None.", field="server_group_id")
    product.suspend_policy = None
    if suspend_policy_id is not None:
        product.suspend_policy = SuspendPolicy.objects.filter(pk=suspend_policy_id, **own).first()
        if product.suspend_policy is None:
            raise BadInput("Choose a suspend policy, or none.", field="suspend_policy_id")
    if set(rights) - {right.value for right in Right}:
        raise BadInput("Choose rights from the list.", field="client_rights")
    product.client_rights = [right.value for right in Right if right is Right.VIEW or right.value in rights]


def _fill_more(product: Product, form: ProductForm) -> None:
    """What a form may leave out."""
    if form.overdue_grace_days is not None:
        product.overdue_grace_days = _whole(form.overdue_grace_days, 365, "overdue_grace_days")
    if form.alert_percents is not None:
        product.alert_percents = percents_of(form.alert_percents)
    if form.alert_client is not None:
        product.alert_client = form.alert_client
    if form.welcome_subject is not None:
        subject = " ".join(texts.remark(form.welcome_subject, field="welcome_subject").split())
        product.welcome_subject = _at_most(subject, 200, "welcome_subject")
    if form.welcome_body is not None:
        product.welcome_body = texts.remark(form.welcome_body, field="welcome_body")
    welcome.check(product.welcome_subject, product.welcome_body)
    if form.custom_fields is not None:
        product.custom_fields = _custom_fields(form.custom_fields)


def _custom_fields(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Keys are made from labels once and stay, so that a label may be mended without losing what was typed under it."""
    if len(rows) > MOST_CUSTOM_FIELDS:
        raise BadInput(f"At most {MOST_CUSTOM_FIELDS} custom fields.", field="custom_fields")
    fields: list[dict[str, Any]] = []
    labels: set[str] = set()
    for row in rows:
        label = texts.name_of(str(row.get("label", "")), 60, field="custom_fields")
        if label.lower() in labels:
            raise BadInput(f"Two custom fields are called {label}.", field="custom_fields")
        labels.add(label.lower())
        taken = {one["key"] for one in fields} | {
            str(other.get("key", "")) for other in rows if other is not row
        }
        key = str(row.get("key", ""))
        if not re.fullmatch(r"[a-z0-9_]{1,40}", key) or key in {one["key"] for one in fields}:
            key = _free_key(label, taken)
        asked = one_of(str(row.get("asked", "client")), ("client", "staff"), "custom_fields")
        fields.append({"key": key, "label": label, "required": bool(row.get("required")), "asked": asked})
    return fields


def _free_key(label: str, taken: set[str]) -> str:
    wanted = slugify(label).replace("-", "_")[:36] or "field"
    numbered = (
        wanted if number == 1 else f"{wanted}_{number}" for number in range(1, MOST_CUSTOM_FIELDS + 2)
    )
    return next(key for key in numbered if key not in taken)


def percents_of(text: str) -> list[int]:
    """Shares at which somebody is told, from "80, 90 %". Raises BadInput."""
    found = sorted(
        {int(one) if one.isdigit() and len(one) < 5 else 0 for one in re.split(r"[\s,;%]+", text) if one}
    )
    if len(found) > MOST_ALERTS or any(not 1 <= one <= MOST_PERCENT for one in found):
        raise BadInput(
            f"Write at most {MOST_ALERTS} whole per cents, such as 80, 90, 100.", field="alert_percents"
        )
    return found


def _at_most(text: str, longest: int, field: str) -> str:
    if len(text) > longest:
        raise BadInput(f"At most {longest} signs.", field=field)
    return text


def _whole(text: str, most: int, field: str) -> int | None:
    """A whole number from 0 to ``most``; None for an empty text."""
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and int(text) <= most):
        raise BadInput(f"Write a whole number from 0 to {most:,}, or leave it empty.", field=field)
    return int(text)


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
