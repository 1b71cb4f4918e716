"""Looks at the certificate of a place, so that staff may pin it. Sends nothing but the TLS handshake."""

import ssl
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpcore

from doublehop.driver_kit.reach import ANYWHERE, OutOfReach, Reach
from doublehop.driver_kit.transport import tls_context
from doublehop.driver_kit.wire import fingerprint_of, resolve


@dataclass(frozen=True)
class Certificate:
    """``fingerprint`` is empty when none was seen (plain HTTP, or nobody answered)."""

    fingerprint: str = ""
    verified: bool = False


def look(url: str, *, seconds: float, reach: Reach = ANYWHERE) -> Certificate:
    """The certificate that this address shows now, and whether a known authority vouches for it. Does not raise."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 443
    except ValueError:
        return Certificate()
    if parts.scheme != "https" or not host:
        return Certificate()
    until = time.monotonic() + seconds
    seen = _shake(host, port, tls_context(verify=False), until, reach)
    return Certificate(
        seen, bool(seen) and _shake(host, port, tls_context(verify=True), until, reach) == seen
    )


def _shake(host: str, port: int, context: ssl.SSLContext, until: float, reach: Reach) -> str:
    """The fingerprint after a handshake; empty when it fails."""

    def left() -> float:
        return max(0.001, until - time.monotonic())

    try:
        addresses = resolve(host, port, left())
        reach.check(addresses)
        stream = httpcore.SyncBackend().connect_tcp(addresses[0], port, left())
        try:
            secured = stream.start_tls(context, host, left())
            seen = fingerprint_of(secured.get_extra_info("ssl_object").getpeercert(True) or b"")
            secured.close()
        finally:
            stream.close()
    except (httpcore.NetworkError, httpcore.TimeoutException, OSError, OutOfReach):
        return ""
    return seen
