"""An upstream of a reseller is no way into the networks of whoever runs the installation, whatever its driver."""

import select
import socket
import threading
from contextlib import suppress

import pytest
from tests.cast import a_cast

from doublehop.driver_kit import errors, registry
from doublehop.driver_kit.certificates import look
from doublehop.driver_kit.contract import FieldKind
from doublehop.driver_kit.reach import OutOfReach, Reach
from doublehop.fleet import actions, door
from doublehop.fleet.models import Server

AFAR = [name for name in registry.names() if not registry.load(name).for_training]


class Ear:
    """Hears whether anybody knocks at one port of this machine, and closes the door at once."""

    def __init__(self) -> None:
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self.port = self._tcp.getsockname()[1]
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", self.port))
        self.has_heard = False
        self._is_over = False
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while not self._is_over:
            for each in select.select([self._tcp, self._udp], [], [], 0.05)[0]:
                self.has_heard = True
                if each is self._tcp:
                    self._tcp.accept()[0].close()
                else:
                    self._udp.recv(4096)

    def close(self) -> None:
        self._is_over = True
        self._thread.join()
        self._tcp.close()
        self._udp.close()


@pytest.fixture
def ear():
    made = Ear()
    yield made
    made.close()


@pytest.fixture
def cast(db):
    return a_cast()


def filled(fields, port):
    """Every address leads to this machine."""
    told = {FieldKind.URL: f"https://127.0.0.1:{port}", FieldKind.HOST: f"127.0.0.1:{port}"}
    texts = (FieldKind.TEXT, FieldKind.SECRET)
    return {
        field.name: told.get(field.kind, "long-enough" if field.kind in texts else field.default)
        for field in fields
    }


def asked(actor, name, port):
    driver = registry.load(name)
    row = actions.create_upstream(actor, driver=name, name=name, values=filled(driver.settings, port))
    if driver.server_settings:
        actions.add_server(actor, row.pk, filled(driver.server_settings, port))
    with suppress(errors.UpstreamError), door.reading(row.pk) as upstream:
        upstream.test_connection()
        for server in Server.objects.filter(upstream=row):
            upstream.server(server.external_id).power.state()


@pytest.mark.parametrize("name", AFAR)
def test_an_upstream_of_a_reseller_stays_out_until_the_network_is_opened(cast, ear, settings, name):
    asked(cast.rosa, name, ear.port)
    assert not ear.has_heard
    settings.DOUBLEHOP_UPSTREAM_NETWORKS = ("127.0.0.0/8",)
    asked(cast.tam, name, ear.port)
    assert ear.has_heard


@pytest.mark.parametrize("name", AFAR)
def test_whoever_runs_the_installation_knows_its_networks(cast, ear, name):
    asked(cast.ines, name, ear.port)
    assert ear.has_heard


def test_the_report_says_why_and_shows_no_certificate(cast, ear):
    values = filled(registry.load("peer").settings, ear.port)
    row = actions.create_upstream(cast.rosa, driver="peer", name="Inside", values=values)
    with door.reading(row.pk) as upstream:
        report = upstream.test_connection()
    ((_, fine, said),) = report.lines
    assert not fine
    assert "leads into a private or reserved network" in said
    assert not report.fingerprint
    assert look(f"https://127.0.0.1:{ear.port}", seconds=1, reach=Reach(())).fingerprint == ""
    assert not ear.has_heard


@pytest.mark.parametrize(
    "inside",
    ["10.0.0.1", "127.0.0.1", "::1", "169.254.169.254", "::ffff:10.0.0.1", "fe80::1%eth0", "192.0.2.7"],
)
def test_one_address_inside_hides_behind_no_other(inside):
    Reach().check([inside])
    Reach(("0.0.0.0/0", "::/0")).check([inside])
    Reach(()).check(["8.8.8.8", "2001:4860:4860::8888"])
    with pytest.raises(OutOfReach):
        Reach(()).check(["8.8.8.8", inside])
    with pytest.raises(OutOfReach):
        Reach(("192.168.0.0/16",)).check([inside])
