"""What the worker does for fleet: tests connections, reads inventories and servers. Changes nothing at a machine."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db.models import QuerySet
from django.utils import timezone

from doublehop.driver_kit import errors
from doublehop.driver_kit.contract import ConnectionReport, Upstream, capabilities_of
from doublehop.driver_kit.contract import Server as OpenServer
from doublehop.fleet import actions, buying, door, rests
from doublehop.fleet.actions.ordering import store_offers
from doublehop.fleet.actions.readings import InventoryLine, Reading
from doublehop.fleet.actions.servers import ring_refresh
from doublehop.fleet.actions.upstreams import lane_of
from doublehop.fleet.models import Server
from doublehop.fleet.models import Upstream as UpstreamRow
from doublehop.jobs.actions import ring
from doublehop.jobs.engine import JobFunction, Periodic
from doublehop.organisations import vault

log = structlog.get_logger(__name__)

STATES_EVERY_SECONDS = 60
"""How often the power state of every server is read when nobody looks. Pages call a value old after three of these."""
SYNC_EVERY_SECONDS = 600
"""How often lists of servers, and everything else about each, are read."""
UNTOLD_PATIENCE_SECONDS = 60.0
"""A list that could not be read because the upstream is busy is asked for again after so long, unless it says when."""
WATCHED_EVERY_SECONDS = 3
WATCHED_SILENT_SECONDS = 15
"""A machine that does not answer is not asked every few seconds, however many look at its page."""


def try_connection(payload: Mapping[str, Any]) -> None:
    upstream_id = int(payload["upstream_id"])
    if not UpstreamRow.objects.filter(pk=upstream_id).exists():
        return
    try:
        with door.reading(upstream_id, attempt=rests.Attempt.TEST) as upstream:
            report = upstream.test_connection()
    except (errors.UpstreamError, vault.VaultClosed) as error:
        report = ConnectionReport(lines=(("Open the connection", False, str(error)),))
    actions.store_test(upstream_id, report)


def sync(payload: Mapping[str, Any]) -> None:
    """Reads the list of servers, and asks for a full look at each. It is also what tries a refused login after its pause."""
    upstream_id = int(payload["upstream_id"])
    if not UpstreamRow.objects.filter(pk=upstream_id).exists():
        return
    try:
        with door.reading(upstream_id, attempt=rests.Attempt.PROBE) as upstream:
            lines = _inventory(upstream)
            _read_offers(upstream_id, upstream)
    except rests.LoginRests:
        return
    except errors.Busy as error:
        # Patience is no failure. Somebody may wait for this list: it comes when it may.
        _ring_sync(upstream_id, delay_seconds=_seconds_until(error.retry_at))
        return
    except (errors.UpstreamError, vault.VaultClosed) as error:
        actions.note_failure(upstream_id, getattr(error, "code", "vault_closed"), str(error))
        return
    for server_id in actions.store_inventory(upstream_id, lines):
        ring_refresh(Server(pk=server_id, upstream_id=upstream_id), full=True, somebody_waits=False)


def _read_offers(upstream_id: int, upstream: Upstream) -> None:
    """What is sold there. That it cannot be read says nothing about the servers: the last offers stay, with their age."""
    try:
        offers = list(upstream.ordering.offers()) if upstream.ordering is not None else None
    except errors.UpstreamError as error:
        log.warning("offers not read", upstream=upstream_id, error=type(error).__name__)
        return
    store_offers(upstream_id, offers)


def _ring_sync(upstream_id: int, *, delay_seconds: float = 0.0) -> None:
    ring(
        "fleet.sync",
        key=f"sync:{upstream_id}",
        payload={"upstream_id": upstream_id},
        lane=lane_of(upstream_id),
        delay_seconds=delay_seconds,
    )


def _seconds_until(at: datetime | None) -> float:
    return max(1.0, (at - timezone.now()).total_seconds()) if at is not None else UNTOLD_PATIENCE_SECONDS


def _inventory(upstream: Upstream) -> list[InventoryLine]:
    if upstream.inventory is None:
        return []
    counters = upstream.counters
    return [
        InventoryLine(
            listed=listed,
            capabilities=capabilities_of(upstream.server(listed.external_id)),
            if_name=counters.port_of(listed.external_id) if counters is not None else None,
        )
        for listed in upstream.inventory.list()
    ]


def refresh(payload: Mapping[str, Any]) -> None:
    """One look at one server: its state, or everything."""
    row = Server.objects.filter(pk=int(payload["server_id"])).first()
    if row is None:
        return
    since = timezone.now()
    try:
        with door.reading(row.upstream_id, only=row.external_id) as upstream:
            server = upstream.server(row.external_id)
            reading = (
                _look(server)
                if payload["full"]
                else Reading(power=server.power.state() if server.power else None)
            )
    except (errors.UpstreamError, vault.VaultClosed) as error:
        actions.store_reading_failure(row.pk, str(error))
        return
    actions.store_reading(row.pk, reading, since=since)


def _look(server: OpenServer) -> Reading:
    login = server.credentials.read() if server.credentials else None
    return Reading(
        power=server.power.state() if server.power else None,
        health=server.health.read() if server.health else None,
        username=login.username if login else None,
        password=login.password if login else None,
        rescue_active=server.rescue.is_active() if server.rescue else None,
        addresses=server.addresses.list() if server.addresses else None,
        port_enabled=server.port.is_enabled() if server.port else None,
        null_routed=server.null_route.read() if server.null_route else None,
        identifiers=server.identify(),
    )


def refresh_watched(payload: Mapping[str, Any]) -> None:
    """Servers whose page is open now."""
    now = timezone.now()
    fresh = now - timedelta(seconds=WATCHED_EVERY_SECONDS - 0.5)
    silent = now - timedelta(seconds=WATCHED_SILENT_SECONDS)
    watched = (
        Server.objects.filter(watched_until__gt=now)
        .exclude(power_read_at__gt=fresh)
        .exclude(refresh_failed_at__gt=silent)
        .exclude(upstream__in=resting_upstreams().values("pk"))
    )
    for row in watched.only("pk", "upstream_id"):
        ring_refresh(row, full=False)


def read_states(payload: Mapping[str, Any]) -> None:
    """The power state of every server of one upstream, one after the other, within its budget.

    A round ends where the upstream refuses our login or asks for patience; what was not read is left to the next one.
    """
    upstream_id = int(payload["upstream_id"])
    rows = list(
        Server.objects.select_related("upstream").filter(upstream_id=upstream_id, missing_since__isnull=True)
    )
    if not rows:
        return
    try:
        with door.reading(upstream_id) as upstream:
            for row in rows:
                _read_state(row, upstream.server(row.external_id))
    except (errors.CredentialsRejected, errors.Busy, vault.VaultClosed) as error:
        log.warning("states not read", upstream=upstream_id, error=type(error).__name__)


def _read_state(row: Server, server: OpenServer) -> None:
    if server.power is None:
        return
    since = timezone.now()
    try:
        state = server.power.state()
    except errors.UpstreamError as error:
        actions.store_reading_failure(row.pk, error.text)
        concerns_all = isinstance(error, errors.CredentialsRejected) or (
            isinstance(error, errors.Busy) and error.rests
        )
        if concerns_all and not door.has_machine_logins(row.upstream):
            raise
    else:
        actions.store_reading(row.pk, Reading(power=state), since=since)


def ask_states(payload: Mapping[str, Any]) -> None:
    for upstream in _callable().only("pk"):
        ring(
            "fleet.read_states",
            key=f"states:{upstream.pk}",
            payload={"upstream_id": upstream.pk},
            lane=lane_of(upstream.pk),
        )
    for upstream in UpstreamRow.objects.filter(rests.due_for_a_probe()).only("pk"):
        _ring_sync(upstream.pk)


def ask_syncs(payload: Mapping[str, Any]) -> None:
    for upstream in _callable().only("pk"):
        _ring_sync(upstream.pk)


def resting_upstreams() -> QuerySet[UpstreamRow]:
    """Those that are left in peace: they refuse our login, or asked for patience."""
    return UpstreamRow.objects.filter(rests.left_in_peace())


def _callable() -> QuerySet[UpstreamRow]:
    return UpstreamRow.objects.exclude(pk__in=resting_upstreams().values("pk"))


JOBS: dict[str, JobFunction] = {
    "fleet.test": try_connection,
    "fleet.sync": sync,
    "fleet.refresh": refresh,
    "fleet.read_states": read_states,
    "fleet.refresh_watched": refresh_watched,
    "fleet.ask_states": ask_states,
    "fleet.ask_syncs": ask_syncs,
    **buying.JOBS,
}
PERIODIC = (
    Periodic("fleet.refresh_watched", WATCHED_EVERY_SECONDS),
    Periodic("fleet.ask_states", STATES_EVERY_SECONDS),
    Periodic("fleet.ask_syncs", SYNC_EVERY_SECONDS),
    *buying.PERIODIC,
)
