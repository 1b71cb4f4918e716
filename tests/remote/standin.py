"""Something that answers on loopback as a test says, and writes down what it was asked. For what a real installation never does
on demand: being busy, cutting a connection, answering with nonsense."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Answer:
    """``cut``: it is read to the end, and nothing comes back."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


def problem(status: int, code: str, title: str, **headers: str) -> Answer:
    body = {"type": "about:blank", "title": title, "status": status, "code": code, "reference": "7Q5-M3D"}
    return Answer(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


@dataclass
class Standin:
    address: str
    answer: Callable[[Asked], Answer]
    asked: list[Asked] = field(default_factory=list)

    def in_turn(self, *answers: Answer) -> None:
        """One after the other; the last one from then on."""
        left = list(answers)
        self.answer = lambda _: left.pop(0) if len(left) > 1 else left[0]

    def of(self, method: str) -> list[Asked]:
        return [one for one in self.asked if one.method == method]


@contextmanager
def a_standin() -> Iterator[Standin]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            text = self.rfile.read(length)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, json.loads(text) if text else None)
            standin.asked.append(asked)
            told = standin.answer(asked)
            self.close_connection = True
            if told.cut:
                return
            raw = told.body if isinstance(told.body, bytes) else json.dumps(told.body).encode()
            self.send_response(told.status)
            for name, value in {"Content-Length": str(len(raw)), **told.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    standin = Standin(f"http://127.0.0.1:{server.server_address[1]}", lambda _: Answer({}))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield standin
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
