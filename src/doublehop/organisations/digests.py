"""Keyed digests of generated secrets. They are strong by themselves, so a fast hash is enough; chosen passwords never come here."""

from django.utils.crypto import constant_time_compare, salted_hmac

from doublehop.driver_kit.secret import Secret

_PURPOSE = "doublehop.organisations.leap_account"
OF_PROGRAMS = "doublehop.organisations.api_token"


def digest_of(secret: Secret, purpose: str = _PURPOSE) -> str:
    """64 hexadecimal digits under the installation's secret key."""
    return salted_hmac(purpose, secret.reveal(), algorithm="sha256").hexdigest()


def fits(digest: str, typed: str, purpose: str = _PURPOSE) -> bool:
    """In constant time."""
    return constant_time_compare(digest, digest_of(Secret(typed), purpose))
