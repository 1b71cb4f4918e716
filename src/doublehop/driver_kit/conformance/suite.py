"""The questions that every driver is asked. A driver's test subclasses :class:`Conformance` and supplies a bench.

Only parts that are there are asked. Nothing sleeps for luck: what takes time is polled until a deadline.
"""

import ipaddress
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from doublehop.driver_kit.conformance.fault_proxy import Mode
from doublehop.driver_kit.contract import (
    PRICE_CHANGED,
    SERVER_PARTS,
    Driver,
    PowerState,
    Proof,
    Server,
    SupplyState,
    Ticket,
    TicketState,
    TicketStatus,
    Upstream,
    capabilities_of,
)
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


class Bench(Protocol):
    """What a driver's test puts on the table. Each test gets its own bench, with machines switched on."""

    driver: Driver
    upstream: Upstream
    known: str
    """External id of a machine that offers everything that this driver can."""
    unknown: str
    secrets: Sequence[str]
    """Texts that no error, repr or ticket may show."""
    settle_seconds: float
    """By then a change has landed."""
    limit_seconds: float
    """By then a call to a silent or slow upstream has ended."""

    def effects(self) -> Sequence[str]:
        """What truly happened to the known machine's power, in order, by another way than the driver's."""
        ...

    def port_enabled(self) -> bool:
        """Whether the known machine's port is open, by another way than the driver's."""
        ...

    def wrong_credentials(self) -> AbstractContextManager[Upstream] | None:
        """The same upstream opened with a wrong password; None where there is no such thing."""
        ...

    def faulty(self, mode: Mode, *, only_changes: bool) -> AbstractContextManager[Upstream] | None:
        """The same upstream through a spoiled network; None where there is no network."""
        ...


UNSENT = (Unreachable, Refused, Busy, NotFound, CredentialsRejected)
ON_READING: dict[Mode, tuple[type[UpstreamError], ...]] = {
    Mode.REFUSE: (Unreachable,),
    Mode.HANG: (Unreachable,),
    Mode.ANSWER_LOST: (Unreachable, BadAnswer),
    Mode.RESET: (Unreachable, BadAnswer),
    Mode.CUT: (BadAnswer, Unreachable),
    Mode.DRIP: (Unreachable,),
    Mode.DRIP_BODY: (Unreachable,),
    Mode.NONSENSE: (BadAnswer,),
    Mode.HTML: (BadAnswer,),
    Mode.HUGE: (BadAnswer,),
    Mode.BOMB: (BadAnswer,),
    Mode.DEEP: (BadAnswer,),
    Mode.REDIRECT: (BadAnswer,),
    Mode.ERROR_500: (BadAnswer,),
    Mode.MAINTENANCE_503: (Busy,),
    Mode.BUSY_429: (Busy,),
}
ON_CHANGING: dict[Mode, tuple[type[UpstreamError], ...]] = {
    Mode.REFUSE: (Unreachable,),
    Mode.HANG: (OutcomeUnknown,),
    Mode.ANSWER_LOST: (OutcomeUnknown,),
    Mode.RESET: (OutcomeUnknown,),
    Mode.DRIP: (OutcomeUnknown,),
    Mode.DRIP_BODY: (OutcomeUnknown,),
    Mode.NONSENSE: (OutcomeUnknown,),
    Mode.HUGE: (OutcomeUnknown,),
    Mode.BOMB: (OutcomeUnknown,),
    Mode.REDIRECT: (BadAnswer, OutcomeUnknown),
    Mode.ERROR_500: (OutcomeUnknown,),
    Mode.MAINTENANCE_503: (OutcomeUnknown,),
    Mode.BUSY_429: (Busy,),
}
ACTED = frozenset((Mode.ANSWER_LOST, Mode.RESET))
"""Faults in which the change reached the other side."""


class Conformance:
    @pytest.fixture
    def bench(self) -> Bench | Iterator[Bench]:
        raise TypeError("the test of a driver supplies its own bench")

    # ------------------------------------------------------------ who is there

    def test_capabilities_are_the_parts_that_are_there(self, bench: Bench) -> None:
        server = bench.upstream.server(bench.known)
        assert set(capabilities_of(server)) == {
            name for name in SERVER_PARTS if getattr(server, name) is not None
        }
        assert server.external_id == bench.known

    def test_an_unknown_machine_is_not_found(self, bench: Bench) -> None:
        server = bench.upstream.server(bench.unknown)
        for _, read in [("identify", server.identify), *readings(server)]:
            self._error(read, bench, NotFound)

    def test_identity_is_of_the_declared_kinds(self, bench: Bench) -> None:
        seen = bench.upstream.server(bench.known).identify()
        assert {(i.kind, i.proof) for i in seen} <= set(bench.driver.proves)
        assert all(i.value == i.value.strip() != "" for i in seen)
        assert list(seen) == list(bench.upstream.server(bench.known).identify())

    def test_inventory_lists_the_known_machine_once(self, bench: Bench) -> None:
        if bench.upstream.inventory is None:
            pytest.skip("no inventory")
        listed = bench.upstream.inventory.list()
        ids = [line.external_id for line in listed]
        assert ids.count(bench.known) == 1
        assert len(ids) == len(set(ids))
        assert bench.unknown not in ids
        shown = {(i.kind, i.proof) for line in listed for i in line.identifiers}
        assert shown <= set(bench.driver.proves)

    def test_settings_are_declared(self, bench: Bench) -> None:
        names = [field.name for field in bench.driver.settings]
        assert len(names) == len(set(names))
        assert set(filter(None, [bench.driver.endpoint_field, *bench.driver.account_fields])) <= set(names)
        assert all(isinstance(proof, Proof) for _, proof in bench.driver.proves)

    # ------------------------------------------------------------ reading

    def test_reads_change_nothing(self, bench: Bench) -> None:
        before = list(bench.effects())
        server = bench.upstream.server(bench.known)
        server.identify()
        for _, read in readings(server):
            read()
        if bench.upstream.counters is not None:
            bench.upstream.counters.read()
        if bench.upstream.ordering is not None:
            bench.upstream.ordering.offers()
        assert bench.upstream.test_connection().fine
        assert list(bench.effects()) == before

    def test_addresses_are_addresses(self, bench: Bench) -> None:
        addresses = bench.upstream.server(bench.known).addresses
        if addresses is None:
            pytest.skip("no addresses")
        found = addresses.list()
        assert sum(1 for one in found if one.primary) <= 1
        for one in found:
            ipaddress.ip_interface(one.address)

    def test_counters_move_forward_and_name_the_port(self, bench: Bench) -> None:
        counters = bench.upstream.counters
        if counters is None:
            pytest.skip("no counters")
        first = counters.read()
        port = counters.port_of(bench.known)
        before = next(p for p in first.ports if p.if_name == port)

        def moved() -> bool:
            later = counters.read()
            now = next(p for p in later.ports if p.if_name == port)
            assert later.device == first.device
            assert later.taken_at >= first.taken_at
            assert later.uptime_centiseconds >= first.uptime_centiseconds
            assert 0 <= before.in_octets <= now.in_octets < 2**now.bits
            return now.in_octets > before.in_octets and now.out_octets > before.out_octets

        wait_for(moved, bench.settle_seconds)
        assert before.bits in (32, 64)
        assert first.taken_at.utcoffset() is not None
        assert counters.port_of(bench.unknown) is None

    def test_offers_are_named_and_priced(self, bench: Bench) -> None:
        ordering = bench.upstream.ordering
        if ordering is None:
            pytest.skip("no ordering")
        offers = ordering.offers()
        assert len({one.offer_id for one in offers}) == len(offers)
        for one in offers:
            assert one.offer_id
            assert one.name
            assert len(one.price.currency) == 3
            assert one.price.monthly >= 0
            assert one.price.setup_fee >= 0
            assert one.stock is None or one.stock >= 0

    # ------------------------------------------------------------ changing

    def test_an_order_happens_once_under_its_key_and_is_withdrawn(self, bench: Bench) -> None:
        ordering = bench.upstream.ordering
        offers = [one for one in ordering.offers() if not one.stock] if ordering is not None else []
        if ordering is None or not offers:
            pytest.skip("nothing to order that would wait")
        offer, key = offers[0], f"conformance-{time.monotonic_ns()}"
        dearer = replace(offer.price, setup_fee=offer.price.setup_fee + 1)
        with pytest.raises(Refused) as refused:
            ordering.order(offer.offer_id, price=dearer, key=f"{key}-dear", hostname="", note="")
        assert refused.value.problem == PRICE_CHANGED
        first, second = (
            ordering.order(offer.offer_id, price=offer.price, key=key, hostname="", note="") for _ in range(2)
        )
        assert first == second
        assert ordering.look(first.order_id).state is SupplyState.WAITING
        for _ in range(2):
            ordering.withdraw(first.order_id)
            assert ordering.look(first.order_id).state is SupplyState.WITHDRAWN
        self._error(lambda: ordering.look("999999999"), bench, NotFound)

    def test_power_off_leads_to_off_and_on_to_on(self, bench: Bench) -> None:
        server = bench.upstream.server(bench.known)
        power, switch = server.power, server.power_switch
        if power is None or switch is None:
            pytest.skip("no power to switch")
        self._settle(switch.off(graceful=False), lambda: switch.follow_up, bench)
        assert power.state() is PowerState.OFF
        self._settle(switch.on(), lambda: switch.follow_up, bench)
        assert power.state() is PowerState.ON

    def test_a_reset_happens_once_and_its_ticket_settles(self, bench: Bench) -> None:
        power = bench.upstream.server(bench.known).power
        if power is None:
            pytest.skip("no power")
        before = len(bench.effects())
        ticket = power.reset(graceful=False)
        # A ticket outlives the process: another opening of the server follows it from its text.
        self._settle(ticket, lambda: _power_follow_up(bench), bench)
        assert len(bench.effects()) == before + 1
        assert power.state() in {PowerState.ON, PowerState.UNKNOWN}

    def test_a_port_goes_off_and_on_again(self, bench: Bench) -> None:
        port = bench.upstream.server(bench.known).port
        if port is None:
            pytest.skip("no port")
        for enabled in (False, False, True):
            self._settle(port.set_enabled(enabled), lambda: port.follow_up, bench)
            assert port.is_enabled() is enabled
            assert bench.port_enabled() is enabled

    def test_a_suspension_lands_and_lifts(self, bench: Bench) -> None:
        suspension = bench.upstream.server(bench.known).suspension
        if suspension is None:
            pytest.skip("no suspension")
        self._settle(suspension.suspend("overdue"), lambda: suspension.follow_up, bench)
        assert suspension.is_suspended()
        assert suspension.is_asked()
        self._settle(suspension.unsuspend(), lambda: suspension.follow_up, bench)
        assert not suspension.is_suspended()
        assert not suspension.is_asked()

    def test_a_permission_is_taken_and_given_back(self, bench: Bench) -> None:
        access = bench.upstream.server(bench.known).access
        if access is None:
            pytest.skip("no permission to take")
        for permitted in (False, False, True):
            self._settle(access.set_permitted(permitted), lambda: access.follow_up, bench)
            assert access.is_permitted() is permitted
            if bench.upstream.inventory is not None:
                lines = {one.external_id: one for one in bench.upstream.inventory.list()}
                assert lines[bench.known].withheld is not permitted

    def test_reverse_dns_is_set_and_removed(self, bench: Bench) -> None:
        server = bench.upstream.server(bench.known)
        if server.rdns is None or server.addresses is None:
            pytest.skip("no reverse DNS")
        rdns, address = server.rdns, server.addresses.list()[0].address
        for name in ("mail.example.org", "mail.example.org", "web.example.net"):
            self._settle(rdns.set(address, name), lambda: rdns.follow_up, bench)
            assert rdns.read()[address] == name

    def test_traffic_to_an_address_is_dropped_and_let_through(self, bench: Bench) -> None:
        server = bench.upstream.server(bench.known)
        if server.null_route is None or server.addresses is None:
            pytest.skip("no null routes")
        route, address = server.null_route, server.addresses.list()[0].address
        for dropped in (True, True, False):
            self._settle(route.set(address, dropped), lambda: route.follow_up, bench)
            assert (address in route.read()) is dropped

    def test_rescue_starts_and_stops(self, bench: Bench) -> None:
        rescue = bench.upstream.server(bench.known).rescue
        if rescue is None:
            pytest.skip("no rescue system")
        self._settle(rescue.start(), lambda: rescue.follow_up, bench)
        assert rescue.is_active()
        self._settle(rescue.stop(), lambda: rescue.follow_up, bench)
        assert not rescue.is_active()

    def test_totals_are_in_order_and_within_what_was_asked(self, bench: Bench) -> None:
        traffic = bench.upstream.server(bench.known).traffic
        if traffic is None:
            pytest.skip("no totals")
        end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        found = traffic.read(end - timedelta(days=3), end)
        assert found
        assert traffic.source
        assert traffic.unit
        assert list(found) == sorted(found, key=lambda one: one.start)
        for one in found:
            assert end - timedelta(days=4) <= one.start < one.end <= end + timedelta(days=1)
            assert one.octets_in >= 0
            assert one.octets_out >= 0

    def test_a_foreign_ticket_is_a_bad_answer(self, bench: Bench) -> None:
        power = bench.upstream.server(bench.known).power
        if power is None:
            pytest.skip("no power")
        for text in ("", "{", "[]", "42"):
            with pytest.raises(BadAnswer):
                power.follow_up(Ticket(text))

    # ------------------------------------------------------------ bad days

    def test_wrong_credentials_are_rejected(self, bench: Bench) -> None:
        wrong = bench.wrong_credentials()
        if wrong is None:
            pytest.skip("this upstream knows no credentials")
        before = list(bench.effects())
        with wrong as upstream:
            server = upstream.server(bench.known)
            assert self._error(server.identify, bench, CredentialsRejected).sent is False
            if server.power is not None:
                power = server.power
                self._error(lambda: power.reset(graceful=False), bench, CredentialsRejected)
            assert not upstream.test_connection().fine
        assert list(bench.effects()) == before

    @pytest.mark.parametrize("mode", ON_READING)
    def test_a_spoiled_answer_to_a_question(self, bench: Bench, mode: Mode) -> None:
        faulty = bench.faulty(mode, only_changes=False)
        if faulty is None:
            pytest.skip("no network to spoil")
        with faulty as upstream:
            server = upstream.server(bench.known)
            self._error(server.identify, bench, *ON_READING[mode])
            if server.power is not None:
                self._error(server.power.state, bench, *ON_READING[mode])
            report = upstream.test_connection()
            assert not report.fine
            self._keeps_secrets(bench, str(report))

    @pytest.mark.parametrize("mode", ON_CHANGING)
    def test_a_spoiled_answer_to_a_change(self, bench: Bench, mode: Mode) -> None:
        """What the error says and what truly happened agree, and nothing is sent twice."""
        faulty = bench.faulty(mode, only_changes=True)
        if faulty is None:
            pytest.skip("no network to spoil")
        before = len(bench.effects())
        with faulty as upstream:
            power = upstream.server(bench.known).power
            if power is None:
                pytest.skip("no power")
            error = self._error(lambda: power.reset(graceful=False), bench, *ON_CHANGING[mode])
        wait_for(lambda: len(bench.effects()) >= before + (mode in ACTED), 5)
        happened = len(bench.effects()) - before
        assert happened == (mode in ACTED)
        assert error.sent or not happened

    def test_no_secret_shows(self, bench: Bench) -> None:
        server = bench.upstream.server(bench.known)
        shown = [
            repr(bench.upstream),
            repr(server),
            repr(bench.driver),
            repr(bench.upstream.test_connection()),
        ]
        shown += [repr(vars(server)), repr(vars(bench.upstream))]
        if server.power is not None:
            shown.append(server.power.reset(graceful=False).text)
        if server.credentials is not None:
            shown.append(repr(server.credentials.read()))
        self._keeps_secrets(bench, *shown)

    def test_closing_twice_is_harmless(self, bench: Bench) -> None:
        bench.upstream.close()
        bench.upstream.close()

    # ------------------------------------------------------------ how it is asked

    def _settle(
        self, ticket: Ticket, follow_up: Callable[[], Callable[[Ticket], TicketStatus]], bench: Bench
    ) -> None:
        text = json.loads(json.dumps(ticket.text))
        self._keeps_secrets(bench, text)

        def is_done() -> bool:
            status = follow_up()(Ticket(text))
            assert status.state is not TicketState.FAILED, status.detail
            return status.state is TicketState.DONE

        wait_for(is_done, bench.settle_seconds)

    def _error(self, call: Callable[[], object], bench: Bench, *kinds: type[UpstreamError]) -> UpstreamError:
        began = time.monotonic()
        with pytest.raises(UpstreamError) as caught:
            call()
        assert type(caught.value) in kinds, repr(caught.value)
        assert time.monotonic() - began < bench.limit_seconds
        error: BaseException | None = caught.value
        while error is not None:
            self._keeps_secrets(bench, str(error), repr(error))
            error = error.__cause__ or error.__context__
        return caught.value

    @staticmethod
    def _keeps_secrets(bench: Bench, *texts: str) -> None:
        for secret in bench.secrets:
            assert not any(secret in text for text in texts)


def readings(server: Server) -> list[tuple[str, Callable[[], object]]]:
    """Every call of the server's parts that changes nothing."""
    found: list[tuple[str, Callable[[], object]]] = []
    for part, method in (
        ("power", "state"),
        ("health", "read"),
        ("port", "is_enabled"),
        ("addresses", "list"),
        ("credentials", "read"),
        ("suspension", "is_suspended"),
        ("suspension", "is_asked"),
        ("access", "is_permitted"),
        ("rdns", "read"),
        ("null_route", "read"),
        ("rescue", "is_active"),
    ):
        if getattr(server, part) is not None:
            found.append((f"{part}.{method}", getattr(getattr(server, part), method)))
    return found


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Polls until the condition holds; fails after ``seconds``."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not so within {seconds} s"
        time.sleep(0.02)


def _power_follow_up(bench: Bench) -> Callable[[Ticket], TicketStatus]:
    power = bench.upstream.server(bench.known).power
    assert power is not None
    return power.follow_up
