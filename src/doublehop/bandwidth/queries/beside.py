"""What an upstream counted by itself beside what we measured, day by day of UTC. For the staff of its owner only."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.utils import timezone

from doublehop.bandwidth.figures import DAY, by_step, floor
from doublehop.bandwidth.queries.sight import Days, see
from doublehop.bandwidth.queries.totals import pieces_seen
from doublehop.bandwidth.slots import SLOTS_PER_DAY, slot_of
from doublehop.fleet import queries as fleet
from doublehop.organisations.actor import Actor

LOOKED_BACK = timedelta(days=35)
USUAL_PERCENT = 3.0
"""Frame headers, other clocks, and days of another zone make so much; more is worth a look."""
BINARY = 2**30 / 10**9
"""What a GiB is taken for a GB by."""
ENOUGH_SLOTS = SLOTS_PER_DAY * 98 // 100


@dataclass(frozen=True)
class Beside:
    """One day, octets. ``measured``: values of ours, of 288."""

    day: date
    ours_in: int
    ours_out: int
    theirs_in: int
    theirs_out: int
    measured: int
    complete: bool
    """Both have counted all of it, so that a difference says something."""

    @property
    def difference(self) -> float | None:
        """Per cent that theirs is above ours, of in and out together; None where there is nothing of ours."""
        ours = self.ours_in + self.ours_out
        return None if not ours else 100 * (self.theirs_in + self.theirs_out - ours) / ours

    @property
    def is_odd(self) -> bool:
        return self.complete and self.difference is not None and abs(self.difference) > USUAL_PERCENT


@dataclass(frozen=True)
class Comparison:
    """``source`` and ``unit`` as the upstream's figures came; days newest first."""

    source: str
    unit: str
    days: tuple[Beside, ...]

    @property
    def difference(self) -> float | None:
        """Per cent over all complete days together."""
        whole = [day for day in self.days if day.complete]
        ours = sum(day.ours_in + day.ours_out for day in whole)
        theirs = sum(day.theirs_in + day.theirs_out for day in whole)
        return None if not ours else 100 * (theirs - ours) / ours

    @property
    def percent(self) -> float | None:
        """The same without its sign."""
        return None if self.difference is None else abs(self.difference)

    @property
    def looks_like_other_units(self) -> bool:
        """All of it is off by what lies between GB and GiB."""
        if self.difference is None:
            return False
        share = 1 + self.difference / 100
        return any(abs(share / one - 1) < 0.015 for one in (BINARY, 1 / BINARY))

    @property
    def looks_turned_round(self) -> bool:
        """Their in is our out: the directions are taken from the other side."""
        whole = [day for day in self.days if day.complete]
        straight = sum(abs(day.ours_in - day.theirs_in) + abs(day.ours_out - day.theirs_out) for day in whole)
        turned = sum(abs(day.ours_in - day.theirs_out) + abs(day.ours_out - day.theirs_in) for day in whole)
        return bool(whole) and straight > 10 * turned


def beside(actor: Actor, server_id: int, *, now: datetime | None = None) -> Comparison | None:
    """The last five weeks. None where not both have counted, and for everybody but the owner. Raises NotHere."""
    if not fleet.owns(actor, fleet.server(actor, server_id)):
        return None
    moment = now or timezone.now()
    sight = see(actor, server_id, moment)
    start = floor(moment - LOOKED_BACK, DAY)
    pieces = pieces_seen(sight, server_id, start, floor(moment, DAY) + DAY)
    if not pieces or not sight.stretches:
        return None
    theirs = by_step(pieces, DAY)
    ours = Days(sight, slot_of(start), sight.horizon)
    days = []
    for begin, figure in sorted(theirs.items(), reverse=True):
        volume = ours.whole(slot_of(begin))
        if volume is None or not volume.covered_ms:
            continue
        days.append(
            Beside(
                begin.date(),
                volume.octets_in,
                volume.octets_out,
                figure.octets_in,
                figure.octets_out,
                volume.slots,
                figure.complete and volume.slots >= ENOUGH_SLOTS,
            )
        )
    if not days:
        return None
    newest = max(pieces, key=lambda one: one.read_at)
    return Comparison(newest.source, newest.unit, tuple(days))
