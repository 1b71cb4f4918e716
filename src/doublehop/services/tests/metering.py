"""Services whose machines carried what a test says."""

from datetime import timedelta

from django.utils import timezone
from tests.stage import a_service

from doublehop.bandwidth import store
from doublehop.bandwidth.models import Block, Total, Wiring
from doublehop.bandwidth.slots import slot_of
from doublehop.services.actions.contracts import ContractForm, version_of
from doublehop.services.actions.statements import close_due
from doublehop.services.models import Attachment, Service, Statement


def contract_from(cast, product, moment, **form):
    """As if it had been written back then."""
    version = version_of(product, ContractForm(**{"price": "2", "in_force_from": "2099-01-01", **form}))
    version.in_force_from, version.made_by = moment, cast.rosa.label
    version.save()
    return version


def wire(server, number=1):
    Wiring.objects.create(port_id=number, upstream_id=server.upstream_id, server_id=server.pk, since_slot=0)


def flow(server, first, values, number=1):
    """Octets in and out of each slot from ``first`` on, as the port ``number`` counted them."""
    for place, pair in enumerate(values):
        row = Block.objects.filter(pk=store.block_id(server.upstream_id, first + place)).first()
        others = [tuple(one) for one in store.unpack(row.records).tolist()] if row else []
        Block.objects.update_or_create(
            pk=store.block_id(server.upstream_id, first + place),
            defaults={"records": store.pack([*others, (number, *pair)])},
        )


def days_of(server, first, days, *, read_at, octets_in=0, octets_out):
    """As an upstream counted them, on these days after ``first``."""
    for day in days:
        start = first + timedelta(days=day)
        Total.objects.create(
            server_id=server.pk,
            start=start,
            end=start + timedelta(days=1),
            octets_in=octets_in,
            octets_out=octets_out,
            source="tower",
            unit="GiB",
            read_at=read_at,
        )


def attached(cast, product, server, since):
    service = a_service(cast.rosa, cast.quillfeather.pk, product, server)
    Attachment.objects.filter(service=service).update(since=since)
    Service.objects.filter(pk=service.pk).update(activated_at=since, created_at=since)
    return Service.objects.get(pk=service.pk)


def a_statement(staff, service):
    """The newest of a service that was sold three months ago, closed with one GB; two more arrive too late for it."""
    version = version_of(service.product, ContractForm(method="volume_out", price="2"))
    version.in_force_from = timezone.now() - timedelta(days=90)
    version.save()
    Attachment.objects.filter(service=service).update(since=timezone.now() - timedelta(days=90))
    number = 900_000 + service.pk
    wire(service.server, number)
    month = timezone.now() - timedelta(hours=26)
    first = slot_of(month.replace(day=1, hour=0, minute=0, second=0) - timedelta(days=20))
    flow(service.server, first, [(0, 10**9)], number)
    close_due()
    flow(service.server, first + 1, [(0, 10**9)] * 2, number)
    return Statement.objects.filter(service=service).order_by("-end").first()
