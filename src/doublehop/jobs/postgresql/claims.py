"""Claims of one worker: which job may start now, and how each ends. Stands where Procrastinate's own job manager stands."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import datetime

import psycopg
import structlog
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Notification, Status
from procrastinate.manager import JobManager, NotificationCallback

from doublehop.jobs.engine import (
    RUNG_AGAIN_SECONDS,
    THREADS,
    THREADS_PER_LANE,
    URGENT_THREADS_PER_LANE,
    pause_after,
)
from doublehop.jobs.postgresql import statements

log = structlog.get_logger(__name__)

LOOK_EVERY_SECONDS = 5.0
"""Also when nobody rings: a ring may be lost with a connection."""
AGAIN_SECONDS = 1.0
"""Between two attempts at a database that does not answer."""


class Claims(JobManager):
    """``fetch_job`` waits until there is a job whose lane has a free place: what waits here could run elsewhere."""

    def __init__(self, connector: BaseConnector) -> None:
        super().__init__(connector)
        self.worker_id: int | None = None
        self._busy: Counter[str] = Counter()
        self._wake = asyncio.Event()
        self._stopping = False

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()

    async def register_worker(self) -> int:
        self.worker_id = await super().register_worker()
        return self.worker_id

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """None only after ``stop``."""
        while not self._stopping:
            self._wake.clear()
            try:
                job = await self._claim(worker_id)
                if job is not None:
                    self._busy[lane_of(job)] += 1
                    return job
                pause = await self._until_next()
            except ConnectorException as error:
                if isinstance(error.__cause__, psycopg.errors.ForeignKeyViolation):
                    # Taken for dead, and struck off the list of workers: only a fresh start helps.
                    raise
                log.exception("the database does not answer")
                pause = AGAIN_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)
        return None

    async def _claim(self, worker_id: int) -> Job | None:
        closed = [lane for lane, busy in self._busy.items() if busy >= THREADS_PER_LANE]
        # Places are kept for urgent work (suspend, unsuspend) even in a full lane.
        most = THREADS_PER_LANE + URGENT_THREADS_PER_LANE
        closed += [lane + statements.URGENT_MARK for lane in closed if self._busy[lane] >= most]
        full = (
            sum(n for lane, n in self._busy.items() if not lane.startswith(statements.TICK_MARK)) >= THREADS
        )
        if not closed and not full:
            return await super().fetch_job(None, worker_id)
        rows = await self.connector.execute_query_all_async(statements.OPEN_QUEUES, closed=closed, full=full)
        queues = [row["queue_name"] for row in rows]
        return await super().fetch_job(queues, worker_id) if queues else None

    async def _until_next(self) -> float:
        row = await self.connector.execute_query_one_async(statements.NEXT_DUE)
        return LOOK_EVERY_SECONDS if row["seconds"] is None else min(row["seconds"], LOOK_EVERY_SECONDS)

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        if status is Status.SUCCEEDED:
            await self._end(job, statements.FINISH)
        else:
            # A program of another release rang for something that this one has never heard of.
            await self._postpone(job)

    async def retry_job(
        self,
        job: Job,
        retry_at: datetime | None = None,
        priority: int | None = None,
        queue: str | None = None,
        lock: str | None = None,
    ) -> None:
        await self._postpone(job)

    async def _postpone(self, job: Job) -> None:
        pause, attempts = pause_after(job.attempts), job.attempts + 1
        await self._end(job, statements.POSTPONE, pause=pause, attempts=attempts, soon=RUNG_AGAIN_SECONDS)

    async def _end(self, job: Job, statement: str, **values: float) -> None:
        """Its lane stays taken until it is written down."""

        async def write() -> None:
            await self.connector.execute_query_async(statement, id=job.id, worker_id=job.worker_id, **values)

        await self._until_it_answers(write)
        self._busy[lane_of(job)] -= 1
        self._wake.set()

    async def listen_for_jobs(
        self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        async def heard(*, channel: str, notification: Notification) -> None:
            self._wake.set()

        async def listen() -> None:
            # What was rung for while nobody listened.
            self._wake.set()
            await super(Claims, self).listen_for_jobs(on_notification=heard, queues=None)

        await self._until_it_answers(listen)

    async def update_heartbeat(self, worker_id: int) -> None:
        async def write() -> None:
            await super(Claims, self).update_heartbeat(worker_id)

        await self._until_it_answers(write)

    async def _until_it_answers(self, write: Callable[[], Awaitable[None]]) -> None:
        """A database that is away for a moment ends neither the worker nor what it has done."""
        while True:
            try:
                return await write()
            except ConnectorException:
                if self._stopping:
                    raise
                log.exception("the database does not answer")
                await asyncio.sleep(AGAIN_SECONDS)


def lane_of(job: Job) -> str:
    return job.queue.removesuffix(statements.URGENT_MARK)
