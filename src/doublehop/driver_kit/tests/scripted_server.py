"""Small servers on loopback for these tests, in threads."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Listener:
    """Answers every request with ``OK`` and keeps what it received, after TLS where there is a context."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.received: list[bytes] = []
        self.connections = 0

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(5)
            with (
                self._context.wrap_socket(connection, server_side=True)
                if self._context
                else connection as stream
            ):
                while data := stream.recv(65536):
                    self.received.append(data)
                    stream.sendall(OK)

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@contextlib.contextmanager
def listening(context: ssl.SSLContext | None = None) -> Iterator[Listener]:
    listener = Listener(context)
    threading.Thread(target=listener.run, daemon=True).start()
    try:
        yield listener
    finally:
        listener.stop()
