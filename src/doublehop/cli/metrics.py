"""A worker's page for Prometheus: on loopback, or behind a token."""

import hmac
import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import structlog

from doublehop.bandwidth.metrics import exposition
from doublehop.site.environment import Environment

log = structlog.get_logger(__name__)

PATH = "/metrics"
_CONTENT = "text/plain; version=0.0.4; charset=utf-8"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Quiet(WSGIRequestHandler):
    timeout = 10

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nobody needs a line for each scrape."""


def application(token: str) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    """``token`` empty: whoever reaches it may read."""
    expected = f"Bearer {token}".encode()

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        given = str(environ.get("HTTP_AUTHORIZATION", "")).encode()
        if token and not hmac.compare_digest(given, expected):
            start_response(
                "401 Unauthorized", [("Content-Type", "text/plain"), ("WWW-Authenticate", "Bearer")]
            )
            return [b"a token is needed\n"]
        if environ.get("PATH_INFO") != PATH:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"look at /metrics\n"]
        body = exposition()
        start_response("200 OK", [("Content-Type", _CONTENT)])
        return [body]

    return answer


def serve(environment: Environment) -> WSGIServer | None:
    """In a thread of its own that ends with the process. A taken port is said, and work goes on without it."""
    if environment.metrics_at is None:
        return None
    address = environment.metrics_at
    try:
        listener = make_server(
            *address,
            application(environment.metrics_token),
            server_class=_Server6 if ":" in address[0] else _Server,
            handler_class=_Quiet,
        )
    except OSError as error:
        log.error(
            "no metrics: the address cannot be had", address=":".join(map(str, address)), error=str(error)
        )
        return None
    threading.Thread(target=listener.serve_forever, name="metrics", daemon=True).start()
    return listener
