"""The command, with an address and a token in its environment and a home of its own."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from doublehop_remote import calling, watching
from doublehop_remote.main import main
from tests.faults.tls import Certificates
from tests.remote.standin import Standin, a_standin

TOKEN = "dh_abcdefghij_" + "k" * 40


@dataclass
class Said:
    code: int
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def service() -> Iterator[Standin]:
    with a_standin() as standin:
        yield standin


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("DOUBLEHOP_API", "DOUBLEHOP_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(calling, "BACK_OFF_SECONDS", (0.01,))
    monkeypatch.setattr(watching, "LOOK_EVERY_SECONDS", (0.01,))
    return tmp_path / "doublehop" / "remote.json"


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: str) -> Said:
        code = main(arguments)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        assert TOKEN not in out + err
        return Said(code, out, err)

    return command


@pytest.fixture
def remote(run: Run, service: Standin, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("DOUBLEHOP_API", service.address)
    monkeypatch.setenv("DOUBLEHOP_TOKEN", TOKEN)
    return run


@pytest.fixture
def behind_tls(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """(address, the authority that vouches for its certificate): an empty list of servers, whoever asks."""
    certificates = Certificates(tmp_path)
    context = certificates.context("fine")
    body = b'{"items": [], "next": null}'
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    plain, _ = listener.accept()
                except OSError:
                    return
                with (
                    plain,
                    contextlib.suppress(OSError),
                    context.wrap_socket(plain, server_side=True) as inside,
                ):
                    inside.recv(65536)
                    inside.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

        threading.Thread(target=serve, daemon=True).start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}", certificates.authority
        listener.shutdown(socket.SHUT_RDWR)
