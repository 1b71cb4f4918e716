"""The place, once for all, and a theatre for each test."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine

from doublehop.driver_kit.conformance.fault_proxy import FaultProxy
from doublehop.driver_kit.transport import tls_context
from tests.faults.place import Place, started
from tests.faults.scene import a_scene, plain_driver
from tests.faults.theatre import Theatre
from tests.faults.tls import Certificates


@pytest.fixture(scope="session")
def place() -> Iterator[Place]:
    with started() as place:
        yield place


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def theatre(
    db: None, place: Place, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Theatre]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    tls_context.cache_clear()
    place.restore()
    moved = time_machine.travel(datetime.now(UTC), tick=True)
    with plain_driver(), FaultProxy(place.address) as proxy, moved as clock:
        yield Theatre(place, proxy, a_scene(proxy.url, ["port"]), clock, certificates)
    tls_context.cache_clear()
