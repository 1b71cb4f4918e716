"""Turns at upstreams that all processes of an installation share: one row for each account, by the database's clock."""

from collections.abc import Mapping

import structlog
from django.db import DatabaseError, connection

from doublehop.driver_kit.budget import Pace, Turn, use_keeper

log = structlog.get_logger(__name__)

_NOT_NOW = Turn(False, 1.0)
"""Without the database nobody knows whose turn it is: nothing goes out."""

# One statement decides: who waits for the row's lock is judged anew, by the time at which it got the lock. Nobody waits for
# the disk: a database that crashes may forget half a second of turns, and takes longer than that to come back.
_BOOK = """
    UPDATE fleet_accountturns
    SET next_at = GREATEST(next_at, clock_timestamp()) + make_interval(secs => %(interval)s)
    WHERE key = %(key)s
      AND next_at - make_interval(secs => %(ahead)s) <= clock_timestamp() + make_interval(secs => %(patience)s)
      AND (rests_until IS NULL OR rests_until <= clock_timestamp())
      AND set_config('synchronous_commit', 'off', true) = 'off'
    RETURNING EXTRACT(EPOCH FROM next_at - clock_timestamp())::float8 - %(interval)s - %(ahead)s
"""
_ADD = """
    INSERT INTO fleet_accountturns (key, next_at) VALUES (%(key)s, clock_timestamp()) ON CONFLICT DO NOTHING
"""
_LOOK = """
    SELECT EXTRACT(EPOCH FROM rests_until - clock_timestamp())::float8,
           EXTRACT(EPOCH FROM next_at - clock_timestamp())::float8 - %(ahead)s
    FROM fleet_accountturns WHERE key = %(key)s
"""
_REST = """
    INSERT INTO fleet_accountturns AS known (key, next_at, rests_until)
    VALUES (
        %(key)s,
        clock_timestamp() + make_interval(secs => %(seconds)s + %(ahead)s),
        clock_timestamp() + make_interval(secs => %(seconds)s)
    )
    ON CONFLICT (key) DO UPDATE
    SET rests_until = excluded.rests_until, next_at = GREATEST(known.next_at, excluded.next_at)
"""


class SharedKeeper:
    """A ``driver_kit.budget.Keeper`` for PostgreSQL. On SQLite there is one worker, which keeps its turns itself."""

    def book(self, key: str, pace: Pace, patience_seconds: float) -> Turn:
        given: dict[str, str | float] = {
            "key": key,
            "interval": pace.interval,
            "ahead": pace.ahead,
            "patience": patience_seconds,
        }
        try:
            for _ in range(5):
                turn = self._book(given, patience_seconds)
                if turn is not None:
                    return turn
        except DatabaseError:
            log.exception("no turn could be booked")
        return _NOT_NOW

    def _book(self, given: Mapping[str, str | float], patience_seconds: float) -> Turn | None:
        """None when it has to be asked once more: the row was made, or became free, between two statements."""
        with connection.cursor() as cursor:
            cursor.execute(_BOOK, given)
            booked = cursor.fetchone()
            if booked is not None:
                return Turn(True, max(0.0, booked[0]))
            cursor.execute(_LOOK, given)
            seen = cursor.fetchone()
            if seen is None:
                cursor.execute(_ADD, given)
                return None
        resting, wait = seen
        if resting is not None and resting > 0:
            return Turn(False, resting, resting=True)
        return Turn(False, wait) if wait > patience_seconds else None

    def resting_seconds(self, key: str) -> float:
        try:
            with connection.cursor() as cursor:
                cursor.execute(_LOOK, {"key": key, "ahead": 0.0})
                seen = cursor.fetchone()
        except DatabaseError:
            log.exception("nobody knows whether an account rests")
            return _NOT_NOW.seconds
        return max(0.0, seen[0]) if seen is not None and seen[0] is not None else 0.0

    def rest(self, key: str, pace: Pace, seconds: float) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute(_REST, {"key": key, "ahead": pace.ahead, "seconds": seconds})
        except DatabaseError:
            log.exception("a rest could not be written down")


def share_turns() -> None:
    """At the start of a worker: where there may be several of them, they share what an account allows."""
    if connection.vendor == "postgresql":
        use_keeper(SharedKeeper())
