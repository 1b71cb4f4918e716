"""Keeps secrets out of texts that people read."""

import base64
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from doublehop.driver_kit.secret import Secret

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
HIDDEN = "[hidden]"


class Redactor:
    """Knows the secrets of one upstream, in the spellings in which they travel.

    ``logins`` are (username, password) pairs, whose Basic spelling is hidden as well.
    """

    def __init__(self, secrets: Iterable[Secret] = (), logins: Iterable[tuple[str, Secret]] = ()) -> None:
        spellings: set[str] = set()
        for secret in secrets:
            spellings |= _spellings(secret.reveal())
        for username, password in logins:
            spellings |= _spellings(password.reveal())
            spellings.add(base64.b64encode(f"{username}:{password.reveal()}".encode()).decode())
        self._spellings = sorted(spellings - {""}, key=len, reverse=True)

    def clean(self, text: str, *, at_most: int = 200) -> str:
        """One line without secrets and control characters, cut to ``at_most`` characters."""
        for spelling in self._spellings:
            text = text.replace(spelling, HIDDEN)
        text = _CONTROL.sub(" ", text).strip()
        return text if len(text) <= at_most else text[: at_most - 1] + "…"


def _spellings(text: str) -> set[str]:
    escaped = text.encode("unicode_escape").decode()
    return {text, quote(text, safe=""), quote_plus(text), escaped, base64.b64encode(text.encode()).decode()}


def without_userinfo(url: str) -> str:
    """``https://user:word@host/x`` becomes ``https://host/x``: what stands before the @ is never shown."""
    return re.sub(r"(?<=//)[^/@\s]*@", "", url)
