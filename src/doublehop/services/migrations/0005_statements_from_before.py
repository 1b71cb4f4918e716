"""Attachments from the journal, allowances as contracts."""

from datetime import datetime

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps
from django.utils import timezone

BEGINS = ("service.attached", "service.swapped", "service.restored")
ENDS = ("service.detached", "service.terminated", "service.swapped")


def find_attachments(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """The journal knows every change. Where it does not agree with what is attached now, the client's permission and then
    the activation say since when; where nothing does, it is from now on: nobody is billed for what is not known."""
    Service = apps.get_model("services", "Service")
    Attachment = apps.get_model("services", "Attachment")
    Permission = apps.get_model("fleet", "Permission")
    Server = apps.get_model("fleet", "Server")
    lines: dict[int, list[tuple[str, int | None, datetime]]] = {}
    entries = apps.get_model("journal", "Entry").objects.filter(verb__in={*BEGINS, *ENDS}).order_by("id")
    for service_id, verb, server_id, at in entries.values_list("service_id", "verb", "server_id", "at"):
        lines.setdefault(service_id, []).append((verb, server_id, at))
    servers = set(Server.objects.values_list("pk", flat=True))
    for service in Service.objects.iterator():
        windows = _replayed(lines.get(service.pk, []))
        current = windows[-1] if windows and windows[-1][2] is None else None
        if current is not None and current[0] != service.server_id:
            windows.pop()
            current = None
        if service.server_id is not None and current is None:
            permitted = Permission.objects.filter(
                server_id=service.server_id, client_id=service.client_id, until=None
            ).first()
            since = permitted.since if permitted else service.activated_at or timezone.now()
            # What ended after that was not this service's any more.
            windows = [one for one in windows if one[2] <= since]
            windows.append((service.server_id, since, None))
        Attachment.objects.bulk_create(
            Attachment(service=service, server_id=server_id, since=since, until=until)
            for server_id, since, until in windows
            if server_id in servers
        )


def _replayed(
    lines: list[tuple[str, int | None, datetime]],
) -> list[tuple[int, datetime, datetime | None]]:
    windows: list[tuple[int, datetime, datetime | None]] = []
    for verb, server_id, at in lines:
        if windows and windows[-1][2] is None:
            windows[-1] = (*windows[-1][:2], at)
        if verb in BEGINS and server_id is not None:
            windows.append((server_id, at, None))
    return windows


def allowances_become_contracts(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """In and out together, a calendar month of UTC, nothing to be paid above it: as it was until now."""
    ContractVersion = apps.get_model("services", "ContractVersion")
    for product in apps.get_model("services", "Product").objects.filter(allowance_gb__isnull=False):
        ContractVersion.objects.create(
            product=product,
            in_force_from=timezone.now(),
            values={
                "method": "volume_sum",
                "unit": "decimal",
                "period": "month",
                "zone": "UTC",
                "anchor": None,
                "rolling_days": 30,
                "commit": None,
                "allowance": str(product.allowance_gb),
                "price": "0",
                "currency": product.currency,
                "cut": "floor",
                "pooled": False,
            },
        )


class Migration(migrations.Migration):
    dependencies = [
        ("services", "0004_statements"),
        ("fleet", "0004_identity_seen"),
        ("journal", "0002_append_only"),
    ]
    operations = [
        migrations.RunPython(find_attachments, migrations.RunPython.noop),
        migrations.RunPython(allowances_become_contracts, migrations.RunPython.noop),
    ]
