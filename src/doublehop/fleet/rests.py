"""When an upstream is left in peace: its login was refused, or it asked for patience. Decided by its row, for all processes."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum

from django.db.models import Q
from django.utils import timezone

from doublehop.driver_kit import errors
from doublehop.fleet.models import Upstream

REFUSED = errors.CredentialsRejected.code
REFUSED_LOGIN_PAUSE = timedelta(minutes=10)
"""After a refused login nobody asks for so long; then one question tries it: some upstreams lock out our address."""


class Attempt(StrEnum):
    USUAL = "usual"
    PROBE = "probe"
    """The one question that tries a refused login again: after its pause, or when a person asks for the list."""
    TEST = "test"
    """A person pressed *Test connection*."""


class LoginRests(errors.CredentialsRejected):
    """Not asked: the login was refused before."""


class AccountRests(errors.Busy):
    """Not asked: the upstream asked for patience."""


def is_refused(row: Upstream) -> bool:
    """Machines with a login each never come to this: one of them says nothing about the others."""
    return row.failure_code == REFUSED


def next_try_at(row: Upstream) -> datetime | None:
    """When it is asked again by itself; None when nothing keeps us from asking now."""
    if is_refused(row):
        return (row.failed_at or timezone.now()) + REFUSED_LOGIN_PAUSE
    if row.rests_until is not None and row.rests_until > timezone.now():
        return row.rests_until
    return None


def why_left_in_peace(row: Upstream, attempt: Attempt = Attempt.USUAL) -> errors.UpstreamError | None:
    """The error to give instead of a call; None when it may be called."""
    now = timezone.now()
    if row.rests_until is not None and row.rests_until > now:
        text = f"{row.name} asked for patience and rests until {_clock(row.rests_until)}"
        return AccountRests(text, retry_at=row.rests_until, rests=True)
    again_at = next_try_at(row)
    may_probe = attempt is Attempt.PROBE and (again_at is None or now >= again_at or _asked_since(row))
    if again_at is None or attempt is Attempt.TEST or may_probe:
        return None
    return LoginRests(
        f"{row.name} refuses our login, so it is not called. It goes on once the login is mended; next try {_clock(again_at)}"
    )


def _asked_since(row: Upstream) -> bool:
    """A person asked for the list after the newest refusal: one press, one try."""
    return row.sync_asked_at is not None and row.failed_at is not None and row.sync_asked_at > row.failed_at


def _clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%H:%M:%S} UTC"


def left_in_peace() -> Q:
    """Upstreams that are not asked now."""
    return Q(failure_code=REFUSED) | Q(rests_until__gt=timezone.now())


def due_for_a_probe() -> Q:
    return Q(failure_code=REFUSED, failed_at__lte=timezone.now() - REFUSED_LOGIN_PAUSE)
