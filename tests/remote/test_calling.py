"""What it does when the service is busy, silent, gone, moved, or something else altogether."""

import io
import json
import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from doublehop.driver_kit.conformance.fault_proxy import FaultProxy, Mode
from doublehop_remote import calling
from doublehop_remote.calling import Answer as Got
from tests.remote.conftest import Run
from tests.remote.standin import Answer, Asked, Standin, problem

SERVICE = {
    "id": 7,
    "number": 3001,
    "status": "active",
    "product": "Dedicated M",
    "hostname": "web1.example.org",
}
QUEUED = {"reference": "7Q5-M3D", "kind": "reboot", "state": "queued", "service_id": 7, "server_id": 4}
BUSY = problem(503, "busy", "Too busy.", Retry_After="0")


def _with_service(service: Standin, *writes: Answer) -> None:
    """S-3001 is found; what is posted is answered in turn."""
    left = list(writes)

    def answer(asked: Asked) -> Answer:
        if asked.method == "POST":
            return left.pop(0) if len(left) > 1 else left[0]
        return Answer(SERVICE)

    service.answer = answer


def test_a_write_whose_answer_is_lost_is_asked_again_under_the_same_key(
    remote: Run, service: Standin
) -> None:
    _with_service(service, Answer(cut=True), Answer(cut=True), Answer(QUEUED, 202))
    said = remote("reboot", "7", "--yes")
    assert said.code == 0
    assert "7Q5-M3D" in said.out
    keys = [one.headers["idempotency-key"] for one in service.of("POST")]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert said.err.count("under the same key") == 2


def test_two_commands_have_two_keys(remote: Run, service: Standin) -> None:
    _with_service(service, Answer(QUEUED, 202))
    remote("reboot", "7", "--yes")
    remote("reboot", "7", "--yes")
    first, second = (one.headers["idempotency-key"] for one in service.of("POST"))
    assert first != second


def test_a_lost_detach_is_repeated_by_the_number_since_the_machines_name_may_be_gone(
    remote: Run, service: Standin
) -> None:
    _with_service(service, Answer(cut=True))
    said = remote("detach", "7", "--yes", "--patience", "0")
    assert said.code == 5
    assert "Name it S-3001 then. Give the same command again with --key " in said.err


def test_a_write_without_any_answer_names_its_key_and_the_same_key_can_be_given_again(
    remote: Run, service: Standin
) -> None:
    _with_service(service, Answer(cut=True))
    said = remote("reboot", "7", "--yes", "--patience", "0")
    assert said.code == 5
    assert "It is not known whether the request arrived" in said.err
    key = service.of("POST")[0].headers["idempotency-key"]
    assert f"--key {key}" in said.err
    assert "Name it S-" not in said.err
    _with_service(service, Answer(QUEUED, 202))
    assert remote("reboot", "7", "--yes", "--key", key).code == 0
    assert {one.headers["idempotency-key"] for one in service.of("POST")} == {key}


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_service_is_asked_again_when_it_says(remote: Run, service: Standin, status: int) -> None:
    service.in_turn(
        problem(status, "busy", "Later.", Retry_After="0"), Answer({"items": [SERVICE], "next": None})
    )
    said = remote("list", "services")
    assert said.code == 0
    assert "S-3001" in said.out
    assert "The service is busy" in said.err


def test_a_wait_beyond_patience_is_told_and_not_waited_for(remote: Run, service: Standin) -> None:
    service.in_turn(problem(429, "too_many_attempts", "Too many.", Retry_After="3600"))
    said = remote("list", "services")
    assert said.code == 5
    assert "Try again in 3600 s" in said.err
    assert len(service.asked) == 1


def test_both_forms_of_retry_after_are_read() -> None:
    moment = datetime.now(UTC) + timedelta(seconds=90)
    assert Got(429, {"retry-after": "7"}, b"").retry_after() == 7
    assert 80 < (Got(429, {"retry-after": format_datetime(moment)}, b"").retry_after() or 0) <= 90
    assert Got(429, {"retry-after": "soon"}, b"").retry_after() is None
    assert Got(429, {}, b"").retry_after() is None


def test_where_nobody_listens_nothing_was_sent(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("DOUBLEHOP_API", f"http://127.0.0.1:{probe.getsockname()[1]}")
        monkeypatch.setenv("DOUBLEHOP_TOKEN", "dh_x_y")
        said = run("list", "servers")
    assert said.code == 5
    assert "Nothing was sent" in said.err


def test_the_token_follows_no_redirect(remote: Run, service: Standin) -> None:
    service.in_turn(Answer(b"", 302, {"Location": "https://elsewhere.example/"}))
    said = remote("list", "servers")
    assert said.code == 70
    assert "The token was not sent there" in said.err
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    "body", [b"<html>Welcome</html>", b"", b'"a text"', b"[1, 2]", b"\xff\xfe", b'{"items": 3}']
)
def test_what_is_no_such_service_is_said_to_be_none(remote: Run, service: Standin, body: bytes) -> None:
    service.in_turn(Answer(body))
    said = remote("list", "servers")
    assert said.code == 70
    assert said.err.startswith("doublehop-remote: ")


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (401, "not_signed_in", 4),
        (403, "not_allowed", 4),
        (404, "not_found", 3),
        (409, "wrong_state", 1),
        (409, "key_reused", 1),
        (422, "bad_input", 1),
        (500, "broken", 5),
    ],
)
def test_a_refusal_is_told_with_its_reference(
    remote: Run, service: Standin, status: int, code: str, expected: int
) -> None:
    service.in_turn(problem(status, code, "The sentence."))
    said = remote("show", "service", "7")
    assert said.code == expected
    assert "The sentence." in said.err
    assert f"code {code}" in said.err
    assert "reference 7Q5-M3D" in said.err
    service.in_turn(problem(status, code, "The sentence."))
    told = json.loads(remote("show", "service", "7", "--json").err)["error"]
    assert (told["code"], told["reference"], told["exit_code"]) == (code, "7Q5-M3D", expected)


def test_a_refusal_cannot_write_on_the_terminal(remote: Run, service: Standin) -> None:
    service.in_turn(problem(409, "wrong_state", "No\x1b[2J\nmore"))
    assert "\x1b" not in remote("show", "service", "7").err


def test_a_list_is_read_page_after_page(remote: Run, service: Standin) -> None:
    def answer(asked: Asked) -> Answer:
        after = int(asked.path.partition("after=")[2] or 0)
        rows = [{"id": at, "label": f"EX-{at}"} for at in range(after + 1, after + 201)]
        return Answer({"items": rows[: 450 - after], "next": after + 200 if after + 200 < 450 else None})

    service.answer = answer
    told = json.loads(remote("list", "servers", "--json", "--limit", "10000").out)
    assert [row["id"] for row in told["items"]] == list(range(1, 451))
    assert told["more"] is False
    told = json.loads(remote("list", "servers", "--json", "--limit", "300").out)
    assert len(told["items"]) == 300
    assert told["more"] is True


def test_a_list_that_names_itself_as_its_next_page_ends(remote: Run, service: Standin) -> None:
    service.in_turn(Answer({"items": [{"id": 1, "label": "EX-1"}], "next": 1}))
    assert remote("list", "servers", "--limit", "5000").code == 0
    assert len(service.asked) <= 3


def test_a_fault_of_its_own_is_a_sentence(remote: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("dh_abcdefghij_" + "k" * 40)

    monkeypatch.setattr("doublehop_remote.calling.Api.get", broken)
    said = remote("whoami")
    assert said.code == 70
    assert "RuntimeError" in said.err


def test_certificates_are_checked(
    run: Run, monkeypatch: pytest.MonkeyPatch, behind_tls: tuple[str, Path]
) -> None:
    address, authority = behind_tls
    monkeypatch.setenv("DOUBLEHOP_API", address)
    monkeypatch.setenv("DOUBLEHOP_TOKEN", "dh_x_y")
    said = run("list", "servers")
    assert said.code == 5
    assert "certificate" in said.err
    assert "Nothing was sent" in said.err
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    assert run("list", "servers").out == "None.\n"


@pytest.mark.parametrize(
    "mode", [Mode.HANG, Mode.DRIP, Mode.DRIP_BODY, Mode.DEEP, Mode.BOMB, Mode.HUGE, Mode.NONSENSE, Mode.RESET]
)
def test_an_answer_that_never_ends_or_is_none_is_told_in_two_lines(
    remote: Run, service: Standin, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    """``remote``'s address is overwritten by that of a proxy in front of it."""
    monkeypatch.setattr(calling, "CALL_SECONDS", 0.5)
    monkeypatch.setattr(calling, "LONGEST_CALL_SECONDS", 1.0)
    monkeypatch.setattr(calling, "LARGEST_ANSWER", 1024 * 1024)
    host, port = service.address.removeprefix("http://").split(":")
    with FaultProxy((host, int(port))) as proxy:
        monkeypatch.setenv("DOUBLEHOP_API", proxy.url)
        proxy.mode = mode
        begun = time.monotonic()
        said = remote("list", "servers", "--patience", "0")
    assert said.code in (5, 70)
    assert len(said.err.splitlines()) == 2
    assert said.err.isascii()
    assert time.monotonic() - begun < 10


def test_a_pipe_to_the_terminal_is_no_answer_to_a_question(
    remote: Run, service: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_service(
        service, Answer({"dry_run": True, "kind": "reboot", "steps": [], "not_sent": "", "held": False})
    )
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    said = remote("reboot", "7")
    assert said.code == 8
    assert "--yes" in said.err
    assert all("dry_run=true" in one.path for one in service.of("POST"))
