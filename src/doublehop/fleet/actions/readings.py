"""What the worker read from upstreams, written down with its time. No journal: nothing was changed at a machine."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from doublehop.driver_kit.contract import (
    ConnectionReport,
    Health,
    Identifier,
    ListedServer,
    PowerState,
    Proof,
    ServerAddress,
)
from doublehop.driver_kit.secret import Secret
from doublehop.fleet import identity
from doublehop.fleet.models import Address, IdentifierRow, Port, Server, Upstream
from doublehop.fleet.rests import REFUSED, REFUSED_LOGIN_PAUSE
from doublehop.notices import actions as notices
from doublehop.organisations import record, vault
from doublehop.organisations.actor import SYSTEM, Duty

LISTED_FIELDS = (
    "label",
    "hostname",
    "primary_address",
    "capabilities",
    "listed_at",
    "missing_since",
    "withheld_since",
)


@dataclass(frozen=True)
class Reading:
    """What one look at a server brought; None stands for what was not asked or not offered."""

    power: PowerState | None = None
    health: Health | None = None
    username: str | None = None
    password: Secret | None = None
    """The machine's own; an empty one says that the upstream does not hand it out."""
    rescue_active: bool | None = None
    addresses: Sequence[ServerAddress] | None = None
    port_enabled: bool | None = None
    null_routed: Collection[str] | None = None
    identifiers: Sequence[Identifier] | None = None


@dataclass(frozen=True)
class InventoryLine:
    listed: ListedServer
    capabilities: tuple[str, ...]
    if_name: str | None


@transaction.atomic
def note_failure(upstream_id: int, code: str, text: str) -> None:
    """The upstream as a whole does not answer or refuses us. The first time of a row of failures is kept.

    From its first refused login on it is left in peace (``fleet.rests``), and its owner's staff are told once.
    """
    now, rows = timezone.now(), Upstream.objects.filter(pk=upstream_id)
    if code == REFUSED:
        newest = {"failed_at": now, "failure_code": code, "failure_text": text[:500]}
        if rows.exclude(failure_code=REFUSED).update(failing_since=now, **newest):
            row = Upstream.objects.get(pk=upstream_id)
            # Whoever types a wrong login into a new one sees that at once, and needs no mail.
            if row.synced_at is not None:
                _tell_owner(row)
        else:
            rows.update(**newest)
        return
    # Whatever else goes wrong when a refused login is tried again says nothing about the login: it stays refused.
    if rows.filter(failure_code=REFUSED).update(failed_at=now):
        return
    rows.filter(failing_since__isnull=True).update(failing_since=now)
    rows.update(failed_at=now, failure_code=code, failure_text=text[:500])


def _tell_owner(row: Upstream) -> None:
    at = timezone.now()
    notices.tell_staff(
        organisation_id=row.organisation_id,
        duty=Duty.SET_UP,
        subject=f"{row.name} refuses our login: nothing is sent to it",
        body=(
            f"{row.name} refused our login at {at:%Y-%m-%d %H:%M} UTC: {row.failure_text}\n\n"
            "From now on nothing is asked of it and nothing is sent to it. Suspensions wait for an hour, reboots fail.\n\n"
            f"Correct the login: Setup > Upstreams > {row.name} > Edit. If it is right again without that, press Test "
            f"connection there. By itself it is tried once at {at + REFUSED_LOGIN_PAUSE:%H:%M} UTC."
        ),
        about="upstream_refused",
        key=f"upstream:{row.pk}:refused:{at.isoformat()}",
    )


def note_rest(upstream_id: int, until: datetime) -> None:
    """The upstream asked for patience: its account is left in peace until then."""
    Upstream.objects.filter(pk=upstream_id).update(rests_until=until)


def note_success(upstream_id: int) -> None:
    _forget_failure(Upstream.objects.filter(pk=upstream_id, failing_since__isnull=False))


def _forget_failure(rows: QuerySet[Upstream]) -> None:
    rows.update(failing_since=None, failed_at=None, failure_code="", failure_text="")


@transaction.atomic
def store_test(upstream_id: int, report: ConnectionReport) -> None:
    Upstream.objects.filter(pk=upstream_id).update(
        tested_at=timezone.now(),
        test_report=[[what, fine, seen[:300]] for what, fine, seen in report.lines],
        test_fingerprint=report.fingerprint,
        learned=dict(report.learned),
    )
    if report.fine:
        note_success(upstream_id)
        _arm_as_asked(upstream_id)


def _arm_as_asked(upstream_id: int) -> None:
    """Staff asked for it with the settings: armed by the first test in which everything is fine."""
    row = Upstream.objects.select_for_update().get(pk=upstream_id)
    if row.arm_when_fine and not row.armed:
        row.armed = True
        row.save(update_fields=["armed"])
        record.write(
            SYSTEM,
            "upstream.armed",
            ("upstream", row.pk),
            target_label=row.name,
            sentence="as asked for with its settings: the test found everything fine",
            also=[row.organisation_id],
        )


@transaction.atomic
def store_inventory(upstream_id: int, lines: Sequence[InventoryLine]) -> list[int]:
    """Answers with the ids of all listed servers. Servers that are not listed any more are marked, never removed."""
    now = timezone.now()
    known = {row.external_id: row for row in Server.objects.filter(upstream_id=upstream_id)}
    # Whatever the list holds: the login worked.
    _forget_failure(Upstream.objects.filter(pk=upstream_id, failure_code=REFUSED))
    if known and not lines:
        # Absence of evidence: a list that is suddenly empty says more about the list than about the servers.
        note_failure(
            upstream_id, "empty_list", "The list of servers came back empty; what was known is kept."
        )
        return []
    ids = []
    for line in lines:
        row = known.pop(line.listed.external_id, None)
        if row is None:
            row = Server(upstream_id=upstream_id, external_id=line.listed.external_id)
        _take_over(row, line)
        row.listed_at, row.missing_since = now, None
        # Only what the list says: what is attached or changed at this very moment is not taken back.
        row.save(update_fields=None if row.pk is None else LISTED_FIELDS)
        ids.append(row.pk)
        _wire(row, line.if_name)
        # A list may know less than the machine itself said when it was asked: what is strong stays.
        if any(i.proof is Proof.STRONG for i in line.listed.identifiers) or not row.identifiers:
            _store_identifiers(row, line.listed.identifiers)
    gone = Server.objects.filter(pk__in=[row.pk for row in known.values()], missing_since__isnull=True)
    gone.update(missing_since=now)
    Upstream.objects.filter(pk=upstream_id).update(synced_at=now)
    note_success(upstream_id)
    return ids


def _take_over(row: Server, line: InventoryLine) -> None:
    row.label = line.listed.label[:120]
    row.hostname = line.listed.hostname[:253]
    row.primary_address = line.listed.primary_address[:64]
    row.capabilities = list(line.capabilities)
    row.withheld_since = (row.withheld_since or timezone.now()) if line.listed.withheld else None


def _wire(row: Server, if_name: str | None) -> None:
    if if_name is None:
        Port.objects.filter(server=row).update(server=None)
        return
    Port.objects.filter(server=row).exclude(if_name=if_name).update(server=None)
    Port.objects.update_or_create(upstream_id=row.upstream_id, if_name=if_name, defaults={"server": row})


def _store_identifiers(row: Server, identifiers: Sequence[Identifier]) -> None:
    seen = [[i.kind, i.value[:120], i.proof.value] for i in sorted(identifiers)]
    if seen == row.identifiers:
        return
    row.identifiers = seen
    row.save(update_fields=["identifiers"])
    IdentifierRow.objects.filter(server=row).delete()
    IdentifierRow.objects.bulk_create(
        IdentifierRow(server=row, kind=kind, value=value) for kind, value, _ in seen
    )


@transaction.atomic
def store_reading(server_id: int, reading: Reading, *, since: datetime) -> None:
    """``since``: when the look began. What an operation has read after that is newer, and stays."""
    row = Server.objects.select_for_update().get(pk=server_id)
    now = timezone.now()
    _store_states(row, reading, since, now)
    if reading.health is not None:
        row.health, row.health_read_at = reading.health.value, now
    if reading.username is not None:
        row.username, row.username_read_at = reading.username[:64], now
    if reading.password is not None:
        row.sealed_login = vault.seal({"password": reading.password}, row="login") if reading.password else ""
    if reading.addresses is not None:
        _store_addresses(row, reading.addresses)
        row.addresses_read_at = now
    if reading.null_routed is not None:
        store_null_routes(row.pk, reading.null_routed)
    row.refresh_failed_at, row.refresh_failure = None, ""
    row.save()
    if reading.identifiers is not None:
        _store_identifiers(row, reading.identifiers)
        _note_identity(row, now)


def _store_states(row: Server, reading: Reading, since: datetime, now: datetime) -> None:
    """What operations read, too."""

    def is_newest(known_at: datetime | None) -> bool:
        return known_at is None or known_at <= since

    if reading.power is not None and is_newest(row.power_read_at):
        row.power_state, row.power_read_at = reading.power.value, now
    if reading.rescue_active is not None and is_newest(row.rescue_read_at):
        row.rescue_active, row.rescue_read_at = reading.rescue_active, now
    if reading.port_enabled is not None and is_newest(row.port_read_at):
        row.port_enabled, row.port_read_at = reading.port_enabled, now


def _note_identity(row: Server, now: datetime) -> None:
    """Whether the machine that was just asked is still the one that was attached."""
    is_other = row.recorded_identity is not None and not (
        identity.compare(
            row.recorded_identity, row.external_id, row.primary_address, identity.stored(row.identifiers)
        ).same
    )
    row.identity_read_at = now
    row.identity_changed_at = (row.identity_changed_at or now) if is_other else None
    row.save(update_fields=["identity_read_at", "identity_changed_at"])


def store_power(server_id: int, state: PowerState, read_at: datetime) -> None:
    """A reading that an operation made on its way. One that is older than what is known stays out."""
    rows = Server.objects.filter(pk=server_id).exclude(power_read_at__gt=read_at)
    rows.update(power_state=state.value, power_read_at=read_at)


def store_port(server_id: int, enabled: bool, read_at: datetime) -> None:
    """Likewise, of the switch port."""
    rows = Server.objects.filter(pk=server_id).exclude(port_read_at__gt=read_at)
    rows.update(port_enabled=enabled, port_read_at=read_at)


def store_access(server_id: int, permitted: bool) -> None:
    """Likewise, of the permission of the login that works for us."""
    rows = Server.objects.filter(pk=server_id)
    if permitted:
        rows.update(withheld_since=None)
    else:
        rows.filter(withheld_since__isnull=True).update(withheld_since=timezone.now())


def store_rdns(server_id: int, names: Mapping[str, str]) -> None:
    """Likewise, of the names of some of its addresses."""
    for address, name in names.items():
        Address.objects.filter(server_id=server_id, address=address).update(rdns=name[:253])


def store_null_routes(server_id: int, dropped: Collection[str]) -> None:
    """Which of its addresses get no traffic."""
    rows = Address.objects.filter(server_id=server_id)
    rows.filter(address__in=dropped).update(null_routed=True)
    rows.exclude(address__in=dropped).update(null_routed=False)


def store_null_route(server_id: int, address: str, dropped: bool) -> None:
    """A reading of one address that an operation made on its way."""
    Address.objects.filter(server_id=server_id, address=address).update(null_routed=dropped)


def store_rescue(server_id: int, active: bool, read_at: datetime) -> None:
    rows = Server.objects.filter(pk=server_id).exclude(rescue_read_at__gt=read_at)
    rows.update(rescue_active=active, rescue_read_at=read_at)


@transaction.atomic
def store_addresses(server_id: int, addresses: Sequence[ServerAddress]) -> None:
    row = Server.objects.select_for_update().get(pk=server_id)
    _store_addresses(row, addresses)
    row.addresses_read_at = timezone.now()
    row.save()


def _store_addresses(row: Server, addresses: Sequence[ServerAddress]) -> None:
    wanted: Mapping[str, ServerAddress] = {item.address[:64]: item for item in addresses}
    Address.objects.filter(server=row).exclude(address__in=wanted).delete()
    for text, item in wanted.items():
        Address.objects.update_or_create(
            server=row, address=text, defaults={"primary": item.primary, "rdns": item.rdns[:253]}
        )
    main = next((item.address for item in addresses if item.primary), None)
    if main:
        row.primary_address = main[:64]


def store_reading_failure(server_id: int, text: str) -> None:
    """The last good values stay, with their age."""
    Server.objects.filter(pk=server_id).update(refresh_failed_at=timezone.now(), refresh_failure=text[:500])
