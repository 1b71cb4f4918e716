"""The daily rows: what lies in the slots of a day, and what is exact of its gaps. Whoever writes them again counts nothing twice."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby, islice
from operator import itemgetter

from django.db import transaction
from django.db.models import F, Sum

from doublehop.bandwidth import store
from doublehop.bandwidth.models import Collection, Daily, GapVolume
from doublehop.bandwidth.slots import DAY_MS, SLOT_MS, SLOTS_PER_DAY, slot_of, start_of
from doublehop.bandwidth.store import Series

OVER_AFTER = timedelta(hours=26)
"""No reading is taken in that is older than a day; two hours more are for clocks and for a round on its way."""
PORTS_AT_ONCE = 128
"""In one transaction: on SQLite nobody else writes meanwhile, and a round must not notice."""


def over_until(now: datetime) -> int:
    """The first slot of the oldest day that is not surely over."""
    return slot_of(now - OVER_AFTER) // SLOTS_PER_DAY * SLOTS_PER_DAY


def finish_days(series: Sequence[tuple[int, Series]]) -> None:
    """Writes the rows of one day, of which ``series`` holds all slots. They say what they said before, at least."""
    first = series[0][1].first
    day = start_of(first).date()
    gaps = _gaps([port_id for port_id, _ in series], first)
    there = {
        row.port_id: row for row in Daily.objects.filter(day=day, port_id__in=[port for port, _ in series])
    }
    rows = []
    for port_id, one in series:
        row = there.get(port_id) or Daily(port_id=port_id, day=day)
        gap_in, gap_out, gap_slots = gaps.get(port_id, (0, 0, 0))
        row.octets_in = max(row.octets_in, int(one.octets_in.sum()) + gap_in)
        row.octets_out = max(row.octets_out, int(one.octets_out.sum()) + gap_out)
        row.max_in = max(row.max_in, int(one.octets_in.max()))
        row.max_out = max(row.max_out, int(one.octets_out.max()))
        row.slots = max(row.slots, int(one.measured.sum()))
        row.covered_ms = max(row.covered_ms, min(DAY_MS, (row.slots + gap_slots) * SLOT_MS))
        rows.append(row)
    Daily.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["port_id", "day"],
        update_fields=["octets_in", "octets_out", "max_in", "max_out", "slots", "covered_ms"],
    )


def finish_gaps(upstream_id: int, ports: Iterable[int], first: int) -> None:
    """The rows of the day that begins with slot ``first``, also of ports that have no slot in it.

    Within a transaction that holds the upstream's Collection.
    """
    finish_days(list(store.read_many([(upstream_id, set(ports))], first, first + SLOTS_PER_DAY)))


def finish_late_gaps(until: int) -> None:
    """Days before slot ``until`` that were packed before the gap ended, or have no slot that could be packed."""
    for upstream_id, first, ports in list(_unsaid(until)):
        with transaction.atomic():
            # As a round does, which may write other gaps meanwhile.
            Collection.objects.get_or_create(upstream_id=upstream_id)
            Collection.objects.select_for_update().get(upstream_id=upstream_id)
            finish_gaps(upstream_id, ports, first)


def _unsaid(until: int) -> Iterator[tuple[int, int, list[int]]]:
    """(upstream, first slot of a day, ports) of which the daily rows stand for less time than their slots and gaps do."""
    rows = (
        GapVolume.objects.filter(end_slot__lte=until)
        .annotate(number=F("first_slot") / SLOTS_PER_DAY)
        .values_list("number", "upstream_id", "port_id")
        .annotate(spanned=Sum(F("end_slot") - F("first_slot")))
        .order_by("number", "upstream_id", "port_id")
    )
    for number, of_day in groupby(rows.iterator(chunk_size=5000), key=itemgetter(0)):
        first = number * SLOTS_PER_DAY
        while some := list(islice(of_day, PORTS_AT_ONCE)):
            there = Daily.objects.filter(day=start_of(first).date(), port_id__in=[row[2] for row in some])
            said = {
                port_id: (slots, covered_ms)
                for port_id, slots, covered_ms in there.values_list("port_id", "slots", "covered_ms")
            }
            late = [row for row in some if _says_less(*said.get(row[2], (0, 0)), row[3])]
            for upstream_id, theirs in groupby(late, key=itemgetter(1)):
                yield upstream_id, first, [row[2] for row in theirs]


def _says_less(slots: int, covered_ms: int, gap_slots: int) -> bool:
    return covered_ms < min(DAY_MS, (slots + gap_slots) * SLOT_MS)


def _gaps(ports: Sequence[int], first: int) -> dict[int, tuple[int, int, int]]:
    """Of the day that begins with slot ``first``, by port: octets in and out of all its gaps, and how many slots these are."""
    found: dict[int, tuple[int, int, int]] = {}
    rows = GapVolume.objects.filter(
        port_id__in=ports, first_slot__gte=first, end_slot__lte=first + SLOTS_PER_DAY
    )
    for gap in rows:
        octets_in, octets_out, slots = found.get(gap.port_id, (0, 0, 0))
        found[gap.port_id] = (
            octets_in + gap.octets_in,
            octets_out + gap.octets_out,
            slots + gap.end_slot - gap.first_slot,
        )
    return found
