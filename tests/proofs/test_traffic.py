"""Port-months of traffic with every trouble, from counters to what is owed: never above the truth.

PORT_MONTHS of them as a long test; DOUBLEHOP_PORT_MONTHS sets another number, in parts of PORT_MONTHS, which may run side by side
(``make proof`` asks for 10,000). What is judged, and how, stands in ``bandwidth/tests/oracle.py``.
"""

import os
from time import process_time

import pytest

from doublehop.bandwidth.tests import oracle
from doublehop.bandwidth.tests.traffic import Nature, Trouble

PORT_MONTHS = 1000
WANTED = int(os.environ.get("DOUBLEHOP_PORT_MONTHS", PORT_MONTHS))


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(max(1, -(-WANTED // PORT_MONTHS))))
def test_no_port_month_is_above_the_truth(part, record_property):
    begin = process_time()
    found = oracle.run(min(PORT_MONTHS, WANTED - part * PORT_MONTHS), seed=part)
    figures = {
        "port-months": found.port_months,
        "answers of switches": found.answers,
        "slots": found.slots,
        "slots measured": found.measured,
        "ports of which every octet had to be there": found.exact,
        **{trouble.value: found.happened[trouble] for trouble in Trouble},
        "seconds of one core": round(process_time() - begin, 1),
    }
    for name, value in figures.items():
        record_property(name, value)
        print(f"{value:>12} {name}")
    assert found.wrong == []
    assert [trouble for trouble in Trouble if not found.happened[trouble]] == [], "each trouble was met"
    assert set(found.natures) == set(Nature)
    assert found.octets > 0.9 * found.true_octets, "what is never above must not be nothing"
