"""Several workers on one PostgreSQL: each job once, each tick once, and nothing is lost when one of them goes."""

import itertools
import signal
import time

import pytest

from tests.workers.counting import TICK_SECONDS

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]

TAKEN_OVER_WITHIN_SECONDS = 30.0
ENDS_WITHIN_SECONDS = 10.0
"""What the supervisor and the service unit grant."""


def test_two_workers_share_the_jobs_and_run_each_once(installation):
    workers = [installation.start(), installation.start()]
    installation.ring("count", lanes=20, last=300)
    installation.wait(lambda: len(installation.lines("count")) >= 300, 60)
    installation.wait(lambda: installation.left() == 0, 10)
    assert installation.ran("count") == {str(n): 1 for n in range(1, 301)}
    assert {line.pid for line in installation.lines("count")} == {worker.pid for worker in workers}


def test_what_a_killed_worker_was_doing_goes_on_at_another(installation):
    first = installation.start()
    installation.ring("long", last=2)
    installation.wait(lambda: len(installation.lines("long-begun")) == 2, 20)
    second = installation.start()
    installation.ring("long", first=1)  # news for one of them while it runs
    first.kill()
    first.wait(10)
    took = installation.wait(
        lambda: set(installation.ran("long-ended")) == {"1", "2"}, TAKEN_OVER_WITHIN_SECONDS
    )
    print(f"taken over after {took:.1f} s")
    assert {line.pid for line in installation.lines("long-ended")} == {second.pid}
    installation.wait(lambda: installation.left() == 0, 10)
    assert installation.ran("long-ended") == {"1": 1, "2": 1}


def test_a_rolling_restart_loses_nothing_and_runs_nothing_twice(installation):
    first = installation.start()
    installation.ring("short", lanes=5, last=60)
    installation.wait(lambda: len(installation.lines("short-ended")) > 5, 20)
    second = installation.start()
    begin = time.monotonic()
    first.send_signal(signal.SIGTERM)
    assert first.wait(ENDS_WITHIN_SECONDS) == 0
    assert time.monotonic() - begin < 5, "it waits only for what runs"
    installation.wait(lambda: len(installation.lines("short-ended")) >= 60, 30)
    installation.wait(lambda: installation.left() == 0, 10)
    assert (
        installation.ran("short-begun")
        == installation.ran("short-ended")
        == {str(n): 1 for n in range(1, 61)}
    )
    assert second.poll() is None


def test_what_does_not_end_in_time_is_given_to_another_at_once(installation):
    first = installation.start()
    installation.ring("long")
    installation.wait(lambda: len(installation.lines("long-begun")) == 1, 20)
    second = installation.start()
    first.send_signal(signal.SIGTERM)
    assert first.wait(ENDS_WITHIN_SECONDS) == 0
    installation.wait(lambda: installation.ran("long-ended") == {"1": 1}, 10)
    assert installation.lines("long-ended")[0].pid == second.pid


def test_each_tick_runs_once_and_never_beside_the_previous_one(installation):
    installation.start()
    installation.start()
    begin = time.time()
    installation.wait(lambda: time.time() - begin > 12 * TICK_SECONDS, 30)
    ticks = [line for line in installation.lines("tick") if begin < line.at <= begin + 12 * TICK_SECONDS]
    assert 11 <= len(ticks) <= 13
    seconds = [int(line.at) // TICK_SECONDS for line in ticks]
    assert len(set(seconds)) >= len(seconds) - 1, "spread over the clock, not in pairs"
    edges = sorted(
        [(line.at, 1) for line in installation.lines("long-tick-begun")]
        + [(line.at, -1) for line in installation.lines("long-tick-ended")]
    )
    assert max(itertools.accumulate(edge for _, edge in edges)) == 1
    assert 3 <= len(installation.lines("long-tick-begun")) <= 6


def test_a_database_that_restarts_ends_no_worker(installation):
    worker = installation.start()
    installation.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = 'workers'"
    )
    installation.ring("count", last=5)
    installation.wait(lambda: len(installation.ran("count")) == 5, 20)
    assert worker.poll() is None
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(ENDS_WITHIN_SECONDS) == 0
