"""Who calls the REST API with a token. Compared by keyed digest in constant time; failures are counted as for the old APIs."""

import ipaddress
import re
from datetime import timedelta

from allauth.account.adapter import get_adapter
from django.http import HttpRequest
from django.utils import timezone

from doublehop.driver_kit.secret import Secret
from doublehop.organisations.actor import Actor
from doublehop.organisations.digests import OF_PROGRAMS, digest_of, fits
from doublehop.organisations.hosts import BrandView
from doublehop.organisations.machine_identity import IdentityRefused, TooManyAttempts
from doublehop.organisations.models import ApiToken
from doublehop.organisations.queries import token_actor
from doublehop.organisations.throttle import Attempts

__all__ = ["CallRefused", "IdentityRefused", "TooManyAttempts", "actor_of_token"]

USE_NOTED_EVERY = timedelta(minutes=1)
_TEXT = re.compile(r"dh_([A-Za-z0-9]{10})_([A-Za-z0-9]{40})")
_NOBODY = digest_of(Secret("nobody"), OF_PROGRAMS)


class CallRefused(Exception):
    """Whoever holds the secret, or has not even written a call that can be read, is told what to do otherwise."""

    def __init__(self, sentence: str, *, code: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code


def actor_of_token(request: HttpRequest, text: str) -> Actor:
    """Raises IdentityRefused, the same for every cause, and TooManyAttempts after ten failures of one source.

    CallRefused for a token that takes signed calls only.
    """
    source = get_adapter().get_client_ip(request)
    match = _TEXT.fullmatch(text)
    handle, secret = match.groups() if match else ("", "")
    attempts = Attempts(f"token {handle}", source)
    if wait := attempts.seconds_to_wait():
        raise TooManyAttempts(wait)
    row = ApiToken.objects.select_related("organisation").filter(handle=handle).first()
    actor = token_actor(row) if _fits(row, secret) and row is not None else None
    if row is None or actor is None or not belongs_there(request, row, source):
        attempts.failed()
        raise IdentityRefused
    if row.signed_only:
        raise CallRefused(
            "This token takes signed calls only: do not send its text.", code="signature_needed"
        )
    note_use(row, source)
    return actor


def belongs_there(request: HttpRequest, row: ApiToken, source: str) -> bool:
    """Whether the token may be used under this host name and from this address."""
    return _reaches(request, row) and _from_there(source, row)


def note_use(row: ApiToken, source: str) -> None:
    now = timezone.now()
    if row.last_used_at is None or now - row.last_used_at > USE_NOTED_EVERY:
        ApiToken.objects.filter(pk=row.pk).update(last_used_at=now, last_used_from=source[:64])


def old_secret_opens(row: ApiToken) -> bool:
    """Whether the secret before the last rotation still does."""
    return row.previous_until is not None and row.previous_until > timezone.now()


def _fits(row: ApiToken | None, secret: str) -> bool:
    present = fits(row.digest if row else _NOBODY, secret, OF_PROGRAMS)
    before = fits((row.previous_digest if row else "") or _NOBODY, secret, OF_PROGRAMS)
    return present or (before and row is not None and old_secret_opens(row))


def _reaches(request: HttpRequest, row: ApiToken) -> bool:
    """Under a brand's own name only what belongs there: its own tokens, and those of the resellers that it serves."""
    brand: BrandView = request.brand  # type: ignore[attr-defined]
    own = (None, row.organisation_id)
    return brand.organisation_id in (own if row.client_id else (*own, row.organisation.parent_id))


def _from_there(source: str, row: ApiToken) -> bool:
    if not row.networks:
        return True
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped  # as a socket for both families tells it
    return any(address in ipaddress.ip_network(network) for network in row.networks)
