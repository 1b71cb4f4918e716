"""SingleHop's two APIs as they were, on loopback, for the tests of this driver and for nothing else.

with FakeProvider(Quirks(...)) as there:
    ... use there.url, there.username ...
    assert there.ledger == [("reboot", "12")]     # what truly happened, in order; only ever grows

Written from the same reference as the driver and sharing no code with it.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from doublehop.drivers.singlehop.fake import dropzone, leap
from doublehop.drivers.singlehop.fake.place import Answered, Place, Quirks


class FakeProvider(Place):
    def __init__(self, quirks: Quirks | None = None) -> None:
        super().__init__(quirks)
        self.lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body in one packet, else each answer waits 40 ms.
            wbufsize = 65536

            def do_GET(self) -> None:
                self._answer({})

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length).decode()
                form = {name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()}
                self._answer(form)

            def _answer(self, form: dict[str, str]) -> None:
                with provider.lock:
                    status, body = provider.handle(
                        self.command, self.path, self.headers.get("authorization", ""), form
                    )
                data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "text/html" if isinstance(body, str) else "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                """Request lines of the old API hold credentials."""

        return Handler

    def handle(
        self, method: str, target: str, authorization: str, form: dict[str, str]
    ) -> tuple[int, object]:
        parts = urlsplit(target)
        try:
            if self.quirks.leap_at and parts.path == self.quirks.leap_at:
                return 200, leap.answer(self, parts.query)
            root = self.quirks.dropzone_at
            if root and parts.path.startswith(f"{root}/"):
                return 200, dropzone.answer(self, method, parts.path.removeprefix(root), authorization, form)
        except Answered as answer:
            return answer.status, answer.body
        return 404, "<h1>Not Found</h1>"
