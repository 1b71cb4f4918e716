"""Fetches what upstreams counted by themselves, by day or by hour. A reading that fails leaves what was read before.

The newest days come first, then the history in bites, each written before the next is asked for: a slow upstream makes
progress, and a crash loses one bite at most.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from django.db.models import QuerySet
from django.utils import timezone

from doublehop.bandwidth import actions
from doublehop.bandwidth.actions.totals import PART, Answer, lane_of_totals
from doublehop.bandwidth.models import Fetching
from doublehop.driver_kit import errors
from doublehop.driver_kit.contract import Traffic
from doublehop.fleet import door
from doublehop.fleet.models import Server
from doublehop.fleet.work import resting_upstreams
from doublehop.jobs.actions import ring
from doublehop.jobs.engine import JobFunction, Periodic
from doublehop.organisations import vault

log = structlog.get_logger(__name__)

TOTALS_EVERY_SECONDS = 3600
READ_AGAIN_AFTER = timedelta(minutes=30)
"""What is younger is not asked for again, whoever rings: a round that took long is not followed by another at once."""
REREAD = timedelta(days=3)
"""Upstreams correct the figures of days that are over; those of so many days are read once more each time."""
HISTORY = timedelta(days=395)
"""Twelve whole months, and this one."""
BITE = timedelta(days=31)
"""The longest time that one call asks for."""
SILENT_IN_A_ROW = 3
"""After so many servers that could not be reached one after the other, the rest of the upstream waits for the next round."""


def ask_all(payload: Mapping[str, Any]) -> None:
    """Rings once per upstream that counts by itself; each has a lane of its own, so a slow one delays no other."""
    lists = _listed().values_list("upstream_id", "capabilities")
    for upstream_id in sorted({upstream_id for upstream_id, parts in lists.iterator() if PART in parts}):
        _ring(upstream_id)


def _ring(upstream_id: int) -> None:
    ring(
        "bandwidth.fetch_totals",
        key=f"totals:{upstream_id}",
        payload={"upstream_id": upstream_id},
        lane=lane_of_totals(upstream_id),
    )


def _listed() -> QuerySet[Server]:
    """Where our login was refused a moment ago nobody asks."""
    return Server.objects.filter(missing_since__isnull=True).exclude(
        upstream__in=resting_upstreams().values("pk")
    )


def fetch(payload: Mapping[str, Any]) -> None:
    """One round of one upstream, one server after the other: the newest days of each, and one bite of its history.

    Rings itself again while there is history to fetch.
    """
    upstream_id = int(payload["upstream_id"])
    silent, unfinished = 0, False
    for row in _in_turn(upstream_id):
        try:
            unfinished = _fetch_server(row) or unfinished
            silent = 0
        except _RoundEnds:
            return
        except errors.Unreachable:
            silent += 1
            if silent >= SILENT_IN_A_ROW:
                return
        except errors.UpstreamError:
            silent = 0
    if unfinished:
        _ring(upstream_id)


def fetch_server(payload: Mapping[str, Any]) -> None:
    """The newest days of one server, before its turn; its history is left to the rounds."""
    row = _listed().select_related("upstream").filter(pk=int(payload["server_id"])).first()
    if row is None or PART not in row.capabilities:
        return
    try:
        unfinished = _fetch_server(row, at_once=True)
    except (errors.UpstreamError, _RoundEnds):
        return
    if unfinished:
        _ring(row.upstream_id)


class _RoundEnds(Exception):
    """What went wrong, and was noted, goes wrong for every server of the upstream."""


def _in_turn(upstream_id: int) -> list[Server]:
    """Those that were tried longest ago come first, so the ones that fail do not keep the others waiting for ever."""
    rows = [
        row
        for row in _listed().select_related("upstream").filter(upstream_id=upstream_id).order_by("pk")
        if PART in row.capabilities
    ]
    known = Fetching.objects.in_bulk([row.pk for row in rows])
    never = datetime.min.replace(tzinfo=UTC)
    return sorted(rows, key=lambda row: _tried_at(known.get(row.pk)) or never)


def _tried_at(fetching: Fetching | None) -> datetime | None:
    moments = (fetching.read_at, fetching.failed_at) if fetching is not None else ()
    return max((moment for moment in moments if moment is not None), default=None)


# ---------------------------------------------------------------- one server


@dataclass(frozen=True)
class _Bite:
    start: datetime
    end: datetime


def _fetch_server(row: Server, *, at_once: bool = False) -> bool:
    """Whether history is left to fetch. Raises driver errors and _RoundEnds, after they were noted.

    A server that failed a moment ago is left alone, unless somebody asks for it ``at_once``.
    """
    now = timezone.now()
    fetching = Fetching.objects.filter(pk=row.pk).first() or Fetching(server_id=row.pk)
    failed_lately = fetching.failed_at is not None and fetching.failed_at > now - READ_AGAIN_AFTER
    if failed_lately and not at_once:
        return False
    try:
        with door.reading(row.upstream_id, only=row.external_id) as upstream:
            traffic = upstream.server(row.external_id).traffic
            return traffic is not None and _fetch(row, traffic, fetching, now)
    except vault.VaultClosed as error:
        actions.note_fetch_failure(row.pk, str(error))
        raise _RoundEnds from error
    except errors.UpstreamError as error:
        log.warning("no totals", server=row.pk, error=error.code)
        actions.note_fetch_failure(row.pk, error.text)
        if isinstance(error, errors.Busy) or _refuses_all(row, error):
            raise _RoundEnds from error
        raise


def _refuses_all(row: Server, error: errors.UpstreamError) -> bool:
    return isinstance(error, errors.CredentialsRejected) and not door.has_machine_logins(row.upstream)


def _fetch(row: Server, traffic: Traffic, fetching: Fetching, now: datetime) -> bool:
    if fetching.read_at is None or fetching.read_at <= now - READ_AGAIN_AFTER:
        for newest in _newest(fetching.read_at, now):
            _take(row, traffic, newest)
        fetching.refresh_from_db()
    bite = _older(fetching.read_until, now)
    if bite is None:
        return False
    try:
        _take(row, traffic, bite)
    except errors.Refused as error:
        log.info("older totals refused", server=row.pk, error=error.text)
        actions.pass_over(row.pk, bite.start)
    return _older(bite.start, now) is not None


def _take(row: Server, traffic: Traffic, bite: _Bite) -> None:
    asked_at = timezone.now()
    try:
        found = traffic.read(bite.start, bite.end)
    except errors.UpstreamError:
        raise
    except Exception as error:
        log.exception("a driver broke its contract", server=row.pk)
        raise errors.BadAnswer(f"our own code failed: {type(error).__name__}") from error
    left_out = actions.write_totals(
        row.pk, Answer(traffic.source, traffic.unit, bite.start, bite.end, asked_at, found)
    )
    if left_out:
        log.warning("totals that cannot be", server=row.pk, left_out=left_out)


def _newest(read_at: datetime | None, now: datetime) -> Iterator[_Bite]:
    """From the days to read once more up to now, oldest first; at the first time as much as one call gives."""
    start = _midnight(now - BITE + timedelta(days=1)) if read_at is None else _midnight(read_at - REREAD)
    while start < now:
        end = min(start + BITE, now)
        yield _Bite(start, end)
        start = end


def _older(read_until: datetime | None, now: datetime) -> _Bite | None:
    """The next bite of the history; None when it was fetched back as far as anybody looks."""
    oldest = _midnight(now - HISTORY)
    if read_until is None or read_until <= oldest:
        return None
    # A day twice: one that is not UTC's own lies across the edge.
    end = min(now, read_until + timedelta(days=1))
    return _Bite(max(oldest, end - BITE), end)


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


JOBS: dict[str, JobFunction] = {
    "bandwidth.ask_totals": ask_all,
    "bandwidth.fetch_totals": fetch,
    "bandwidth.fetch_server_totals": fetch_server,
}
PERIODIC = (Periodic("bandwidth.ask_totals", TOTALS_EVERY_SECONDS),)
