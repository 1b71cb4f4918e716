"""The page for Prometheus: where it listens, who may read it, and that a taken port stops no worker."""

import socket
from dataclasses import dataclass

import httpx
import pytest

from doublehop.cli import metrics
from doublehop.cli.tests.test_mail_settings import KEYS
from doublehop.site.environment import BadEnvironment, read_environment

TOKEN = "a-token-of-twenty-signs-or-more"


@dataclass
class At:
    metrics_at: tuple[str, int] | None
    metrics_token: str = ""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(metrics, "exposition", lambda: b"doublehop_jobs_waiting 0.0\n")
    found = metrics.serve(At(("127.0.0.1", 0), TOKEN))
    yield f"http://127.0.0.1:{found.server_port}"
    found.shutdown()
    found.server_close()


def ask(url, token=""):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = httpx.get(url, headers=headers, timeout=5, trust_env=False)
    return answer.status_code, answer.content


def test_who_has_the_token_reads_and_nobody_else(server):
    assert ask(f"{server}/metrics", TOKEN) == (200, b"doublehop_jobs_waiting 0.0\n")
    assert ask(f"{server}/metrics")[0] == 401
    assert ask(f"{server}/metrics", TOKEN[:-1])[0] == 401
    assert ask(f"{server}/admin", TOKEN)[0] == 404


def test_without_the_setting_there_is_none_and_a_taken_port_stops_no_worker():
    assert metrics.serve(At(None)) is None
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert metrics.serve(At(("127.0.0.1", taken.getsockname()[1]))) is None


@pytest.mark.parametrize(
    ("text", "token", "expected"),
    [
        ("", "", None),
        ("9108", "", ("127.0.0.1", 9108)),
        ("localhost:9108", "", ("localhost", 9108)),
        ("[::1]:9108", "", ("::1", 9108)),
        ("192.0.2.4:9108", TOKEN, ("192.0.2.4", 9108)),
    ],
)
def test_where_it_listens(text, token, expected):
    found = read_environment({**KEYS, "DOUBLEHOP_METRICS": text, "DOUBLEHOP_METRICS_TOKEN": token})
    assert found.metrics_at == expected


@pytest.mark.parametrize(
    ("text", "token"), [("nowhere", ""), ("0", ""), ("99999", ""), ("192.0.2.4:9108", "short")]
)
def test_what_cannot_be_is_said(text, token):
    with pytest.raises(BadEnvironment, match="DOUBLEHOP_METRICS"):
        read_environment({**KEYS, "DOUBLEHOP_METRICS": text, "DOUBLEHOP_METRICS_TOKEN": token})
