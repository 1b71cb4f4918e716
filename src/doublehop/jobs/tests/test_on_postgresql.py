"""What several workers on one database need: lanes, ticks, taking over. Collected on PostgreSQL only."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from procrastinate import PsycopgConnector
from procrastinate.contrib.django.utils import connector_params
from procrastinate.jobs import Job as Claimed
from procrastinate.jobs import Status

from doublehop.jobs.actions import ring
from doublehop.jobs.engine import THREADS, THREADS_PER_LANE, URGENT_THREADS_PER_LANE, Engine
from doublehop.jobs.models import Job, Tick
from doublehop.jobs.postgresql import rows
from doublehop.jobs.postgresql.claims import Claims
from doublehop.jobs.postgresql.timekeeper import GONE_AFTER_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)


def sql(statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture(autouse=True)
def _emptied(settings) -> Iterator[None]:
    settings.DOUBLEHOP_DOORBELL = "doublehop.jobs.postgresql"
    yield
    sql("DELETE FROM procrastinate_jobs")
    sql("DELETE FROM procrastinate_workers")


def waiting() -> list[str]:
    found = sql("SELECT queueing_lock FROM procrastinate_jobs WHERE status = 'todo' ORDER BY queueing_lock")
    return [key for (key,) in found]


def running() -> list[str]:
    return [key for (key,) in sql("SELECT lock FROM procrastinate_jobs WHERE status = 'doing' ORDER BY lock")]


def as_worker(play: Callable[[Claims, Callable[[], Awaitable[Claimed | None]]], Awaitable[None]]) -> None:
    """Plays one worker that claims; ``claim()`` answers None when nothing can be claimed now."""

    async def whole() -> None:
        connector = PsycopgConnector(kwargs=connector_params(), min_size=1, max_size=2)
        await connector.open_async()
        claims = Claims(connector)
        worker_id = await claims.register_worker()

        async def claim() -> Claimed | None:
            try:
                return await asyncio.wait_for(claims.fetch_job(None, worker_id), 0.3)
            except TimeoutError:
                return None

        try:
            await play(claims, claim)
        finally:
            await connector.close_async()

    asyncio.run(whole())


async def elsewhere(function: Callable[..., Any], *values: Any, **more: Any) -> Any:
    """In another process, so to say: on a connection of its own."""

    def whole() -> Any:
        try:
            return function(*values, **more)
        finally:
            connection.close()

    return await asyncio.to_thread(whole)


class TestLanes:
    def test_a_lane_has_few_places_and_one_more_for_urgent_work(self):
        for number in range(5):
            ring("slow", key=f"slow:{number}", lane="upstream:1")
        ring("slow", key="other", lane="upstream:2")

        async def play(claims: Claims, claim: Callable[[], Awaitable[Claimed | None]]) -> None:
            claimed = [job.lock for _ in range(4) if (job := await claim())]
            assert claimed == ["slow:0", "slow:1", "other"]
            for number in range(URGENT_THREADS_PER_LANE + 1):
                await elsewhere(ring, "slow", key=f"suspend:{number}", lane="upstream:1", urgent=True)
            urgent = [await claim() for _ in range(URGENT_THREADS_PER_LANE)]
            assert {one.lock for one in urgent} == {f"suspend:{n}" for n in range(URGENT_THREADS_PER_LANE)}
            assert await claim() is None, "so many places are kept, and no more"
            await claims.finish_job(urgent[0], Status.SUCCEEDED, True)
            again = await claim()
            assert again is not None
            assert again.lock == f"suspend:{URGENT_THREADS_PER_LANE}"

        as_worker(play)

    def test_a_long_queue_of_one_lane_hides_nothing_in_the_others(self):
        for number in range(50):
            ring("slow", key=f"slow:{number}", lane="upstream:1")
        ring("slow", key="other", lane="upstream:2")

        async def play(claims: Claims, claim: Callable[[], Awaitable[Claimed | None]]) -> None:
            assert [(await claim()).lock for _ in range(THREADS_PER_LANE + 1)][-1] == "other"

        as_worker(play)

    def test_ticks_have_places_of_their_own(self):
        for number in range(THREADS + 1):
            ring("slow", key=f"slow:{number}", lane=f"upstream:{number}")

        async def play(claims: Claims, claim: Callable[[], Awaitable[Claimed | None]]) -> None:
            assert all([await claim() for _ in range(THREADS)])
            assert await claim() is None
            await elsewhere(rows.tick, "sweep", 15)
            found = await claim()
            assert found is not None
            assert found.task_name == "sweep"

        as_worker(play)

    def test_a_worker_wakes_when_a_waiting_job_becomes_due_and_when_one_ends(self):
        ring("slow", key="slow:1", lane="upstream:1", delay_seconds=0.4)

        async def play(claims: Claims, claim: Callable[[], Awaitable[Claimed | None]]) -> None:
            assert await claim() is None
            job = await asyncio.wait_for(claims.fetch_job(None, claims.worker_id or 0), 2)
            assert job is not None
            await elsewhere(ring, "slow", key="slow:1", lane="upstream:1")
            waits = asyncio.create_task(claims.fetch_job(None, claims.worker_id or 0))
            await claims.finish_job(job, Status.SUCCEEDED, True)
            again = await asyncio.wait_for(waits, 1)
            assert again is not None
            assert again.lock == "slow:1"

        as_worker(play)


class TestTakingOver:
    def claimed(self, key: str = "greet:1") -> int:
        """The worker that claimed it, and has not been heard of for longer than a worker may be silent."""
        ring("greet", key=key, urgent=True)
        worker = rows.register_worker()
        assert rows.claim(worker)
        sql(
            "UPDATE procrastinate_workers SET last_heartbeat = now() - %s * interval '1 second' WHERE id = %s",
            GONE_AFTER_SECONDS + 1,
            worker,
        )
        return worker

    def test_a_silent_workers_job_is_due_again(self):
        self.claimed()
        rows.rescue(GONE_AFTER_SECONDS)
        assert (waiting(), running()) == (["greet:1"], [])
        seen: list[object] = []
        Engine({"greet": seen.append}).drain()
        assert len(seen) == 1

    def test_a_living_workers_job_is_left_alone(self):
        worker = self.claimed()
        sql("UPDATE procrastinate_workers SET last_heartbeat = now() WHERE id = %s", worker)
        rows.rescue(GONE_AFTER_SECONDS)
        assert running() == ["greet:1"]

    def test_a_worker_that_says_that_it_leaves_is_taken_over_from_at_once(self):
        worker = self.claimed()
        sql("UPDATE procrastinate_workers SET last_heartbeat = now() WHERE id = %s", worker)
        rows.unregister_worker(worker)
        rows.rescue(GONE_AFTER_SECONDS)
        assert waiting() == ["greet:1"]

    def test_what_was_rung_again_meanwhile_is_one_job_and_due_now(self):
        self.claimed()
        ring("greet", key="greet:1", delay_seconds=3600)
        rows.rescue(GONE_AFTER_SECONDS)
        assert (waiting(), running()) == (["greet:1"], [])
        seen: list[object] = []
        Engine({"greet": seen.append}).drain()
        assert len(seen) == 1, "what it was doing when it died must not wait for an hour"

    @pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED])
    def test_one_that_was_only_thought_dead_ends_nothing_of_its_successor(self, status):
        async def play(claims: Claims, claim: Callable[[], Awaitable[Claimed | None]]) -> None:
            job = await claim()
            assert job is not None
            await elsewhere(rows.rescue, -1)
            successor = await elsewhere(rows.register_worker)
            assert await elsewhere(rows.claim, successor)
            await claims.finish_job(job, status, True)
            assert await elsewhere(running) == ["greet:1"]

        ring("greet", key="greet:1")
        as_worker(play)

    def test_what_this_release_has_never_heard_of_is_kept(self):
        ring("of a later release", key="later:1")

        async def play(claims: Claims, claim: Callable[[], Awaitable[Claimed | None]]) -> None:
            job = await claim()
            assert job is not None
            await claims.finish_job(job, Status.FAILED, True)

        as_worker(play)
        assert waiting() == ["later:1"]


class TestTicks:
    def test_a_tick_is_rung_for_once_however_many_look(self):
        for _ in range(3):
            rows.tick("sweep", 3600)
        seen: list[object] = []
        Engine({"sweep": seen.append}).drain()
        rows.tick("sweep", 3600)
        Engine({"sweep": seen.append}).drain()
        assert len(seen) == 1

    def test_a_clock_that_is_behind_repeats_nothing(self):
        Tick.objects.create(name="sweep", stamp=2**40)
        rows.tick("sweep", 1)
        assert waiting() == []

    def test_a_tick_that_finds_the_previous_one_running_is_left_out(self):
        rows.tick("sweep", 3600)
        assert rows.claim(rows.register_worker())
        Tick.objects.update(stamp=0)
        rows.tick("sweep", 3600)
        assert waiting() == []


def test_what_the_release_before_rang_for_is_taken_over():
    now = timezone.now()
    Job.objects.create(name="greet", key="greet:1", payload={"n": 1}, lane="upstream:1", urgent=True)
    Job.objects.create(name="greet", key="greet:2", payload={"n": 2}, run_at=now + timedelta(hours=1))
    Job.objects.create(name="greet", key="greet:3", payload={"n": 3}, claimed_at=now)
    rows.take_over_table()
    rows.take_over_table()
    assert not Job.objects.exists()
    assert waiting() == ["greet:1", "greet:2", "greet:3"]
    seen: list[Any] = []
    Engine({"greet": seen.append}).drain()
    assert seen == [{"n": 1}, {"n": 3}]


def test_a_job_that_waits_already_runs_after_the_ringers_commit_not_only_before():
    """What the job is to see is written in the same transaction as the ring."""
    seen: list[object] = []

    def drain_elsewhere() -> None:
        asyncio.run(elsewhere(Engine({"look": seen.append}).drain))

    ring("look", key="look:1")
    with transaction.atomic():
        ring("look", key="look:1")
        drain_elsewhere()
        before = len(seen)
    drain_elsewhere()
    assert len(seen) > before


def test_no_ring_is_lost_among_several_who_ring_and_several_who_work():
    """Whoever rings has just counted one further. The last count must be seen, whatever ran in between."""
    Tick.objects.create(name="count", stamp=0)
    seen: list[int] = []
    ringing = threading.Event()

    def count_and_ring() -> None:
        for _ in range(30):
            with transaction.atomic():
                Tick.objects.filter(name="count").update(stamp=F("stamp") + 1)
                ring("look", key="look:1")

    def look(payload: Mapping[str, Any]) -> None:
        seen.append(Tick.objects.get(name="count").stamp)

    def work() -> None:
        while not ringing.is_set():
            Engine({"look": look}).drain()

    async def play() -> None:
        workers = [asyncio.create_task(elsewhere(work)) for _ in range(2)]
        await asyncio.gather(*(elsewhere(count_and_ring) for _ in range(3)))
        ringing.set()
        await asyncio.gather(*workers)

    asyncio.run(play())
    Engine({"look": look}).drain()
    assert max(seen) == 90
    assert len(seen) < 91, "rings that wait are joined"
    assert (waiting(), running()) == ([], [])
