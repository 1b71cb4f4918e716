"""A TCP proxy on loopback that spoils what passes through it. Knows just enough HTTP to answer nonsense in it.

with FaultProxy(("127.0.0.1", 8001)) as proxy:
    proxy.mode = Mode.ANSWER_LOST      # from the next connection on
    proxy.only = b"POST "              # connections that begin otherwise pass; or a function of the first request
    ... use proxy.url ...
    assert proxy.requests.count(b"POST /reset HTTP/1.1") == 1
"""

import contextlib
import gzip
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Self

_DRIP_SECONDS = 0.05
_HUGE = 10 * 1024 * 1024


class Mode(StrEnum):
    PASS = "pass"  # noqa: S105 (a word of the proxy)
    REFUSE = "refuse"
    """The port is closed."""
    HANG = "hang"
    """Takes the request and never answers."""
    ANSWER_LOST = "answer_lost"
    """The request arrives and acts; its answer does not come back."""
    RESET = "reset"
    """As ANSWER_LOST, with a TCP reset."""
    CUT = "cut"
    """The answer ends in the middle of its body."""
    DRIP = "drip"
    """A header that grows by a byte every 50 ms, for ever."""
    DRIP_BODY = "drip_body"
    NONSENSE = "nonsense"
    """Bytes that are no HTTP."""
    HTML = "html"
    """200 with a page."""
    HUGE = "huge"
    """200 with 10 MB."""
    BOMB = "bomb"
    """200 with 10 MB packed into 10 kB."""
    DEEP = "deep"
    """200 with JSON nested 100,000 deep."""
    REDIRECT = "redirect"
    ERROR_500 = "error_500"
    BUSY_429 = "busy_429"
    """With Retry-After: 7."""


def _response(status: str, body: bytes, *headers: str, kind: str = "application/json") -> bytes:
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


_CANNED: dict[Mode, Callable[[], bytes]] = {
    Mode.NONSENSE: lambda: b"\x00\xff220 smtp.example.org ready\r\n" * 20,
    Mode.HTML: lambda: _response("200 OK", b"<html><h1>Please sign in</h1></html>", kind="text/html"),
    Mode.HUGE: lambda: _response("200 OK", b'{"PowerState": "' + b"x" * _HUGE + b'"}'),
    Mode.BOMB: lambda: _response("200 OK", gzip.compress(b" " * _HUGE), "Content-Encoding: gzip"),
    Mode.DEEP: lambda: _response("200 OK", b"[" * 100_000 + b"]" * 100_000),
    Mode.REDIRECT: lambda: _response("302 Found", b"", "Location: https://elsewhere.example/"),
    Mode.ERROR_500: lambda: _response("500 Internal Server Error", b'{"error": {"message": "out of order"}}'),
    Mode.BUSY_429: lambda: _response("429 Too Many Requests", b"{}", "Retry-After: 7"),
}


class FaultProxy:
    """``target`` is (host, port); None where nothing is ever passed on."""

    def __init__(self, target: tuple[str, int] | None = None) -> None:
        self._target = target
        self._mode = Mode.PASS
        self.only: bytes | Callable[[bytes], bool] = b""
        """Which connections are spoiled, by their first request, head and body: how it begins, or whether a function says so."""
        self.requests: list[bytes] = []
        """First lines of all requests that began a connection."""
        self._open: list[socket.socket] = []
        self._over = threading.Event()
        self._listener: socket.socket | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def mode(self) -> Mode:
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = mode
        if mode is Mode.REFUSE:
            self._stop_listening()
        elif self._listener is None and not self._over.is_set():
            self._listen()

    def __enter__(self) -> Self:
        self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._stop_listening()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.close()

    def _listen(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _stop_listening(self) -> None:
        if self._listener is not None:
            # Closing alone does not wake the thread that accepts.
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._open.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            request = self._first_request(client)
            self.requests.append(request.split(b"\r\n", 1)[0])
            mode = self._mode if self._is_meant(request) else Mode.PASS
            if mode in _CANNED:
                client.sendall(_CANNED[mode]())
            elif mode is Mode.HANG:
                self._over.wait()
            elif mode in (Mode.DRIP, Mode.DRIP_BODY):
                self._drip(client, mode)
            else:
                self._forward(client, request, mode)

    def _is_meant(self, request: bytes) -> bool:
        return self.only(request) if callable(self.only) else request.startswith(self.only)

    def _first_request(self, client: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            more = client.recv(65536)
            if not more:
                raise ConnectionError
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [
            line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
        ]
        while lengths and len(body) < int(lengths[0]):
            more = client.recv(65536)
            data, body = data + more, body + more
        return data

    def _drip(self, client: socket.socket, mode: Mode) -> None:
        head = (
            b"HTTP/1.1 200 OK\r\nX-Slow: "
            if mode is Mode.DRIP
            else b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"
        )
        client.sendall(head)
        while not self._over.wait(_DRIP_SECONDS):
            client.sendall(b"x")

    def _forward(self, client: socket.socket, request: bytes, mode: Mode) -> None:
        assert self._target is not None
        with socket.create_connection(self._target) as server:
            self._open.append(server)
            server.sendall(request)
            if mode is Mode.PASS:
                threading.Thread(target=_pump, args=(client, server), daemon=True).start()
                _pump(server, client)
                return
            server.settimeout(5)
            # The whole head at least: by then the other side has acted.
            answer = b"".join(_until_head(server))
            if mode is Mode.CUT:
                head, _, body = answer.partition(b"\r\n\r\n")
                client.sendall(head + b"\r\n\r\n" + body[: len(body) // 2])
            if mode is Mode.RESET:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _until_head(server: socket.socket) -> Iterator[bytes]:
    seen = b""
    while b"\r\n\r\n" not in seen:
        more = server.recv(65536)
        if not more:
            return
        seen += more
        yield more


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
