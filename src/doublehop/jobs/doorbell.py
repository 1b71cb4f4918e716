"""Which doorbell this installation has. The setting DOUBLEHOP_DOORBELL names a module; nobody above ``jobs`` asks which.

Loaded by name, so that an installation on SQLite never loads what only PostgreSQL needs.
"""

from collections.abc import Collection, Mapping
from importlib import import_module
from typing import Any, Protocol, cast

from django.conf import settings


class Runner(Protocol):
    """Described at ``engine.Engine``, which hands everything on."""

    one_per_installation: bool

    def run(self) -> None: ...
    def stop(self) -> None: ...
    def give_up(self) -> None: ...
    def drain(self, timeout_seconds: float) -> None: ...


class RunnerType(Protocol):
    def __call__(self, functions: Mapping[str, Any], periodics: tuple[Any, ...]) -> Runner: ...


class Doorbell(Protocol):
    """What each of the two modules offers."""

    @property
    def Runner(self) -> RunnerType: ...  # noqa: N802 (a class)

    def ring(
        self,
        name: str,
        *,
        key: str,
        payload: Mapping[str, Any],
        lane: str,
        delay_seconds: float,
        urgent: bool,
        hurry: bool,
    ) -> None:
        """In the caller's transaction. The meaning of each stands at ``actions.ring``."""

    def rung(self, keys: Collection[str]) -> set[str]:
        """Those of ``keys`` whose job waits or runs."""

    def waiting_jobs(self) -> int:
        """How many are due and not claimed."""


def doorbell() -> Doorbell:
    return cast(Doorbell, import_module(settings.DOUBLEHOP_DOORBELL))
