"""What staff decide about octets in doubt. Each is decided once; bills that were closed before follow by an adjustment."""

from collections.abc import Sequence
from itertools import groupby

from django.db import transaction
from django.utils import timezone

from doublehop.bandwidth import slots
from doublehop.bandwidth.actions import dailies
from doublehop.bandwidth.models import Collection, GapVolume, Quarantined
from doublehop.bandwidth.queries.quarantine import quarantined_visible_to
from doublehop.bandwidth.readings import FASTEST_BPS
from doublehop.bandwidth.slots import Interval
from doublehop.fleet import queries as fleet
from doublehop.organisations import record, texts
from doublehop.organisations.actions.sign_ins import require
from doublehop.organisations.actor import Actor, Duty
from doublehop.organisations.once import once
from doublehop.organisations.refusals import BadInput, NotHere, WrongState

MOST_AT_ONCE = 500


@once("bandwidth.quarantine")
@transaction.atomic
def decide(actor: Actor, ids: Sequence[int], *, accept: bool, reason: str, key: str = "") -> None:
    """Accepted octets count for the volume of their days, never for a percentile; rejected ones count for nobody.

    All of ``ids`` or none. Raises BadInput, NotAllowed, NotHere, WrongState.
    """
    require(actor, Duty.OPERATE)
    reason = texts.remark(reason, field="reason")[:500]
    if not reason:
        raise BadInput("Say how you know: it stands in the journal with your name.", field="reason")
    if not ids:
        raise BadInput("Choose at least one line.", field="id")
    if len(ids) > MOST_AT_ONCE:
        raise BadInput(f"At most {MOST_AT_ONCE} at once.", field="id")
    rows = _locked(actor, ids)
    if accept:
        _count(rows)
    state = Quarantined.State.ACCEPTED if accept else Quarantined.State.REJECTED
    Quarantined.objects.filter(pk__in=[row.pk for row in rows]).update(
        state=state, decided_at=timezone.now(), decided_by=actor.label[:120], decision_reason=reason
    )
    for upstream_id in sorted({row.upstream_id for row in rows}):
        count = sum(row.upstream_id == upstream_id for row in rows)
        upstream = fleet.upstream(actor, upstream_id)
        record.write(
            actor,
            "bandwidth.quarantine_accepted" if accept else "bandwidth.quarantine_rejected",
            ("upstream", upstream_id),
            target_label=upstream.name,
            sentence=f"{count} {'interval' if count == 1 else 'intervals'}: {reason}"[:300],
        )


def _locked(actor: Actor, ids: Sequence[int]) -> list[Quarantined]:
    wanted = set(ids)
    mine = quarantined_visible_to(actor).filter(pk__in=wanted)
    # As a round does, which may clear up a doubt meanwhile.
    upstream_ids = sorted(set(mine.values_list("upstream_id", flat=True)))
    list(Collection.objects.select_for_update().filter(pk__in=upstream_ids).order_by("pk"))
    rows = list(mine.order_by("pk"))
    if len(rows) != len(wanted):
        raise NotHere
    if any(row.state != Quarantined.State.OPEN for row in rows):
        raise WrongState("One of them has been decided already. Look at the list again.")
    return rows


def _count(rows: Sequence[Quarantined]) -> None:
    volumes = []
    for row in rows:
        octets_in, octets_out = int(row.octets_in), int(row.octets_out)
        started, ended = slots.to_ms(row.started_at), slots.to_ms(row.ended_at)
        if not any((octets_in, octets_out)):
            raise BadInput("Nothing is known of how much it would have been. Reject it.", field="id")
        if max(octets_in, octets_out) > FASTEST_BPS * (ended - started) // 8000:
            raise BadInput("More than any port can carry in that time. Reject it.", field="id")
        volumes += [
            GapVolume(
                port_id=row.port_id,
                upstream_id=row.upstream_id,
                first_slot=gap.first,
                end_slot=gap.end,
                octets_in=gap.octets_in,
                octets_out=gap.octets_out,
                quarantined=row,
            )
            for gap in slots.gaps_of(Interval(started, ended, octets_in, octets_out))
        ]
    GapVolume.objects.bulk_create(volumes)
    # The others' rows are not written yet: they are when their days are packed.
    over = [one for one in volumes if one.end_slot <= dailies.over_until(timezone.now())]
    by_day = groupby(sorted(over, key=_day_of), key=_day_of)
    for (upstream_id, day), some in by_day:
        dailies.finish_gaps(upstream_id, [one.port_id for one in some], day * slots.SLOTS_PER_DAY)


def _day_of(volume: GapVolume) -> tuple[int, int]:
    return volume.upstream_id, volume.first_slot // slots.SLOTS_PER_DAY
