"""httpx's transport over our own wire. A call that may change something gets a connection of its own."""

import ssl
from collections.abc import Iterator
from functools import cache
from typing import Protocol

import httpcore
import httpx

from doublehop.driver_kit.reach import ANYWHERE, Reach
from doublehop.driver_kit.wire import Wire

FRESH = "doublehop.fresh"


class Carrier(Protocol):
    """What the client needs of a transport; tests may hand in their own."""

    wrote: bool
    """Whether a byte of the request of this call may have left us."""

    def begin(self, total_seconds: float) -> None: ...
    def handle_request(self, request: httpx.Request) -> httpx.Response: ...
    def check_time(self) -> None:
        """Raises wire.DeadlinePassed."""
        ...

    def close(self) -> None: ...


class WireTransport(httpx.BaseTransport):
    """``pin`` replaces the check by a CA: exactly that certificate, whatever its name and dates."""

    def __init__(self, *, secure: bool, pin: str, reach: Reach = ANYWHERE) -> None:
        self._wire = Wire(pin=pin, loopback_only=not secure, reach=reach)
        context = tls_context(verify=not pin)
        self._kept = httpcore.ConnectionPool(
            context,
            max_connections=4,
            max_keepalive_connections=1,
            keepalive_expiry=15,
            network_backend=self._wire,
        )
        self._fresh = httpcore.ConnectionPool(
            context, max_connections=4, max_keepalive_connections=0, network_backend=self._wire
        )

    @property
    def wrote(self) -> bool:
        return self._wire.wrote

    def begin(self, total_seconds: float) -> None:
        self._wire.begin(total_seconds)

    def check_time(self) -> None:
        self._wire.left(None)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        pool = self._fresh if request.extensions.get(FRESH) else self._kept
        response = pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions={"timeout": request.extensions.get("timeout", {})},
            )
        )
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response))

    def close(self) -> None:
        self._kept.close()
        self._fresh.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


@cache
def tls_context(*, verify: bool) -> ssl.SSLContext:
    """The usual CAs; the environment's SSL_CERT_FILE and SSL_CERT_DIR replace them. Loading them takes 20 ms: once."""
    context = httpx.create_ssl_context()
    if not verify:
        # Only ever used where the certificate itself is compared (a pin), or where nothing is sent (a look).
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
