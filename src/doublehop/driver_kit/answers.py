"""What came back over HTTP: read within bounds, and turned into the errors of the contract."""

import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from doublehop.driver_kit.errors import (
    BadAnswer,
    Busy,
    CredentialsRejected,
    NotFound,
    OutcomeUnknown,
    Refused,
    Unreachable,
    UpstreamError,
)
from doublehop.driver_kit.redaction import Redactor

JSON_NESTING = 40
_LONGEST_WAIT = timedelta(days=1)


@dataclass(frozen=True)
class Answer:
    """A 2xx answer. ``changing`` tells whether the call may have had an effect: it decides which error nonsense is."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    changing: bool = False

    def json(self) -> Any:
        """The body as JSON. Raises BadAnswer, or OutcomeUnknown when the call may have had an effect."""
        try:
            value = json.loads(self.body, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            raise self.broken("the answer is not JSON") from None
        if _too_deep(self.body, value):
            raise self.broken(f"the answer is nested deeper than {JSON_NESTING}")
        return value

    def object(self) -> dict[str, Any]:
        """The body as a JSON object. Raises like :meth:`json`."""
        value = self.json()
        if not isinstance(value, dict):
            raise self.broken("the answer is not a JSON object")
        return value

    def broken(self, text: str) -> UpstreamError:
        """The error for an answer that cannot be understood."""
        return OutcomeUnknown(text) if self.changing else BadAnswer(text)


class TooLarge(Exception):
    """The body passed the cap."""


class Undecodable(Exception):
    """The body is compressed in a way that we did not ask for, or badly."""


def read_body(chunks: Iterable[bytes], encoding: str, cap: int) -> bytes:
    """Joins and unpacks a body; at most ``cap`` octets before and after. Raises TooLarge, Undecodable."""
    unpack = _unpacker(encoding)
    body = bytearray()
    raw = 0
    for chunk in chunks:
        raw += len(chunk)
        body += chunk if unpack is None else _unpacked(unpack, chunk, cap + 1 - len(body))
        if raw > cap or len(body) > cap:
            raise TooLarge
    return bytes(body)


def _unpacker(encoding: str) -> Any:
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return zlib.decompressobj(zlib.MAX_WBITS | 32)
        case _:
            raise Undecodable


def _unpacked(unpack: Any, chunk: bytes, at_most: int) -> bytes:
    try:
        data: bytes = unpack.decompress(chunk, max(at_most, 1))
    except zlib.error:
        raise Undecodable from None
    if unpack.unconsumed_tail:
        raise TooLarge
    return data


@dataclass(frozen=True)
class Judge:
    """Turns a status into an error. ``forbidden_is_login``: whether 403 speaks of the credentials or of the call."""

    redactor: Redactor
    forbidden_is_login: bool = True

    def error_of(self, answer: Answer) -> UpstreamError | None:
        """None for 2xx."""
        status = answer.status
        if 200 <= status < 300:
            return None
        reason = self.redactor.clean(reason_in(answer.body))
        text = f"answered {status}" + (f": {reason}" if reason else "")
        if status == 401 or (status == 403 and self.forbidden_is_login):
            return CredentialsRejected(text)
        if status in (429, 503):
            return self._busy(answer, text)
        if 400 <= status < 500 or status == 501:
            return self._client_error(answer, text)
        if status >= 500:
            return OutcomeUnknown(text) if answer.changing else BadAnswer(text)
        # A redirect is never followed: it would carry the credentials to wherever it points.
        return BadAnswer(text)

    def _client_error(self, answer: Answer, text: str) -> UpstreamError:
        if answer.status in (404, 410):
            return NotFound(text)
        if answer.status == 408:
            return OutcomeUnknown(text) if answer.changing else Unreachable(text)
        return Refused(text)

    def _busy(self, answer: Answer, text: str) -> UpstreamError:
        retry_at = retry_time(answer.headers.get("retry-after", ""))
        if answer.status == 503 and answer.changing and retry_at is None:
            return OutcomeUnknown(text)
        return Busy(text, retry_at=retry_at)


def retry_time(header: str) -> datetime | None:
    """Retry-After as seconds or as a date, at most a day ahead. None when absent or senseless."""
    now = datetime.now(UTC)
    if re.fullmatch(r"\d{1,9}", header.strip()):
        return min(now + timedelta(seconds=int(header)), now + _LONGEST_WAIT)
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(now, min(at.astimezone(UTC), now + _LONGEST_WAIT))


_REASON_KEYS = (
    "@Message.ExtendedInfo",
    "error",
    "errors",
    "Message",
    "message",
    "errorMessage",
    "detail",
    "title",
)


def reason_in(body: bytes) -> str:
    """The sentence in an error body, when it is JSON of a usual shape; else nothing (never a page of HTML)."""
    try:
        value = json.loads(body[:100_000])
    except (ValueError, RecursionError):
        return ""
    return _sentence(value, 0)


def _sentence(value: object, depth: int) -> str:
    if isinstance(value, str):
        return value
    if depth > 5:
        return ""
    if isinstance(value, list):
        return _sentence(value[0], depth + 1) if value else ""
    if isinstance(value, dict):
        found = (_sentence(value[key], depth + 1) for key in _REASON_KEYS if key in value)
        return next((text for text in found if text), "")
    return ""


def _no_constant(name: str) -> object:
    raise ValueError(name)


def _too_deep(body: bytes, value: object) -> bool:
    if body.count(b"[") + body.count(b"{") <= JSON_NESTING:
        return False
    layer: list[object] = [value]
    for _ in range(JSON_NESTING + 1):
        layer = [
            child
            for item in layer
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not layer:
            return False
    return True
