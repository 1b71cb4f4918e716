"""The client against the socket: what each bad day is called, and that nothing leaks or happens twice."""

import contextlib
import html
import json
import logging
import threading
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from doublehop.driver_kit.answers import UNTOLD_REST_SECONDS
from doublehop.driver_kit.budget import LONGEST_REST_SECONDS, SHORTEST_REST_SECONDS, Meter, meter_for
from doublehop.driver_kit.conformance.carrier import ScriptedCarrier
from doublehop.driver_kit.conformance.fault_proxy import FaultProxy, Mode
from doublehop.driver_kit.conformance.suite import ON_CHANGING, ON_READING
from doublehop.driver_kit.contract import Budget
from doublehop.driver_kit.errors import (
    BadAnswer,
    Busy,
    CredentialsRejected,
    NotFound,
    OutcomeUnknown,
    Refused,
    Unreachable,
    UpstreamError,
)
from doublehop.driver_kit.http import HttpClient, Limits
from doublehop.driver_kit.secret import Secret
from doublehop.driver_kit.tests.scripted_server import listening

WORD = "pass word/with+signs"
QUICK = Limits(connect_seconds=0.3, read_seconds=0.2, total_seconds=0.5)


def client_of(proxy: FaultProxy) -> HttpClient:
    return HttpClient(proxy.url, login=("staff", Secret(WORD)), limits=QUICK)


def scripted(status, body=b"{}", headers=None, **options):
    carrier = ScriptedCarrier(lambda _: httpx.Response(status, content=body, headers=headers))
    return HttpClient("https://bmc.example.org", login=("staff", Secret(WORD)), transport=carrier, **options)


@pytest.mark.parametrize("mode", ON_READING.keys() - {Mode.ANSWER_LOST, Mode.RESET, Mode.CUT})
def test_a_bad_day_of_a_question(mode):
    with FaultProxy() as proxy:
        proxy.mode = mode
        began = time.monotonic()
        with pytest.raises(UpstreamError) as caught:
            client_of(proxy).read("/x").object()
        assert time.monotonic() - began < 1.5
        assert type(caught.value) in ON_READING[mode]
        assert len(proxy.requests) <= 1


@pytest.mark.parametrize("mode", ON_CHANGING.keys() - {Mode.ANSWER_LOST, Mode.RESET})
def test_a_bad_day_of_a_change(mode):
    with FaultProxy() as proxy:
        proxy.mode = mode
        with pytest.raises(UpstreamError) as caught:
            client_of(proxy).change("POST", "/x", json={"ResetType": "On"})
        assert type(caught.value) in ON_CHANGING[mode]
        assert len(proxy.requests) == (mode is not Mode.REFUSE)


@pytest.mark.parametrize(
    ("status", "headers", "on_reading", "on_changing"),
    [
        (301, {}, BadAnswer, BadAnswer),
        (400, {}, Refused, Refused),
        (401, {}, CredentialsRejected, CredentialsRejected),
        (403, {}, CredentialsRejected, CredentialsRejected),
        (404, {}, NotFound, NotFound),
        (408, {}, Unreachable, OutcomeUnknown),
        (409, {}, Refused, Refused),
        (422, {}, Refused, Refused),
        (429, {"Retry-After": "7"}, Busy, Busy),
        (429, {}, Busy, Busy),
        (500, {}, BadAnswer, OutcomeUnknown),
        (501, {}, Refused, Refused),
        (502, {}, BadAnswer, OutcomeUnknown),
        (503, {"Retry-After": "7"}, Busy, Busy),
        (503, {}, Busy, OutcomeUnknown),
    ],
)
def test_what_a_status_means(status, headers, on_reading, on_changing):
    client = scripted(status, headers=headers)
    with pytest.raises(on_reading):
        client.read("/x")
    with pytest.raises(on_changing):
        client.change("POST", "/x")


def test_403_may_speak_of_the_call():
    with pytest.raises(Refused):
        scripted(403, forbidden_is_login=False).read("/x")


def pause_of(client) -> float:
    with pytest.raises(Busy) as caught:
        client.read("/x")
    assert caught.value.rests
    assert caught.value.retry_at is not None
    return (caught.value.retry_at - datetime.now(UTC)).total_seconds()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("Thu, 01 Jan 1998 00:00:00 GMT", SHORTEST_REST_SECONDS),
        ("0", SHORTEST_REST_SECONDS),
        ("-5", UNTOLD_REST_SECONDS),
        ("soon", UNTOLD_REST_SECONDS),
        ("", UNTOLD_REST_SECONDS),
        ("99999999999999999999", UNTOLD_REST_SECONDS),
        ("Fri, 31 Dec 2027 23:59:59 +99999999999999999999", UNTOLD_REST_SECONDS),
        ("31536000", LONGEST_REST_SECONDS),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_REST_SECONDS),
    ],
)
def test_retry_after_in_every_shape_is_bounded(header, seconds):
    for status in (429, 503) if seconds != UNTOLD_REST_SECONDS else (429,):
        assert pause_of(scripted(status, headers={"Retry-After": header})) == pytest.approx(seconds, abs=0.9)


def test_retry_after_as_a_date():
    at = datetime.now(UTC) + timedelta(seconds=90)
    header = at.strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert pause_of(scripted(429, headers={"Retry-After": header})) == pytest.approx(89.5, abs=1.5)


LIMIT_BODY = (
    b'{"error": {"status": 403, "code": "RATE_LIMIT_EXCEEDED", "message": "rate limit exceeded", '
    b'"max_request": 200, "interval": 3600}}'
)


def test_a_403_that_counts_requests_says_nothing_about_the_login():
    for forbidden_is_login in (True, False):
        client = scripted(403, LIMIT_BODY, forbidden_is_login=forbidden_is_login)
        assert pause_of(client) == pytest.approx(UNTOLD_REST_SECONDS, abs=1)
    with pytest.raises(CredentialsRejected):
        scripted(403, b'{"error": {"status": 403, "code": "UNAUTHORIZED"}}').read("/x")


def test_a_driver_knows_its_upstreams_own_way_to_ask_for_patience():
    def slow_down(answer):
        return 12.0 if b"calm down" in answer.body else None

    client = scripted(200, b'{"status": "calm down"}', slow_down=slow_down)
    assert pause_of(client) == pytest.approx(12, abs=1)
    assert scripted(200, b"{}", slow_down=slow_down).read("/x").object() == {}
    assert pause_of(scripted(429, headers={"Retry-After": "7"}, slow_down=slow_down)) == pytest.approx(
        7, abs=1
    )


def test_the_whole_account_rests_and_nothing_more_goes_out():
    answers = iter([(429, {"Retry-After": "1"})] + [(200, {})] * 9)

    def answer(_):
        status, headers = next(answers)
        return httpx.Response(status, content=b"{}", headers=headers)

    budget = Budget(calls=100, per_seconds=1, burst=20)
    clients = []
    for _ in range(2):
        meter = meter_for("test the whole account rests", budget)
        carrier = ScriptedCarrier(answer)
        clients.append((HttpClient("https://api.example", meter=meter, transport=carrier), carrier))
    (first, wire), (second, other_wire) = clients
    with pytest.raises(Busy):
        first.change("POST", "/suspend")
    for client in (first, second):
        began = time.monotonic()
        with pytest.raises(Busy, match="asked for patience") as caught:
            client.read("/x")
        assert caught.value.rests
        assert time.monotonic() - began < 0.5
    assert (len(wire.requests), len(other_wire.requests)) == (1, 0)
    until = time.monotonic() + 5
    while time.monotonic() < until and not other_wire.requests:
        with contextlib.suppress(Busy):
            second.read("/x")
    assert other_wire.requests, "it goes on by itself"


def test_the_reason_is_short_and_without_secrets():
    body = b'{"error": {"@Message.ExtendedInfo": [{"Message": "bad word %s\\n\\u0007%s"}]}}' % (
        WORD.encode(),
        b"x" * 900,
    )
    with pytest.raises(Refused) as caught:
        scripted(400, body).read("/x")
    assert WORD not in caught.value.text
    assert "bad word [hidden]" in caught.value.text
    assert "\x07" not in caught.value.text
    assert len(caught.value.text) < 230
    with pytest.raises(Refused, match=r"^answered 400$"):
        scripted(400, b"<html>secret page</html>").read("/x")


def test_a_secret_in_a_query_is_hidden_in_every_spelling():
    word = 'pass word/+%&"é'
    seen = []

    def answer(request):
        query = request.url.raw_path.decode().partition("?")[2]
        seen.append(query)
        echoes = (
            query,
            query.lower(),
            json.dumps(word),
            json.dumps(word).replace("/", "\\/"),
            html.escape(word),
        )
        return httpx.Response(400, json={"error": echoes[len(seen) - 1]})

    client = HttpClient("https://api.example", secrets=[Secret(word)], transport=ScriptedCarrier(answer))
    for _ in range(5):
        with pytest.raises(Refused) as caught:
            client.read("/ask", params={"q": json.dumps({"p": word}, ensure_ascii=False)})
        assert "[hidden]" in caught.value.text
        assert "pass" not in caught.value.text
    # A space is no plus: whether one means the other, servers do not agree.
    assert "pass%20word%2F%2B" in seen[0]


def test_a_2xx_that_makes_no_sense():
    for body in (b"<html>", b"", b"[1]", b'{"a": NaN}', b"[" * 50 + b"]" * 50, b"\xff\xfe"):
        with pytest.raises(BadAnswer):
            scripted(200, body).read("/x").object()
        with pytest.raises(OutcomeUnknown):
            scripted(200, body).change("POST", "/x").object()


def test_deep_enough_and_too_deep():
    assert scripted(200, b"[" * 40 + b"]" * 40).read("/x").json()
    flat = b"[" + b",".join([b"[]"] * 500) + b"]"
    assert len(scripted(200, flat).read("/x").json()) == 500
    with pytest.raises(BadAnswer):
        scripted(200, b"[" * 42 + b"]" * 42).read("/x").json()


def test_an_unknown_name_was_never_sent():
    client = HttpClient("https://no-such-host.invalid", login=("a", Secret(WORD)), limits=QUICK)
    with pytest.raises(Unreachable) as caught:
        client.change("POST", "/x")
    assert caught.value.sent is False


@pytest.mark.parametrize("url", ["http://192.0.2.1", "http://[2001:db8::1]:8080", "http://0.0.0.0"])
def test_plain_http_stays_on_this_machine(url):
    began = time.monotonic()
    with pytest.raises(Unreachable, match="plain HTTP"):
        HttpClient(url, limits=QUICK).read("/x")
    assert time.monotonic() - began < 0.2


@pytest.mark.parametrize(
    "url", ["", "ftp://a.example", "https://", "nonsense", "https://a.example:99999", "https://[::1"]
)
def test_an_address_that_is_none(url):
    with pytest.raises(Unreachable):
        HttpClient(url)


def test_a_login_in_the_address_is_left_out():
    client = HttpClient("https://user:geheim@no-such-host.invalid/api", limits=QUICK)
    assert "geheim" not in repr(client)
    with pytest.raises(Unreachable) as caught:
        client.read("/x")
    assert "geheim" not in caught.value.text


@pytest.mark.parametrize(
    "path", ["//elsewhere.example/x", "https://elsewhere.example/", "x", "/\\elsewhere", ""]
)
def test_a_link_that_leads_away_is_not_followed(path):
    carrier = ScriptedCarrier(lambda _: httpx.Response(200))
    with pytest.raises(BadAnswer):
        HttpClient("https://bmc.example.org", transport=carrier).read(path)
    assert not carrier.requests


def test_errors_hang_on_no_chain_and_logs_stay_empty(caplog):
    caplog.set_level(logging.DEBUG)
    with FaultProxy() as proxy:
        proxy.mode = Mode.HANG
        with pytest.raises(OutcomeUnknown) as caught:
            client_of(proxy).change("POST", "/x?token=geheim")
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert "geheim" not in caplog.text
    assert WORD not in caplog.text


def test_a_kept_connection_is_for_questions_only():
    with listening() as server:
        client = HttpClient(f"http://127.0.0.1:{server.port}", limits=QUICK)
        for _ in range(3):
            client.read("/q")
        assert server.connections == 1
        for _ in range(2):
            client.change("POST", "/c")
        assert server.connections == 3
        client.close()


def test_a_budget_used_up_is_busy():
    budget = Budget(calls=2, per_seconds=60, burst=2, at_once=1)
    client = scripted(200, meter=Meter(budget), limits=Limits(budget_wait_seconds=0.05))
    client.read("/x")
    client.read("/x")
    with pytest.raises(Busy) as caught:
        client.read("/x")
    assert caught.value.retry_at is not None
    assert not caught.value.rests
    assert timedelta(seconds=50) < caught.value.retry_at - datetime.now(UTC) <= timedelta(seconds=62)


def test_a_place_is_waited_for_and_given_back():
    meter = Meter(Budget(at_once=1))
    with meter.turn(0.05), pytest.raises(Busy), meter.turn(0.05):
        pytest.fail("two at once")
    with meter.turn(0.05):
        pass


def test_by_the_clock_on_the_wall_too():
    """Four threads that always want more: no window above the budget, as counted where the calls arrive."""
    meter = Meter(Budget(calls=20, per_seconds=0.4, burst=1, at_once=4))
    arrived: list[float] = []

    def ask() -> None:
        for _ in range(12):
            with meter.turn(5):
                arrived.append(time.monotonic())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    arrived.sort()
    assert len(arrived) == 48
    # A hair is left for what lies between the turn and our own look at the clock.
    assert min(b - a for a, b in zip(arrived, arrived[20:], strict=False)) > 0.39
