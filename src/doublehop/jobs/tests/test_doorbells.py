"""What ringing means, whichever doorbell the installation has. On PostgreSQL (tests/test_postgresql.py) both are asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from doublehop.jobs.actions import ring
from doublehop.jobs.engine import Engine, Periodic
from doublehop.jobs.models import Job
from doublehop.jobs.queries import rung, waiting_jobs

ON_POSTGRESQL = connection.vendor == "postgresql"
# Procrastinate asks the database's clock, which stands still inside of a transaction.
pytestmark = pytest.mark.django_db(transaction=ON_POSTGRESQL)


@dataclass
class Waiting:
    """A job that nobody has claimed, as either doorbell keeps it. ``due_in`` in seconds, at most 0 when it is due."""

    key: str
    due_in: float
    attempts: int
    urgent: bool


class Table:
    module = "doublehop.jobs.table"

    def waiting(self) -> list[Waiting]:
        now = timezone.now()
        return [
            Waiting(job.key, (job.run_at - now).total_seconds(), job.attempts, job.urgent)
            for job in Job.objects.filter(claimed_at__isnull=True).order_by("key")
        ]

    def rows(self) -> int:
        return Job.objects.count()

    def has_failed(self, key: str, attempts: int) -> None:
        Job.objects.filter(key=key).update(attempts=attempts)

    def make_due(self) -> None:
        Job.objects.update(run_at=timezone.now() - timedelta(seconds=1))

    def clear(self) -> None:
        Job.objects.all().delete()


class Procrastinate:
    module = "doublehop.jobs.postgresql"

    def _ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall() if cursor.description else []

    def waiting(self) -> list[Waiting]:
        rows = self._ask(
            "SELECT queueing_lock, coalesce(extract(epoch FROM scheduled_at - now()), 0), attempts, priority"
            " FROM procrastinate_jobs WHERE status = 'todo' ORDER BY queueing_lock"
        )
        return [Waiting(key, float(due), attempts, bool(priority)) for key, due, attempts, priority in rows]

    def rows(self) -> int:
        return int(self._ask("SELECT count(*) FROM procrastinate_jobs")[0][0])

    def has_failed(self, key: str, attempts: int) -> None:
        self._ask("UPDATE procrastinate_jobs SET attempts = %s WHERE queueing_lock = %s", attempts, key)

    def make_due(self) -> None:
        self._ask("UPDATE procrastinate_jobs SET scheduled_at = NULL WHERE status = 'todo'")

    def clear(self) -> None:
        self._ask("DELETE FROM procrastinate_jobs")
        self._ask("DELETE FROM procrastinate_workers")


@pytest.fixture(params=[Table, Procrastinate] if ON_POSTGRESQL else [Table])
def bell(request, settings):
    bell = request.param()
    settings.DOUBLEHOP_DOORBELL = bell.module
    yield bell
    bell.clear()


def drain(function: Callable[[Mapping[str, Any]], None]) -> None:
    Engine({"greet": function}).drain()


class Counting(list):
    def __call__(self, payload: Mapping[str, Any]) -> None:
        self.append(payload)


def test_ringing_twice_is_one_job(bell):
    seen = Counting()
    ring("greet", key="greet:1", payload={"n": 1})
    ring("greet", key="greet:1", payload={"n": 1})
    drain(seen)
    assert seen == [{"n": 1}]
    assert bell.rows() == 0, "what has run leaves nothing behind"


def ring_and_regret(**more: Any) -> None:
    """The caller's transaction does not come about."""
    with transaction.atomic():
        ring("greet", key="greet:1", **more)
        transaction.set_rollback(True)


def test_a_ring_that_is_taken_back_rings_nothing(bell):
    ring_and_regret()
    assert bell.rows() == 0


def test_a_ring_in_vain_leaves_the_waiting_job_as_it_was(bell):
    ring("greet", key="greet:1", delay_seconds=3600)
    ring_and_regret(urgent=True)
    [job] = bell.waiting()
    assert not job.urgent
    assert job.due_in > 3500


def test_a_job_waits_its_time_and_ringing_brings_it_forward(bell):
    seen = Counting()
    ring("greet", key="greet:1", delay_seconds=3600)
    drain(seen)
    assert seen == []
    assert waiting_jobs() == 0
    ring("greet", key="greet:1", delay_seconds=60)
    assert 50 < bell.waiting()[0].due_in < 70
    ring("greet", key="greet:1", delay_seconds=600)
    assert 50 < bell.waiting()[0].due_in < 70, "a ring never puts off"
    ring("greet", key="greet:1")
    assert waiting_jobs() == 1
    ring("greet", key="greet:1", delay_seconds=600)
    drain(seen)
    assert len(seen) == 1


def test_a_job_becomes_urgent_and_stays_so_while_it_waits(bell):
    ring("greet", key="greet:1", delay_seconds=3600)
    ring("greet", key="greet:1", delay_seconds=3600, urgent=True)
    ring("greet", key="greet:1", delay_seconds=3600)
    ring("greet", key="greet:1", delay_seconds=3600, urgent=True)
    assert [job.urgent for job in bell.waiting()] == [True]


def test_urgent_work_comes_first(bell):
    seen = Counting()
    ring("greet", key="greet:1", payload={"n": 1}, lane="one")
    ring("greet", key="greet:2", payload={"n": 2}, lane="two", urgent=True)
    ring("greet", key="greet:3", payload={"n": 3}, lane="one", urgent=True)
    drain(seen)
    assert [payload["n"] for payload in seen] == [2, 3, 1]


def test_as_if_due_for_long_it_comes_before_others_that_are_as_urgent(bell):
    seen = Counting()
    ring("greet", key="greet:1", payload={"n": 1}, lane="one", urgent=True)
    ring("greet", key="greet:2", payload={"n": 2}, lane="one", urgent=True)
    ring("greet", key="greet:2", lane="one", urgent=True, delay_seconds=-3600)
    ring("greet", key="greet:3", payload={"n": 3}, lane="two", urgent=True, delay_seconds=-3600)
    drain(seen)
    assert {payload["n"] for payload in seen[:2]} == {2, 3}
    assert seen[2] == {"n": 1}


def test_rung_while_it_runs_it_runs_once_more(bell):
    runs = []

    def greet(payload: Mapping[str, Any]) -> None:
        runs.append(payload)
        if len(runs) == 1:
            ring("greet", key="greet:1")
            ring("greet", key="greet:1")

    ring("greet", key="greet:1", payload={"n": 1})
    drain(greet)
    assert len(runs) == 2


def test_rung_for_later_while_it_runs_it_waits_and_stays_urgent(bell):
    runs = []

    def greet(payload: Mapping[str, Any]) -> None:
        runs.append(payload)
        ring("greet", key="greet:1", payload={"n": 1}, delay_seconds=600)

    ring("greet", key="greet:1", payload={"n": 1}, urgent=True)
    drain(greet)
    assert len(runs) == 1
    [job] = bell.waiting()
    assert job.due_in > 500
    assert job.urgent, "the next look at a suspension keeps its place"


def test_a_failing_job_waits_longer_each_time(bell):
    def fail(payload: Mapping[str, Any]) -> None:
        raise RuntimeError("hunter2")

    ring("greet", key="greet:1")
    drain(fail)
    [job] = bell.waiting()
    assert job.attempts == 1
    assert 0 < job.due_in <= 2
    bell.make_due()
    drain(fail)
    [job] = bell.waiting()
    assert job.attempts == 2
    assert 2 < job.due_in <= 4
    bell.has_failed("greet:1", 20)
    bell.make_due()
    drain(fail)
    assert 290 < bell.waiting()[0].due_in <= 300


def test_a_job_that_succeeds_has_its_failures_forgotten(bell):
    runs = []

    def greet(payload: Mapping[str, Any]) -> None:
        runs.append(payload)
        if len(runs) == 2:
            ring("greet", key="greet:1", delay_seconds=600)
        elif len(runs) == 1:
            raise RuntimeError

    ring("greet", key="greet:1")
    drain(greet)
    bell.make_due()
    drain(greet)
    assert [job.attempts for job in bell.waiting()] == [0]


def test_a_ring_during_a_run_that_fails_is_not_put_off_for_minutes(bell):
    def fail(payload: Mapping[str, Any]) -> None:
        ring("greet", key="greet:1", urgent=True)
        raise RuntimeError

    ring("greet", key="greet:1")
    bell.has_failed("greet:1", 9)
    drain(fail)
    [job] = bell.waiting()
    assert job.urgent
    assert job.attempts == 10
    assert 0 < job.due_in < 5


def test_who_only_looks_after_the_forgotten_brings_nothing_forward(bell):
    ring("greet", key="greet:1", delay_seconds=3600)
    ring("greet", key="greet:1", hurry=False)
    ring("greet", key="greet:2", hurry=False)
    first, second = bell.waiting()
    assert first.due_in > 3000
    assert (second.key, second.due_in <= 0) == ("greet:2", True)


def test_what_waits_or_runs_is_known(bell):
    found = []

    def greet(payload: Mapping[str, Any]) -> None:
        found.append(rung(["greet:1", "greet:2", "greet:3"]))

    ring("greet", key="greet:1")
    ring("greet", key="greet:2", delay_seconds=3600)
    drain(greet)
    assert found == [{"greet:1", "greet:2"}]
    assert rung(["greet:1"]) == set()


def test_who_only_looks_after_the_forgotten_leaves_a_running_job_alone(bell):
    runs = []

    def greet(payload: Mapping[str, Any]) -> None:
        runs.append(payload)
        ring("greet", key="greet:1", hurry=False)

    ring("greet", key="greet:1")
    drain(greet)
    assert len(runs) == 1


def test_a_periodic_needs_a_function(bell):
    with pytest.raises(ValueError, match="tick"):
        Engine({}, (Periodic("tick", 5),))
