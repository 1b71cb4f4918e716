"""A worker on PostgreSQL: Procrastinate's loop claims, a pool of threads runs, any number of them share one database."""

import asyncio
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import structlog
from django.db import close_old_connections
from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision
from procrastinate.contrib.django.utils import connector_params
from procrastinate.job_context import JobContext
from procrastinate.jobs import Job
from procrastinate.worker import Worker
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from doublehop.jobs.engine import RUNG_AGAIN_SECONDS, THREADS, JobFunction, Periodic, pause_after
from doublehop.jobs.postgresql import rows, statements
from doublehop.jobs.postgresql.claims import Claims
from doublehop.jobs.postgresql.timekeeper import GONE_AFTER_SECONDS, HEARTBEAT_EVERY_SECONDS, Timekeeper

log = structlog.get_logger(__name__)

CONNECTIONS = 4
"""For claiming and ending, besides one that listens, one of the timekeeper, and one for each thread that works."""
CONNECT_WITHIN_SECONDS = 10.0
NEVER = 86400.0
LAST_WORD_WITHIN_SECONDS = 0.5


class Runner:
    one_per_installation = False

    def __init__(self, functions: Mapping[str, JobFunction], periodics: tuple[Periodic, ...] = ()) -> None:
        self._functions = functions
        # Periodics have places of their own: what was claimed never waits behind one.
        self._places = THREADS + len(periodics)
        self._timekeeper = Timekeeper(periodics)
        self._stopping = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._claims: Claims | None = None
        self._worker: Worker | None = None

    def run(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=self._places, thread_name_prefix="job")
        try:
            asyncio.run(self._answer())
        finally:
            self._timekeeper.stop()
            self._pool.shutdown(wait=False)

    async def _answer(self) -> None:
        self._loop = asyncio.get_running_loop()
        app = self._app()
        self._claims = Claims(app.connector)
        app.job_manager = self._claims
        self._worker = Worker(
            app,
            name=None,
            concurrency=self._places,
            install_signal_handlers=False,
            update_heartbeat_interval=HEARTBEAT_EVERY_SECONDS,
            stalled_worker_timeout=GONE_AFTER_SECONDS,
            abort_job_polling_interval=NEVER,
        )
        async with app.open_async():
            self._timekeeper.start()
            if self._stopping.is_set():
                return
            await self._worker.run()

    def _app(self) -> App:
        connector = PsycopgConnector(
            kwargs=connector_params(),
            min_size=1,
            max_size=CONNECTIONS,
            timeout=CONNECT_WITHIN_SECONDS,
            configure=_light,
            pool_factory=_unchecked,
        )
        app = App(connector=connector)
        for name, function in self._functions.items():
            app.task(name=name, pass_context=True, retry=_GrowingPauses())(partial(self._in_thread, function))
        return app

    async def _in_thread(self, function: JobFunction, context: JobContext, **payload: Any) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._pool, _run, function, payload, context.job.lock)

    def stop(self) -> None:
        self._stopping.set()
        self._timekeeper.stop()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop_claiming)

    def _stop_claiming(self) -> None:
        if self._claims is not None and self._worker is not None:
            self._claims.stop()
            self._worker.stop()

    def give_up(self) -> None:
        """Says so to the others, if the database answers quickly; otherwise they find out by themselves."""
        if self._claims is None or self._claims.worker_id is None:
            return
        last_word = threading.Thread(
            target=rows.unregister_worker, args=(self._claims.worker_id,), daemon=True
        )
        last_word.start()
        last_word.join(LAST_WORD_WITHIN_SECONDS)

    def drain(self, timeout_seconds: float) -> None:
        deadline = time.monotonic() + timeout_seconds
        worker_id = rows.register_worker()
        try:
            while time.monotonic() < deadline:
                job = rows.claim(worker_id)
                if job is None:
                    return
                self._run_here(job, worker_id)
        finally:
            rows.unregister_worker(worker_id)
        raise TimeoutError("jobs still due")

    def _run_here(self, job: dict[str, Any], worker_id: int) -> None:
        try:
            self._functions[job["task_name"]](job["args"])
        except Exception:
            log.exception("job failed", job=job["lock"])
            rows.end(
                statements.POSTPONE,
                id=job["id"],
                worker_id=worker_id,
                attempts=job["attempts"] + 1,
                pause=pause_after(job["attempts"]),
                soon=RUNG_AGAIN_SECONDS,
            )
        else:
            rows.end(statements.FINISH, id=job["id"], worker_id=worker_id)


async def _light(connection: AsyncConnection[Any]) -> None:
    """A claim, or the end of one, that a power cut takes back only makes a job run once more. What jobs write does wait."""
    await connection.set_autocommit(True)
    await connection.execute("SET synchronous_commit TO off")


def _unchecked(**given: Any) -> AsyncConnectionPool:
    """Without a question before each statement: ``Claims`` says again what a dead connection has swallowed."""
    return AsyncConnectionPool(**{**given, "check": None})


class _GrowingPauses(BaseRetryStrategy):
    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision:
        return RetryDecision(retry_in={"seconds": pause_after(job.attempts)})


def _run(function: JobFunction, payload: Mapping[str, Any], key: str | None) -> None:
    close_old_connections()
    try:
        function(payload)
    except Exception:
        log.exception("job failed", job=key)
        raise
