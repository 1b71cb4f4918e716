"""How collecting goes, for Prometheus. What this process did is counted here; what rows know is read from them when asked.

Upstreams are named by their number only: a name or an address would tell a graph's reader more than the figure.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.db import close_old_connections, connection
from django.db.models import Count
from django.utils import timezone
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from doublehop.bandwidth.models import Collection, Quarantined
from doublehop.bandwidth.queries.health import last_rounds
from doublehop.jobs.queries import waiting_jobs

registry = CollectorRegistry()
rounds = Counter("doublehop_collect_rounds", "Rounds of collecting that this worker ran", registry=registry)
round_seconds = Histogram(
    "doublehop_collect_round_seconds",
    "How long a round took",
    buckets=(0.1, 0.3, 1, 3, 10, 30, 60, 120, 200, 280),
    registry=registry,
)
ports_read = Counter(
    "doublehop_collect_ports", "Ports whose counters this worker has read", registry=registry
)
failures = Counter(
    "doublehop_collect_failures", "Readings that did not come, by reason", ["reason"], registry=registry
)
waiting = Gauge(
    "doublehop_collect_waiting_readings", "Readings in memory that are not written yet", registry=registry
)


def note_waiting(readings: int) -> None:
    waiting.set(readings)


@contextmanager
def round_of_collecting() -> Iterator[None]:
    with round_seconds.time():
        yield
    rounds.inc()


class _Rows(Collector):
    """What the database knows, so it is the same at every worker."""

    def collect(self) -> Iterable[Metric]:
        age = GaugeMetricFamily(
            "doublehop_collect_last_round_age_seconds",
            "Since the last reading of an upstream that was used",
            labels=["upstream"],
        )
        failing = GaugeMetricFamily(
            "doublehop_collect_failing", "1 while an upstream's counters cannot be read", labels=["upstream"]
        )
        discarded = GaugeMetricFamily(
            "doublehop_collect_discarded_readings",
            "Readings of ports that were not counted, since the beginning",
            labels=["upstream"],
        )
        refused = GaugeMetricFamily(
            "doublehop_collect_refused_rounds",
            "Rounds that came too late to be taken in, since the beginning",
            labels=["upstream"],
        )
        quarantined = GaugeMetricFamily(
            "doublehop_collect_quarantined",
            "Intervals of ports in doubt that staff have not decided",
            labels=["upstream"],
        )
        now, read = timezone.now(), last_rounds()
        open_doubts = Quarantined.objects.filter(state=Quarantined.State.OPEN).values("upstream_id")
        doubts = dict(open_doubts.annotate(count=Count("pk")).values_list("upstream_id", "count"))
        for row in Collection.objects.order_by("pk"):
            labels = [str(row.upstream_id)]
            if row.upstream_id in read:
                age.add_metric(labels, (now - read[row.upstream_id]).total_seconds())
            failing.add_metric(labels, float(row.failing_since is not None))
            discarded.add_metric(labels, row.discarded)
            refused.add_metric(labels, row.refused)
            quarantined.add_metric(labels, doubts.get(row.upstream_id, 0))
        yield from (age, failing, discarded, refused, quarantined)
        yield GaugeMetricFamily(
            "doublehop_jobs_waiting", "Jobs that are due and not begun", value=waiting_jobs()
        )

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked at the time of registering."""
        return ()


registry.register(_Rows())


def exposition() -> bytes:
    """The text that Prometheus reads. For a thread of its own: its connection is given back."""
    close_old_connections()
    try:
        return generate_latest(registry)
    finally:
        if not connection.in_atomic_block:
            connection.close()
