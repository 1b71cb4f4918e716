"""A process that dies: between two commits, before one, or with a call on the way. What was not committed is gone.

Commits are found, not listed: each outermost transaction that ends, and each writing statement outside of one. Whatever
the product writes, and however it splits it, is a place to die.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

WRITES = ("INSERT", "UPDATE", "DELETE")
RELEASE = "RELEASE SAVEPOINT"


class Died(BaseException):
    """Not an Exception: nobody who dies gets to handle it."""


def depth() -> int:
    """How many transactions are open around us."""
    return len(connection.atomic_blocks)


class Mortal:
    """Within ``life``, the ``at``-th commit is the last: it is made (``after``), or it is not."""

    def __init__(self) -> None:
        self._at = 0
        self._after = False
        self._outside = 0

    @contextmanager
    def life(self, at: int, *, after: bool) -> Iterator[None]:
        """``at`` 0 lives on. A life that sees fewer commits ends in peace."""
        self._at, self._after, self._outside = at, after, depth()
        try:
            with connection.execute_wrapper(self._execute):
                yield
        finally:
            self._at = 0

    def _execute(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if not self._at or depth() != self._outside or not sql.startswith((*WRITES, RELEASE)):
            return execute(sql, params, many, context)
        self._at -= 1
        if self._at:
            return execute(sql, params, many, context)
        if self._after:
            execute(sql, params, many, context)
        elif sql.startswith(RELEASE):
            execute(sql.replace(RELEASE, "ROLLBACK TO SAVEPOINT"), params, many, context)
        raise Died


@contextmanager
def taken_back() -> Iterator[None]:
    """Whatever is written within is gone afterwards: one run after the other on the same tables, each for a savepoint."""
    atomic = transaction.atomic()
    # Durable blocks may begin within, as they may within the transaction of a test case.
    atomic._from_testcase = True  # type: ignore[attr-defined]
    with atomic:
        try:
            yield
        finally:
            transaction.set_rollback(True)
