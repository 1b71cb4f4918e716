"""Keyed digests of generated secrets. They are strong by themselves, so a fast hash is enough; chosen passwords never come here."""

from django.utils.crypto import constant_time_compare, salted_hmac

from doublehop.driver_kit.secret import Secret

_PURPOSE = "doublehop.organisations.leap_account"


def digest_of(secret: Secret) -> str:
    """64 hexadecimal digits under the installation's secret key."""
    return salted_hmac(_PURPOSE, secret.reveal(), algorithm="sha256").hexdigest()


def fits(digest: str, typed: str) -> bool:
    """In constant time."""
    return constant_time_compare(digest, digest_of(Secret(typed)))
