"""What upstreams counted by themselves, written down. It changes nothing at a machine, so it leaves no journal line.

``Fetching.read_until`` to ``Fetching.read_at`` is the time that was read without a hole; days with nothing in it are gaps.
It grows at both ends: towards now with every reading, and backwards while the history is fetched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from doublehop.bandwidth.models import Fetching, Total
from doublehop.driver_kit.contract import TrafficTotal
from doublehop.fleet.models import Server
from doublehop.jobs.actions import ring

PART = "traffic"
"""The part of a server whose upstream counts by itself."""
MOST_OCTETS = (1 << 63) - 1
LONGEST = timedelta(days=2)
"""A figure for longer than a day (and its hour of summer time) says nothing about a day."""


@dataclass(frozen=True)
class Answer:
    """What one call gave for the time from ``start`` to ``end``. ``asked_at``: what was counted later is not in it."""

    source: str
    unit: str
    start: datetime
    end: datetime
    asked_at: datetime
    totals: Sequence[TrafficTotal]


def lane_of_totals(upstream_id: int) -> str:
    """Its own: a call may take minutes, and nothing else must wait for that."""
    return f"upstream:{upstream_id}:totals"


def ask_totals(server_id: int) -> None:
    """Rings for the totals of one server, as soon as there is a place: somebody has just attached it.

    Rings for nothing where the upstream does not count.
    """
    row = Server.objects.filter(pk=server_id).only("upstream_id", "capabilities").first()
    if row is None or PART not in row.capabilities:
        return
    ring(
        "bandwidth.fetch_server_totals",
        key=f"totals:server:{server_id}",
        payload={"server_id": server_id},
        lane=lane_of_totals(row.upstream_id),
        urgent=True,
    )


@transaction.atomic
def write_totals(server_id: int, answer: Answer) -> int:
    """Takes in one answer; answers with how many figures cannot be and were left out.

    The same answer again changes nothing; a newer one replaces what it speaks of, so an open day grows.
    """
    fetching = _lock(server_id)
    usable = {one.start: one for one in answer.totals if _can_be(one, answer)}
    stale = _replace(server_id, answer, usable)
    Total.objects.bulk_create(
        [_row(server_id, answer, one) for one in usable.values() if one.start not in stale],
        update_conflicts=True,
        unique_fields=["server_id", "source", "start"],
        update_fields=[
            "end",
            "octets_in",
            "octets_out",
            "unit",
            "read_at",
            "sample_history",
            "counted_seconds",
        ],
    )
    fetching.read_at = max(fetching.read_at or answer.end, answer.end)
    fetching.read_until = min(fetching.read_until or answer.start, answer.start)
    fetching.failed_at, fetching.failure_text = None, ""
    fetching.save()
    return len(answer.totals) - len(usable)


@transaction.atomic
def note_fetch_failure(server_id: int, text: str) -> None:
    """What was read before stays, with its age."""
    fetching = _lock(server_id)
    fetching.failed_at = timezone.now()
    fetching.failure_text = text[:500]
    fetching.save()


@transaction.atomic
def pass_over(server_id: int, start: datetime) -> None:
    """The upstream gives newer figures and says no to those from ``start`` on: they are not asked for again."""
    fetching = _lock(server_id)
    fetching.read_until = min(fetching.read_until or start, start)
    fetching.save()


def _lock(server_id: int) -> Fetching:
    """Two readings of one server follow each other."""
    Fetching.objects.get_or_create(server_id=server_id)
    return Fetching.objects.select_for_update().get(server_id=server_id)


def _can_be(one: TrafficTotal, answer: Answer) -> bool:
    return (
        timedelta(0) < one.end - one.start <= LONGEST
        and one.start < answer.asked_at
        and all(0 <= octets <= MOST_OCTETS for octets in (one.octets_in, one.octets_out))
    )


def _replace(server_id: int, answer: Answer, usable: dict[datetime, TrafficTotal]) -> set[datetime]:
    """Deletes what overlaps a new figure of the same source and begins elsewhere: days that are given by the hour now.

    Answers with the beginnings that a later call has read already.
    """
    if not usable:
        return set()
    # Oldest first and none longer than LONGEST: whatever may touch them begins within these bounds.
    bounds = (min(usable) - LONGEST, max(one.end for one in usable.values()))
    there = list(Total.objects.filter(server_id=server_id, source=answer.source, start__range=bounds))
    stale = {row.start for row in there if row.start in usable and row.read_at > answer.asked_at}
    edges = sorted((one.start, one.end) for one in usable.values())
    Total.objects.filter(
        pk__in=[row.pk for row in there if row.start not in usable and _touches(row, edges)]
    ).delete()
    return stale


def _touches(row: Total, edges: Sequence[tuple[datetime, datetime]]) -> bool:
    return any(since < row.end and until > row.start for since, until in edges)


def _row(server_id: int, answer: Answer, one: TrafficTotal) -> Total:
    return Total(
        server_id=server_id,
        start=one.start,
        end=one.end,
        octets_in=one.octets_in,
        octets_out=one.octets_out,
        source=answer.source[:40],
        unit=answer.unit[:20],
        read_at=answer.asked_at,
        sample_history=one.sample_history,
        counted_seconds=one.counted_seconds,
    )
