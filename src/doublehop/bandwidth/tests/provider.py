"""A provider that counts by itself, and a clock that the test sets."""

from datetime import UTC, datetime, timedelta

from django.utils import timezone
from tests.stage import a_stage, run_jobs

from doublehop.bandwidth import totals
from doublehop.bandwidth.actions import write_totals
from doublehop.bandwidth.actions.totals import Answer
from doublehop.driver_kit.contract import TrafficTotal
from doublehop.fleet import actions as fleet
from doublehop.jobs.engine import Engine

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
GB = 10**9


def midnight(moment):
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def day(number, octets_out=10 * GB, octets_in=GB, length=DAY):
    """The figure of the day that began ``number`` days before NOON's."""
    start = midnight(NOON) - number * DAY
    return TrafficTotal(start, start + length, octets_in, octets_out)


class Provider:
    """A memory upstream whose machines have figures and no port. ``asked``: (machine, start, end) of every call
    of ``traffic``, the class of their part.

    The day that is still open has a figure as well: it grows with the clock, 1 GB out an hour.
    """

    def __init__(self, monkeypatch, owner):
        self.now = NOON
        self.asked = []
        monkeypatch.setattr(timezone, "now", lambda: self.now)
        self.stage = a_stage(owner)
        with totals.door.reading(self.stage.upstream.pk) as upstream:
            self.traffic = type(upstream.server("lab").traffic)
        del self.stage.place.machines["lab"]
        whole_days = self.traffic.read

        def read(part, start, end):
            self.asked.append((part._id, start, end))
            found = whole_days(part, start, end)
            today = midnight(self.now)
            if end == self.now and end > today:
                hours = int((end - today) / timedelta(hours=1))
                found.append(TrafficTotal(today, today + DAY, 0, hours * GB))
            return found

        monkeypatch.setattr(self.traffic, "read", read)

    def machines(self, *names):
        for name in names:
            self.stage.place.add(name, label=name, if_name="", parts=frozenset({"power", "traffic"}))
        fleet.ask_sync(self.stage.owner, self.stage.upstream.pk)
        run_jobs()
        return [self.stage.server(name) for name in names]

    def run(self):
        """One tick of the hour, and everything it rings for."""
        totals.ask_all({})
        Engine(totals.JOBS).drain()

    def spans_asked(self, name):
        """How far before NOON's midnight each call began and ended, in days."""
        zero = midnight(NOON)
        return [
            ((start - zero) // DAY, (end - zero) / DAY) for known, start, end in self.asked if known == name
        ]


def write(server, *found, source="Figures Inc", unit="GB", read_at=NOON, start=None):
    """As if one call had given ``found``."""
    start = start or min(one.start for one in found)
    write_totals(server.pk, Answer(source, unit, start, read_at, read_at, found))
