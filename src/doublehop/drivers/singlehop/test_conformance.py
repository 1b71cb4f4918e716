"""Both old APIs keep the contract: as another Doublehop speaks them, and as they were."""

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import pytest

from doublehop.driver_kit.conformance.fault_proxy import FaultProxy, Mode
from doublehop.driver_kit.conformance.suite import Bench, Conformance
from doublehop.driver_kit.contract import Upstream, capabilities_of
from doublehop.driver_kit.http import Limits
from doublehop.drivers.singlehop.driver import DRIVER, SinglehopUpstream
from doublehop.drivers.singlehop.fake.bench import settings_for
from doublehop.drivers.singlehop.fake.place import Quirks
from doublehop.drivers.singlehop.fake.server import FakeProvider

LIMITS = Limits(connect_seconds=1, read_seconds=0.4, total_seconds=1.0, body_octets=2 * 1024 * 1024)
PATIENT = Limits(connect_seconds=3, read_seconds=5, total_seconds=8)
CHANGE = re.compile(
    rb"GET [^ ]*request=[^ ]*(rebootServer|cascadeRebootVm|suspendServer|updateRdns|UserPermission)"
    rb"|GET /dropzone/server/reboot/"
    rb"|POST /dropzone/(?!server/getpassword)"
)


def is_change(request: bytes) -> bool:
    """Over LEAP a change is a GET like any other: only the command in its document tells."""
    return CHANGE.match(request) is not None


class SinglehopBench:
    driver = DRIVER
    known = "12"
    unknown = "99"
    settle_seconds = 3.0
    limit_seconds = 4.0

    def __init__(self, there: FakeProvider, api: str, *, spoil: bool) -> None:
        self.there = there
        self._spoil = spoil
        self._api = api
        self.secrets = (*there.secrets, there.machines["12"].password)
        untested = self.open(there.url, {}, limits=PATIENT)
        self.learned = dict(untested.test_connection().learned)
        untested.close()
        self.upstream = self.open(there.url, self.learned, limits=PATIENT)

    def open(
        self, url: str, learned: Mapping[str, str], *, wrong: bool = False, limits: Limits = LIMITS
    ) -> Upstream:
        wrong_ones = {"leap_password": "wrong-one", "tandem_password": "wrong-two"} if wrong else {}
        settings = settings_for(self.there, url, api=self._api, **wrong_ones)
        kept = {f"learned_{name}": text.replace(self.there.url, url) for name, text in learned.items()}
        return SinglehopUpstream({**settings, **kept}, usual=limits, patient=limits)

    def effects(self) -> list[str]:
        return [entry[0] for entry in self.there.ledger if entry == ("reboot", self.known)]

    def port_enabled(self) -> bool:
        raise AssertionError("there is no port")

    def wrong_credentials(self) -> AbstractContextManager[Upstream]:
        @contextmanager
        def opened() -> Iterator[Upstream]:
            upstream = self.open(self.there.url, self.learned, wrong=True, limits=PATIENT)
            yield upstream
            upstream.close()

        return opened()

    def faulty(self, mode: Mode, *, only_changes: bool) -> AbstractContextManager[Upstream] | None:
        @contextmanager
        def spoiled() -> Iterator[Upstream]:
            with FaultProxy(self.there.address) as proxy:
                upstream = self.open(proxy.url, self.learned)
                if only_changes and mode is not Mode.REFUSE:
                    proxy.only = is_change
                proxy.mode = mode
                yield upstream
                upstream.close()
                assert sum(is_change(line) for line in proxy.requests) <= 1

        return spoiled() if self._spoil else None


def bench_of(quirks: Quirks, api: str, *, spoil: bool = False) -> Iterator[Bench]:
    """``spoil``: bad days too. They are the client's matter, so one bench for each API has them."""
    with FakeProvider(quirks) as there:
        bench = SinglehopBench(there, api, spoil=spoil)
        yield bench
        bench.upstream.close()


COMMON = {"power", "addresses", "credentials", "access", "rdns", "traffic"}


class TestLeap(Conformance):
    """Another Doublehop, by its LEAP API alone."""

    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        yield from bench_of(Quirks(dropzone_at=""), "leap", spoil=True)

    def test_what_it_offers(self, bench: Bench) -> None:
        assert set(capabilities_of(bench.upstream.server("12"))) == COMMON | {"suspension"}


class TestDropzone(Conformance):
    """Another Doublehop, by its Dropzone alone."""

    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        yield from bench_of(Quirks(leap_at=""), "dropzone", spoil=True)

    def test_what_it_offers(self, bench: Bench) -> None:
        assert set(capabilities_of(bench.upstream.server("12"))) == COMMON | {"suspension", "rescue"}


class TestBoth(Conformance):
    """Another Doublehop, found out: both are used."""

    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        yield from bench_of(Quirks(success=1), "auto")


class TestLeapOf2011(Conformance):
    """As it was: no extensions, lists, success as a text, details that die in PHP."""

    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        quirks = Quirks(ours=False, leap_at="/api.php", dropzone_at="", success="1", keyed=False)
        quirks.php_faults = ("getServerDetails",)
        quirks.refuse_with_401 = False
        yield from bench_of(quirks, "auto")

    def test_what_it_offers(self, bench: Bench) -> None:
        assert set(capabilities_of(bench.upstream.server("12"))) == COMMON


class TestDropzoneOf2012(Conformance):
    """As it was: no extensions, maps by id, a Tandem user that may not sign in, answers of 200 for everything."""

    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        quirks = Quirks(ours=False, leap_at="", success="1", unknown_is_404=False, tandem_signs_in=False)
        quirks.refuse_with_401 = False
        yield from bench_of(quirks, "auto")

    def test_what_it_offers(self, bench: Bench) -> None:
        assert set(capabilities_of(bench.upstream.server("12"))) == COMMON | {"rescue"}
