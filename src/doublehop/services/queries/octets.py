"""The octets of a service's own machines, for programs: in steps, and added up. Of whichever machines they were."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import numpy as np
from django.db.models import QuerySet
from django.utils import timezone

from doublehop.bandwidth.charts import Slots
from doublehop.bandwidth.figures import DAY, HOUR, by_step, is_hourly
from doublehop.bandwidth.percentile import ninety_fifth
from doublehop.bandwidth.queries.metered import Window, horizon, metered, totals_of
from doublehop.bandwidth.slots import SLOT_SECONDS, SLOTS_PER_DAY, slot_of, start_of
from doublehop.fleet.permissions import Right, require
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import BadInput, NotAllowed
from doublehop.services.models import Attachment, PeriodUsage, Service
from doublehop.services.queries.services import service

MOST_POINTS = 10_000
MOST_DAYS = 400
"""So many days of slots are added up for one answer: some megabytes of them."""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


class Step(StrEnum):
    SLOT = "5m"
    HOUR = "1h"
    DAY = "1d"

    @property
    def slots(self) -> int:
        return {Step.SLOT: 1, Step.HOUR: SLOTS_PER_DAY // 24, Step.DAY: SLOTS_PER_DAY}[self]


@dataclass(frozen=True)
class Point:
    """Octets from ``at`` on. None: nothing of it was measured, which is not zero. ``gap``: not all of it was."""

    at: datetime
    octets_in: int | None
    octets_out: int | None
    gap: bool


@dataclass(frozen=True)
class Carried:
    """Volumes in octets, percentiles in bit/s over all slots from ``start`` to ``end``, unknown ones counting as zero. From an
    upstream's own totals no percentile can be known, and there is no coverage."""

    start: datetime
    end: datetime
    step: Step
    points: tuple[Point, ...]
    octets_in: int
    octets_out: int
    percentile_in: int | None
    percentile_out: int | None
    coverage_percent: float | None
    from_totals: bool

    @property
    def percentile(self) -> int | None:
        """Of the larger direction."""
        if self.percentile_in is None or self.percentile_out is None:
            return None
        return max(self.percentile_in, self.percentile_out)


def bits_per_second(octets_per_slot: int) -> int:
    return octets_per_slot * 8 // SLOT_SECONDS


def may_read_octets(actor: Actor, row: Service) -> None:
    """A client only where its product permits it, also while the service has no server. Raises NotAllowed."""
    if row.server is not None:
        require(actor, Right.BANDWIDTH, row.server)
    elif actor.is_client and Right.BANDWIDTH not in row.product.client_rights:
        raise NotAllowed("Your rights do not reach the bandwidth of this service.")


def carried(
    actor: Actor, service_id: int, start: datetime | None, end: datetime | None, step: Step
) -> Carried:
    """Without ``start`` from the beginning of this month (UTC), without ``end`` until now. Raises NotHere, BadInput."""
    row = service(actor, service_id)
    may_read_octets(actor, row)
    now = timezone.now()
    since = max(
        EARLIEST, start or now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    )
    until = min(end or now, now + timedelta(days=1))
    windows = [
        Window(one.server_id, one.since, one.until)
        for one in Attachment.objects.filter(service=row).order_by("since", "pk")
    ]
    first = slot_of(since) // step.slots * step.slots
    last = max(first, min(slot_of(until), horizon(windows, now)))
    if (last - first) // step.slots > MOST_POINTS:
        raise BadInput(f"That is more than {MOST_POINTS:,} points. Choose a longer step.", field="step")
    if last - first > MOST_DAYS * SLOTS_PER_DAY:
        raise BadInput(
            f"That is more than {MOST_DAYS} days. Ask for one part after the other.", field="start"
        )
    found = metered(windows, first, last)
    if windows and not found.is_wired:
        return _of_totals(windows, start_of(first), until, step)
    slots, outside = found.slots, found.outside
    expected = int(slots.expected.sum())
    in_95, out_95 = (
        bits_per_second(ninety_fifth(side, last - first)) for side in (slots.octets_in, slots.octets_out)
    )
    return Carried(
        start=start_of(first),
        end=start_of(last),
        step=step,
        points=tuple(_points(slots, step)),
        octets_in=int(slots.octets_in.sum()) + sum(one.octets_in for one in outside),
        octets_out=int(slots.octets_out.sum()) + sum(one.octets_out for one in outside),
        percentile_in=in_95,
        percentile_out=out_95,
        coverage_percent=round(100 * int(slots.measured.sum()) / expected, 2) if expected else None,
        from_totals=False,
    )


def _points(slots: Slots, step: Step) -> list[Point]:
    size = slots.expected.size
    starts = np.arange(0, size, step.slots)
    if not size:
        return []
    sums_in, sums_out = (
        np.add.reduceat(side, starts).tolist() for side in (slots.octets_in, slots.octets_out)
    )
    known = np.add.reduceat(slots.measured.astype(np.int64), starts).tolist()
    wide = np.diff(np.append(starts, size)).tolist()
    return [
        Point(
            start_of(slots.first + place),
            octets_in if count or octets_in else None,
            octets_out if count or octets_out else None,
            count < width,
        )
        for place, octets_in, octets_out, count, width in zip(
            starts.tolist(), sums_in, sums_out, known, wide, strict=True
        )
    ]


def _of_totals(windows: list[Window], start: datetime, end: datetime, step: Step) -> Carried:
    pieces = totals_of(windows, start, end)
    wide = HOUR if step is not Step.DAY and is_hourly(pieces) else DAY
    figures = [one for _, one in sorted(by_step(pieces, wide).items())]
    return Carried(
        start=start,
        end=end,
        step=Step.HOUR if wide == HOUR else Step.DAY,
        points=tuple(Point(one.start, one.octets_in, one.octets_out, not one.complete) for one in figures),
        octets_in=sum(one.octets_in for one in figures),
        octets_out=sum(one.octets_out for one in figures),
        percentile_in=None,
        percentile_out=None,
        coverage_percent=None,
        from_totals=True,
    )


# ---------------------------------------------------------------- as it was last counted


def current_usage(actor: Actor) -> QuerySet[PeriodUsage]:
    """Of the periods that run: of each service that is charged by itself, and (``service`` None) of pools. Unordered."""
    now = timezone.now()
    rows = PeriodUsage.objects.filter(start__lte=now, end__gt=now).select_related("service", "product")
    if actor.client_id is not None:
        return rows.filter(client_id=actor.client_id, organisation_id=actor.organisation_id)
    return rows.filter(organisation_id=actor.organisation_id) if actor.is_staff else rows.none()


def usage_now(actor: Actor, service_id: int) -> PeriodUsage | None:
    """As last counted, of the service or of the pool that it is added up in. None: not counted yet. Raises NotHere."""
    row = service(actor, service_id)
    may_read_octets(actor, row)
    subjects = (f"service:{row.pk}", f"pool:{row.client_id}:{row.product_id}")
    return current_usage(actor).filter(subject__in=subjects).order_by("-subject", "-start").first()
