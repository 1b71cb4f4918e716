"""The doorbell: rings are joined, lanes do not block each other, a failure waits and comes back."""

from collections.abc import Mapping
from typing import Any

import pytest
from django.utils import timezone

from doublehop.jobs.actions import ring
from doublehop.jobs.engine import Engine, Periodic
from doublehop.jobs.models import Job

pytestmark = pytest.mark.django_db


def test_ringing_twice_is_one_job():
    seen: list[Mapping[str, Any]] = []
    ring("greet", key="greet:1", payload={"n": 1})
    ring("greet", key="greet:1", payload={"n": 1})
    Engine({"greet": seen.append}).drain()
    assert seen == [{"n": 1}]
    assert not Job.objects.exists()


def test_ringing_brings_a_waiting_job_forward():
    seen: list[Mapping[str, Any]] = []
    ring("greet", key="greet:1", delay_seconds=3600)
    engine = Engine({"greet": seen.append})
    engine.drain()
    assert seen == []
    ring("greet", key="greet:1")
    engine.drain()
    assert len(seen) == 1


def test_rung_while_it_runs_it_runs_once_more():
    runs = []

    def greet(payload: Mapping[str, Any]) -> None:
        runs.append(payload)
        if len(runs) == 1:
            ring("greet", key="greet:1")
            ring("greet", key="greet:1")

    ring("greet", key="greet:1")
    Engine({"greet": greet}).drain()
    assert len(runs) == 2


def test_a_failing_job_waits_and_keeps_no_text_of_the_error():
    def fail(payload: Mapping[str, Any]) -> None:
        raise RuntimeError("hunter2")

    ring("fail", key="fail:1")
    Engine({"fail": fail}).drain()
    job = Job.objects.get()
    assert job.attempts == 1
    assert job.last_error == "RuntimeError"
    assert job.claimed_at is None
    assert job.run_at > timezone.now()


def test_a_lane_has_few_places_and_one_more_for_urgent_work(monkeypatch):
    engine = Engine({"slow": lambda payload: None})
    monkeypatch.setattr(engine._pool, "submit", lambda *args: None)
    for number in range(5):
        ring("slow", key=f"slow:{number}", lane="upstream:1")
    ring("slow", key="other", lane="upstream:2")
    assert engine.start_due() == 3
    ring("slow", key="suspend", lane="upstream:1", urgent=True)
    assert engine.start_due() == 1
    assert set(Job.objects.filter(claimed_at__isnull=True).values_list("lane", flat=True)) == {"upstream:1"}


def test_a_periodic_needs_a_function():
    with pytest.raises(ValueError, match="tick"):
        Engine({}, (Periodic("tick", 5),))
