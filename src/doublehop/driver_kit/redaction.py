"""Keeps secrets out of texts that people read."""

import base64
import html
import json
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
    """As it is, quoted inside JSON or HTML, each of these percent-encoded as in a query, and in base64."""
    in_json = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    # PHP writes a slash in JSON with a backslash before it.
    in_json |= {one.replace("/", "\\/") for one in in_json}
    plain = {text, text.encode("unicode_escape").decode(), *in_json}
    encoded = {spell for one in plain for spell in (quote(one, safe=""), quote(one), quote_plus(one))}
    lower = {re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), one) for one in encoded}
    in_html = {html.escape(one) for one in plain}
    return plain | encoded | lower | in_html | {base64.b64encode(text.encode()).decode()}


def without_userinfo(url: str) -> str:
    """``https://user:word@host/x`` becomes ``https://host/x``: what stands before the @ is never shown."""
    return re.sub(r"(?<=//)[^/@\s]*@", "", url)
