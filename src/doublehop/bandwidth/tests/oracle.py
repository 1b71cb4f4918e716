"""Judges what the pipeline makes of ``traffic``: never above the truth, to the octet where nothing was lost, whatever came when.

The way is the product's: counters of a driver, records, slots, blocks, chunks, series, contract. Here it runs without a database; the
same devices go through one in ``tests/proofs/test_traffic.py``. What is judged against is worked out here, in plain words:

* The *truth* of a volume is what flowed.
* The *fault-free poller* reads the same agents at the same moments; all its answers arrive, and their counters never go back. Its octets
  of an interval fall into slots pro rata. Each slot of ours, and so each percentile, must not be above its own.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from doublehop.bandwidth import chunk, counters, packed, reckoning, slots, store
from doublehop.bandwidth.actions import packing
from doublehop.bandwidth.charts import Slots
from doublehop.bandwidth.contract import Contract, Cut, Method
from doublehop.bandwidth.contract import Period as ContractPeriod
from doublehop.bandwidth.packed import SEEN, STANDING
from doublehop.bandwidth.slots import DAY_MS, SLOT_MS, SLOTS_PER_DAY, Gap
from doublehop.bandwidth.tests.traffic import LEAD, Answer, Device, Nature, Octets, Period, Trouble, a_device

STACK = 32
PORTS = 12
"""Devices that are followed together, and ports of each."""
SPOKEN_EVERY = 16
"""Of so many devices one is read as a driver speaks; the others as the packed records that come of it, which is quicker."""
TAKEN_AT_ONCE = 32
PRICE = Decimal("1.37")
RAW = np.dtype((np.void, SEEN.itemsize))
"""Joining records of one type octet by octet is ten times as quick as field by field."""


@dataclass
class Found:
    """What the pipeline says of one port in the whole time that was read; ``gaps`` with octets that belong to no single slot."""

    first: int
    octets: Octets
    """(direction, slot)."""
    measured: NDArray[np.bool_]
    gaps: list[Gap]
    still_open: tuple[int, int] = (0, 0)
    in_doubt: tuple[int, int] = (0, 0)
    """What waits for staff: a device that updates its counters late shows more after an outage than its port can carry."""

    def part(self, period: Period) -> Slots:
        piece = slice(period.first - self.first, period.end - self.first)
        known = self.measured[piece]
        return Slots(period.first, self.octets[0, piece], self.octets[1, piece], known, np.ones_like(known))

    def outside(self, period: Period) -> tuple[int, int]:
        within = slots.wholly_within(self.gaps, period.first, period.end)
        return sum(gap.octets_in for gap in within), sum(gap.octets_out for gap in within)

    def everything(self, side: int) -> int:
        of_gaps = sum((gap.octets_in, gap.octets_out)[side] for gap in self.gaps)
        return int(self.octets[side].sum()) + of_gaps + self.still_open[side]


@dataclass
class Tally:
    """``wrong``: sentences. Everything else says how much was looked at."""

    port_months: int = 0
    answers: int = 0
    slots: int = 0
    measured: int = 0
    exact: int = 0
    true_octets: int = 0
    octets: int = 0
    happened: Counter[Trouble] = field(default_factory=Counter)
    natures: Counter[Nature] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


# ---------------------------------------------------------------- the fault-free poller


def reference(device: Device) -> Octets:
    """(port, direction, slot of the period): what a fault-free poller bills from."""
    grown = np.diff(device.shown, axis=0)
    taken = device.taken
    edge = (taken[:-1] // SLOT_MS + 1) * SLOT_MS
    before = grown * (edge - taken[:-1])[:, None, None] // np.diff(taken)[:, None, None]
    # Interval n ends within slot n + 1, of which the next one brings the rest.
    whole = before[1:] + (grown - before)[:-1]
    return np.ascontiguousarray(whole[LEAD - 1 : LEAD - 1 + device.period.slots].transpose(1, 2, 0))


def naive_ninety_fifth(values: Octets, left_out: int) -> int:
    return sorted(values.tolist(), reverse=True)[left_out]


# ---------------------------------------------------------------- the pipeline, without a database


def pipeline(devices: Sequence[Device], arrivals: Sequence[Sequence[Answer]]) -> dict[int, Found]:
    """By port. ``arrivals`` are the answers of each device, in the order in which they came."""
    readings = [
        _in_order(device, came, spoken=number % SPOKEN_EVERY == 0)
        for number, (device, came) in enumerate(zip(devices, arrivals, strict=True))
    ]
    first_day = min(one.first_day for one in readings)
    last_day = max(one.last_day for one in readings)
    way = _Way(first_day)
    for day in range(first_day, last_day + 1):
        way.follow([one.of_day(day) for one in readings])
        way.pack(day - 1)
    way.pack(last_day)
    assert not way.certain, "every slot lies in a day that was read"
    return way.found(sorted(port for device in devices for port in device.names), last_day + 1)


@dataclass
class _Way:
    """From readings to series, day by day, of many devices at once."""

    first_day: int
    standing: NDArray[np.void] = field(default_factory=lambda: np.empty(0, dtype=STANDING))
    gaps: dict[int, list[Gap]] = field(default_factory=lambda: defaultdict(list))
    doubts: dict[int, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    certain: list[tuple[NDArray[np.int64], ...]] = field(default_factory=list)
    """(port, slot, octets in, octets out) each."""
    chunks: dict[int, list[tuple[int, bytes]]] = field(default_factory=lambda: defaultdict(list))

    def follow(self, readings: Sequence[Sequence[NDArray[np.void]]]) -> None:
        """As actions.rounds does: one reading of each device at a time."""
        for now in _waves(readings):
            places, new = packed.matched(self.standing["port"], now["port"])
            whole = places.size == self.standing.size
            moved = packed.step(
                self.standing if whole else self.standing[places], now[~new] if new.any() else now
            )
            ports = moved.standing["port"].astype(np.int64)
            place, slot, inward, out = moved.measured
            self.certain.append((ports[place], slot, inward, out))
            for at, gap in moved.gaps:
                self.gaps[int(ports[at])].append(gap)
            for doubt in moved.doubts:
                unused = (doubt.unused.octets_in, doubt.unused.octets_out)
                self.doubts[int(ports[doubt.place])].append(unused)
            standing = packed.put_back(self.standing, places, moved.standing, packed.begin(now[new]))
            self.standing = standing[np.argsort(standing["port"], kind="stable")] if new.any() else standing

    def pack(self, day: int) -> None:
        """The slots of a day into blocks, and from these into one chunk for each port."""
        if not self.certain:
            return
        port, slot, inward, out = (np.concatenate(some) for some in zip(*self.certain, strict=True))
        mine = slot // SLOTS_PER_DAY == day
        self.certain = [] if mine.all() else [(port[~mine], slot[~mine], inward[~mine], out[~mine])]
        order = np.lexsort((port[mine], slot[mine]))
        records = np.empty(order.size, dtype=store.RECORD)
        for name, values in (("port", port), ("octets_in", inward), ("octets_out", out)):
            records[name] = values[mine][order]
        numbers, starts = np.unique(slot[mine][order], return_index=True)
        ends = np.append(starts[1:], order.size)[: starts.size].tolist()
        rows = [
            (store.block_id(1, number), records[start:end].tobytes())
            for number, start, end in zip(numbers.tolist(), starts.tolist(), ends, strict=True)
        ]
        for one, series in packing._by_port(day * SLOTS_PER_DAY, rows) if rows else ():
            made = chunk.pack(series.octets_in, series.octets_out, series.measured)
            self.chunks[one].append((day - self.first_day, made))

    def found(self, ports: Sequence[int], end_day: int) -> dict[int, Found]:
        ended = {int(row["port"]): (int(row["open_in"]), int(row["open_out"])) for row in self.standing}
        found = {}
        for port in ports:
            octets, measured = chunk.unpack(self.chunks[port], end_day - self.first_day)
            found[port] = Found(
                self.first_day * SLOTS_PER_DAY,
                octets.reshape(2, -1),
                measured.reshape(-1),
                self.gaps[port],
                ended.get(port, (0, 0)),
                (sum(one for one, _ in self.doubts[port]), sum(out for _, out in self.doubts[port])),
            )
        return found


@dataclass(frozen=True)
class _Readings:
    """Of one device, in the order of their times."""

    rows: list[NDArray[np.void]]
    days: NDArray[np.int64]

    @property
    def first_day(self) -> int:
        return int(self.days[0])

    @property
    def last_day(self) -> int:
        return int(self.days[-1])

    def of_day(self, day: int) -> list[NDArray[np.void]]:
        begin, end = np.searchsorted(self.days, [day, day + 1])
        return self.rows[begin:end]


def _in_order(device: Device, came: Sequence[Answer], *, spoken: bool) -> _Readings:
    """Each once, in the order of their times: as late ones are sorted among those that are kept."""
    once: dict[tuple[int, ...], Answer] = {}
    for one in came:
        once.setdefault(one.key, one)
    ordered = [once[key] for key in sorted(once)]
    rows = _as_spoken(device, ordered) if spoken else [one.usable for one in ordered]
    rows = [one for one in rows if one.size]
    return _Readings(rows, np.array([one["taken"][0] for one in rows]) // DAY_MS)


def _as_spoken(device: Device, answers: Sequence[Answer]) -> list[NDArray[np.void]]:
    layout = counters.Layout(tuple(device.ports), tuple(device.names[port] for port in device.ports))
    found = []
    for begin in range(0, len(answers), TAKEN_AT_ONCE):
        some = answers[begin : begin + TAKEN_AT_ONCE]
        taken = counters.take([(layout, device.reading(one)) for one in some])
        for one, answer in zip(taken, some, strict=True):
            row = answer.rows[0]
            shared = [int(row[name]) for name in ("device", "boots", "engine", "uptime", "taken")]
            found.append(packed.seen(one.records, one.after, packed.Device(*shared)))
    return found


def _waves(readings: Sequence[Sequence[NDArray[np.void]]]) -> list[NDArray[np.void]]:
    """One reading of each device at a time, as a round takes them in together."""
    longest = max(map(len, readings))
    return [
        np.concatenate([one[place].view(RAW) for one in readings if place < len(one)]).view(SEEN)
        for place in range(longest)
    ]


# ---------------------------------------------------------------- the judgement


def judge(devices: Sequence[Device], found: dict[int, Found], tally: Tally) -> None:
    for device in devices:
        true = device.flowed.sum(axis=0)
        fair = reference(device)
        for line, port in enumerate(device.ports):
            told = [
                f"port {port} ({device.nature}): {text}"
                for text in _of_port(device, line, found[port], true[line], fair[line])
            ]
            tally.wrong += told
            tally.measured += int(found[port].part(device.period).measured.sum())
            tally.exact += bool(device.exact[line])
        tally.wrong += _of_pool(device, [found[port] for port in device.ports], fair)
        tally.port_months += len(device.ports)
        tally.slots += len(device.ports) * device.period.slots
        tally.answers += len(device.answers)
        tally.true_octets += int(true.sum())
        tally.octets += sum(found[port].everything(side) for port in device.ports for side in (0, 1))
        tally.happened += device.happened
        tally.natures[device.nature] += 1


def _of_port(device: Device, line: int, ours: Found, true: Octets, fair: Octets) -> Iterable[str]:
    part = ours.part(device.period)
    for side, (name, mine) in enumerate((("in", part.octets_in), ("out", part.octets_out))):
        total = ours.everything(side)
        if total > true[side]:
            yield f"{total} octets {name}, and {true[side]} flowed"
        above = np.flatnonzero(mine > fair[side])
        if above.size:
            yield f"slot {above[0]} {name} is {mine[above[0]]}, and {fair[side, above[0]]} at a fault-free poller"
        if device.exact[line]:
            yield from _missing(device, line, side, total + ours.in_doubt[side], mine, fair[side])
    if device.exact[line] and device.nature is Nature.CONTINUOUS and not part.measured.all():
        yield f"{int((~part.measured).sum())} slots are unknown, and nothing was lost"
    yield from _of_bill(device.period, part, ours.outside(device.period), fair)


def _missing(device: Device, line: int, side: int, total: int, mine: Octets, fair: Octets) -> Iterable[str]:
    last = device.answers[-1].number
    shown = int(device.shown[last, line, side]) - int(device.shown[device.answers[0].number, line, side])
    if total != shown:
        yield f"{total} octets, and exactly {shown} could be known"
    if device.nature is Nature.CONTINUOUS and not np.array_equal(mine, fair):
        yield "another slot than the fault-free poller's, and nothing was lost"


def _of_bill(period: Period, part: Slots, outside: tuple[int, int], fair: Octets) -> Iterable[str]:
    """The figures of each method, and what is owed, beside those of the fault-free poller."""
    volumes = [int(side.sum()) for side in fair]
    for cut in Cut:
        left_out = period.slots * 5 // 100 if cut is Cut.FLOOR else -(-period.slots * 5 // 100)
        ninety_fifths = [naive_ninety_fifth(side, left_out) for side in (fair[0], fair[1], fair[0] + fair[1])]
        mine = reckoning.reckon(
            Contract(Method.P95_MAX, price=PRICE, cut=cut), _months(period), part, outside
        )
        for name, ours, true in zip(
            ("in", "out", "sum"), (mine.p95_in, mine.p95_out, mine.p95_sum), ninety_fifths, strict=True
        ):
            if ours > true:
                yield f"95th {name} {ours}, and {true} at a fault-free poller"
        most = PRICE * 8 * max(ninety_fifths[:2])
        if Fraction(mine.amount) > Fraction(most) / (300 * 10**6):
            yield f"{mine.amount} is owed for a 95th of {max(ninety_fifths[:2])} octets in a slot"
    billed = reckoning.reckon(Contract(Method.VOLUME_SUM, price=PRICE), _months(period), part, outside)
    if billed.volume_in > volumes[0] or billed.volume_out > volumes[1]:
        yield f"volumes {billed.volume_in} and {billed.volume_out}, and {volumes} flowed in the period"
    if Fraction(billed.amount) > Fraction(PRICE) * sum(volumes) / 10**9:
        yield f"{billed.amount} is owed for {sum(volumes)} octets"


def _of_pool(device: Device, ours: Sequence[Found], fair: Octets) -> Iterable[str]:
    period = _months(device.period)
    together = reckoning.pooled(period, [one.part(device.period) for one in ours])
    mine = reckoning.reckon(Contract(Method.P95_SUM, pooled=True), period, together)
    sums = fair.sum(axis=0)
    true = naive_ninety_fifth(sums.sum(axis=0), device.period.slots * 5 // 100)
    if mine.p95_sum > true:
        yield f"pool of port {device.ports[0]}: 95th {mine.p95_sum}, and {true} at a fault-free poller"
    if device.nature is Nature.CONTINUOUS and device.exact.all() and mine.p95_sum != true:
        yield f"pool of port {device.ports[0]}: 95th {mine.p95_sum}, and exactly {true} could be known"


def _months(period: Period) -> ContractPeriod:
    start = slots.start_of(period.first)
    end = start + timedelta(seconds=period.slots * 300)
    return ContractPeriod(start, end, period.first, period.end, "")


# ---------------------------------------------------------------- many of them


@dataclass(frozen=True)
class Stack:
    """Devices that are followed together."""

    devices: list[Device]
    arrivals: list[list[Answer]]

    @classmethod
    def of(cls, devices: list[Device], seed: int) -> "Stack":
        return cls(devices, [device.arriving(seed + number) for number, device in enumerate(devices)])

    def judge(self, tally: Tally) -> None:
        judge(self.devices, pipeline(self.devices, self.arrivals), tally)


def run(port_months: int, *, seed: int) -> Tally:
    """At least so many, of 28 to 31 days."""
    tally = Tally()
    number = 0
    while tally.port_months < port_months:
        period = Period((20_000 + 31 * number) * SLOTS_PER_DAY, (28 + number % 4) * SLOTS_PER_DAY)
        count = min(STACK, -(-(port_months - tally.port_months) // PORTS))
        devices = [
            a_device(
                seed * 1_000_003 + number * STACK + one, period, range(1 + one * PORTS, 1 + (one + 1) * PORTS)
            )
            for one in range(count)
        ]
        Stack.of(devices, seed).judge(tally)
        number += 1
    return tally
