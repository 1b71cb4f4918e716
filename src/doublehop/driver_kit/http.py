"""The one HTTP client of all drivers. It bounds everything, follows nothing, repeats nothing and tells no secret.

What an error says about the request:

    never left us (name, reach, connect, TLS, certificate, plain HTTP to a stranger)  Unreachable
    left us, then silence, a cut, a drip, a body without end
        on a question                                                              Unreachable (asking again is safe);
                                                                                   BadAnswer for a huge or broken body
        on a change                                                                OutcomeUnknown
    answered 401 403 · 404 410 · other 4xx, 501                                    CredentialsRejected · NotFound · Refused
    asked for patience: 429, 503 with Retry-After, 403 RATE_LIMIT_EXCEEDED,        Busy, and the meter's account rests
        or what the driver's ``slow_down`` knows as such
    answered 5xx, nonsense                                                         BadAnswer, on a change OutcomeUnknown
    answered 3xx                                                                   BadAnswer
"""

import logging
import ssl
import threading
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import httpcore
import httpx

from doublehop.driver_kit import wire
from doublehop.driver_kit.answers import Answer, Judge, SlowDown, TooLarge, Undecodable, read_body
from doublehop.driver_kit.budget import Meter
from doublehop.driver_kit.errors import BadAnswer, Busy, OutcomeUnknown, Unreachable, UpstreamError
from doublehop.driver_kit.reach import ANYWHERE, OutOfReach, Reach
from doublehop.driver_kit.redaction import Redactor, without_userinfo
from doublehop.driver_kit.secret import Secret
from doublehop.driver_kit.transport import FRESH, Carrier, WireTransport

# Both write addresses, query and all, into the log.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True)
class Limits:
    """Seconds and octets. ``read_seconds`` is between bytes, ``total_seconds`` is for the whole call."""

    connect_seconds: float = 5.0
    read_seconds: float = 10.0
    total_seconds: float = 30.0
    body_octets: int = 4 * 1024 * 1024
    budget_wait_seconds: float = 5.0


class HttpClient:
    """Speaks to one origin with one login. Use it from one thread at a time (a lock holds the second one back).

    ``login`` is HTTP Basic; ``headers`` may hold Secrets. ``secrets`` are those that travel elsewhere, in a query or a form:
    no text of this client shows them. ``pin`` is a fingerprint as ``fingerprints.spell`` gives it. ``slow_down`` tells an
    answer by which this upstream asks for patience in a way of its own; the usual ways are known. ``reach``: ``reach_of`` the
    settings that the upstream was opened with.
    Raises Unreachable when ``base_url`` is not usable.
    """

    def __init__(
        self,
        base_url: str,
        *,
        login: tuple[str, Secret] | None = None,
        headers: Mapping[str, str | Secret] | None = None,
        secrets: Iterable[Secret] = (),
        pin: str = "",
        limits: Limits | None = None,
        meter: Meter | None = None,
        forbidden_is_login: bool = True,
        slow_down: SlowDown | None = None,
        reach: Reach = ANYWHERE,
        transport: Carrier | None = None,
    ) -> None:
        headers = headers or {}
        self._limits = limits or Limits()
        self._origin, self._prefix = _split(base_url)
        known = [*secrets, *(value for value in headers.values() if isinstance(value, Secret))]
        self._redactor = Redactor(known, [login] if login else [])
        self._judge = Judge(self._redactor, forbidden_is_login, slow_down)
        self._meter = meter
        self._lock = threading.Lock()
        self._carrier = transport or WireTransport(
            secure=self._origin.startswith("https:"), pin=pin, reach=reach
        )
        self._auth = httpx.BasicAuth(login[0], login[1].reveal()) if login else None
        self._headers = {
            "accept": "application/json",
            "accept-encoding": "gzip",
            "user-agent": "doublehop",
            **{name: v.reveal() if isinstance(v, Secret) else v for name, v in headers.items()},
        }
        self._timeout = {
            "connect": self._limits.connect_seconds,
            "read": self._limits.read_seconds,
            "write": self._limits.read_seconds,
            "pool": self._limits.connect_seconds,
        }

    def read(self, path: str, *, params: Mapping[str, str] | None = None) -> Answer:
        """GET. ``path`` begins with a slash and stays at this origin. Raises the errors of the table above."""
        return self._call("GET", path, changing=False, params=params)

    def ask(
        self, method: str, path: str, *, json: Any = None, form: Mapping[str, str] | None = None
    ) -> Answer:
        """A question that happens not to be a GET (a login, a search). Nothing may depend on it happening once."""
        return self._call(method, path, changing=False, json=json, form=form)

    def change(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """A call that may act: over a connection of its own, sent at most once. ``headers`` are of this call alone."""
        return self._call(method, path, changing=True, json=json, form=form, params=params, headers=headers)

    def clean(self, text: str) -> str:
        """Text from the upstream without secrets, one line, at most 200 characters."""
        return self._redactor.clean(text)

    def close(self) -> None:
        self._carrier.close()

    def __repr__(self) -> str:
        return f"HttpClient({self._origin})"

    def _call(self, method: str, path: str, *, changing: bool, **content: Any) -> Answer:
        request = self._request(method, path, changing, content)
        turn: AbstractContextManager[None] = nullcontext()
        if self._meter is not None:
            turn = self._meter.turn(self._limits.budget_wait_seconds)
        with self._lock, turn:
            outcome = self._exchange(request, changing)
            error = outcome if isinstance(outcome, UpstreamError) else self._judge.error_of(outcome)
            # While the turn is still held: nobody who waits for it slips out before the rest is known.
            if isinstance(error, Busy) and error.rests and error.retry_at and self._meter is not None:
                self._meter.rest(error.retry_at)
        # Raised here and not where it was caught: what httpx knows (headers!) hangs on no chain of causes.
        if isinstance(outcome, UpstreamError):
            raise outcome
        if error is not None:
            raise error
        return outcome

    def _request(self, method: str, path: str, changing: bool, content: dict[str, Any]) -> httpx.Request:
        if not path.startswith("/") or path.startswith("//") or "\\" in path:
            raise BadAnswer("a link leads away from the upstream")
        try:
            request = httpx.Request(
                method,
                self._origin + self._prefix + path + _query(content.get("params")),
                headers={**self._headers, **(content.get("headers") or {})},
                json=content.get("json"),
                data=content.get("form"),
                extensions={"timeout": self._timeout, FRESH: changing},
            )
        except (httpx.InvalidURL, ValueError, TypeError):
            raise Unreachable("the address of this call cannot be used") from None
        return next(self._auth.sync_auth_flow(request)) if self._auth else request

    def _exchange(self, request: httpx.Request, changing: bool) -> Answer | UpstreamError:
        self._carrier.begin(self._limits.total_seconds)
        try:
            response = self._carrier.handle_request(request)
            try:
                encoding = response.headers.get("content-encoding", "")
                body = read_body(self._timed(response), encoding, self._limits.body_octets)
            finally:
                response.close()
            return Answer(response.status_code, response.headers, body, changing)
        except (TooLarge, Undecodable) as error:
            text = (
                "answered too much" if isinstance(error, TooLarge) else "answered in an unknown compression"
            )
            return OutcomeUnknown(text) if changing else BadAnswer(text)
        except _WIRE_FAILURES as error:
            return self._failure(error, changing)

    def _timed(self, response: httpx.Response) -> Iterable[bytes]:
        for chunk in response.iter_raw():
            self._carrier.check_time()
            yield chunk

    def _failure(self, error: Exception, changing: bool) -> UpstreamError:
        text = self._redactor.clean(_explain(error, self._origin))
        if self._carrier.wrote and changing:
            return OutcomeUnknown(f"{text}, after the request was sent")
        if self._carrier.wrote and _is_nonsense(error):
            return BadAnswer(text)
        return Unreachable(text)


_WIRE_FAILURES = (
    wire.DeadlinePassed,
    wire.CertificateChanged,
    wire.NotLoopback,
    OutOfReach,
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    httpx.TransportError,
    httpx.StreamError,
    OSError,
)


def _query(params: Mapping[str, str] | None) -> str:
    """Percent-encoded, a space too: whether a plus means a space, old servers do not agree."""
    return "?" + urlencode(params, quote_via=quote, safe="") if params else ""


def _is_nonsense(error: Exception) -> bool:
    """Something was answered, but it was not HTTP, or less than it announced."""
    return isinstance(error, httpcore.RemoteProtocolError) and not str(error).startswith(
        "Server disconnected"
    )


_T = TypeVar("_T")
_TEXTS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((wire.NotLoopback,), "plain HTTP is spoken to this machine only; use https"),
    ((OutOfReach,), "leads into a private or reserved network, and nothing is sent there"),
    ((wire.DeadlinePassed,), "took too long altogether"),
    ((httpcore.ConnectTimeout, httpx.ConnectTimeout), "does not answer the connection"),
    ((httpcore.TimeoutException, httpx.TimeoutException), "fell silent"),
    ((httpcore.ConnectError, httpx.ConnectError), "refuses the connection"),
    ((httpcore.RemoteProtocolError, httpx.RemoteProtocolError), "broke off or does not speak HTTP"),
)


def _explain(error: Exception, origin: str) -> str:
    host = urlsplit(origin).netloc
    if isinstance(error, wire.CertificateChanged):
        return f"{host} shows another certificate than the pinned one: {error.seen}"
    certificate = _cause(error, ssl.SSLCertVerificationError)
    if certificate is not None:
        return f"{host} shows a certificate that cannot be verified: {certificate.verify_message}"
    if _cause(error, ssl.SSLError) is not None:
        return f"{host} could not agree on TLS"
    if str(error).startswith("the name "):
        return str(error)
    return next(
        (f"{host} {text}" for kinds, text in _TEXTS if isinstance(error, kinds)), f"{host} cut the connection"
    )


def _cause(error: BaseException, kind: type[_T]) -> _T | None:
    """The first of ``kind`` among the error, its causes and contexts."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, kind):
        seen = seen.__cause__ or seen.__context__
    return seen if isinstance(seen, kind) else None


def _split(base_url: str) -> tuple[str, str]:
    """(origin, path prefix) of an address, what stands before an @ left out. Raises Unreachable."""
    try:
        parts = urlsplit(without_userinfo(base_url.strip()))
        port = parts.port
    except ValueError:
        raise Unreachable("the address of the upstream cannot be read") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Unreachable("the address of the upstream must begin with https://")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port else ""), parts.path.rstrip("/")
