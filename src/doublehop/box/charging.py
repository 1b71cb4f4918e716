"""Bandwidth contracts of the box, as if they had been made some weeks ago: so that a month can be closed and looked at."""

from datetime import timedelta

from django.utils import timezone

from doublehop.services.actions.contracts import ContractForm, version_of
from doublehop.services.models import Product

AGE_DAYS = 33
"""About as far back as the made-up history has single slots."""


def charge(product: Product, form: ContractForm) -> None:
    version = version_of(product, form)
    version.in_force_from = timezone.now() - timedelta(days=AGE_DAYS)
    version.save()
