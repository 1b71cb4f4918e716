"""Payments and due dates of services that no billing system owns."""

from datetime import timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from doublehop.organisations.actor import Actor
from doublehop.services.lifecycle import ServiceStatus
from doublehop.services.models import Payment, Product, Service
from doublehop.services.queries.services import service


def payments_of(actor: Actor, service_id: int) -> QuerySet[Payment]:
    """Newest first."""
    return Payment.objects.filter(service=service(actor, service_id)).order_by("-pk")


def late_services() -> QuerySet[Service]:
    """Active ones past their due date and the grace of their product. For the worker and for pages of attention."""
    today = timezone.now().date()
    graces = Product.objects.filter(overdue_grace_days__isnull=False).values_list(
        "overdue_grace_days", flat=True
    )
    late = Q(pk__in=[])
    for days in set(graces):
        late |= Q(product__overdue_grace_days=days, next_due_on__lt=today - timedelta(days=days or 0))
    return Service.objects.filter(late, status=ServiceStatus.ACTIVE, server__isnull=False, billed_by="")


def is_overdue(row: Service) -> bool:
    """Past its due date, whether or not a grace still runs. What a billing system owns is never overdue here."""
    alive = row.status in {ServiceStatus.ACTIVE, ServiceStatus.SUSPENDED}
    due = row.next_due_on
    return alive and not row.billed_by and due is not None and due < timezone.now().date()
