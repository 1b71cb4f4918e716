"""What the worker does with kept slots by the clock: packs days that are over, and clears what is older than it is kept."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import structlog
from django.conf import settings
from django.utils import timezone

from doublehop.bandwidth import actions
from doublehop.bandwidth.actions import recounting
from doublehop.jobs.engine import JobFunction, Periodic

log = structlog.get_logger(__name__)

PACK_EVERY_SECONDS = 3600
"""There is something to do once a night, in the third hour UTC; the other times catch up what was missed."""
CLEAR_EVERY_SECONDS = 86_400
SETTLE_EVERY_SECONDS = 3600


def pack(payload: Mapping[str, Any]) -> None:
    """Everything that is due, however much that is; ended at any moment, the next run goes on from there."""
    done = actions.pack_days(timezone.now())
    if done.device_days:
        log.info(
            "packed",
            device_days=done.device_days,
            chunks=done.chunks,
            longest_transaction_ms=round(done.longest_seconds * 1000),
        )


def clear(payload: Mapping[str, Any]) -> None:
    """See ``DOUBLEHOP_RAW_DAYS``."""
    done = actions.clear_old(timezone.now(), settings.DOUBLEHOP_RAW_DAYS)
    if done:
        log.info("cleared", **asdict(done))


def settle(payload: Mapping[str, Any]) -> None:
    """Readings that are older than any that may still arrive."""
    for upstream_id in recounting.settled_upstreams():
        recounting.settle(upstream_id)


JOBS: dict[str, JobFunction] = {"bandwidth.pack": pack, "bandwidth.clear": clear, "bandwidth.settle": settle}
PERIODIC = (
    Periodic("bandwidth.pack", PACK_EVERY_SECONDS),
    Periodic("bandwidth.clear", CLEAR_EVERY_SECONDS),
    Periodic("bandwidth.settle", SETTLE_EVERY_SECONDS),
)
