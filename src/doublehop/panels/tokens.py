"""API tokens as both panels show them."""

from datetime import date, datetime, time, timedelta

from django.utils import timezone

from doublehop.organisations.refusals import BadInput

OVER = {"revoked", "expired"}


def state_of(row: object) -> str:
    """One of looks.LOOKS["token"]."""
    if row.revoked_at is not None:  # type: ignore[attr-defined]
        return "revoked"
    ends = row.expires_at  # type: ignore[attr-defined]
    return "expired" if ends is not None and ends <= timezone.now() else "in_use"


def after_the_last_day(text: str, *, field: str) -> datetime | None:
    """When a token ends whose last day was typed, in the person's own time zone. None: never. Raises BadInput."""
    if not text.strip():
        return None
    try:
        day = date.fromisoformat(text.strip()) + timedelta(days=1)
        return timezone.make_aware(datetime.combine(day, time.min))
    except (ValueError, OverflowError) as error:
        raise BadInput("Write a day such as 2027-03-31.", field=field) from error


def last_day(ends: datetime | None) -> date | None:
    """What ``after_the_last_day`` was made of."""
    return None if ends is None else timezone.localtime(ends - timedelta(microseconds=1)).date()
