"""Receivers that behave badly, over real sockets: endless answers, certificates that are not theirs, names that change."""

import socket
import ssl
import threading
import time
from contextlib import contextmanager

import pytest
from tests.cast import a_cast
from tests.faults.tls import Certificates
from tests.stage import run_all_jobs, run_jobs

from doublehop.driver_kit import transport
from doublehop.notices import deliveries, endpoints, sending
from doublehop.notices.endpoints import EndpointForm
from doublehop.notices.models import WebhookDelivery
from doublehop.notices.tests.receiver import OK, Receiver, answer, receiving
from doublehop.organisations import actions as organisations

pytestmark = [pytest.mark.django_db, pytest.mark.long]
NAME = "hooks.example.org"


@pytest.fixture
def cast(settings):
    settings.DOUBLEHOP_WEBHOOK_NETWORKS = ("127.0.0.0/8",)
    return a_cast()


@pytest.fixture
def lookups(monkeypatch):
    """What the system's name lookup answers for NAME, one after the other; the last one is repeated. Asked of no network."""
    answers, asked = [["127.0.0.1"]], []
    real = socket.getaddrinfo

    def lookup(host, port, *more, **named):
        if host != NAME:
            return real(host, port, *more, **named)
        asked.append(host)
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    lookup.answers, lookup.asked = answers, asked
    return lookup


def told(cast, url, *names):
    endpoints.create_endpoint(cast.ines, EndpointForm(url, kinds=("client.created",)))
    for name in names or ("Larch Films",):
        organisations.create_client(cast.ines, name=name)
    deliveries.find_events({})
    run_jobs()
    return WebhookDelivery.objects.order_by("pk")


class Secure(Receiver):
    """Behind TLS. ``asked_for`` are the names that callers asked for (SNI), whether or not they liked the answer."""

    def __init__(self, certificates, kind, *answers, name="localhost"):
        super().__init__(*answers)
        self.context = certificates.context(kind, name=name)
        self.asked_for = []
        self.context.sni_callback = lambda sock, name, context: self.asked_for.append(name)

    def _answer(self, connection):
        connection.settimeout(5)
        try:
            with self.context.wrap_socket(connection, server_side=True) as secured:
                super()._answer(secured)
        except (ssl.SSLError, OSError):
            return


@contextmanager
def running(receiver):
    thread = threading.Thread(target=receiver.serve, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.end()
        thread.join(10)


@pytest.fixture
def certificates(tmp_path, monkeypatch):
    """The authority is trusted as an operator would have it: by the environment."""
    made = Certificates(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
    transport.tls_context.cache_clear()
    yield made
    transport.tls_context.cache_clear()


def test_the_checked_address_is_asked_under_the_name_that_the_certificate_must_have(
    cast, certificates, lookups
):
    with running(Secure(certificates, "fine", OK, name=NAME)) as receiver:
        (row,) = told(cast, f"https://{NAME}:{receiver.port}/hook")
    assert row.state == "delivered", row.failure_text
    assert receiver.asked_for == [NAME]
    assert receiver.got[0][0]["host"] == f"{NAME}:{receiver.port}"
    assert lookups.asked == [NAME], "the connection went to what was checked, without a second look"


@pytest.mark.parametrize(
    ("kind", "name"),
    [("fine", "localhost"), ("name", NAME), ("expired", NAME)],
    ids=["other", "foreign", "old"],
)
def test_a_certificate_that_is_not_fine_gets_nothing(cast, certificates, lookups, kind, name):
    with running(Secure(certificates, kind, OK, name=name)) as receiver:
        (row,) = told(cast, f"https://{NAME}:{receiver.port}/hook")
    assert (row.state, row.attempts, row.status) == ("waiting", 1, None)
    assert "cannot be reached" in row.failure_text
    assert receiver.asked_for == [NAME]
    assert receiver.got == [], "not a byte of the event left"


def test_an_authority_that_nobody_trusts_vouches_for_nothing(cast, tmp_path, lookups):
    with running(Secure(Certificates(tmp_path), "fine", OK, name=NAME)) as receiver:
        (row,) = told(cast, f"https://{NAME}:{receiver.port}/hook")
    assert (row.state, row.status, receiver.got) == ("waiting", None, [])


def test_a_name_that_leads_inside_at_its_second_lookup_is_asked_once(cast, lookups, settings):
    """A name server that says one thing to who checks and another to who connects finds nobody who asks twice."""
    lookups.answers[:] = [["127.0.0.1"], ["127.0.0.2"]]
    settings.DOUBLEHOP_WEBHOOK_NETWORKS = ("127.0.0.1/32",)
    with receiving(OK) as fine, inside(fine.port) as secret_place:
        rows = told(cast, f"http://{NAME}:{fine.port}/", "A", "B")
        assert len(lookups.asked) == 2, "once for each delivery"
    assert [row.state for row in rows] == ["delivered", "waiting"]
    assert "private" in rows[1].failure_text
    assert (len(fine.got), secret_place.got) == (1, [])


@contextmanager
def inside(port):
    receiver = Receiver(OK)
    receiver._socket.close()
    receiver._socket = socket.create_server(("127.0.0.2", port))
    with running(receiver):
        yield receiver


def test_an_address_that_is_forbidden_beside_a_fine_one_is_never_tried(cast, lookups, settings):
    lookups.answers[:] = [["127.0.0.1", "127.0.0.2"]]
    settings.DOUBLEHOP_WEBHOOK_NETWORKS = ("127.0.0.1/32",)
    with receiving(OK) as fine, inside(fine.port) as secret_place:
        (row,) = told(cast, f"http://{NAME}:{fine.port}/")
    assert (row.state, fine.got, secret_place.got) == ("waiting", [], [])


def test_a_redirect_to_the_inside_is_not_followed(cast, lookups, settings):
    settings.DOUBLEHOP_WEBHOOK_NETWORKS = ("127.0.0.1/32",)
    with receiving(OK) as first, inside(first.port) as secret_place:
        there = b"Location: http://127.0.0.2:%d/latest/meta-data/" % first.port
        for status in (301, 302, 303, 307, 308):
            with receiving(answer(status, b"", there)) as receiver:
                row = told(cast, f"http://{NAME}:{receiver.port}/").last()
            assert (row.status, "not followed" in row.failure_text) == (status, True)
    assert secret_place.got == []


# ---------------------------------------------------------------- without an end

HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("begin", "piece", "state"),
    [
        (HEAD + b"\r\n", b"x" * 4096, "delivered"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"x" * 4096 + b"\r\n", "delivered"),
        (HEAD + b"Content-Length: 99999999999\r\n\r\n", b"x" * 4096, "delivered"),
        (HEAD, b"X-More: " + b"x" * 1000 + b"\r\n", "waiting"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", "waiting"),
    ],
    ids=["body", "chunks", "promised", "headers", "never yet"],
)
def test_an_answer_without_an_end_is_left_soon(cast, monkeypatch, begin, piece, state):
    monkeypatch.setattr(sending, "TOTAL_SECONDS", 3.0)
    sent = []

    def without_end(connection):
        connection.settimeout(5)
        stream = connection.makefile("rb")
        while stream.readline() not in (b"\r\n", b""):
            pass
        try:
            connection.sendall(begin)
            while not receiver._over.is_set():
                connection.sendall(piece)
                sent.append(len(piece))
        except OSError:
            return

    receiver = Receiver(OK)
    receiver._answer = without_end
    with running(receiver):
        began = time.monotonic()
        (row,) = told(cast, f"http://127.0.0.1:{receiver.port}/")
        took = time.monotonic() - began
    assert row.state == state
    assert len(row.answer) <= 300
    assert took < 10
    assert sum(sent) < 40_000_000, "what does not end is not read on"


def test_events_come_in_their_order_when_all_goes_well(cast):
    names = [f"Client {number:02}" for number in range(25)]
    with receiving(OK) as receiver:
        told(cast, f"http://127.0.0.1:{receiver.port}/", *names)
        run_all_jobs()
    assert [event["data"]["target"]["label"] for event in receiver.events] == names
