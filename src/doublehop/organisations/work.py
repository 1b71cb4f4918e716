"""What the worker does for organisations by the clock."""

from collections.abc import Mapping
from typing import Any

from doublehop.jobs.engine import JobFunction, Periodic
from doublehop.organisations.actions.installations import forget_old_nonces
from doublehop.organisations.actions.sign_in_links import forget_old_links
from doublehop.organisations.once import forget_old_keys

FORGET_KEYS_EVERY_SECONDS = 6 * 3600
FORGET_CALLS_EVERY_SECONDS = 600


def forget_keys(payload: Mapping[str, Any]) -> None:
    """Answers that nobody asks for again."""
    forget_old_keys()


def forget_calls(payload: Mapping[str, Any]) -> None:
    """Signed calls and sign-in links whose time is over by far."""
    forget_old_nonces()
    forget_old_links()


JOBS: dict[str, JobFunction] = {
    "organisations.forget_keys": forget_keys,
    "organisations.forget_calls": forget_calls,
}
PERIODIC = (
    Periodic("organisations.forget_keys", FORGET_KEYS_EVERY_SECONDS),
    Periodic("organisations.forget_calls", FORGET_CALLS_EVERY_SECONDS),
)
