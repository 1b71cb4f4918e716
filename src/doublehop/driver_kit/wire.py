"""The bytes under the HTTP client: one deadline over name lookup, connect, TLS, writing and every read.

httpx limits the time *between* bytes only; a server that drips one byte a second, headers included, would hold a worker
for hours. Every socket call below is given what is left of the whole call's time. The wire also knows whether a byte of
the request was written, so "nothing was sent" is a fact and not a guess, and it checks a pinned certificate on the very
connection that is used, before the first byte of the request.
"""

import hashlib
import hmac
import ipaddress
import queue
import socket
import ssl
import threading
import time
import typing
from collections.abc import Iterable

import httpcore

from doublehop.driver_kit.fingerprints import spell
from doublehop.driver_kit.reach import ANYWHERE, Reach


class DeadlinePassed(Exception):
    """The whole call took too long."""


class CertificateChanged(Exception):
    """The certificate is not the pinned one. ``seen`` is its fingerprint."""

    def __init__(self, seen: str) -> None:
        super().__init__(seen)
        self.seen = seen


class NotLoopback(Exception):
    """Plain HTTP to another machine is refused."""


class Wire(httpcore.NetworkBackend):
    """Makes connections for one client. ``begin`` starts a call; one call runs at a time (the client holds a lock)."""

    def __init__(self, *, pin: str, loopback_only: bool, reach: Reach = ANYWHERE) -> None:
        self._pin = pin
        self._loopback_only = loopback_only
        self._reach = reach
        self._plain = httpcore.SyncBackend()
        self._deadline = 0.0
        self.wrote = False

    def begin(self, total_seconds: float) -> None:
        self._deadline = time.monotonic() + total_seconds
        self.wrote = False

    def left(self, limit: float | None) -> float:
        """Seconds that one socket call may take. Raises DeadlinePassed."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise DeadlinePassed
        return left if limit is None else min(limit, left)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = resolve(host, port, self.left(timeout))
        self.check_addresses(addresses)
        failure: Exception = httpcore.ConnectError("no address")
        for address in addresses:
            try:
                stream = self._plain.connect_tcp(
                    address, port, self.left(timeout), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return WatchedStream(stream, self)
        raise failure

    def check_addresses(self, addresses: list[str]) -> None:
        """Before anything connects to any of them; what is connected to is what was checked. Raises to refuse."""
        if self._loopback_only:
            refuse_unless_loopback(addresses)
        self._reach.check(addresses)

    def check_pin(self, stream: httpcore.NetworkStream) -> None:
        if not self._pin:
            return
        tls = stream.get_extra_info("ssl_object")
        seen = fingerprint_of(tls.getpeercert(True) or b"")
        if not hmac.compare_digest(seen, self._pin):
            stream.close()
            raise CertificateChanged(seen)


class WatchedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, wire: Wire) -> None:
        self._stream = stream
        self._wire = wire

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return self._stream.read(max_bytes, self._wire.left(timeout))
        except httpcore.ReadTimeout:
            self._wire.left(None)
            raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        left = self._wire.left(timeout)
        self._wire.wrote = True
        self._stream.write(buffer, left)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._wire.left(timeout))
        self._wire.check_pin(secured)
        return WatchedStream(secured, self._wire)

    def get_extra_info(self, info: str) -> typing.Any:
        return self._stream.get_extra_info(info)


def fingerprint_of(certificate: bytes) -> str:
    """SHA-256 of a DER certificate, as ``AB:CD:…``."""
    return spell(hashlib.sha256(certificate).hexdigest())


def resolve(host: str, port: int, seconds: float) -> list[str]:
    """IP addresses of a name. The system's lookup knows no limit, so a thread does it. Raises httpcore.ConnectError."""
    answers: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(str(entry[4][0]) for entry in found)))
        except (OSError, UnicodeError) as error:
            answers.put(error if isinstance(error, OSError) else OSError(str(error)))

    try:
        return [str(ipaddress.ip_address(host.strip("[]")))]
    except ValueError:
        threading.Thread(target=ask, name="name-lookup", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise httpcore.ConnectTimeout("the name lookup took too long") from None
    if isinstance(answer, OSError):
        raise httpcore.ConnectError(f"the name {host} is not known")
    return answer


def refuse_unless_loopback(addresses: list[str]) -> None:
    if not all(ipaddress.ip_address(address.split("%")[0]).is_loopback for address in addresses):
        raise NotLoopback
