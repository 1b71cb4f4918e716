"""The switchable faults, since other rooms' tests lean on them."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from doublehop.driver_kit.conformance.world import PASSWORD, Fault, World
from doublehop.driver_kit.conformance.world import world as place_named
from doublehop.driver_kit.contract import PowerState, TicketState, capabilities_of
from doublehop.driver_kit.errors import (
    BadAnswer,
    Busy,
    CredentialsRejected,
    NotFound,
    OutcomeUnknown,
    Refused,
    Unreachable,
)
from doublehop.driver_kit.secret import Secret
from doublehop.drivers.memory.driver import DRIVER


@pytest.fixture
def place(request) -> World:
    found = place_named(request.node.name)
    found.add("m1", address="192.0.2.1")
    found.add("m2", parts=frozenset(("power",)))
    return found


def server_of(place, external_id="m1"):
    return DRIVER.open({"endpoint": place.endpoint, "password": Secret(PASSWORD)}, {}).server(external_id)


@pytest.mark.parametrize(
    ("fault", "error", "happened"),
    [
        (Fault.UNREACHABLE, Unreachable, []),
        (Fault.UNKNOWN_BEFORE_ACTING, OutcomeUnknown, []),
        (Fault.UNKNOWN_AFTER_ACTING, OutcomeUnknown, ["power.reset:hard"]),
        (Fault.BAD_ANSWER, BadAnswer, ["power.reset:hard"]),
        (Fault.BUSY, Busy, []),
        (Fault.CREDENTIALS, CredentialsRejected, []),
        (Fault.REFUSED, Refused, []),
        (Fault.NOT_FOUND, NotFound, []),
    ],
)
def test_a_fault_says_one_thing_and_the_ledger_the_truth(place, fault, error, happened):
    place.fault(fault, on="power.reset", machine="m1", seconds=30)
    server_of(place, "m2").power.reset(graceful=False)
    assert server_of(place).power.state() is PowerState.ON
    with pytest.raises(error):
        server_of(place).power.reset(graceful=False)
    assert place.effects("m1") == happened
    server_of(place).power.reset(graceful=True)
    assert place.effects("m1") == [*happened, "power.reset:graceful"]
    assert place.calls("m1") == ["power.state", "power.reset", "power.reset"]


def test_a_lie_changes_nothing(place):
    place.fault(Fault.LIE, on="port.*", times=2)
    server_of(place).port.set_enabled(False)
    assert server_of(place).port.is_enabled()
    assert place.effects("m1") == []


def test_another_machine_answers(place):
    place.fault(Fault.WRONG_IDENTITY)
    first, second = server_of(place).identify(), server_of(place).identify()
    assert not set(first) & set(second)


def test_slowness_and_another_fault_together(place):
    place.fault(Fault.SLOW, seconds=0.05, times=None)
    place.fault(Fault.BUSY, seconds=60)
    began = time.monotonic()
    with pytest.raises(Busy) as caught:
        server_of(place).power.state()
    assert time.monotonic() - began >= 0.05
    assert caught.value.retry_at is not None
    assert caught.value.retry_at > datetime.now(UTC) + timedelta(seconds=50)
    place.clear_faults()
    assert server_of(place).power.state() is PowerState.ON


def test_a_ticket_is_pending_until_power_lands(place):
    place.settle_seconds = 60
    power = server_of(place).power
    ticket = power.off(graceful=True)
    assert power.follow_up(ticket).state is TicketState.PENDING
    place.machines["m1"].pending = (0.0, PowerState.OFF)
    assert power.follow_up(ticket).state is TicketState.DONE


def test_parts_that_a_machine_lacks(place):
    assert capabilities_of(server_of(place, "m2")) == ("power",)


def test_counters_move_with_the_clock_alone(place):
    now = datetime(2026, 1, 1, 1, tzinfo=UTC)
    place.clock = lambda: now
    counters = DRIVER.open({"endpoint": place.endpoint, "password": Secret(PASSWORD)}, {}).counters
    assert counters is not None
    assert counters.read().ports[0].in_octets == 3600 * 125_000
    now += timedelta(seconds=300)
    assert counters.read().ports[0].in_octets == 3900 * 125_000
    place.restart_switch()
    assert counters.read().uptime_centiseconds == 0


def test_a_new_place_has_a_few_machines():
    upstream = DRIVER.open({"endpoint": "never seen before", "password": Secret(PASSWORD), "servers": []}, {})
    assert upstream.inventory is not None
    assert [line.external_id for line in upstream.inventory.list()] == ["m1", "m2", "m3"]
