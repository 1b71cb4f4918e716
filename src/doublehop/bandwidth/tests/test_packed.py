"""Many ports at once give what each of them gives alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doublehop.bandwidth import packed
from doublehop.bandwidth.packed import READ, SEEN, Device
from doublehop.bandwidth.readings import UPTIME_WRAP, follow
from doublehop.bandwidth.slots import SLOT_MS

START = 5_000_000 * SLOT_MS

ROUND = st.fixed_dictionaries(
    {
        "wait": st.sampled_from(
            [300_000, 300_000, 300_000, 301_700, 150_000, 440_000, 600_000, 0, 5_000_000]
        ),
        "device_wait": st.sampled_from([None, None, None, None, 0, 300_000, 90_000_000]),
        "boot": st.sampled_from([0, 0, 0, 0, 0, 1]),
        "device": st.sampled_from([7, 7, 7, 7, 7, 8]),
        "after": st.lists(st.sampled_from([0, 0, 3, 99, 2500, 6000]), min_size=4, max_size=4),
        "ports": st.lists(
            st.tuples(
                st.sampled_from([0, 10**6, 3 * 10**9, 10**12, 10**15, -(10**6)]),
                st.sampled_from([0, 0, 0, 0, 5]),
                st.sampled_from([9, 9, 9, 9, 9, 0, 10]),
                st.sampled_from([64, 64, 64, 64, 64, 32]),
                st.booleans(),
            ),
            min_size=4,
            max_size=4,
        ),
    }
)


def rows(rounds, *, engine, base, offset):
    """Rounds of a device with four ports, each as an array of SEEN."""
    ours, uptime, boots, counters = START + offset, base, 3, [10**12, 2**64 - 10**13, 0, 2**31]
    seconds = base // 100
    for one in rounds:
        waited = one["wait"] if one["device_wait"] is None else one["device_wait"]
        ours, uptime, seconds = (
            ours + one["wait"],
            (uptime + waited // 10) % UPTIME_WRAP,
            seconds + waited // 1000,
        )
        if one["boot"]:
            boots, uptime, seconds = boots + 1, 12_000, 120
        records = np.zeros(4, dtype=READ)
        for number, (grown, jump, ident, bits, _) in enumerate(one["ports"]):
            counters[number] = max(0, counters[number] + grown) % 2**64
            shown = counters[number] % 2**bits
            records[number] = (number + 1, shown, shown // 3, 10**9 * number, jump, ident, bits)
        there = [here or number < 2 for number, (*_, here) in enumerate(one["ports"])]
        device = Device(one["device"], boots * engine, seconds * engine, uptime, ours)
        after = np.array(one["after"], dtype=packed.AFTER)
        told = packed.kept(records[np.array(there)], after[np.array(there)])
        yield packed.seen(*packed.unkept(told), device)


@settings(max_examples=60, deadline=None)
@given(
    rounds=st.lists(ROUND, min_size=2, max_size=12),
    engine=st.sampled_from([0, 1]),
    base=st.sampled_from([10**8, UPTIME_WRAP - 60_000]),
    offset=st.sampled_from([0, 2000, 170_000]),
)
def test_packed_is_the_same_as_one_by_one(rounds, engine, base, offset):
    readings = list(rows(rounds, engine=engine, base=base, offset=offset))
    whole = packed.follow_all(np.empty(0, dtype=packed.STANDING), readings)
    measured, gaps, doubts = {}, [], []
    for port in range(1, 5):
        standing = None
        for row in (row for now in readings for row in now if row["port"] == port):
            result = follow(standing, packed.reading_of(row))
            standing = result.standing
            measured |= {(port, part.slot): (part.octets_in, part.octets_out) for part in result.measured}
            gaps += [(port, gap) for gap in result.gaps]
            if result.unused is not None and result.unused.is_doubtful:
                doubts.append((port, result.unused.reason, row["taken"]))
        found = [row for row in whole.standing if row["port"] == port]
        assert [packed.standing_of(row) for row in found] == ([standing] if standing else [])
    assert whole.measured == measured
    by_place = sorted(gaps, key=lambda one: (one[0], one[1].first, one[1].end))
    assert sorted(whole.gaps, key=lambda one: (one[0], one[1].first, one[1].end)) == by_place
    assert sorted(
        (port, doubt.unused.reason, doubt.after.taken_ms) for port, doubt in whole.doubts
    ) == sorted(doubts)


@pytest.mark.parametrize("after", [[0, 0, 0], [0, 250, 6000]])
@pytest.mark.parametrize("count", [3, 0])
def test_a_kept_reading_holds_when_each_port_was_read(after, count):
    records = np.zeros(3, dtype=READ)[:count]
    records["port"] = range(1, count + 1)
    told = packed.kept(records, np.array(after[:count], dtype=packed.AFTER))
    found, late = packed.unkept(told)
    assert (found.tolist(), late.tolist()) == (records.tolist(), after[:count])
    assert any(after[:count]) or told == records.tobytes(), "as readings were kept that say nothing of it"
    device = Device(7, 1, 5000, UPTIME_WRAP - 100, START)
    for row, centiseconds in zip(packed.seen(found, late, device), after, strict=False):
        assert int(row["taken"]) == START + 10 * centiseconds
        assert int(row["uptime"]) == (UPTIME_WRAP - 100 + centiseconds) % UPTIME_WRAP
        assert int(row["engine"]) == 5000 + centiseconds // 100


def test_ordinary_ports_take_the_quick_way(monkeypatch):
    """Otherwise the test above would compare the definition with itself."""
    monkeypatch.setattr(packed, "follow", None)
    standing = np.empty(0, dtype=packed.STANDING)
    plain = {"wait": 300_000, "device_wait": None, "boot": 0, "device": 7, "after": [0, 3, 99, 2500]}
    rounds = [{**plain, "ports": [(10**6, 0, 9, 64, True)] * 4}] * 4
    whole = packed.follow_all(standing, list(rows(rounds, engine=1, base=10**8, offset=2000)))
    assert len(whole.measured) == 4 * 3
    assert SEEN.itemsize == 61
