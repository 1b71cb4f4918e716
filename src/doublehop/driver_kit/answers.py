"""What came back over HTTP: read within bounds, and turned into the errors of the contract."""

import json
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from doublehop.driver_kit.budget import bounded_rest
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
UNTOLD_REST_SECONDS = 60.0
"""An upstream that says "slow down" and not for how long is asked again after this."""


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


SlowDown = Callable[[Answer], float | None]
"""How a driver knows that an answer, of any status, asks for patience: after how many seconds to ask again, or None."""


def says_slow_down(answer: Answer) -> float | None:
    """What every driver understands: 429, 503 with Retry-After, and 403 with the code RATE_LIMIT_EXCEEDED in its body."""
    if answer.status == 429:
        told = retry_seconds(answer.headers.get("retry-after", ""))
        return UNTOLD_REST_SECONDS if told is None else told
    if answer.status == 503:
        return retry_seconds(answer.headers.get("retry-after", ""))
    if answer.status == 403 and b"RATE_LIMIT_EXCEEDED" in answer.body:
        return UNTOLD_REST_SECONDS
    return None


@dataclass(frozen=True)
class Judge:
    """Turns an answer into an error. ``forbidden_is_login``: whether 403 speaks of the credentials or of the call."""

    redactor: Redactor
    forbidden_is_login: bool = True
    slow_down: SlowDown | None = None

    def error_of(self, answer: Answer) -> UpstreamError | None:
        """None for 2xx, unless it asks for patience."""
        error = self._error_of(answer)
        if error is not None:
            error.problem = problem_in(answer)
        return error

    def _error_of(self, answer: Answer) -> UpstreamError | None:
        status = answer.status
        pause = self._pause(answer)
        if pause is None and 200 <= status < 300:
            return None
        reason = self.redactor.clean(reason_in(answer.body))
        text = f"answered {status}" + (f": {reason}" if reason else "")
        if pause is not None:
            retry_at = datetime.now(UTC) + timedelta(seconds=bounded_rest(pause))
            return Busy(text, retry_at=retry_at, rests=True)
        if status == 401 or (status == 403 and self.forbidden_is_login):
            return CredentialsRejected(text)
        if status == 503 and not answer.changing:
            return Busy(text)
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

    def _pause(self, answer: Answer) -> float | None:
        told = self.slow_down(answer) if self.slow_down is not None else None
        return says_slow_down(answer) if told is None else told


def retry_seconds(header: str) -> float | None:
    """Retry-After, given as seconds or as a date, in seconds from now. None when absent or senseless; not bounded."""
    if re.fullmatch(r"[0-9]{1,9}", header.strip()):
        return float(header)
    try:
        at = parsedate_to_datetime(header)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return (at - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return None


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


_CODE = re.compile(r"[a-z0-9_.-]{1,60}")


def problem_in(answer: Answer) -> str:
    """``code`` of an RFC 9457 body; empty for anything else."""
    if "problem+json" not in answer.headers.get("content-type", ""):
        return ""
    try:
        value = json.loads(answer.body[:100_000])
    except (ValueError, RecursionError):
        return ""
    code = value.get("code") if isinstance(value, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""


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
