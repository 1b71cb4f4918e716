"""Signs of life of several workers."""

from datetime import timedelta

import pytest
from django.utils import timezone

from doublehop.jobs.actions import FORGET_BEATS_AFTER, beat
from doublehop.jobs.models import Beat
from doublehop.jobs.queries import SILENT_AFTER, worker_is_silent, workers

pytestmark = pytest.mark.django_db


def heard(worker: str, ago: timedelta) -> None:
    Beat.objects.create(worker=worker, at=timezone.now() - ago)


def test_one_that_lives_is_enough():
    heard("north:1", timedelta(minutes=5))
    assert worker_is_silent()
    heard("south:1", timedelta(seconds=3))
    assert not worker_is_silent()
    assert workers() == ["south:1"]


def test_each_process_has_a_beat_of_its_own(monkeypatch):
    heard("north:1", timedelta(seconds=3))
    monkeypatch.setattr("socket.gethostname", lambda: "south")
    monkeypatch.setattr("os.getpid", lambda: 7)
    beat()
    beat()
    assert workers() == ["north:1", "south:7"]


def test_those_long_gone_are_forgotten_by_those_who_work():
    heard("north:1", FORGET_BEATS_AFTER + timedelta(seconds=1))
    heard("north:2", SILENT_AFTER + timedelta(seconds=1))
    beat()
    assert not Beat.objects.filter(worker="north:1").exists()
    assert Beat.objects.filter(worker="north:2").exists()


def test_the_last_sign_of_life_stays_when_nobody_works():
    heard("north:1", timedelta(days=3))
    assert worker_is_silent()
    assert Beat.objects.exists()
