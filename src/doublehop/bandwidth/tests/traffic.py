"""What really flowed, in whole octets, and what agents with every trouble told of it.

A ``Device`` is one switch through one period: the octets between each two moments at which it should be read (``flowed``), and the answers
that came, in the order in which they came. Troubles are planted where counters, clocks and packets go wrong in the field; what is left
out is what no reader could ever notice, such as a 32-bit counter that is set back without a sign and looks as if it had wrapped.
"""

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from doublehop.bandwidth import packed
from doublehop.bandwidth.packed import READ, SEEN
from doublehop.bandwidth.slots import SLOT_MS, from_ms
from doublehop.driver_kit.contract import CounterReading, PortCounter

LEAD = 40
"""Slots that are read before the period and after it: what happens at its edges has two sides."""
UPTIME_WRAP_MS = (1 << 32) * 10
FASTEST_LINK = 10**11
LEAP = 1 << 56
"""No port carries that within weeks."""

Octets = NDArray[np.int64]


class Nature(StrEnum):
    """``CONTINUOUS``: nothing is lost for good, so nothing may be missing. ``BROKEN_OFF``: polls are lost, counters are not."""

    CONTINUOUS = "continuous"
    BROKEN_OFF = "broken off"
    TROUBLED = "troubled"


class Trouble(StrEnum):
    NARROW = "32-bit ports"
    WRAP_32 = "32-bit counters that wrapped"
    WRAP_64 = "64-bit counters that wrapped"
    RESTART = "restarts that zeroed the counters"
    RESTART_KEPT = "restarts that the counters survived"
    DISCONTINUITY = "counters that jumped and said so"
    UPTIME_WRAP = "wraps of sysUpTime"
    RENUMBERED = "ifIndex renumbered"
    MIXED_UP = "answers in which ports stood under other names"
    OTHER_CARD = "ports replaced under their name"
    REPLACED = "switches replaced"
    TWICE = "answers that came twice"
    OLD_ANSWER = "answers from a cache, clock and all"
    OLD_COUNTERS = "devices that update their counters only now and then"
    LATE = "late answers"
    MISSED = "single polls missed"
    OUTAGE = "longer outages"
    EDGE = "outages over an edge of the period"
    LEAP = "implausible jumps"
    SET_BACK = "counters set back without a sign"
    NONSENSE = "values that no counter can have"
    LEFT_OUT = "ports left out of an answer"


MORE = {
    Trouble.TWICE: 0.004,
    Trouble.RENUMBERED: 0.0004,
}
"""How likely at each poll, where no octet is lost by it."""
LOST = {Trouble.MISSED: 0.004, Trouble.OUTAGE: 0.0004}
WRONG = {
    Trouble.OLD_ANSWER: 0.002,
    Trouble.RESTART: 0.0008,
    Trouble.RESTART_KEPT: 0.0004,
    Trouble.DISCONTINUITY: 0.0012,
    Trouble.MIXED_UP: 0.0005,
    Trouble.OTHER_CARD: 0.0005,
    Trouble.REPLACED: 0.0002,
    Trouble.LEAP: 0.001,
    Trouble.SET_BACK: 0.001,
    Trouble.NONSENSE: 0.0005,
    Trouble.LEFT_OUT: 0.002,
}
UNSEEN = 1000
"""Polls: no outage is longer. A restart that the counters survive, and a silent set back beside it, look like a restart from zero.
Two answers in a row that are mixed up alike look like cards that were exchanged, and then what stands under a name is that port's."""
LATE = 0.01
MOST_LATE = 270
"""Slots; a reading is sorted in for a day."""


@dataclass(frozen=True)
class Period:
    first: int
    slots: int

    @property
    def end(self) -> int:
        return self.first + self.slots


@dataclass(frozen=True)
class Answer:
    """``rows``: of the ports that it tells of, in the order of their ids; ``told``: the order in which the device names them."""

    number: int
    rows: NDArray[np.void]
    told: tuple[int, ...]
    nonsense: frozenset[int] = frozenset()
    """Places in ``rows`` that show what cannot be."""

    @property
    def key(self) -> tuple[int, ...]:
        """What makes it the same answer again; its order puts answers in the order of their times."""
        return self.rows[["taken", "boots", "engine", "uptime"]][0].item()  # type: ignore[no-any-return]

    @property
    def usable(self) -> NDArray[np.void]:
        return np.delete(self.rows, sorted(self.nonsense)) if self.nonsense else self.rows


@dataclass
class Device:
    """``flowed`` and ``shown``: (poll, port, direction), 0 = in. ``shown`` is the sum of what the agent knows of at each poll,
    as if nothing had ever gone wrong with its counters."""

    period: Period
    nature: Nature
    names: dict[int, str]
    """By port id."""
    taken: Octets
    flowed: Octets
    shown: Octets
    answers: list[Answer]
    exact: NDArray[np.bool_]
    """Of each port: everything is known of it at the end."""
    happened: Counter[Trouble] = field(default_factory=Counter)
    texts: dict[int, str] = field(default_factory=dict)
    """What digests stand for."""

    @property
    def ports(self) -> list[int]:
        return sorted(self.names)

    def reading(self, answer: Answer) -> CounterReading:
        """As a driver says it, from the switch's side."""
        ports = []
        for place in answer.told:
            row = answer.rows[place]
            octets_in, octets_out = int(row["octets_in"]), int(row["octets_out"])
            if place in answer.nonsense:
                octets_in = -1 if row["bits"] == 64 else octets_in + (1 << 32)
            ports.append(
                PortCounter(
                    self.names[int(row["port"])],
                    in_octets=octets_out,
                    out_octets=octets_in,
                    bits=int(row["bits"]),
                    speed_bps=int(row["speed"]),
                    discontinuity=int(row["discontinuity"]),
                    fingerprint=self.texts[int(row["ident"])],
                )
            )
        one = answer.rows[0]
        return CounterReading(
            self.texts[int(one["device"])],
            from_ms(int(one["taken"])),
            int(one["uptime"]),
            tuple(ports),
            int(one["boots"]),
            int(one["engine"]),
        )

    def arriving(self, seed: int) -> list[Answer]:
        """Some of them late, and so out of order."""
        chance = random.Random(seed)  # noqa: S311
        due = []
        for place, one in enumerate(self.answers):
            late = chance.randint(1, MOST_LATE) if chance.random() < LATE else 0
            self.happened[Trouble.LATE] += bool(late)
            due.append((one.number + late, place))
        return [self.answers[place] for _, place in sorted(due)]


@dataclass
class _Agent:
    """What stands behind the answers: changed by troubles, written down for stretches of polls in which nothing changes."""

    chance: random.Random
    device: Device
    bits: NDArray[np.uint8]
    speed: NDArray[np.uint64]
    table: NDArray[np.void]
    at: Octets
    """(poll, port, direction): the sum that is shown."""
    has_engine: bool
    has_idents: bool
    drift: int
    """Of its clock, millionths."""
    up_since: int = 0
    serial: int = 0
    boots: int = 0
    offset: NDArray[np.uint64] = field(default_factory=lambda: np.zeros((0, 2), dtype=np.uint64))
    jumped: NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, dtype=np.uint32))
    idents: NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, dtype=np.uint32))
    written: int = 0
    set_back_at: int = -(10**6)
    kept_at: int = -(10**6)
    mixed_up_at: int = -(10**6)

    def digest(self, text: str) -> int:
        found = packed.digest(text)
        self.device.texts[found] = text
        return found

    def new_ident(self, port: int) -> int:
        return self.digest(f"{self.serial}-{port}-{self.chance.getrandbits(48):x}") if self.has_idents else 0

    def write(self, until: int) -> None:
        """Polls up to ``until``, not included, as everything stands now."""
        piece = slice(self.written, until)
        if until <= self.written:
            return
        rows = self.table[piece]
        narrow = self.bits == 32
        values = self.at[piece].astype(np.uint64) - self.offset
        values = np.where(narrow[:, None], values & np.uint64(0xFFFFFFFF), values)
        fell = (values[1:] < values[:-1]).sum(axis=(0, 2))
        self.device.happened[Trouble.WRAP_32] += int(fell[narrow].sum())
        self.device.happened[Trouble.WRAP_64] += int(fell[~narrow].sum())
        rows["octets_in"], rows["octets_out"] = values[..., 0], values[..., 1]
        rows["speed"], rows["bits"] = self.speed, self.bits
        rows["discontinuity"], rows["ident"] = self.jumped, self.idents
        up = (self.device.taken[piece] - self.up_since) * (10**6 + self.drift) // 10**6
        rows["device"] = self.digest(f"serial {self.serial}")
        rows["boots"] = self.boots if self.has_engine else 0
        rows["engine"] = (up // 1000 if self.has_engine else np.zeros_like(up))[:, None]
        rows["uptime"] = (up // 10 % (1 << 32))[:, None]
        self.device.happened[Trouble.UPTIME_WRAP] += int((np.diff(up // UPTIME_WRAP_MS) > 0).sum())
        self.written = until

    # ------------------------------------------------------------ troubles between two polls

    def _octets_since(self, poll: int, since_ms: int) -> Octets:
        """How much of the interval that ends with ``poll`` flowed in its last ``since_ms``: anything that the link could."""
        flowed = self.device.flowed[poll - 1]
        whole = int(self.device.taken[poll] - self.device.taken[poll - 1])
        link = np.where(self.speed == 0, FASTEST_LINK, self.speed).astype(np.int64)[:, None] // 8
        least = np.maximum(flowed - link * (whole - since_ms) // 1000, 0)
        most = np.minimum(flowed, link * since_ms // 1000)
        return self.chance.choice([least, most, (least + most) // 2])  # type: ignore[no-any-return]

    def restart(self, poll: int, *, kept: bool) -> None:
        whole = int(self.device.taken[poll] - self.device.taken[poll - 1])
        since = self.chance.randrange(1000, whole - 1000)
        self.write(poll)
        self.up_since, self.boots = int(self.device.taken[poll]) - since, self.boots + 1
        if kept:
            self.kept_at = poll
            return
        self.jumped = np.zeros_like(self.jumped)
        begun = self.device.flowed[:poll].sum(axis=0) - self._octets_since(poll, since)
        # A cache that is older than the restart died with it.
        near = self.at[poll : poll + 4]
        np.maximum(near, begun, out=near)
        self.offset = begun.astype(np.uint64)

    def jump(self, poll: int, port: int) -> None:
        self.write(poll)
        self.jumped = self.jumped.copy()
        up = (int(self.device.taken[poll]) - self.up_since) // 10 % (1 << 32)
        self.jumped[port] = max(1, up - self.chance.randrange(1, 3000))
        self._show(port, poll, [self.chance.getrandbits(50) for _ in range(2)])

    def card(self, poll: int, port: int) -> None:
        self.write(poll)
        self.idents = self.idents.copy()
        self.idents[port] = self.new_ident(port)
        self._show(port, poll, [self.chance.choice([0, self.chance.getrandbits(50)]) for _ in range(2)])

    def leap(self, poll: int, port: int) -> None:
        self.write(poll)
        self.offset = self.offset.copy()
        self.offset[port] -= np.uint64(LEAP)

    def set_back(self, poll: int, port: int) -> None:
        self.write(poll)
        self.set_back_at = poll
        before = [int(self.table[poll - 1, port][name]) for name in ("octets_in", "octets_out")]
        self._show(port, poll, [self.chance.randrange(old) if old else 0 for old in before])

    def replace(self, poll: int) -> None:
        self.write(poll)
        self.serial += 1
        self.boots = self.chance.randrange(1, 9)
        self.up_since = int(self.device.taken[poll]) - self.chance.randrange(10**5, 10**9)
        self.jumped = np.zeros_like(self.jumped)
        self.idents = np.array([self.new_ident(port) for port in range(self.bits.size)], dtype=np.uint32)
        for port in range(self.bits.size):
            self._show(port, poll, [self.chance.getrandbits(50) for _ in range(2)])

    def _show(self, port: int, poll: int, values: list[int]) -> None:
        """From ``poll`` on the counters of a port go on from ``values``."""
        self.offset = self.offset.copy()
        self.offset[port] = self.at[poll, port].astype(np.uint64) - np.array(values, dtype=np.uint64)


# ---------------------------------------------------------------- a device through a period


def a_device(
    seed: int,
    period: Period,
    ports: range,
    *,
    nature: Nature | None = None,
    often: float = 1.0,
    narrow: float = 0.02,
) -> Device:
    """The same seed gives the same. ``often``: how much likelier troubles are; ``narrow``: the share of 32-bit ports."""
    chance, many = random.Random(seed), np.random.default_rng(seed)  # noqa: S311
    nature = nature or chance.choices(list(Nature), [15, 10, 75])[0]
    polls = period.slots + 2 * LEAD
    phase = chance.choice([1500, 4000, 20_000, chance.randrange(1000, 180_000)])
    begin = (period.first - LEAD) * SLOT_MS + phase
    taken = begin + np.arange(polls) * SLOT_MS + many.integers(0, 3000, polls)
    bits = np.where(many.random(len(ports)) < narrow, 32, 64).astype(np.uint8)
    speed = np.where(
        bits == 32, many.choice([10**7, 10**8], bits.size), many.choice([10**9, 10**10, 10**11, 0], bits.size)
    ).astype(np.uint64)
    edges = _edges(chance, period, nature)
    flowed = _traffic(many, taken, speed, edges)
    cache = 0 if chance.random() < 0.6 else chance.choice([10_000, 30_000, 60_000, 240_000, 600_000])
    shown = _known(taken, flowed, cache, chance.randrange(10_000))
    names = {port: f"ge-0/0/{port}" for port in ports}
    device = Device(period, nature, names, taken, flowed, shown, [], np.zeros(bits.size, dtype=bool))
    device.happened[Trouble.NARROW] += int((bits == 32).sum())
    device.happened[Trouble.OLD_COUNTERS] += bool(cache)
    agent = _agent(chance, device, bits, speed)
    wraps = int(agent.up_since + UPTIME_WRAP_MS) < int(taken[-1])
    # With an old look at its counters, a narrow port may wrap twice between two that we see.
    device.exact = np.where(bits == 32, not wraps and cache <= 30_000, nature is not Nature.TROUBLED)
    device.exact &= nature is not Nature.TROUBLED
    if nature is Nature.BROKEN_OFF:
        device.exact &= bits == 64
    lost, extras = _happen(agent, polls, often, edges)
    _answers(agent, lost, extras)
    return device


def _edges(chance: random.Random, period: Period, nature: Nature) -> tuple[range, ...]:
    """Polls that are lost around the period's beginning and end."""
    if nature is Nature.CONTINUOUS or chance.random() < 0.7:
        return ()
    found = []
    for edge in (LEAD, LEAD + period.slots):
        before, after = chance.randint(1, LEAD - 3), chance.randint(1, LEAD - 3)
        found.append(range(edge - before, edge + after))
    return tuple(found)


def _traffic(
    many: np.random.Generator, taken: Octets, speed: NDArray[np.uint64], edges: tuple[range, ...]
) -> Octets:
    """Idle, busy and full intervals, each port at its own level. What flows in an outage over an edge flows on one side of it."""
    shape = (taken.size - 1, speed.size, 2)
    link = np.where(speed == 0, FASTEST_LINK, speed).astype(np.int64) // 8
    most = link[None, :, None] * np.diff(taken)[:, None, None] // 1000
    load = many.random(shape, dtype=np.float32) ** many.choice([1, 3, 9], (1, speed.size, 1))
    load *= many.choice([1, 0.3, 0.01], (1, speed.size, 2))
    kind = many.random(shape, dtype=np.float32)
    load = np.where(kind < 0.04, 1.0, np.where(kind < 0.1, 0.0, load))
    flowed = np.minimum((most * load).astype(np.int64), most)
    for lost in edges:
        edge = LEAD if LEAD in lost else taken.size - LEAD
        quiet = slice(lost.start, edge) if many.random() < 0.5 else slice(edge, lost.stop)
        flowed[quiet] = 0
    return flowed


def _known(taken: Octets, flowed: Octets, cache: int, phase: int) -> Octets:
    """What an agent shows that looks at its counters only every ``cache`` milliseconds."""
    total = np.concatenate([np.zeros((1, *flowed.shape[1:]), dtype=np.int64), flowed.cumsum(axis=0)])
    if not cache:
        return total
    looked = np.maximum((taken - phase) // cache * cache + phase, taken[0])
    place = np.minimum(np.searchsorted(taken, looked, side="right") - 1, taken.size - 2)
    passed, whole = looked - taken[place], np.diff(taken)[place]
    return total[place] + flowed[place] * passed[:, None, None] // whole[:, None, None]  # type: ignore[no-any-return]


def _agent(
    chance: random.Random, device: Device, bits: NDArray[np.uint8], speed: NDArray[np.uint64]
) -> _Agent:
    table = np.zeros((device.taken.size, bits.size), dtype=SEEN)
    table["port"], table["taken"] = device.ports, device.taken[:, None]
    agent = _Agent(
        chance, device, bits, speed, table, device.shown.copy(),
        has_engine=chance.random() < 0.5, has_idents=chance.random() < 0.7, drift=chance.randint(-100, 100),
    )  # fmt: skip
    spread = int(device.taken[-1] - device.taken[0])
    until_wrap = chance.choice(
        [spread * 3, chance.randrange(spread), UPTIME_WRAP_MS - chance.randrange(10**6, 10**10)]
    )
    agent.up_since = int(device.taken[0]) - UPTIME_WRAP_MS + until_wrap
    agent.boots = chance.randrange(1, 9)
    device.texts[0] = ""
    agent.jumped = np.zeros(bits.size, dtype=np.uint32)
    agent.idents = np.array([agent.new_ident(port) for port in range(bits.size)], dtype=np.uint32)
    near_the_end = [] if device.nature is not Nature.TROUBLED else [2**64 - 2**43]
    starts = [chance.choice([0, 2**40, *near_the_end]) for _ in range(2 * bits.size)]
    agent.offset = -np.array(starts, dtype=np.uint64).reshape(-1, 2)
    return agent


@dataclass
class _Extras:
    """What happens to answers on their way, by the number of the poll."""

    twice: set[int] = field(default_factory=set)
    old: set[int] = field(default_factory=set)
    nonsense: dict[int, int] = field(default_factory=dict)
    left_out: dict[int, int] = field(default_factory=dict)
    mixed_up: set[int] = field(default_factory=set)
    renumbered: list[int] = field(default_factory=list)


def _happen(agent: _Agent, polls: int, often: float, edges: tuple[range, ...]) -> tuple[set[int], _Extras]:
    """Everything in the order of the polls."""
    chance, happened = agent.chance, agent.device.happened
    nature = agent.device.nature
    likely = {**MORE, **(LOST if nature is not Nature.CONTINUOUS else {})}
    if nature is Nature.TROUBLED:
        likely |= WRONG
    lost = {poll for some in edges for poll in some}
    happened[Trouble.EDGE] += len(edges)
    extras = _Extras()
    draws = np.random.default_rng(chance.getrandbits(32)).random((polls, len(likely)))
    hits = draws < np.array([min(0.2, share * often) for share in likely.values()])
    hits[0] = False
    kinds = list(likely)
    for poll, column in zip(*np.nonzero(hits), strict=True):
        if _one(agent, kinds[column], int(poll), lost, extras):
            happened[kinds[column]] += 1
    agent.write(polls)
    return lost, extras


def _one(agent: _Agent, trouble: Trouble, poll: int, lost: set[int], extras: _Extras) -> bool:
    """Whether it could happen there."""
    chance, port = agent.chance, agent.chance.randrange(agent.bits.size)
    wide = agent.bits[port] == 64
    match trouble:
        case Trouble.MISSED:
            lost.add(poll)
        case Trouble.OUTAGE:
            lost.update(range(poll, poll + chance.choice([2, 5, 30, chance.randint(2, 400)])))
        case Trouble.TWICE:
            extras.twice.add(poll)
        case Trouble.OLD_ANSWER:
            extras.old.add(poll)
        case Trouble.RENUMBERED:
            extras.renumbered.append(poll)
        case Trouble.NONSENSE:
            extras.nonsense[poll] = port
        case Trouble.LEFT_OUT:
            extras.left_out[poll] = port
        case _:
            return _to_counters(agent, trouble, poll, port, extras, wide=bool(wide))
    return True


def _to_counters(
    agent: _Agent, trouble: Trouble, poll: int, port: int, extras: _Extras, *, wide: bool
) -> bool:
    match trouble:
        case Trouble.RESTART:
            agent.restart(poll, kept=False)
        case Trouble.RESTART_KEPT if poll - agent.set_back_at > UNSEEN:
            agent.restart(poll, kept=True)
        case Trouble.DISCONTINUITY:
            agent.jump(poll, port)
        case Trouble.REPLACED:
            agent.replace(poll)
        case Trouble.OTHER_CARD if agent.has_idents:
            agent.card(poll, port)
        case Trouble.MIXED_UP if (
            agent.has_idents and agent.bits.size > 1 and poll - agent.mixed_up_at > UNSEEN
        ):
            agent.mixed_up_at = poll
            extras.mixed_up.add(poll)
        case Trouble.LEAP if wide:
            agent.leap(poll, port)
        case Trouble.SET_BACK if wide and poll - agent.kept_at > UNSEEN:
            agent.set_back(poll, port)
        case _:
            return False
    return True


def _answers(agent: _Agent, lost: set[int], extras: _Extras) -> None:
    table, device = agent.table, agent.device
    size = agent.bits.size
    for poll in sorted(extras.mixed_up):
        table[poll] = _turned(table[poll])
    told = tuple(range(size))
    for poll in range(len(table)):
        if poll in extras.renumbered:
            told = tuple(agent.chance.sample(range(size), size))
        if poll in extras.old and poll:
            taken = table[poll]["taken"].copy()
            table[poll] = table[poll - 1]
            table[poll]["taken"] = taken
        if poll in lost:
            continue
        one = Answer(poll, table[poll], told)
        if poll in extras.nonsense:
            one = replace(one, nonsense=frozenset({extras.nonsense[poll]}))
        if poll in extras.left_out and size > 1 and not one.nonsense:
            rows = np.delete(table[poll], extras.left_out[poll])
            one = Answer(poll, rows, tuple(range(size - 1)))
        device.answers += [one] * (2 if poll in extras.twice else 1)


def _turned(rows: NDArray[np.void]) -> NDArray[np.void]:
    """Each name shows what belongs to the next one."""
    turned = rows.copy()
    for name in READ.names or ():
        if name != "port":
            turned[name] = np.roll(rows[name], 1)
    return turned
