"""Secrets at rest: one MultiFernet over a JSON object. The first key of DOUBLEHOP_VAULT_KEYS seals, every one opens."""

import json
from collections.abc import Mapping

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from doublehop.driver_kit.secret import Secret


class VaultClosed(Exception):
    """None of the configured keys opens a sealed text: a key was lost, or the row belongs to another installation."""


def _fernet() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.DOUBLEHOP_VAULT_KEYS])


def seal(secrets: Mapping[str, Secret], *, row: str) -> str:
    """``row`` ("upstream", "server") is sealed in, so that a text copied to another table does not open there."""
    plain = {"row": row, "secrets": {name: secret.reveal() for name, secret in secrets.items() if secret}}
    return _fernet().encrypt(json.dumps(plain).encode()).decode()


def unseal(sealed: str, *, row: str) -> dict[str, Secret]:
    if not sealed:
        return {}
    try:
        plain = json.loads(_fernet().decrypt(sealed.encode()))
    except InvalidToken as error:
        raise VaultClosed("no configured key opens this secret") from error
    if plain["row"] != row:
        raise VaultClosed("this secret was sealed for another table")
    return {name: Secret(text) for name, text in plain["secrets"].items()}


def reseal(sealed: str) -> str:
    """The same content under the first key."""
    try:
        return _fernet().rotate(sealed.encode()).decode() if sealed else sealed
    except InvalidToken as error:
        raise VaultClosed("no configured key opens this secret") from error
