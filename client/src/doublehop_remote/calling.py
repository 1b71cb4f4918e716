"""One call of the API: sent, repeated while that is harmless, read. Nothing is ever sent to another address than the chosen one.

A write carries an ``Idempotency-Key``, and every repetition of it the same one: the service does it once, however often it
is asked. So a lost answer is asked for again instead of guessed at.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Callable
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

from doublehop_remote import __version__
from doublehop_remote.stopping import (
    NO_ANSWER,
    NOT_FOUND,
    NOT_SIGNED_IN,
    NOT_UNDERSTOOD,
    REFUSED,
    Stop,
)
from doublehop_remote.stored import Place

CALL_SECONDS = 30.0
"""For one read or write."""
LONGEST_CALL_SECONDS = 60.0
LARGEST_ANSWER = 32 * 1024 * 1024
PAGE = 200
AGAIN = frozenset({429, 502, 503, 504})
BACK_OFF_SECONDS = (0.5, 1, 2, 4, 8, 15)
TRIES_TO_CONNECT = 3
"""Where nobody listens, patience does not help for long: mostly the address is wrong."""


class NoConnection(Exception):
    """Nothing was sent. ``final``: trying again would not help."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


class LostAnswer(Exception):
    """It was sent, wholly or in part, and no whole answer came."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def retry_after(self) -> float | None:
        """Seconds; both forms of RFC 9110."""
        told = self.headers.get("retry-after", "").strip()
        if told.isascii() and told.isdigit():
            return float(told[:9])
        try:
            moment = parsedate_to_datetime(told)
        except (TypeError, ValueError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())


class Api:
    """``patience``: for how many seconds a call is repeated. ``say`` tells a waiting person what goes on."""

    def __init__(
        self,
        place: Place,
        *,
        patience: float,
        say: Callable[[str], None],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.place = place
        self.patience = patience
        self.say = say
        self.pause = pause

    def get(self, path: str, **query: Any) -> Any:
        return self._called("GET", path, query, None, {})

    def pages(self, path: str, most: int, **query: Any) -> Iterator[dict[str, Any]]:
        """The rows of a list, page after page, at most ``most`` of them."""
        after: Any = None
        while most > 0:
            body = self.get(path, **query, limit=min(most, PAGE), after=after)
            rows = body.get("items") if isinstance(body, dict) else body
            if not isinstance(rows, list):
                raise _not_understood(self.place)
            yield from rows[:most]
            most -= len(rows)
            before, after = after, body.get("next") if isinstance(body, dict) else None
            if after is None or after == before or not rows:
                return

    def write(self, path: str, body: Mapping[str, Any], *, key: str, dry_run: bool = False) -> Any:
        query = {"dry_run": "true"} if dry_run else {}
        return self._called("POST", path, query, body, {"Idempotency-Key": key})

    def _called(
        self, method: str, path: str, query: Mapping[str, Any], body: Any, more: Mapping[str, str]
    ) -> Any:
        asked = urlencode({name: value for name, value in query.items() if value not in (None, "")})
        target = f"/api/v1/{quote(path)}" + (f"?{asked}" if asked else "")
        octets = None if body is None else json.dumps(body).encode()
        headers = {
            "Authorization": f"Bearer {self.place.token}",
            "Accept": "application/json, application/problem+json",
            "User-Agent": f"doublehop-remote/{__version__}",
            **({"Content-Type": "application/json"} if octets is not None else {}),
            **more,
        }
        return self._read(self._patiently(method, target, octets, headers))

    def _patiently(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        until = time.monotonic() + self.patience
        number = 0
        while True:
            wait = BACK_OFF_SECONDS[min(number, len(BACK_OFF_SECONDS) - 1)] * random.uniform(0.8, 1.2)  # noqa: S311
            number += 1
            try:
                answer = self._once(method, target, body, headers)
            except NoConnection as trouble:
                if trouble.final or number >= TRIES_TO_CONNECT or time.monotonic() + wait > until:
                    raise self._not_reached(trouble) from None
                self.say(f"{self.place.host} cannot be reached ({trouble}). Trying again.")
            except LostAnswer as trouble:
                if time.monotonic() + wait > until:
                    raise self._lost(trouble, headers.get("Idempotency-Key", "")) from None
                self.say(f"No answer ({trouble}). Asking again{_same_key(headers)}.")
            else:
                told = answer.retry_after()
                wait = wait if told is None else told + random.uniform(0, 0.3)  # noqa: S311
                if answer.status not in AGAIN or time.monotonic() + wait > until:
                    return answer
                self.say(f"The service is busy. Asking again in {max(1, round(wait))} s{_same_key(headers)}.")
            self.pause(wait)

    def _not_reached(self, trouble: NoConnection) -> Stop:
        return Stop(
            NO_ANSWER,
            f"{self.place.host} cannot be reached: {trouble}. Nothing was sent.",
            step="Look at the address and at your own network.",
        )

    def _lost(self, trouble: LostAnswer, key: str) -> Stop:
        if not key:
            return Stop(NO_ANSWER, f"{self.place.host} does not answer: {trouble}.", step="Try again later.")
        return Stop(
            NO_ANSWER,
            f"{self.place.host} did not answer: {trouble}. It is not known whether the request arrived.",
            step=f"Give the same command again with --key {key}: it is done once, not twice.",
        )

    def _once(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        connection, path = _connection(self.place, target)
        try:
            try:
                connection.connect()
            except ssl.SSLCertVerificationError as error:
                raise NoConnection(
                    f"its certificate is not good: {error.verify_message}", final=True
                ) from None
            except (OSError, http.client.HTTPException) as error:
                raise NoConnection(_why(error)) from None
            try:
                with _at_most(connection.sock, LONGEST_CALL_SECONDS):
                    connection.request(method, path, body=body, headers=dict(headers))
                    answer = connection.getresponse()
                    octets = _bounded(answer)
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise LostAnswer(_why(error)) from None
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, told, octets)
        finally:
            connection.close()

    def _read(self, answer: Answer) -> Any:
        if answer.status in range(200, 300):
            try:
                return json.loads(answer.body) if answer.body else None
            except (ValueError, RecursionError):
                raise _not_understood(self.place) from None
        if answer.status in range(300, 400):
            raise Stop(
                NOT_UNDERSTOOD,
                f"{self.place.host} sends on to another address. The token was not sent there.",
                step=f"Sign in with that address if you know it to be right: {_plain(answer.headers.get('location', 'none told'))}",
            )
        raise self._refused(answer)

    def _refused(self, answer: Answer) -> Stop:
        try:
            problem = json.loads(answer.body)
        except (ValueError, RecursionError):
            problem = None
        if not isinstance(problem, dict) or "code" not in problem:
            if answer.status in AGAIN:
                return Stop(
                    NO_ANSWER, f"{self.place.host} is busy ({answer.status}).", step="Try again later."
                )
            return _not_understood(self.place, answer.status)
        problem = {
            name: _plain(value) if isinstance(value, str) else value for name, value in problem.items()
        }
        sentence = str(problem.get("title") or "The service said no.")
        code, step = _next_of(answer, str(problem["code"]))
        return Stop(code, sentence, step=step, problem=problem)


def _next_of(answer: Answer, code: str) -> tuple[int, str]:
    if answer.status == 401:
        return NOT_SIGNED_IN, "Make a new token in the panel, then sign in with it: `login`."
    if answer.status == 403:
        return (
            NOT_SIGNED_IN,
            "`whoami` says what the token may do. Who governs the organisation makes tokens.",
        )
    if answer.status == 404:
        return NOT_FOUND, "Look at the number: `list` shows what there is."
    if answer.status in AGAIN:
        told = answer.retry_after()
        return NO_ANSWER, "Try again later." if told is None else f"Try again in {max(1, round(told))} s."
    if code == "reason_needed":
        return REFUSED, "Look at the machine first. Then say why, with --reason."
    if code == "key_reused":
        return REFUSED, "Leave --key away: each new request has a key of its own."
    if answer.status >= 500:
        return NO_ANSWER, "Try again later; if it stays so, tell the reference to who runs the service."
    return REFUSED, ""


def _not_understood(place: Place, status: int | None = None) -> Stop:
    told = f" ({status})" if status else ""
    return Stop(
        NOT_UNDERSTOOD,
        f"What answers at {place.host} is no Doublehop API, or one of another version{told}.",
        step="Look at the address, and at the version of this program.",
    )


def _connection(place: Place, target: str) -> tuple[http.client.HTTPConnection, str]:
    """By a proxy where the environment names one for https; the token travels inside TLS all the same."""
    whole = urlsplit(place.base)
    host, path = whole.hostname or "", f"{whole.path}{target}"
    if whole.scheme == "http":
        return http.client.HTTPConnection(host, whole.port, timeout=CALL_SECONDS), path
    proxy = urlsplit(getproxies().get("https", ""))
    context = ssl.create_default_context()
    if not proxy.hostname or proxy_bypass(host):
        return http.client.HTTPSConnection(host, whole.port, timeout=CALL_SECONDS, context=context), path
    connection = http.client.HTTPSConnection(
        proxy.hostname, proxy.port or 3128, timeout=CALL_SECONDS, context=context
    )
    connection.set_tunnel(host, whole.port or 443)
    return connection, path


@contextmanager
def _at_most(connected: socket.socket, seconds: float) -> Iterator[None]:
    """Cuts the connection then: an answer that dribbles in byte by byte never runs into the time limit of one read."""

    def cut() -> None:
        with suppress(OSError):
            connected.shutdown(socket.SHUT_RDWR)

    watchdog = threading.Timer(seconds, cut)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()


def _bounded(answer: http.client.HTTPResponse) -> bytes:
    """Raises ValueError for an answer that is too long, and IncompleteRead for one that ends early."""
    found = answer.read(LARGEST_ANSWER + 1)
    if len(found) > LARGEST_ANSWER:
        raise ValueError("the answer is too long")
    if answer.length:
        raise http.client.IncompleteRead(b"", answer.length)
    return found


def _why(error: Exception) -> str:
    if isinstance(error, socket.timeout):
        return f"nothing within {CALL_SECONDS:.0f} s"
    if isinstance(error, socket.gaierror):
        return "no such name"
    if isinstance(error, (http.client.RemoteDisconnected, ConnectionResetError, http.client.IncompleteRead)):
        return "the connection was cut"
    if isinstance(error, http.client.HTTPException):
        return "it is no HTTP"  # its text is what came, whoever sent it
    return _plain(
        (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    )


def _same_key(headers: Mapping[str, str]) -> str:
    return ", under the same key" if "Idempotency-Key" in headers else ""


def _plain(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)[:500]
