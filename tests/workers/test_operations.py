"""Operations at a provider, carried out by two workers of which one is killed in the midst. The provider's own ledger counts."""

from collections import Counter

import pytest

from tests.bench.doorbell import MACHINES, Provider

NOT_ANSWERED = "SELECT count(*) FROM services_step WHERE kind = 'reset' AND state IN ('pending', 'sent')"
pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]


def test_a_killed_worker_leaves_no_reboot_out_and_none_is_sent_twice(installation):
    with Provider(1) as north, Provider(2) as south:
        installation.run("-m", "tests.bench.operations", "fill", north.url, south.url)
        installation.run("-m", "tests.bench.operations", "ask", "reboot")
        first, second = installation.start(), installation.start()
        installation.wait(lambda: len(north.ledger) + len(south.ledger) >= 5, 60)
        first.kill()
        first.wait(10)
        installation.wait(lambda: installation.sql(NOT_ANSWERED) == [(0,)], 90)
        happened = Counter(
            (number, *line) for number, one in enumerate((north, south)) for line in one.ledger
        )
    assert second.poll() is None
    assert max(happened.values()) == 1
    states = Counter(state for (state,) in installation.sql("SELECT state FROM services_operation"))
    assert sum(states.values()) == 2 * MACHINES
    assert set(states) <= {"running", "done", "unknown"}, "all were sent in time"
    # Whoever was at the provider when it was killed may or may not have acted; nobody asks again.
    assert 2 * MACHINES - states["unknown"] <= sum(happened.values()) <= 2 * MACHINES
    assert states["unknown"] <= 6, "no more than the places of the killed one"
