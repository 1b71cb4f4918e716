"""Collects the counters of every upstream at the beginning of every slot. A switch that is not read leaves a gap, never a zero.

One job reads all switches of a slot: many at a time, each within its own deadline, all of them before the slot ends. What
was read is written in few transactions. A switch is claimed for a slot before it is asked, so that no two workers ask it.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from django.db import Error as DatabaseFault
from django.db import InterfaceError, OperationalError, close_old_connections, connections

from doublehop.bandwidth import actions, metrics
from doublehop.bandwidth.slots import SLOT_SECONDS
from doublehop.driver_kit import errors
from doublehop.driver_kit.contract import CounterReading, Counters
from doublehop.fleet import door
from doublehop.fleet.models import Upstream
from doublehop.fleet.work import resting_upstreams
from doublehop.jobs.engine import JobFunction, Periodic
from doublehop.organisations import vault

log = structlog.get_logger(__name__)

READ_AT_ONCE = 64
"""Switches. Each costs a thread that mostly waits; a dead one holds its thread for seconds, not the others."""
CLAIM_AT_LEAST = 16
"""Switches of one claim, while there are so many: a claim is a transaction."""
WRITE_AT_ONCE = 32
"""Readings of one transaction."""
WRITE_AFTER_SECONDS = 0.25
"""A reading waits no longer for others to be written with it."""
MOST_WAITING = 256
"""Readings in memory, while the database does not take them. At so many no further switch is asked."""
BEGIN_UNTIL_SECONDS = 200.0
"""After the beginning of a slot. A switch whose turn comes later has missed it: reading it would only pile up."""
END_AFTER_SECONDS = 280.0
"""Then a round ends, whatever hangs: what is not read or not written by then is a gap."""
COUNTS_AS_PASSED_SECONDS = BEGIN_UNTIL_SECONDS - 30.0
"""At most, of the slot in which a worker starts: a reading in the midst of a slot makes its volume more exact."""
TRY_AGAIN_SECONDS = 2.0
"""Between two attempts at a database that is locked."""

_MISSED = "Not read in this slot: its turn came too late, since the switches before it were slow."
_NOT_STORED = "The reading could not be stored; the worker's log says why."
_HANGS = "The reading did not end within its slot; the driver is not asked again before it does."
_NO_DATABASE = "The database did not answer when the switch was to be read."
_SEE_LOG = "The driver failed; the worker's log says how."


def collect_all(payload: Mapping[str, Any]) -> None:
    """One round. Where our login was refused a moment ago, or patience was asked for, nobody asks: the gap says so."""
    resting = resting_upstreams().values("pk")
    due = Upstream.objects.filter(ports__isnull=False).exclude(pk__in=resting).distinct()
    passed = min(time.time() % SLOT_SECONDS, COUNTS_AS_PASSED_SECONDS)
    collect_slot(list(due.order_by("pk").values_list("pk", flat=True)), current_slot(), passed=passed)


def collect(payload: Mapping[str, Any]) -> None:
    """One upstream, unless it was read in this slot."""
    upstream_id = int(payload["upstream_id"])
    if Upstream.objects.filter(pk=upstream_id).exists():
        collect_slot([upstream_id], current_slot())


def current_slot() -> int:
    return int(time.time()) // SLOT_SECONDS


def collect_slot(upstream_ids: Sequence[int], slot: int, *, passed: float = 0.0) -> None:
    """Reads those that nobody else has claimed for ``slot``, of which ``passed`` seconds are over."""
    with metrics.round_of_collecting():
        _Round(slot, passed).run(upstream_ids)


@dataclass
class _Asked:
    """A switch that is being read. ``opened`` closes its driver."""

    upstream_id: int
    opened: ExitStack


_still_read: dict[int, Future[CounterReading]] = {}
"""Of rounds that ended while a driver, against its word, did not: it is not asked again before it has answered."""


class _Round:
    """Database and door belong to the thread that runs it; other threads only wait for switches."""

    def __init__(self, slot: int, passed: float) -> None:
        now = time.monotonic()
        self._slot = slot
        self._begin_until = now + BEGIN_UNTIL_SECONDS - passed
        self._end_at = now + END_AFTER_SECONDS - passed
        self._database_at = 0.0
        """When the database is tried again."""
        self._to_claim: deque[int] = deque()
        self._asked: dict[Future[CounterReading], _Asked] = {}
        self._waiting: list[tuple[int, CounterReading]] = []
        self._failed: list[tuple[int, str]] = []

    def run(self, upstream_ids: Sequence[int]) -> None:
        self._to_claim.extend(upstream_ids)
        pool = ThreadPoolExecutor(min(READ_AT_ONCE, len(upstream_ids)) or 1, thread_name_prefix="switch")
        try:
            while self._goes_on():
                self._start_some(pool)
                news = self._wait()
                if not news or len(self._waiting) >= WRITE_AT_ONCE:
                    self._write()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            self._leave_behind()

    def _goes_on(self) -> bool:
        now = time.monotonic()
        if now >= self._begin_until and self._to_claim:
            self._miss()
        return bool(self._to_claim or self._asked or self._waiting or self._failed) and now < self._end_at

    # ------------------------------------------------------------ asking

    def _start_some(self, pool: ThreadPoolExecutor) -> None:
        free = READ_AT_ONCE - len(self._asked)
        if not self._to_claim or free < CLAIM_AT_LEAST or len(self._waiting) >= MOST_WAITING:
            return
        claimed = self._claim(free)
        if not claimed:
            return
        try:
            rows = Upstream.objects.select_related("organisation").in_bulk(claimed)
        except DatabaseFault:
            for upstream_id in claimed:
                self._fail(upstream_id, "database", _NO_DATABASE)
            return
        for (
            upstream_id
        ) in claimed:  # in one order each time, so that the times between two readings stay alike
            if upstream_id in rows:
                self._start(pool, rows[upstream_id])

    def _claim(self, most: int) -> list[int]:
        batch = [self._to_claim.popleft() for _ in range(min(most, len(self._to_claim)))]
        claimed: list[int] = []
        if not self._in_database(lambda: claimed.extend(actions.claim(batch, self._slot))):
            self._to_claim.extendleft(reversed(batch))
        return claimed

    def _start(self, pool: ThreadPoolExecutor, row: Upstream) -> None:
        upstream_id = row.pk
        if upstream_id in _still_read:
            if not _still_read[upstream_id].done():
                self._fail(upstream_id, "hangs", _HANGS)
                return
            del _still_read[upstream_id]
        with ExitStack() as opening:
            try:
                upstream = opening.enter_context(door.reading(upstream_id, only=door.NO_MACHINE, row=row))
            except (errors.UpstreamError, vault.VaultClosed) as error:
                self._fail(upstream_id, getattr(error, "code", "vault_closed"), str(error))
            except Exception:
                # One upstream's broken settings are one gap.
                log.exception("an upstream could not be opened", upstream=upstream_id)
                self._fail(upstream_id, "driver", _SEE_LOG)
            else:
                if upstream.counters is not None:
                    future = pool.submit(_read, upstream.counters)
                    self._asked[future] = _Asked(upstream_id, opening.pop_all())

    def _wait(self) -> bool:
        """For the next answer. False: nothing came for a while, or nothing is to come."""
        if not self._asked:
            pause = min(self._database_at, self._end_at) - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            return False
        came = wait(self._asked, WRITE_AFTER_SECONDS, FIRST_COMPLETED).done
        for future in came:
            self._take(future, self._asked.pop(future))
        return bool(came)

    def _take(self, future: Future[CounterReading], asked: _Asked) -> None:
        try:
            with asked.opened:
                reading = future.result()
        except errors.UpstreamError as error:
            self._fail(asked.upstream_id, error.code, str(error))
        except DatabaseFault:
            log.exception("a failure could not be noted", upstream=asked.upstream_id)
        except Exception:
            # One driver's fault is one switch's gap.
            log.exception("a driver failed", upstream=asked.upstream_id)
            self._fail(asked.upstream_id, "driver", _SEE_LOG)
        else:
            metrics.ports_read.inc(len(reading.ports))
            self._waiting.append((asked.upstream_id, reading))
            metrics.note_waiting(len(self._waiting))

    def _fail(self, upstream_id: int, reason: str, text: str) -> None:
        log.warning("no counters", upstream=upstream_id, error=reason)
        metrics.failures.labels(reason).inc()
        self._failed.append((upstream_id, text))

    def _miss(self) -> None:
        for upstream_id in self._claim(len(self._to_claim)):
            self._fail(upstream_id, "missed", _MISSED)

    # ------------------------------------------------------------ writing

    def _write(self) -> None:
        if self._failed and self._in_database(partial(actions.note_failures, tuple(self._failed))):
            self._failed.clear()
        while self._waiting:
            batch = self._waiting[:WRITE_AT_ONCE]
            if not self._in_database(partial(self._store, batch)):
                return
            del self._waiting[: len(batch)]
            metrics.note_waiting(len(self._waiting))

    def _store(self, batch: Sequence[tuple[int, CounterReading]]) -> None:
        try:
            actions.write_rounds(batch)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            if len(batch) == 1:
                log.exception("a reading could not be stored", upstream=batch[0][0])
                self._fail(batch[0][0], "not_stored", _NOT_STORED)
                return
            # One odd reading must not take the others along.
            for one in batch:
                self._store([one])

    def _in_database(self, work: Callable[[], object]) -> bool:
        """Whether ``work`` was done. A database that is locked or away is left alone for a moment."""
        if time.monotonic() < self._database_at:
            return False
        try:
            work()
        except (OperationalError, InterfaceError):
            log.warning("the database does not take readings", waiting=len(self._waiting), exc_info=True)
            metrics.failures.labels("database").inc()
            self._database_at = time.monotonic() + TRY_AGAIN_SECONDS
            close_old_connections()
            return False
        return True

    def _leave_behind(self) -> None:
        """The end of a round that did not finish: a bounded memory, and gaps."""
        for future, asked in self._asked.items():
            asked.opened.close()
            _still_read[asked.upstream_id] = future
            self._fail(asked.upstream_id, "hangs", _HANGS)
        if self._waiting:
            log.error("readings are given up", readings=len(self._waiting))
            metrics.failures.labels("given_up").inc(len(self._waiting))
        self._asked, self._waiting = {}, []
        metrics.note_waiting(0)
        self._write()


def _read(counters: Counters) -> CounterReading:
    try:
        return counters.read()
    finally:
        # A driver's budget may have asked the database for a turn.
        connections.close_all()


JOBS: dict[str, JobFunction] = {"bandwidth.collect_all": collect_all, "bandwidth.collect": collect}
PERIODIC = (Periodic("bandwidth.collect_all", SLOT_SECONDS),)
