"""Signed calls: a billing system proves that it holds its token's secret without ever sending it.

``Authorization: Doublehop-HMAC-SHA256 handle=…, timestamp=…, nonce=…, signature=…`` with ``Doublehop-Installation: <fingerprint>``.
The signature is over method, address, time, nonce, body and installation (``canonical``), so none of them can be changed on
the way, and what was overheard cannot be sent again.
"""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass

from allauth.account.adapter import get_adapter
from django.http import HttpRequest
from django.utils import timezone
from django.utils.encoding import escape_uri_path

from doublehop.driver_kit.secret import Secret
from doublehop.organisations import vault
from doublehop.organisations.actions.installations import hold_to_installation, use_nonce
from doublehop.organisations.actions.tokens import VAULT_ROW
from doublehop.organisations.actor import Actor
from doublehop.organisations.models import ApiToken
from doublehop.organisations.queries import token_actor
from doublehop.organisations.throttle import Attempts
from doublehop.organisations.tokens import (
    CallRefused,
    IdentityRefused,
    TooManyAttempts,
    belongs_there,
    note_use,
    old_secret_opens,
)

SCHEME = "Doublehop-HMAC-SHA256"
INSTALLATION_HEADER = "Doublehop-Installation"
MOST_SKEW_SECONDS = 300
_PARAMETER = re.compile(r'\s*([a-z]+)=("?)([A-Za-z0-9._~+/=-]+)\2\s*')
_SHAPES = {
    "handle": re.compile(r"[A-Za-z0-9]{10}"),
    "timestamp": re.compile(r"[0-9]{1,11}"),
    "nonce": re.compile(r"[A-Za-z0-9._~+/=-]{16,64}"),
    "signature": re.compile(r"[A-Za-z0-9+/]{43}="),
}
_INSTALLATION = re.compile(r"[A-Za-z0-9._~:+/=-]{8,128}")
_NOBODY = Secret("nobody")


@dataclass(frozen=True)
class SignedCall:
    handle: str
    timestamp: str
    """Seconds since 1970 in UTC, as sent."""
    nonce: str
    signature: str
    installation: str


def actor_of_signed_call(request: HttpRequest) -> Actor:
    """Raises IdentityRefused, the same for every cause that a stranger could look for, and TooManyAttempts after ten of them.

    Whoever holds the secret is told what is wrong: CallRefused (time, nonce), OtherInstallationCalled.
    """
    call = _read(request)
    source = get_adapter().get_client_ip(request)
    attempts = Attempts(f"token {call.handle}", source)
    if wait := attempts.seconds_to_wait():
        raise TooManyAttempts(wait)
    row = ApiToken.objects.select_related("organisation").filter(handle=call.handle).first()
    right = _fits(row, canonical(request.method or "", address_of(request), call, request.body), call)
    actor = token_actor(row) if row is not None and right else None
    if row is None or actor is None or not belongs_there(request, row, source):
        attempts.failed()
        raise IdentityRefused
    if abs(timezone.now().timestamp() - int(call.timestamp)) > MOST_SKEW_SECONDS:
        sentence = f"The time stamp is more than {MOST_SKEW_SECONDS} seconds from our clock. Set the clock of the caller."
        raise CallRefused(sentence, code="clock_skew")
    if not use_nonce(row.pk, call.nonce):
        raise CallRefused("This call was taken before. Sign each with a nonce of its own.", code="replayed")
    hold_to_installation(row, call.installation, source)
    note_use(row, source)
    return actor


def canonical(method: str, address: str, call: SignedCall, body: bytes) -> bytes:
    """What is signed. ``address`` is the path with its query, as sent."""
    digest = hashlib.sha256(body).hexdigest()
    parts = ("DOUBLEHOP-HMAC-SHA256", method, address, call.timestamp, call.nonce, digest, call.installation)
    return "\n".join(parts).encode()


def address_of(request: HttpRequest) -> str:
    """The query octet by octet. The path reaches us decoded: it is as sent where nothing was encoded without need."""
    query = request.META.get("QUERY_STRING", "")
    return escape_uri_path(request.path) + (f"?{query}" if query else "")


def _read(request: HttpRequest) -> SignedCall:
    given: dict[str, str] = {}
    for part in request.headers.get("Authorization", "")[len(SCHEME) :].split(","):
        match = _PARAMETER.fullmatch(part)
        if match is None or match[1] in given:
            raise _unreadable()
        given[match[1]] = match[3]
    installation = request.headers.get(INSTALLATION_HEADER, "")
    shaped = given.keys() == _SHAPES.keys() and all(_SHAPES[name].fullmatch(given[name]) for name in _SHAPES)
    if not shaped or not _INSTALLATION.fullmatch(installation):
        raise _unreadable()
    return SignedCall(**given, installation=installation)


def _unreadable() -> CallRefused:
    sentence = f"Write Authorization: {SCHEME} handle=…, timestamp=…, nonce=…, signature=… and {INSTALLATION_HEADER}."
    return CallRefused(sentence, code="unreadable_signature")


def _fits(row: ApiToken | None, text: bytes, call: SignedCall) -> bool:
    """In constant time, and with the same work for a token that is not there."""
    try:
        signature = base64.b64decode(call.signature, validate=True)
    except binascii.Error:
        signature = b""
    try:
        kept = vault.unseal(row.sealed_secrets, row=VAULT_ROW) if row is not None else {}
    except vault.VaultClosed:
        kept = {}  # lost with the vault's key: nothing fits until the token is rotated
    present = _is_by(kept.get("current", _NOBODY), text, signature)
    before = _is_by(kept.get("previous", _NOBODY), text, signature)
    if row is None or "current" not in kept:
        return False
    return present or (before and "previous" in kept and old_secret_opens(row))


def _is_by(secret: Secret, text: bytes, signature: bytes) -> bool:
    return hmac.compare_digest(hmac.digest(secret.reveal().encode(), text, "sha256"), signature)
