"""Threads around the table: lanes do not block each other, a database that is away for a moment ends nothing."""

import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest
from django.db import OperationalError

from doublehop.jobs.actions import ring
from doublehop.jobs.models import Job
from doublehop.jobs.table import Runner

pytestmark = pytest.mark.django_db


def test_a_failing_job_keeps_no_text_of_the_error():
    def fail(payload: Mapping[str, Any]) -> None:
        raise RuntimeError("hunter2")

    ring("fail", key="fail:1")
    Runner({"fail": fail}).drain()
    job = Job.objects.get()
    assert job.last_error == "RuntimeError"
    assert job.claimed_at is None


def test_a_lane_has_few_places_and_one_more_for_urgent_work(monkeypatch):
    engine = Runner({"slow": lambda payload: None})
    monkeypatch.setattr(engine._pool, "submit", lambda *args: None)
    for number in range(5):
        ring("slow", key=f"slow:{number}", lane="upstream:1")
    ring("slow", key="other", lane="upstream:2")
    assert engine.start_due() == 3
    ring("slow", key="suspend", lane="upstream:1", urgent=True)
    assert engine.start_due() == 1
    assert set(Job.objects.filter(claimed_at__isnull=True).values_list("lane", flat=True)) == {"upstream:1"}


def test_a_long_queue_of_one_lane_hides_nothing_in_the_others(monkeypatch):
    engine = Runner({"slow": lambda payload: None})
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

    engine = Runner({"greet": lambda payload: None})
    finish = engine._finish
    monkeypatch.setattr("doublehop.jobs.table.close_old_connections", lambda: None)
    monkeypatch.setattr(engine._pool, "submit", lambda function, *args: function(*args))
    monkeypatch.setattr(engine, "_finish", broken)
    ring("greet", key="greet:1")
    engine.look(0.0)
    assert Job.objects.get().claimed_at is not None
    monkeypatch.setattr(engine, "_finish", finish)
    engine.look(0.0)
    assert not Job.objects.exists()


def test_a_database_that_does_not_answer_for_a_moment_does_not_end_the_worker(monkeypatch):
    engine = Runner({})
    rounds = []

    def look(now: float) -> None:
        rounds.append(now)
        if len(rounds) == 1:
            raise OperationalError("database is locked")
        engine.stop()

    monkeypatch.setattr("doublehop.jobs.table.close_old_connections", lambda: None)
    monkeypatch.setattr(engine, "look", look)
    monkeypatch.setattr("doublehop.jobs.table.LOOK_EVERY_SECONDS", 0.01)
    engine.run()
    assert len(rounds) == 2


def test_what_somebody_else_wrote_is_looked_at_without_waiting_for_the_next_round(monkeypatch):
    engine = Runner({})
    versions = iter([1, 1, 2, 2, 2])
    looks = []

    def look(now: float) -> None:
        looks.append(now)
        if len(looks) == 2:
            engine.stop()

    monkeypatch.setattr("doublehop.jobs.table._version", lambda: next(versions))
    monkeypatch.setattr("doublehop.jobs.table.LOOK_EVERY_SECONDS", 3600)
    monkeypatch.setattr(engine, "look", look)
    engine.run()
    assert len(looks) == 2


def test_a_place_that_becomes_free_is_filled_at_once(monkeypatch):
    monkeypatch.setattr("doublehop.jobs.table.LOOK_EVERY_SECONDS", 20)
    monkeypatch.setattr("doublehop.jobs.table._version", lambda: 1)
    engine = Runner({})
    ends = threading.Timer(0.05, engine._leave, ["upstream:1"])
    ends.start()
    begin = time.monotonic()
    engine._wait_for_news(1)
    assert time.monotonic() - begin < 10
    ends.join()
