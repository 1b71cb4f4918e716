"""What all writes have in common: a token, a key for one deed, and a trial that changes nothing."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar
from uuid import uuid4

from ninja import Header, Query, Schema
from pydantic import ConfigDict

from doublehop.api.problems import PROGRAMS
from doublehop.organisations.once import can_be_a_key
from doublehop.organisations.refusals import BadInput
from doublehop.services.actions.rehearsal import tried

T = TypeVar("T")
BY_TOKEN = PROGRAMS
"""Who may write. A browser's session may not: no page of somebody else's can use it."""
Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key", description="The caller's name for this one request; the same key acts once."
    ),
]
DryRun = Annotated[bool, Query(description="Says what would come of it, and changes nothing.")]


class Body(Schema):
    """What is misspelt is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")


def key_of(given: str) -> str:
    if not given:
        raise BadInput("The header Idempotency-Key is needed.", field="Idempotency-Key")
    if not can_be_a_key(given):
        raise BadInput("A key has at most 120 signs, of ASCII.", field="Idempotency-Key")
    return given


def carried_out(
    deed: Callable[[str], T], shape: Callable[[T], Any], key: str, *, dry_run: bool = False
) -> Any:
    """``deed`` is called with the key of an action; a trial has none, so it neither answers to a key nor is answered by one.

    What a trial answers is marked as such: ``shape`` gives a dict there.
    """
    if dry_run:
        return {**tried(lambda: shape(deed(""))), "dry_run": True}
    return shape(deed(key_of(key)))


def key_of_operation(given: str, *, dry_run: bool) -> str:
    """Operations always have a key: that of a trial is one which nobody else can have."""
    return uuid4().hex if dry_run else key_of(given)
