"""The servers with most traffic: only of one's own time, and with few questions."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.cast import a_cast

from doublehop.bandwidth.models import Daily, GapVolume, Wiring
from doublehop.bandwidth.queries import Over, talkers
from doublehop.bandwidth.slots import slot_of
from doublehop.bandwidth.tests.switch import MBIT, T0, Switch, permit

pytestmark = pytest.mark.django_db
FIVE = timedelta(minutes=5)
DAY = timedelta(days=1)


@pytest.fixture
def cast():
    return a_cast()


@pytest.fixture
def busy(cast):
    """Two servers, the second one busier, for six slots."""
    switch = Switch(cast.provider, names=("eth1", "eth2"))
    switch.read(T0)
    for number in range(1, 7):
        switch.flow(out=10 * MBIT, inward=MBIT)
        switch.flow(out=20 * MBIT, inward=MBIT, name="eth2")
        switch.read(T0 + number * FIVE)
    return switch


@pytest.mark.parametrize("over", [Over.HOUR, Over.DAY])
def test_most_traffic_first(cast, busy, over):
    seen = talkers(cast.ines, over, now=T0 + 6 * FIVE)
    first, second = (server.pk for server in busy.servers)
    assert [(one.server_id, one.octets_out, one.octets_in) for one in seen.lines] == [
        (second, 120 * MBIT, 6 * MBIT),
        (first, 60 * MBIT, 6 * MBIT),
    ]
    assert seen.lines[0].rate_out == (10.0 if over is Over.HOUR else pytest.approx(0.4167))
    assert len(talkers(cast.ines, over, most=1, now=T0 + 6 * FIVE).lines) == 1
    assert talkers(cast.ines, Over.HOUR, now=T0 + DAY).lines == ()


def test_made_up_days_are_said_to_be(cast, busy):
    now = T0 + 6 * FIVE
    assert not talkers(cast.ines, Over.WEEK, now=now).sample_history
    port = Wiring.objects.get(server_id=busy.server.pk).port_id
    Daily.objects.create(port_id=port, day=(now - DAY).date(), octets_out=MBIT, sample_history=True)
    assert talkers(cast.ines, Over.WEEK, now=now).sample_history
    assert not talkers(cast.ines, Over.HOUR, now=now).sample_history


def test_a_reseller_sees_its_own_time_only(cast, busy):
    permit(busy.server, since=T0 + FIVE, organisation=cast.alder, given_by=cast.provider)
    seen = talkers(cast.rosa, Over.HOUR, now=T0 + 6 * FIVE)
    assert [(one.server_id, one.octets_out) for one in seen.lines] == [(busy.server.pk, 30 * MBIT)]
    for actor in (cast.tam, cast.mara):
        assert talkers(actor, Over.HOUR, now=T0 + 6 * FIVE).lines == ()


@pytest.mark.parametrize("over", list(Over))
def test_octets_of_a_gap_count_where_all_of_it_is_seen(cast, over):
    switch = Switch(cast.provider)
    end = switch.run(T0, [10, None, None, 10])
    most = talkers(cast.ines, over, now=end).lines[0]
    # All that flowed between the two readings that came; what flowed in the last slot besides.
    assert (most.server_id, most.octets_out) == (switch.server.pk, 20 * MBIT)
    assert GapVolume.objects.exists()
    permit(switch.server, since=T0 + 2 * FIVE, organisation=cast.alder, given_by=cast.provider)
    assert talkers(cast.rosa, over, now=end).lines == ()


def test_a_week_is_made_of_whole_days(cast):
    switch = Switch(cast.provider)
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    Wiring.objects.create(
        port_id=switch.port.pk,
        upstream_id=switch.upstream.pk,
        server_id=switch.server.pk,
        since_slot=slot_of(now - 5 * DAY),
    )
    for number in range(10):
        Daily.objects.create(
            port_id=switch.port.pk, day=(now - number * DAY).date(), octets_out=1, covered_ms=1
        )
    (line,) = talkers(cast.ines, Over.WEEK, now=now).lines
    assert line.octets_out == 2, (
        "of packed days two; the one in which it was wired is nobody's, the last come from slots"
    )


@pytest.mark.parametrize("over", list(Over))
def test_few_questions_however_many_servers(cast, busy, over, django_assert_max_num_queries):
    with django_assert_max_num_queries(10):
        talkers(cast.ines, over, now=T0 + 6 * FIVE)
