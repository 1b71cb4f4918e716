"""Collects the counters of every upstream at the beginning of every slot. A round that fails leaves a gap, never a zero."""

from collections.abc import Mapping
from typing import Any

import structlog

from doublehop.bandwidth import actions
from doublehop.bandwidth.slots import SLOT_SECONDS
from doublehop.driver_kit import errors
from doublehop.driver_kit.contract import CounterReading
from doublehop.fleet import door
from doublehop.fleet.models import Upstream
from doublehop.fleet.work import resting_upstreams
from doublehop.jobs.actions import ring
from doublehop.jobs.engine import JobFunction, Periodic
from doublehop.organisations import vault

log = structlog.get_logger(__name__)


def collect_all(payload: Mapping[str, Any]) -> None:
    """Rings once per upstream that has ports; each has a lane of its own, so a slow switch delays no other.

    Where our login was refused a moment ago nobody asks: the gap says so.
    """
    resting = resting_upstreams().values("pk")
    due = Upstream.objects.filter(ports__isnull=False).exclude(pk__in=resting).distinct()
    for upstream_id in due.values_list("pk", flat=True):
        ring(
            "bandwidth.collect",
            key=f"collect:{upstream_id}",
            payload={"upstream_id": upstream_id},
            lane=f"upstream:{upstream_id}:counters",
        )


def collect(payload: Mapping[str, Any]) -> None:
    """One round of one upstream."""
    upstream_id = int(payload["upstream_id"])
    if not Upstream.objects.filter(pk=upstream_id).exists():
        return
    try:
        reading = _read(upstream_id)
    except (errors.UpstreamError, vault.VaultClosed) as error:
        log.warning("no counters", upstream=upstream_id, error=type(error).__name__)
        actions.note_failure(upstream_id, str(error))
        return
    if reading is not None:
        actions.write_round(upstream_id, reading)


def _read(upstream_id: int) -> CounterReading | None:
    with door.reading(upstream_id) as upstream:
        return upstream.counters.read() if upstream.counters is not None else None


JOBS: dict[str, JobFunction] = {"bandwidth.collect_all": collect_all, "bandwidth.collect": collect}
PERIODIC = (Periodic("bandwidth.collect_all", SLOT_SECONDS),)
