"""Bandwidth contracts of products."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from doublehop.bandwidth.contract import Contract, period_of
from doublehop.organisations.actor import Actor
from doublehop.services import contract_words
from doublehop.services.actions.contracts import ContractForm, version_of
from doublehop.services.charging import with_anchor
from doublehop.services.models import ContractVersion, Service
from doublehop.services.queries.catalogue import product


@dataclass(frozen=True)
class Version:
    """One version as a page lists it."""

    contract: Contract
    has_anchor: bool
    in_force_from: datetime
    made_at: datetime
    made_by: str
    state: str
    """"in force", "to come" or "replaced"."""

    @property
    def lines(self) -> list[tuple[str, str]]:
        return contract_words.lines(self.contract, has_anchor=self.has_anchor)


@dataclass(frozen=True)
class Change:
    """What a new version would change, and when: ``differs`` holds (what, before, after); before is empty for the first."""

    version: Version
    differs: tuple[tuple[str, str, str], ...]
    services: int
    """That run on the product now."""
    first_period: str
    """Of the calendar, the first that is charged by it; of services with a day of their own, of one that begins then."""


def contract_versions(actor: Actor, product_id: int, *, now: datetime | None = None) -> list[Version]:
    """Newest first. Raises NotHere."""
    rows = ContractVersion.objects.filter(product=product(actor, product_id)).order_by("in_force_from", "pk")
    moment = now or timezone.now()
    held = [row for row in rows if row.in_force_from <= moment]
    current = held[-1].pk if held else None
    return [_shown(row, current, moment) for row in reversed(rows)]


def preview_contract(actor: Actor, product_id: int, form: ContractForm) -> Change:
    """Raises NotHere, or BadInput with the field."""
    row = product(actor, product_id)
    new = version_of(row, form)
    earlier = [
        one for one in contract_versions(actor, product_id, now=new.in_force_from) if one.state == "in force"
    ]
    before = dict(earlier[0].lines) if earlier else {}
    shown = _shown(new, None, timezone.now())
    differs = tuple(
        (what, before.get(what, ""), after) for what, after in shown.lines if before.get(what) != after
    )
    gone = tuple((what, was, "") for what, was in before.items() if what not in dict(shown.lines))
    return Change(
        shown,
        differs + gone,
        Service.objects.filter(product=row, server__isnull=False).count(),
        period_of(shown.contract, new.in_force_from).label,
    )


def allowances(product_ids: Iterable[int], *, now: datetime | None = None) -> dict[int, str]:
    """What is included with each product, in words; of one whose first contract is yet to come, that one's.

    Whoever asks has the products already: what is offered says this to everybody who may see it.
    """
    moment = now or timezone.now()
    found: dict[int, str] = {}
    rows = ContractVersion.objects.filter(product__in=list(product_ids)).order_by("in_force_from", "pk")
    for row in rows:
        if row.in_force_from <= moment or row.product_id not in found:
            found[row.product_id] = contract_words.offer_in_words(with_anchor(row, moment))
    return found


def allowance(product_id: int) -> str:
    return allowances([product_id]).get(product_id, "not limited")


def _shown(row: ContractVersion, current: int | None, moment: datetime) -> Version:
    state = "in force" if row.pk is not None and row.pk == current else "replaced"
    if row.in_force_from > moment:
        state = "to come"
    return Version(
        with_anchor(row, row.in_force_from),
        row.values["anchor"] is not None,
        row.in_force_from,
        row.made_at,
        row.made_by,
        state,
    )
