"""Rounds: who is read when, by whom, and what a slow switch, a broken driver or a locked database costs the others."""

import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from django.db import OperationalError, connection
from django.utils import timezone
from tests.cast import a_cast
from tests.stage import a_stage

from doublehop.bandwidth import actions, collector, metrics
from doublehop.bandwidth.models import Block, Collection, DeviceState
from doublehop.bandwidth.queries import chart, collections_visible_to
from doublehop.bandwidth.queries.health import last_rounds
from doublehop.bandwidth.slots import slot_of
from doublehop.bandwidth.tests.switch import MBIT, T0, Switch
from doublehop.driver_kit import errors
from doublehop.driver_kit.conformance.world import Fault
from doublehop.fleet.rests import LoginRests
from doublehop.jobs.engine import Engine, Periodic

ON_POSTGRESQL = connection.vendor == "postgresql"
pytestmark = pytest.mark.django_db(transaction=ON_POSTGRESQL)
FIVE = timedelta(minutes=5)
SLOT = slot_of(T0)


@pytest.fixture
def cast():
    return a_cast()


class Place:
    """What stands behind the door: a reading, an error or a function for each upstream; ``asked`` are those that were read."""

    def __init__(self):
        self.answers = {}
        self.asked = []

    @contextmanager
    def reading(self, upstream_id, *, only, row):
        assert row.pk == upstream_id
        place, answer = self, self.answers[upstream_id]
        if isinstance(answer, LoginRests):
            raise answer

        class Counters:
            def read(self):
                place.asked.append(upstream_id)
                given = answer() if callable(answer) else answer
                if isinstance(given, Exception):
                    raise given
                return given

        class Opened:
            counters = Counters() if answer is not None else None

        yield Opened()


@pytest.fixture
def place(monkeypatch):
    found = Place()
    monkeypatch.setattr(collector.door, "reading", found.reading)
    return found


@pytest.fixture
def switches(cast, place):
    """Six of them, all answering at T0."""
    found = [Switch(cast.provider, names=(f"eth{n}",), name=f"Rack {n}") for n in range(1, 7)]
    for one in found:
        place.answers[one.upstream.pk] = one.reading(T0)
    return found


def ids(switches):
    return [one.upstream.pk for one in switches]


def read_ones():
    return set(last_rounds())


def text_of(switch):
    return Collection.objects.get(pk=switch.upstream.pk).failure_text


def test_through_the_door_from_a_real_driver(cast):
    stage = a_stage(cast.ines)
    (server,) = stage.machines("m1")
    for number in range(3):
        stage.place.clock = lambda minutes=5 * number: T0 + timedelta(minutes=minutes)
        collector.collect_slot([stage.upstream.pk], SLOT + number)
    seen = chart(cast.ines, server.pk, "day", points=288, now=T0 + 2 * FIVE)
    # What the machine sent into the switch, 125,000 octets a second, is its out.
    assert (seen.outward[-2:], seen.inward[-2:]) == ((1.0, 1.0), (10.0, 10.0))
    stage.place.fault(Fault.UNREACHABLE, on="counters.read")
    collector.collect_slot([stage.upstream.pk], SLOT + 3)
    assert Collection.objects.get().failure_text


def test_a_round_that_fails_leaves_a_gap_and_a_line_and_recovers(cast, switches, place):
    (switch, *_) = switches
    for number, error in ((0, None), (1, errors.Unreachable("no answer from 192.0.2.9")), (3, None)):
        at = T0 + number * FIVE
        place.answers[switch.upstream.pk] = error or switch.reading(at)
        collector.collect_slot([switch.upstream.pk], SLOT + number)
        line = next(
            one for one in collections_visible_to(cast.ines, now=at) if one.upstream_id == switch.upstream.pk
        )
        assert line.failure_text == ("no answer from 192.0.2.9" if error else "")
        assert (line.failing_since is not None) == (error is not None)
    assert not Block.objects.exists()
    assert collections_visible_to(cast.rosa) == []
    assert collections_visible_to(cast.mara) == []


def test_an_upstream_without_counters_or_gone_leaves_no_failure(switches, place):
    place.answers[switches[0].upstream.pk] = None
    collector.collect_slot([switches[0].upstream.pk, 999], SLOT)
    assert not Collection.objects.exclude(failing_since=None).exists()
    assert place.asked == []


def test_it_runs_at_the_beginning_of_every_slot_and_reads_every_upstream_with_ports(cast, switches, place):
    quiet = Switch(cast.alder, names=(), name="No ports").upstream
    locked = Switch(cast.alder, names=("eth2",), name="Locked out").upstream
    locked.failure_code, locked.failed_at = "credentials_rejected", timezone.now()
    locked.save()
    # The engine begins periodics at multiples of their seconds since 1970, as slots do (jobs/tests).
    assert list(collector.PERIODIC) == [Periodic("bandwidth.collect_all", 300)]
    Engine(collector.JOBS, collector.PERIODIC)
    with time_machine.travel(T0 + timedelta(seconds=290), tick=False):
        collector.collect_all({})
        assert set(Collection.objects.values_list("claimed_slot", flat=True)) == {SLOT}
        collector.collect({"upstream_id": switches[0].upstream.pk})
        collector.collect({"upstream_id": 999})
    assert sorted(place.asked) == sorted(ids(switches))
    assert not {quiet.pk, locked.pk} & set(place.asked)


def test_a_login_that_is_refused_meanwhile_is_not_tried_again(switches, place):
    place.answers[switches[0].upstream.pk] = LoginRests("Rack 1 refuses our login")
    collector.collect_slot(ids(switches), SLOT)
    assert switches[0].upstream.pk not in place.asked
    assert text_of(switches[0]) == "Rack 1 refuses our login"


# ---------------------------------------------------------------- one collector per switch


def test_each_switch_is_read_once_for_a_slot_whoever_asks(switches, place):
    first, rest = ids(switches)[:2], ids(switches)[2:]
    collector.collect_slot(first, SLOT)
    collector.collect_slot(ids(switches), SLOT)
    collector.collect_slot(ids(switches), SLOT)
    assert sorted(place.asked) == sorted([*first, *rest])
    collector.collect_slot(ids(switches), SLOT + 1)
    assert sorted(place.asked) == sorted([*ids(switches), *ids(switches)])


def test_a_slot_that_was_missed_is_not_caught_up(switches, place):
    collector.collect_slot(ids(switches), SLOT)
    collector.collect_slot(ids(switches), SLOT + 7)
    assert len(place.asked) == 2 * len(switches)
    collector.collect_slot(ids(switches), SLOT + 6)  # another worker, whose clock is a little behind
    assert len(place.asked) == 2 * len(switches)


def test_a_claim_of_a_clock_that_was_far_ahead_holds_nobody_off(switches):
    assert actions.claim(ids(switches), SLOT + 100_000) == ids(switches)
    assert actions.claim(ids(switches), SLOT) == ids(switches)


@pytest.mark.skipif(not ON_POSTGRESQL, reason="SQLite has one worker (tests/test_postgresql.py runs this)")
def test_of_four_workers_that_begin_together_one_reads_each_switch(switches, place):
    together = threading.Barrier(4)

    def work():
        together.wait(10)
        try:
            collector.collect_slot(ids(switches), SLOT)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for one in workers:
        one.start()
    for one in workers:
        one.join(30)
    assert sorted(place.asked) == sorted(ids(switches))
    assert read_ones() == set(ids(switches))


# ---------------------------------------------------------------- slow, broken, late


def test_a_slow_switch_delays_no_other(switches, place):
    (slow, *quick) = switches
    others_are_stored = threading.Event()
    reading = slow.reading(T0)
    stored = actions.write_rounds

    def answer():
        assert others_are_stored.wait(10), "the others wait for the slow one"
        return reading

    def write(rounds):
        stored(rounds)
        if read_ones() == set(ids(quick)):
            others_are_stored.set()

    place.answers[slow.upstream.pk] = answer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(actions, "write_rounds", write)
        collector.collect_slot(ids(switches), SLOT)
    assert read_ones() == set(ids(switches))


def test_never_more_than_so_many_are_asked_at_once(switches, place, monkeypatch):
    monkeypatch.setattr(collector, "READ_AT_ONCE", 2)
    monkeypatch.setattr(collector, "CLAIM_AT_LEAST", 1)
    lock, now, most = threading.Lock(), [0], [0]

    def counting(reading):
        def answer():
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            time.sleep(0.02)  # so that they would meet if they could
            with lock:
                now[0] -= 1
            return reading

        return answer

    for one in switches:
        place.answers[one.upstream.pk] = counting(one.reading(T0))
    collector.collect_slot(ids(switches), SLOT)
    assert most[0] == 2
    assert read_ones() == set(ids(switches))


def test_a_driver_that_breaks_its_word_costs_one_gap(switches, place):
    place.answers[switches[0].upstream.pk] = ZeroDivisionError()
    collector.collect_slot(ids(switches), SLOT)
    assert read_ones() == set(ids(switches[1:]))
    assert text_of(switches[0]) == collector._SEE_LOG


def test_a_round_ends_with_its_slot_and_what_hangs_is_not_asked_again(switches, place, monkeypatch):
    (hanging, *others) = switches
    let_go = threading.Event()
    reading = hanging.reading(T0)

    def answer():
        let_go.wait(10)
        return reading

    place.answers[hanging.upstream.pk] = answer
    monkeypatch.setattr(collector, "END_AFTER_SECONDS", 0.3)
    try:
        collector.collect_slot(ids(switches), SLOT)
        assert read_ones() == set(ids(others))
        assert text_of(hanging) == collector._HANGS
        collector.collect_slot([hanging.upstream.pk], SLOT + 1)
        assert place.asked.count(hanging.upstream.pk) == 1
    finally:
        let_go.set()
        collector._still_read[hanging.upstream.pk].result(10)
    place.answers[hanging.upstream.pk] = reading
    collector.collect_slot([hanging.upstream.pk], SLOT + 2)
    assert read_ones() == set(ids(switches))


def test_whose_turn_comes_too_late_has_missed_the_slot_and_it_is_said(switches, place, monkeypatch):
    (slow, *others) = switches
    reading = slow.reading(T0)
    begun = time.monotonic()

    def answer():
        time.sleep(max(0.0, begun + 0.2 - time.monotonic()))
        return reading

    place.answers[slow.upstream.pk] = answer
    for name, limit in (("READ_AT_ONCE", 1), ("CLAIM_AT_LEAST", 1), ("BEGIN_UNTIL_SECONDS", 0.1)):
        monkeypatch.setattr(collector, name, limit)
    collector.collect_slot(ids(switches), SLOT)
    assert place.asked == [slow.upstream.pk]
    assert {text_of(one) for one in others} == {collector._MISSED}
    collector.collect_slot(ids(switches), SLOT)
    assert place.asked == [slow.upstream.pk], "what was missed is not caught up"


# ---------------------------------------------------------------- the database


@contextmanager
def locked_database(monkeypatch, name, times):
    """The first ``times`` calls of an action find the database locked."""
    true, left = getattr(actions, name), [times]

    def refuse(*arguments):
        if left[0] > 0:
            left[0] -= 1
            raise OperationalError("database is locked")
        return true(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(actions, name, refuse)
        patch.setattr(collector, "TRY_AGAIN_SECONDS", 0.01)
        yield left


@pytest.mark.parametrize("name", ["claim", "write_rounds"])
def test_a_locked_database_is_waited_for(switches, place, monkeypatch, name):
    with locked_database(monkeypatch, name, 3):
        collector.collect_slot(ids(switches), SLOT)
    assert read_ones() == set(ids(switches))
    assert sorted(place.asked) == sorted(ids(switches)), "nobody is asked twice for it"


def test_readings_in_memory_are_bounded_and_given_up_with_the_slot(switches, place, monkeypatch):
    for name, limit in (
        ("MOST_WAITING", 2),
        ("READ_AT_ONCE", 1),
        ("CLAIM_AT_LEAST", 1),
        ("END_AFTER_SECONDS", 0.4),
    ):
        monkeypatch.setattr(collector, name, limit)
    given_up = metrics.failures.labels("given_up")
    before = given_up._value.get()
    with locked_database(monkeypatch, "write_rounds", 10_000):
        collector.collect_slot(ids(switches), SLOT)
    assert len(place.asked) == 2, "no further switch is asked while the database does not take what is there"
    assert given_up._value.get() - before == 2
    assert not DeviceState.objects.exists()
    collector.collect_slot(ids(switches), SLOT + 1)
    assert read_ones() == set(ids(switches))


def test_one_reading_that_cannot_be_stored_takes_no_other_along(switches, place):
    odd = switches[2]
    reading = odd.reading(T0)
    place.answers[odd.upstream.pk] = replace(reading, taken_at="yesterday")
    with suppress(AttributeError):
        collector.collect_slot(ids(switches), SLOT)
    assert read_ones() == {pk for pk in ids(switches) if pk != odd.upstream.pk}
    assert text_of(odd) == collector._NOT_STORED


# ---------------------------------------------------------------- metrics


def test_metrics_say_how_it_goes(switches, place):
    place.answers[switches[0].upstream.pk] = errors.Unreachable("no answer")
    collector.collect_slot(ids(switches), SLOT)
    text = metrics.exposition().decode()
    gone, there = switches[0].upstream.pk, switches[1].upstream.pk
    assert 'doublehop_collect_failures_total{reason="unreachable"}' in text
    assert f'doublehop_collect_failing{{upstream="{gone}"}} 1.0' in text
    assert f'doublehop_collect_failing{{upstream="{there}"}} 0.0' in text
    assert f'doublehop_collect_last_round_age_seconds{{upstream="{there}"}}' in text
    assert f'doublehop_collect_last_round_age_seconds{{upstream="{gone}"}}' not in text
    assert "doublehop_collect_rounds_total" in text
    assert "doublehop_jobs_waiting 0.0" in text
    assert "Rack" not in text


def test_metrics_count_what_is_in_doubt_and_what_came_too_late(cast):
    odd, plain = (Switch(cast.provider, name=name) for name in ("Rack A", "Rack B"))
    for one in (odd, plain):
        one.flow(out=MBIT)
        one.read(T0)
    odd.flow(out=-MBIT // 2)
    odd.read(T0 + FIVE)
    odd.read(T0 - timedelta(days=2))
    text = metrics.exposition().decode()
    for name in ("quarantined", "refused_rounds"):
        assert f'doublehop_collect_{name}{{upstream="{odd.upstream.pk}"}} 1.0' in text
        assert f'doublehop_collect_{name}{{upstream="{plain.upstream.pk}"}} 0.0' in text
