"""Setup > Products/Services > Module Settings: where a product's servers come from, and with which login."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.db import transaction

from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Upstream
from doublehop.fleet.permissions import CLIENT_RIGHTS
from doublehop.fleet.queries import upstreams_visible_to
from doublehop.organisations import record
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import BadInput
from doublehop.services.actions.catalogue import fill_provisioning, locked_product, save_product
from doublehop.services.models import Product
from doublehop.services.queries.modules import module_card

FIELDS, SAVED = "fields", "saved"
MOST_NAMED = 5


@dataclass(frozen=True)
class ModuleForm:
    """``module`` empty: any server that the organisation may sell. ``login``: FIELDS with raw texts in ``values`` by field
    name, an empty secret keeps the stored one; or SAVED with the ``upstream_id`` of a login that is there.
    ``arm``: commands are sent as soon as a test finds everything fine."""

    module: str = ""
    server_group_id: int | None = None
    suspend_policy_id: int | None = None
    client_rights: Sequence[str] = tuple(right.value for right in CLIENT_RIGHTS)
    login: str = FIELDS
    upstream_id: int | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    arm: bool = True


@transaction.atomic
def save_module_settings(actor: Actor, product_id: int, form: ModuleForm) -> Product:
    """*Save Changes*: finds or makes the upstream of the login, tests it, and reads its list anew.

    What went wrong with the login before is forgotten. Services keep the servers that they have. Raises BadInput, of
    which BadSettings names every field of the login that is wrong.
    """
    product = locked_product(actor, product_id)
    fill_provisioning(product, form.server_group_id, form.suspend_policy_id, form.client_rights)
    sentence = "No module: any server that may be sold"
    product.module, product.upstream = form.module, None
    if form.module:
        product.upstream, made = _upstream(actor, form)
        sentence = _told(product, product.upstream, form, made)
    save_product(product)
    record.write(
        actor, "product.module_saved", ("product", product.pk), target_label=product.name, sentence=sentence
    )
    return product


def _upstream(actor: Actor, form: ModuleForm) -> tuple[Upstream, bool]:
    if module_card(form.module) is None:
        raise BadInput("Choose a module from the list.", field="module")
    if form.login == SAVED:
        rows = upstreams_visible_to(actor).filter(driver=form.module)
        chosen = rows.filter(pk=form.upstream_id).first() if form.upstream_id is not None else None
        if chosen is None:
            raise BadInput("Choose a saved login from the list.", field="upstream_id")
        return fleet.ask_anew(actor, chosen.pk, arm=form.arm), False
    if form.login != FIELDS:
        raise BadInput("Type the login, or choose a saved one.", field="login")
    return fleet.find_or_make_upstream(actor, form.module, form.values, "", form.arm)


def _told(product: Product, upstream: Upstream, form: ModuleForm, made: bool) -> str:
    """One login is one upstream, so what is typed at one product holds for every other that uses it."""
    sentence = f"{upstream.name}, {'new' if made else 'tested anew'}"
    others = upstream.products.exclude(pk=product.pk).order_by("name").values_list("name", flat=True)
    named = list(others[: MOST_NAMED + 1])
    if form.login == FIELDS and named:
        more = " and others" if len(named) > MOST_NAMED else ""
        sentence += f". The login changes for {', '.join(named[:MOST_NAMED])}{more} too"
    return sentence
