"""A TCP proxy on loopback that spoils what passes through it. Knows just enough HTTP to answer nonsense in it.

with FaultProxy(("127.0.0.1", 8001)) as proxy:
    proxy.mode = Mode.ANSWER_LOST      # from the next connection on
    proxy.only = b"POST "              # connections that begin otherwise pass; or a function of the first request
    ... use proxy.url ...
    assert proxy.requests.count(b"POST /reset HTTP/1.1") == 1

``proxy.storm(0.3, modes, seed=7)`` lets chance choose, the same for the same seed. With ``tls`` it is the proxy that shows
the certificate.
"""

import asyncio
import contextlib
import gzip
import random
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Coroutine, Sequence
from enum import StrEnum
from typing import Any, Self

_DRIP_SECONDS = 0.05
_LATENCY_SECONDS = 0.05
_ANSWERED_WITHIN_SECONDS = 5.0
_HUGE = 10 * 1024 * 1024


class Mode(StrEnum):
    PASS = "pass"  # noqa: S105 (a word of the proxy)
    LATENCY = "latency"
    """As PASS, 50 ms later."""
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
    HALF_OPEN = "half_open"
    """One answer passes; after it the connection stays open, and nothing comes any more."""
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
    MAINTENANCE_503 = "maintenance_503"
    BUSY_429 = "busy_429"
    """With Retry-After: 7."""
    LIMIT_403 = "limit_403"
    """How some say that they were asked too often."""
    LOGIN_401 = "login_401"
    LIE = "lie"
    """200 with ``proxy.lie``; nothing is passed on."""
    OTHER = "other"
    """Passed on with ``proxy.other`` replaced in the head: another machine is asked, and answers."""


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
    Mode.MAINTENANCE_503: lambda: _response("503 Service Unavailable", b'{"error": "maintenance"}'),
    Mode.LIMIT_403: lambda: _response("403 Forbidden", b'{"error": {"code": "RATE_LIMIT_EXCEEDED"}}'),
    Mode.LOGIN_401: lambda: _response("401 Unauthorized", b'{"error": "the password is wrong"}'),
    Mode.BUSY_429: lambda: _response("429 Too Many Requests", b"{}", "Retry-After: 7"),
}


_ENDED = (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError, asyncio.CancelledError)


class FaultProxy:
    """``target`` is (host, port); None where nothing is ever passed on. Its loop runs in a thread of its own."""

    def __init__(self, target: tuple[str, int] | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self._target = target
        self._tls = tls
        self._mode = Mode.PASS
        self._chance = random.Random(0)  # noqa: S311 (it is to be the same again)
        self._storm: tuple[float, Sequence[Mode]] = (0.0, ())
        self.only: bytes | Callable[[bytes], bool] = b""
        """Which connections are spoiled, by their first request, head and body: how it begins, or whether a function says so."""
        self.lie = b"{}"
        self.other: tuple[bytes, bytes] = (b"", b"")
        self.requests: list[bytes] = []
        """First lines of all requests that began a connection."""
        self.drawn: list[Mode] = []
        """What a storm did to each connection."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._over = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def mode(self) -> Mode:
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = mode
        if mode is Mode.REFUSE:
            self._do(self._stop_listening())
        elif self._server is None:
            self._do(self._listen())

    def storm(self, share: float, modes: Sequence[Mode], *, seed: int) -> None:
        """From now on that ``share`` of connections meets one of ``modes`` by chance, the others pass."""
        self._chance.seed(seed)
        self._storm = (share, modes)

    def calm(self) -> None:
        self._storm = (0.0, ())

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_ANSWERED_WITHIN_SECONDS)
        self._loop.close()

    def _do(self, deed: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(deed, self._loop).result(_ANSWERED_WITHIN_SECONDS)

    # ------------------------------------------------------------ in the loop

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, sock=socket.create_server(("127.0.0.1", self.port)), ssl=self._tls
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _end(self) -> None:
        await self._stop_listening()
        self._over.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            with contextlib.suppress(*_ENDED):
                request = await _first_request(reader)
                self.requests.append(request.split(b"\r\n", 1)[0])
                await self._spoil(self._draw(request), request, reader, writer)
        finally:
            with contextlib.suppress(OSError):
                writer.close()

    def _draw(self, request: bytes) -> Mode:
        share, modes = self._storm
        mode = self._mode
        if modes:
            mode = self._chance.choice(modes) if self._chance.random() < share else Mode.PASS
            self.drawn.append(mode)
        is_meant = self.only(request) if callable(self.only) else request.startswith(self.only)
        return mode if is_meant else Mode.PASS

    async def _spoil(
        self, mode: Mode, request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if mode in _CANNED or mode is Mode.LIE:
            writer.write(_CANNED[mode]() if mode in _CANNED else _response("200 OK", self.lie))
            await writer.drain()
        elif mode is Mode.HANG:
            await self._over.wait()
        elif mode in (Mode.DRIP, Mode.DRIP_BODY):
            await self._drip(writer, mode)
        else:
            if mode is Mode.LATENCY:
                await asyncio.sleep(_LATENCY_SECONDS)
            if mode is Mode.OTHER:
                head, _, body = request.partition(b"\r\n\r\n")
                request = head.replace(*self.other) + b"\r\n\r\n" + body
            await self._forward(mode, request, reader, writer)

    async def _drip(self, writer: asyncio.StreamWriter, mode: Mode) -> None:
        head = (
            b"HTTP/1.1 200 OK\r\nX-Slow: "
            if mode is Mode.DRIP
            else b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"
        )
        writer.write(head)
        while not writer.is_closing():
            await writer.drain()
            await asyncio.sleep(_DRIP_SECONDS)
            writer.write(b"x")

    async def _forward(
        self, mode: Mode, request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        assert self._target is not None
        from_there, to_there = await asyncio.open_connection(*self._target)
        try:
            to_there.write(request)
            if mode in (Mode.PASS, Mode.LATENCY, Mode.OTHER):
                await asyncio.gather(_pump(reader, to_there), _pump(from_there, writer))
                return
            # The whole head at least: by then the other side has acted.
            head, body = await asyncio.wait_for(_message(from_there), _ANSWERED_WITHIN_SECONDS)
            if mode is Mode.HALF_OPEN:
                writer.write(head + body)
                to_there.close()
                await self._over.wait()
            if mode is Mode.CUT:
                writer.write(head + body[: len(body) // 2])
                await writer.drain()
            if mode is Mode.RESET:
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                writer.transport.abort()
        finally:
            with contextlib.suppress(OSError):
                to_there.close()


async def _first_request(reader: asyncio.StreamReader) -> bytes:
    return b"".join(await _message(reader))


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """(head with its empty line, body by its announced length)."""
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [
        line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    ]
    return head, await reader.readexactly(int(lengths[0])) if lengths else b""


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()
        else:
            sink.close()  # TLS knows no half of a connection
