"""Who calls the old APIs: a LEAP account, or a Tandem user. Machines only; nobody gets a session here.

Generated secrets are compared by keyed digest, in microseconds. Tandem passwords are chosen by people and hashed slowly
(0.26 s of CPU each): few at once, and a success is remembered for a minute under a key that holds the stored hash, so
that a changed password forgets it at once.
"""

import threading
from datetime import timedelta

import structlog
from allauth.account.adapter import get_adapter
from django.contrib.auth.hashers import check_password, make_password
from django.core.cache import cache
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from doublehop.driver_kit.secret import Secret
from doublehop.organisations import record
from doublehop.organisations.actor import Actor, ActorKind, Role
from doublehop.organisations.digests import digest_of, fits
from doublehop.organisations.hosts import BrandView
from doublehop.organisations.models import LeapAccount, TandemUser
from doublehop.organisations.queries import tandem_actor
from doublehop.organisations.throttle import Attempts

log = structlog.get_logger(__name__)

REMEMBERED_SECONDS = 60
"""Since the last use: whoever goes on asking needs no turn at hashing, whatever storm is under way."""
LONGEST_WAIT_FOR_HASHING = 1.5
"""Seconds: two passwords' worth, and some more. Whoever does not get a turn is asked to come back."""
MOST_AT_HASHING = 2
"""One hashes and one waits. The others are told at once to come back: a storm of wrong passwords leaves a core, and half
the threads of a web process, to the pages."""
MOST_CANDIDATES = 2
"""Two resellers may know the same address. As many passwords are hashed for every address, whether or not it exists, else
the time would tell."""
USE_NOTED_EVERY = timedelta(minutes=1)
_hashing = threading.BoundedSemaphore(1)
_in_line = threading.BoundedSemaphore(MOST_AT_HASHING)
_NOBODY = digest_of(Secret("nobody"))


class IdentityRefused(Exception):
    """The same for every cause: who knows a name learns nothing more."""


class TooManyAttempts(Exception):
    def __init__(self, retry_after: int) -> None:
        super().__init__(f"again in {retry_after} s")
        self.retry_after = retry_after
        """Seconds."""


def leap_actor(request: HttpRequest, *, user: str, password: str, api_key: str) -> Actor:
    """For the LEAP API: ``user`` is the username or the client id, and all three must fit."""
    attempts = _attempts(request, user)
    account = _account(request, user)
    password_fits = fits(account.password_digest if account else _NOBODY, password)
    key_fits = fits(account.api_key_digest if account else _NOBODY, api_key)
    if account is None or not (password_fits and key_fits):
        raise _refuse(attempts, account)
    return _as_organisation(account)


def dropzone_actor(request: HttpRequest, *, user: str, secret: str) -> Actor:
    """For the Dropzone API: username with password, client id with API key, or a Tandem user's address with password."""
    if "@" in user:
        return _tandem(request, user.strip().lower(), secret)
    attempts = _attempts(request, user)
    account = _account(request, user)
    by_key = account is not None and account.client_id == user
    digest = (account.api_key_digest if by_key else account.password_digest) if account else _NOBODY
    if not fits(digest, secret) or account is None:
        raise _refuse(attempts, account)
    return _as_organisation(account)


def pin_fits(request: HttpRequest, actor: Actor, pin: str) -> bool:
    """The account's PIN, asked for beside the login. Raises TooManyAttempts."""
    attempts = _attempts(request, f"pin of {actor.organisation_id}")
    account = LeapAccount.objects.filter(organisation_id=actor.organisation_id).first()
    right = fits(account.pin_digest if account else _NOBODY, pin) and account is not None
    if not right:
        attempts.failed()
    return right


def _attempts(request: HttpRequest, credential: str) -> Attempts:
    attempts = Attempts(credential[:300], get_adapter().get_client_ip(request))
    if wait := attempts.seconds_to_wait():
        raise TooManyAttempts(wait)
    return attempts


def _brand_organisation(request: HttpRequest) -> int | None:
    brand: BrandView = request.brand  # type: ignore[attr-defined]
    return brand.organisation_id


def _storable(text: str) -> str:
    """PostgreSQL takes no NUL, not even in a question (DataError). Nobody's name holds what stands for it."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _account(request: HttpRequest, user: str) -> LeapAccount | None:
    """Under a brand's own name only those whom that organisation serves: its resellers."""
    rows = LeapAccount.objects.select_related("organisation")
    user = _storable(user)
    name = {"client_id": user} if user.isascii() and user.isdigit() else {"username": user}
    account = rows.filter(**name).first() if len(user) <= 60 else None
    if account is not None and _brand_organisation(request) not in (None, account.organisation.parent_id):
        return None
    return account


def _as_organisation(account: LeapAccount) -> Actor:
    now = timezone.now()
    if account.last_used_at is None or now - account.last_used_at > USE_NOTED_EVERY:
        LeapAccount.objects.filter(pk=account.pk).update(last_used_at=now)
    return Actor(
        kind=ActorKind.LEAP,
        label=f"LEAP account {account.username}",
        organisation_id=account.organisation_id,
        organisation_label=account.organisation.name,
        role=Role.ADMIN,
    )


def _refuse(attempts: Attempts, account: LeapAccount | None) -> IdentityRefused:
    if attempts.failed() and account is not None:
        _tell_of_closed_door(
            account.organisation_id, ("leap_account", account.pk), account.username, attempts
        )
    return IdentityRefused()


def _tell_of_closed_door(
    organisation_id: int, target: tuple[str, int], label: str, attempts: Attempts
) -> None:
    log.warning("too many failed logins", kind=target[0], id=target[1], source=attempts.source)
    actor = Actor(kind=ActorKind.HOUSE, label="automatic", organisation_id=organisation_id)
    sentence = f"too many failed logins from {attempts.source}: that address waits"
    record.write(actor, "sign_in.failed", target, target_label=label, result="failed", sentence=sentence)


# ---------------------------------------------------------------- Tandem users


def _tandem(request: HttpRequest, email: str, password: str) -> Actor:
    attempts = _attempts(request, email)
    rows = TandemUser.objects.select_related("user", "organisation").filter(
        user__email=_storable(email), user__is_active=True, ended_at__isnull=True
    )
    host = _brand_organisation(request)
    if host is not None:
        # The provider's own name serves the Tandem users of all its resellers.
        rows = rows.filter(organisation__parent_id=host)
    candidates = list(rows.order_by("pk")[:MOST_CANDIDATES])
    fitting = _known(candidates, password) or _hashed(candidates, password)
    if len(fitting) != 1:
        if attempts.failed() and candidates:
            row = candidates[0]
            _tell_of_closed_door(row.organisation_id, ("tandem_user", row.pk), row.user.name, attempts)
        raise IdentityRefused
    row = fitting[0]
    cache.set(_remembered(row, password), True, REMEMBERED_SECONDS)
    now = timezone.now()
    if row.last_used_at is None or now - row.last_used_at > USE_NOTED_EVERY:
        TandemUser.objects.filter(pk=row.pk).update(last_used_at=now)
    return tandem_actor(row, row.user)


def _known(candidates: list[TandemUser], password: str) -> list[TandemUser]:
    return [row for row in candidates if cache.get(_remembered(row, password))]


def _hashed(candidates: list[TandemUser], password: str) -> list[TandemUser]:
    if not _in_line.acquire(blocking=False):
        raise TooManyAttempts(1)
    try:
        if not _hashing.acquire(timeout=LONGEST_WAIT_FOR_HASHING):
            raise TooManyAttempts(1)
        try:
            # Somebody may have hashed this very password while we waited.
            return _known(candidates, password) or _fitting(candidates, password)
        finally:
            _hashing.release()
    finally:
        _in_line.release()


def _fitting(candidates: list[TandemUser], password: str) -> list[TandemUser]:
    fitting = [row for row in candidates if check_password(password, row.user.password)]
    for _missing in range(MOST_CANDIDATES - len(candidates)):
        make_password(password)  # the work that a known address would have cost
    return fitting


def _remembered(row: TandemUser, password: str) -> str:
    text = f"{row.pk}\0{row.user.password}\0{password}"
    return "tandem:" + salted_hmac("doublehop.organisations.tandem", text, algorithm="sha256").hexdigest()
