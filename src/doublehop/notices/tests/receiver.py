"""A receiver of webhooks on loopback that behaves as it is told, and checks signatures by itself."""

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from itertools import chain, repeat

from doublehop.notices import sending


def is_signed(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """From the specification, sharing nothing with the code that signs."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = headers["webhook-id"].encode() + b"." + headers["webhook-timestamp"].encode() + b"." + body
    expected = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    fresh = abs(time.time() - int(headers["webhook-timestamp"])) < 300
    return fresh and any(
        hmac.compare_digest(expected, one) for one in headers["webhook-signature"].split(" ")
    )


class Receiver:
    """``answers`` are octets, or None to hang until the test ends; the last one is repeated."""

    def __init__(self, *answers: bytes | None) -> None:
        self._answers = chain(answers, repeat(answers[-1]))
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.on_arrival: Callable[[], object] = lambda: None
        """Called when a request was read whole, before it is answered."""
        self.port = self._socket.getsockname()[1]

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.got]

    @property
    def events(self) -> list[dict]:
        return [json.loads(body) for _, body in self.got]

    def serve(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        try:
            stream = connection.makefile("rb")
            first = stream.readline()
            if not first:
                return
            lines = iter(stream.readline, b"\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.decode().partition(":") for line in lines)
            }
            self.got.append((headers, stream.read(int(headers["content-length"]))))
            self.on_arrival()
            answer = next(self._answers)
            if answer is None:
                self._over.wait(5)
            else:
                connection.sendall(answer)
        except OSError:
            return

    def end(self) -> None:
        self._over.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def open_loopback(monkeypatch) -> None:
    """For everybody's webhooks, where a test is about something else than where they may go."""
    monkeypatch.setattr(sending, "networks_for", lambda *, is_operators: ("127.0.0.0/8",))


OK = b"HTTP/1.1 204 No Content\r\n\r\n"


def answer(status: int, body: bytes = b"", *headers: bytes) -> bytes:
    head = [b"HTTP/1.1 %d X" % status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


@contextmanager
def receiving(*answers: bytes | None):
    receiver = Receiver(*(answers or (OK,)))
    thread = threading.Thread(target=receiver.serve, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.end()
        thread.join(10)
