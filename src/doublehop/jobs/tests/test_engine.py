"""The doorbell: rings are joined, lanes do not block each other, a failure waits and comes back."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
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


def test_a_long_queue_of_one_lane_hides_nothing_in_the_others(monkeypatch):
    engine = Engine({"slow": lambda payload: None})
    monkeypatch.setattr(engine._pool, "submit", lambda *args: None)
    for number in range(210):
        ring("slow", key=f"slow:{number}", lane="upstream:1")
    engine.start_due()
    ring("slow", key="other", lane="upstream:2")
    assert engine.start_due() == 1
    assert Job.objects.get(key="other").claimed_at is not None


def test_a_job_whose_end_could_not_be_written_down_is_taken_up_again(monkeypatch):
    def broken(job: Job) -> None:
        raise OperationalError("database is locked")

    engine = Engine({"greet": lambda payload: None})
    finish = engine._finish
    monkeypatch.setattr("doublehop.jobs.engine.close_old_connections", lambda: None)
    monkeypatch.setattr(engine._pool, "submit", lambda function, *args: function(*args))
    monkeypatch.setattr(engine, "_finish", broken)
    ring("greet", key="greet:1")
    engine.look(0.0)
    assert Job.objects.get().claimed_at is not None
    monkeypatch.setattr(engine, "_finish", finish)
    engine.look(0.0)
    assert not Job.objects.exists()


def test_a_database_that_does_not_answer_for_a_moment_does_not_end_the_worker(monkeypatch):
    engine = Engine({})
    rounds = []

    def look(now: float) -> None:
        rounds.append(now)
        if len(rounds) == 1:
            raise OperationalError("database is locked")
        engine.stop()

    monkeypatch.setattr("doublehop.jobs.engine.close_old_connections", lambda: None)
    monkeypatch.setattr(engine, "look", look)
    monkeypatch.setattr("doublehop.jobs.engine.LOOK_EVERY_SECONDS", 0.01)
    engine.run()
    assert len(rounds) == 2


def test_a_ring_during_a_run_that_fails_is_not_put_off_for_minutes():
    def fail(payload: Mapping[str, Any]) -> None:
        ring("fail", key="fail:1", urgent=True)
        raise RuntimeError

    ring("fail", key="fail:1")
    Job.objects.update(attempts=9)
    Engine({"fail": fail}).drain()
    job = Job.objects.get()
    assert job.urgent
    assert job.run_at < timezone.now() + timedelta(seconds=5)


def test_who_only_looks_after_the_forgotten_brings_nothing_forward():
    ring("greet", key="greet:1", delay_seconds=3600)
    ring("greet", key="greet:1", hurry=False)
    ring("greet", key="greet:2", hurry=False)
    assert Job.objects.get(key="greet:1").run_at > timezone.now() + timedelta(minutes=50)
    assert Job.objects.filter(key="greet:2").exists()
